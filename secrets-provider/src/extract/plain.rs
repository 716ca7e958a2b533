//! One walk without books, for values that fit their type as they are.
//!
//! The full walk notes what it learns about each key, to find every wrong value and every spelling
//! (`context`); that takes many times as long as the values themselves. Most values need none of it:
//! text for a `String`, a number for a `u16`, an object whose members are named as the fields are.
//! [`read`] hands these to the type in the same order and by the same calls of the visitor as the
//! full walk does, so the result is the same. At anything else, at any failure, and where a type
//! recovers from one, it gives up, and the caller walks in full. Lookups call it, because they read
//! a type at each hit.

use std::cell::Cell;
use std::collections::btree_map;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::numbers::Number;
use super::serde_internals::{KEY, ROTATING};
use crate::secret::Text;
use crate::tree::spelling::is_same_relaxed;
use crate::tree::{Node, Origin, Table, Value};

/// How many fields and members a plain struct and its table have at most.
const MAX_FIELDS: usize = 32;
const MAX_MEMBERS: usize = 64;

/// A node as a value of `T`; `None` if only the full walk knows what it is.
pub(crate) fn read<T: DeserializeOwned>(node: &Node) -> Option<T> {
    let gave_up = GaveUp::default();
    let value = T::deserialize(Plain { node, gave_up: &gave_up }).ok()?;
    (!gave_up.0.get()).then_some(value)
}

/// Whether anything failed on the way, even if the type recovered from it.
#[derive(Default)]
struct GaveUp(Cell<bool>);

impl GaveUp {
    fn noted<T>(&self, result: Result<T, NotPlain>) -> Result<T, NotPlain> {
        if result.is_err() {
            self.0.set(true);
        }
        result
    }
}

/// What a type learns here: nothing, since no value is shown.
#[derive(Debug)]
struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain")
    }
}

impl std::error::Error for NotPlain {}

impl serde::de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[derive(Clone, Copy)]
struct Plain<'a> {
    node: &'a Node,
    gave_up: &'a GaveUp,
}

impl<'a> Plain<'a> {
    /// The value that a scalar is read from: of `{"value": x}` without other keys, `x`.
    fn scalar(self) -> Option<&'a Value> {
        let value = match &self.node.value {
            Value::Table(table) if table.entries.len() == 1 => &table.entries.get("value")?.value,
            value => value,
        };
        (!matches!(value, Value::Table(_) | Value::Array(_))).then_some(value)
    }

    fn text(self) -> Option<&'a Text> {
        match self.scalar() {
            Some(Value::Text(text) | Value::Number(text)) => Some(text),
            Some(_) => None,
            None => self.node.source_text(),
        }
    }

    fn number<T: Number>(self) -> Option<T> {
        match self.scalar()? {
            Value::Text(text) | Value::Number(text) => T::of(text.as_str().trim()),
            _ => None,
        }
    }

    fn give_up<T>(self) -> Result<T, NotPlain> {
        self.gave_up.noted(Err(NotPlain))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
            match self.number() {
                Some(number) => self.gave_up.noted(visitor.$visit(number)),
                None => self.give_up(),
            }
        })*
    };
}

macro_rules! not_plain {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
            self.give_up()
        })*
    };
}

impl<'de> Deserializer<'de> for Plain<'_> {
    type Error = NotPlain;

    numbers! {
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128 deserialize_i8 visit_i8
        deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.scalar() {
            Some(Value::Bool(value)) => self.gave_up.noted(visitor.visit_bool(*value)),
            _ => self.give_up(),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.text() {
            Some(text) => self.gave_up.noted(visitor.visit_str(text.as_str())),
            None => self.give_up(),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.scalar() {
            Some(Value::Null) => self.give_up(),
            Some(Value::Text(text)) if text.as_str().trim().is_empty() => self.give_up(),
            _ => self.gave_up.noted(visitor.visit_some(self)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        match name {
            KEY | ROTATING => self.give_up(),
            _ => self.gave_up.noted(visitor.visit_newtype_struct(self)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match &self.node.value {
            Value::Array(items) => {
                let items = Items { items: items.iter(), gave_up: self.gave_up };
                self.gave_up.noted(visitor.visit_seq(items))
            }
            _ => self.give_up(),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        match &self.node.value {
            // figment's own structs have a prefix.
            Value::Table(table) if !name.starts_with('_') => {
                match Members::of(table, fields, self.gave_up) {
                    Some(members) => self.gave_up.noted(visitor.visit_map(members)),
                    None => self.give_up(),
                }
            }
            _ => self.give_up(),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, NotPlain> {
        self.give_up()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, NotPlain> {
        self.give_up()
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, NotPlain> {
        self.give_up()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NotPlain> {
        self.give_up()
    }

    not_plain! {
        deserialize_any deserialize_char deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_map deserialize_identifier
    }
}

/// The members of a table: first those that are no fields, then the fields, in their own order.
struct Members<'a> {
    others: std::iter::Enumerate<btree_map::Iter<'a, String, Node>>,
    /// Which members are no fields, as bits.
    is_other: u64,
    names: &'static [&'static str],
    fields: [Option<&'a Node>; MAX_FIELDS],
    next_field: usize,
    next: Option<&'a Node>,
    gave_up: &'a GaveUp,
}

impl<'a> Members<'a> {
    /// Or nothing, unless each member is a field by its exact name, or no field by any spelling.
    fn of(table: &'a Table, names: &'static [&'static str], gave_up: &'a GaveUp) -> Option<Self> {
        if names.len() > MAX_FIELDS || table.entries.len() > MAX_MEMBERS {
            return None;
        }
        let rank = table.entries.values().next().map(|node| node.rank);
        let (mut fields, mut is_other) = ([None; MAX_FIELDS], 0_u64);
        for (index, (name, node)) in table.entries.iter().enumerate() {
            let field = |name: &str| names.iter().position(|field| *field == name);
            let is_stored_field = || node.stored_name().and_then(field).is_some();
            if Some(node.rank) != rank || !node.is_stored_whole() || is_stored_field() {
                return None;
            }
            match field(name) {
                Some(field) => fields[field] = Some(node),
                None if names.iter().any(|field| is_same_relaxed(field, name)) => return None,
                None if matches!(&*node.origin, Origin::Secret { .. }) => is_other |= 1 << index,
                // Variables that are no fields are not handed out.
                None => {}
            }
        }
        let others = table.entries.iter().enumerate();
        Some(Self { others, is_other, names, fields, next_field: 0, next: None, gave_up })
    }

    fn next(&mut self) -> Option<(&'a str, &'a Node)> {
        while self.is_other != 0 {
            let (index, (name, node)) = self.others.next()?;
            if self.is_other & (1 << index) != 0 {
                self.is_other &= !(1 << index);
                return Some((name, node));
            }
        }
        while let Some(name) = self.names.get(self.next_field) {
            self.next_field += 1;
            if let Some(node) = self.fields[self.next_field - 1] {
                return Some((name, node));
            }
        }
        None
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, NotPlain> {
        let Some((name, node)) = self.next() else { return Ok(None) };
        self.next = Some(node);
        self.gave_up.noted(seed.deserialize(Name { name, gave_up: self.gave_up }).map(Some))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, NotPlain> {
        let value = match self.next.take() {
            Some(node) => seed.deserialize(Plain { node, gave_up: self.gave_up }),
            None => Err(NotPlain),
        };
        self.gave_up.noted(value)
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    gave_up: &'a GaveUp,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = NotPlain;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotPlain> {
        let Some(node) = self.items.next() else { return Ok(None) };
        self.gave_up.noted(seed.deserialize(Plain { node, gave_up: self.gave_up }).map(Some))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The name of a member, for the keys of structs.
struct Name<'a> {
    name: &'a str,
    gave_up: &'a GaveUp,
}

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        self.gave_up.noted(Err(NotPlain))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.gave_up.noted(visitor.visit_str(self.name))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }
}

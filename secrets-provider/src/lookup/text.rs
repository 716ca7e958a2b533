//! The short way from a node to text: most secrets are one, and are read as one.
//!
//! The typed extraction keeps books to find every wrong value, which costs more than the read of a
//! text itself. So a value is first offered to its type as text. A type that asks for anything else
//! is read by `extract`, and so is one that recovers from this, because only the whole rules say
//! what it gets.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::secret::Text;
use crate::tree::{Node, Value};

/// The value of a type that reads text, if the node is text for it (rule T2).
pub(super) fn read<T: DeserializeOwned>(node: &Node) -> Option<T> {
    let text = text(node)?;
    let asked_more = Cell::new(false);
    let value = T::deserialize(Offer { text: text.as_str(), asked_more: &asked_more }).ok()?;
    (!asked_more.get()).then_some(value)
}

/// Text, or `{"value": text}` without other members, or the source text of another object.
fn text(node: &Node) -> Option<&Text> {
    match &node.value {
        Value::Text(text) | Value::Number(text) => Some(text),
        Value::Table(table) if table.entries.len() == 1 && table.entries.contains_key("value") => {
            match &table.entries["value"].value {
                Value::Text(text) | Value::Number(text) => Some(text),
                _ => None,
            }
        }
        Value::Table(table) => table.source_text.as_ref(),
        _ => None,
    }
}

/// Whether a type reads a table: a struct, a map, or anything at all.
pub(super) fn wants_table<T: DeserializeOwned>() -> bool {
    let asked = Cell::new(false);
    let _ = T::deserialize(Probe(&asked));
    asked.get()
}

/// What a type learns here: nothing, since no value is shown.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not text")
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

struct Offer<'a> {
    text: &'a str,
    asked_more: &'a Cell<bool>,
}

impl<'de> Deserializer<'de> for Offer<'_> {
    type Error = Refused;

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_str(self.text)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.asked_more.set(true);
        Err(Refused)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Methods of types that read no table.
macro_rules! no_table {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
            Err(Refused)
        })*
    };
}

struct Probe<'a>(&'a Cell<bool>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.0.set(true);
        Err(Refused)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    no_table! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq
        deserialize_identifier deserialize_ignored_any
    }

    forward_to_deserialize_any! { unit_struct tuple tuple_struct enum }
}

//! serde's access to what a node holds: members of tables, items of arrays, variants of enums.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::context::Context;
use super::failure::{Failure, Problem};
use super::scalar::Key;
use super::{Extractor, Place, names};
use crate::tree::{Node, Table, join};

/// The members of a table, in the order they are handed to a visitor.
pub(super) struct Members<'a> {
    members: std::vec::IntoIter<(Cow<'a, str>, Cow<'a, Node>)>,
    next: Option<(Cow<'a, str>, Cow<'a, Node>)>,
    at: &'a str,
    context: &'a Context<'a>,
}

impl<'a> Members<'a> {
    pub(super) fn of_map(table: &'a Table, at: &'a str, context: &'a Context<'a>) -> Self {
        let members = table.entries.iter();
        Self::new(
            members.map(|(name, node)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(node))).collect(),
            at,
            context,
        )
    }

    pub(super) fn of_struct(
        table: &'a Table,
        fields: &'static [&'static str],
        at: &'a str,
        context: &'a Context<'a>,
    ) -> Self {
        Self::new(names::fields(table, fields, at, context), at, context)
    }

    fn new(mut members: Vec<(Cow<'a, str>, Cow<'a, Node>)>, at: &'a str, context: &'a Context<'a>) -> Self {
        let lead = context.leads(at);
        // What is known to be wrong comes last: it ends the walk.
        members.sort_by_key(|(name, _)| (lead.as_deref() != Some(name), context.spent(&join(at, name))));
        Self { members: members.into_iter(), next: None, at, context }
    }

    /// The layer of each member.
    pub(super) fn ranks(&self) -> BTreeMap<String, u32> {
        self.members.as_slice().iter().map(|(name, node)| (name.to_string(), node.rank)).collect()
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        self.next = self.members.next();
        match &self.next {
            None => Ok(None),
            Some((name, node)) => match seed.deserialize(Key(name)) {
                Ok(key) => {
                    name.as_ref().clone_into(&mut self.context.last.borrow_mut());
                    Ok(Some(key))
                }
                Err(Failure::Unplaced(problem)) => {
                    let message = match problem {
                        Problem::UnknownField(_) => "no field of this name is known".to_owned(),
                        _ => format!("its name does not fit, {}", problem.describe("", false)),
                    };
                    self.context.report(&join(self.at, name), Some(node), &message);
                    Err(Failure::Reported)
                }
                Err(Failure::Reported) => Err(Failure::Reported),
            },
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        match self.next.take() {
            Some((name, node)) => descend(seed, &node, join(self.at, &name), self.context),
            None => Err(Failure::Unplaced(Problem::Refused)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The items of an array.
pub(super) struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    at: &'a str,
    context: &'a Context<'a>,
}

impl<'a> Items<'a> {
    pub(super) fn new(items: &'a [Node], at: &'a str, context: &'a Context<'a>) -> Self {
        Self { items: items.iter().enumerate(), at, context }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        match self.items.next() {
            None => Ok(None),
            Some((index, node)) => {
                descend(seed, node, join(self.at, &index.to_string()), self.context).map(Some)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The current value and, where the secret's previous version was fetched, the previous one: what
/// [`Rotating`](crate::Rotating) is read from.
pub(super) struct Versions<'a> {
    extractor: Extractor<'a>,
    current: bool,
}

impl<'a> Versions<'a> {
    pub(super) fn of(extractor: Extractor<'a>) -> Self {
        Self { extractor, current: true }
    }
}

impl<'de> SeqAccess<'de> for Versions<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        if std::mem::take(&mut self.current) {
            return seed.deserialize(self.extractor.again()).map(Some);
        }
        let context = self.extractor.context;
        let at = format!("{} (previous)", self.extractor.at);
        let Some(node) = self.extractor.node().and_then(|node| node.previous.as_deref()) else {
            return Ok(None);
        };
        // One that does not fit any more is of no use, and no reason to refuse the current one.
        if context.stands_for_none(&at) {
            return Ok(None);
        }
        let errors = context.errors.borrow().len();
        let read = descend(seed, node, at.clone(), context);
        if read.is_err() {
            context.read_as_none(at, errors);
        }
        read.map(Some)
    }
}

/// A variant, by its name alone or with what it holds.
pub(super) struct Enum<'a> {
    variant: &'a str,
    content: Option<(&'a Node, String)>,
    context: &'a Context<'a>,
}

impl<'a> Enum<'a> {
    pub(super) fn unit(variant: &'a str, context: &'a Context<'a>) -> Self {
        Self { variant, content: None, context }
    }

    pub(super) fn with_content(variant: &'a str, node: &'a Node, at: &str, context: &'a Context<'a>) -> Self {
        Self { variant, content: Some((node, join(at, variant))), context }
    }

    fn content(self) -> Result<Extractor<'a>, Failure> {
        match self.content {
            Some((node, at)) => {
                Ok(Extractor { place: Place::Node(node), at, expected: "", context: self.context })
            }
            None => Err(Failure::Unplaced(Problem::Refused)),
        }
    }
}

impl<'de, 'a> EnumAccess<'de> for Enum<'a> {
    type Error = Failure;
    type Variant = Enum<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Enum<'a>), Failure> {
        let variant: serde::de::value::StrDeserializer<'_, Failure> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for Enum<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match &self.content {
            None => Ok(()),
            Some((node, _)) if matches!(node.value, crate::tree::Value::Null) => Ok(()),
            Some(_) => Err(Failure::Unplaced(Problem::Refused)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.content()?.deserialize_struct("", fields, visitor)
    }
}

/// Reads one node, and places what the type itself objects to afterwards (`try_from`, `deserialize_with`).
fn descend<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &Node,
    at: String,
    context: &Context<'_>,
) -> Result<S::Value, Failure> {
    let expected = type_name::<S::Value>();
    let extractor = Extractor { place: Place::Node(node), at: at.clone(), expected, context };
    let (known, buffered) = (context.learned(), context.buffered.get());
    seed.deserialize(extractor).map_err(|failure| {
        if let Failure::Unplaced(problem) = failure {
            context.object(&at, Some(node), &problem, expected, context.buffered.get() > buffered);
        }
        if context.learned() == known {
            context.exhaust(at);
        }
        Failure::Reported
    })
}

/// The type's name without its path, as far as it helps a reader; empty for types that serde's macros make up.
fn type_name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    if full.contains("__") || full.contains('{') {
        return "";
    }
    // The last segment before any generics: `core::option::Option<url::Url>` is about `Url`.
    let inner =
        full.strip_prefix("core::option::Option<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(full);
    if inner.contains('<') { "" } else { inner.rsplit("::").next().unwrap_or(inner) }
}

//! serde's access to what a node holds: members of tables, items of arrays, variants of enums.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::context::Context;
use super::error::{Failure, Problem};
use super::placeholder::stand_in;
use super::scalar::Key;
use super::{Extractor, Place, fields};
use crate::tree::{Node, Table, join};

/// The members of a table, in the order they are handed to a visitor.
pub(super) struct Members<'a> {
    members: std::vec::IntoIter<(Cow<'a, str>, Cow<'a, Node>)>,
    next: Option<(Cow<'a, str>, Cow<'a, Node>)>,
    /// The fields that were handed out already, as serde's macros know them, with the names they were given by.
    fields: HashMap<u64, String>,
    at: &'a str,
    context: &'a Context<'a>,
}

impl<'a> Members<'a> {
    pub(super) fn of_map(table: &'a Table, at: &'a str, context: &'a Context<'a>) -> Self {
        let members = table.entries.iter();
        let mut members: Vec<_> = members
            .map(|(name, node)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(node)))
            .collect();
        // A struct with `flatten` is read as a map, and may miss fields.
        for (field, node) in context.found(at) {
            if !table.entries.contains_key(field) {
                members.push((Cow::Borrowed(field), Cow::Owned(node)));
            }
        }
        // Of two spellings of one field the first one counts.
        members.sort_by_key(|(_, node)| std::cmp::Reverse(node.rank));
        Self::new(members, at, context)
    }

    pub(super) fn of_struct(
        table: &'a Table,
        fields: &'static [&'static str],
        at: &'a str,
        context: &'a Context<'a>,
    ) -> Self {
        let mut members = fields::fields(table, fields, at, context);
        // Of two spellings of one field the first one counts. In one layer, the order of the fields: there the tag of
        // an adjacently tagged enum comes before its content, which serde need not buffer then.
        members.sort_by_key(|(name, node)| {
            (std::cmp::Reverse(node.rank), fields.iter().position(|field| *field == name.as_ref()))
        });
        Self::new(members, at, context)
    }

    fn new(
        mut members: Vec<(Cow<'a, str>, Cow<'a, Node>)>,
        at: &'a str,
        context: &'a Context<'a>,
    ) -> Self {
        members.retain(|(name, _)| {
            let path = join(at, name);
            !context.is_dropped(&path) && !context.is_outranked(&path)
        });
        Self { members: members.into_iter(), next: None, fields: HashMap::new(), at, context }
    }

    /// The layer of each member.
    pub(super) fn ranks(&self) -> BTreeMap<String, u32> {
        self.members.as_slice().iter().map(|(name, node)| (name.to_string(), node.rank)).collect()
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        self.next = self.members.next();
        match &self.next {
            None => Ok(None),
            Some((name, node)) => match seed.deserialize(Key(name)) {
                Ok(key) => {
                    let before = field_of(&key)
                        .and_then(|field| self.fields.insert(field, name.to_string()));
                    *self.context.last.borrow_mut() = (name.to_string(), before);
                    Ok(Some(key))
                }
                Err(Failure::Unplaced(problem)) => {
                    let message = match problem {
                        Problem::UnknownField(_) => "no field of this name is known".to_owned(),
                        _ => format!("its name does not fit, {}", problem.describe("", false)),
                    };
                    let path = join(self.at, name);
                    self.context.report(&path, Some(node), &message);
                    self.context.ignore(path);
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

/// Which field of a struct a name stands for, as far as serde's macros tell: they have an enum of the fields.
fn field_of<K>(key: &K) -> Option<u64> {
    let name = std::any::type_name::<K>();
    // With `flatten` it borrows.
    name.strip_suffix("<'_>").unwrap_or(name).ends_with("__Field").then(|| {
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(key).hash(&mut hasher);
        hasher.finish()
    })
}

/// The items of an array.
pub(super) struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    /// Whether all are of one type, so that one may be left out.
    alike: bool,
    at: &'a str,
    context: &'a Context<'a>,
}

impl<'a> Items<'a> {
    pub(super) fn new(
        items: &'a [Node],
        alike: bool,
        at: &'a str,
        context: &'a Context<'a>,
    ) -> Self {
        Self { items: items.iter().enumerate(), alike, at, context }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        for (index, node) in self.items.by_ref() {
            let at = join(self.at, &index.to_string());
            match self.context.is_dropped(&at) {
                false => return descend(seed, node, at, self.context).map(Some),
                true if self.alike => {}
                true => return Err(Failure::Reported),
            }
        }
        Ok(None)
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

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if std::mem::take(&mut self.current) {
            return seed.deserialize(self.extractor.again()).map(Some);
        }
        let context = self.extractor.context;
        let at = format!("{} (previous)", self.extractor.at);
        let Some(node) = self.extractor.node().and_then(|node| node.previous.as_deref()) else {
            return Ok(None);
        };
        // One that does not fit any more is of no use, and no reason to refuse the current one.
        if context.is_absent(&at) {
            return Ok(None);
        }
        let errors = context.errors.borrow().len();
        let read = descend(seed, node, at.clone(), context);
        if read.is_err() {
            context.take_back_since(errors, &at);
            context.read_as_absent(at);
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

    pub(super) fn with_content(
        variant: &'a str,
        node: &'a Node,
        at: &str,
        context: &'a Context<'a>,
    ) -> Self {
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

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Enum<'a>), Failure> {
        let variant: serde::de::value::StrDeserializer<'_, Failure> =
            self.variant.into_deserializer();
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

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.content()?.deserialize_tuple(length, visitor)
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
    if context.spent(&at) {
        return stand_in(seed, 0, context).inspect_err(|_| {
            if context.learned() == known {
                context.drop_out(at);
            }
        });
    }
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
    let inner = full
        .strip_prefix("core::option::Option<")
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(full);
    if inner.contains('<') { "" } else { inner.rsplit("::").next().unwrap_or(inner) }
}

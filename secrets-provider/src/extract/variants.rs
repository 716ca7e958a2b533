//! serde's access to an enum: the name of a variant, with or without content.
//!
//! Variants are matched as fields are (rule T3): to the letter, or in another spelling, because a
//! variable's name says nothing about case and separators. The deserializer asks here which variant
//! a table or a text names; map keys and tags ask, too.

use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
};

use std::borrow::Cow;

use super::context::Context;
use super::error::{ExtractError, Objection};
use super::fields::{self, Ambiguity, Member};
use super::{Extractor, Place};
use crate::tree::spelling::relaxed;
use crate::tree::{Node, Table, Value, join};

/// The variant with this name: to the letter, or the first of which it is another spelling. What
/// names no variant is left to the type.
pub(super) fn named<'a>(name: &'a str, variants: &'static [&'static str]) -> &'a str {
    if variants.contains(&name) {
        return name;
    }
    let wanted = relaxed(name);
    variants.iter().find(|variant| relaxed(variant) == wanted).copied().unwrap_or(name)
}

/// Which variant a table is.
pub(super) enum Choice<'a> {
    /// The name and the content, and what else spells it in the same layer.
    One(Member<'a>, Vec<Ambiguity<'a>>),
    /// Two variants in one layer.
    Two([String; 2]),
    None,
}

/// The variant that a table is: the only member, or the only one of the highest layer. `None` if it
/// has other keys, too, or is `{"value": x}`.
pub(super) fn chosen<'a>(table: &'a Table, variants: &'static [&'static str]) -> Choice<'a> {
    let (mut members, ambiguities) = fields::fields(table, &fields::FieldIndex::of(variants));
    if members.iter().any(|(name, _)| !variants.contains(&name.as_ref())) || members.is_empty() {
        let mut entries = table.entries.iter();
        return match (entries.next(), entries.next()) {
            (Some((name, node)), None) if name != "value" => {
                let name = Cow::Borrowed(node.stored_name().unwrap_or(name));
                Choice::One((name, Cow::Borrowed(node)), ambiguities)
            }
            _ => Choice::None,
        };
    }
    members.sort_by_key(|(_, node)| std::cmp::Reverse(node.rank));
    match members.as_slice() {
        [(one, first), (other, second), ..] if first.rank == second.rank => {
            Choice::Two([one.to_string(), other.to_string()])
        }
        _ => Choice::One(members.swap_remove(0), ambiguities),
    }
}

/// A variant: only its name, or with content.
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

    fn content(self) -> Result<Extractor<'a>, ExtractError> {
        match self.content {
            Some((node, at)) => Ok(Extractor {
                place: Place::Node(node),
                at,
                expected: "",
                optional: false,
                context: self.context,
            }),
            None => Err(ExtractError::Unplaced(Objection::Rejected)),
        }
    }
}

impl<'de, 'a> EnumAccess<'de> for Enum<'a> {
    type Error = ExtractError;
    type Variant = Enum<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Enum<'a>), ExtractError> {
        let variant: serde::de::value::StrDeserializer<'_, ExtractError> =
            self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for Enum<'_> {
    type Error = ExtractError;

    fn unit_variant(self) -> Result<(), ExtractError> {
        match &self.content {
            None => Ok(()),
            Some((node, _)) if matches!(node.value, Value::Null) => Ok(()),
            Some(_) => Err(ExtractError::Unplaced(Objection::Rejected)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ExtractError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.content()?.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.content()?.deserialize_struct("", fields, visitor)
    }
}

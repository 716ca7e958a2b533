//! serde's access to an enum: the name of a variant, with or without content.
//!
//! The deserializer decides which name that is, and where the content comes from.

use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
};

use super::context::Context;
use super::error::{ExtractError, Objection};
use super::{Extractor, Place};
use crate::tree::{Node, Value, join};

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

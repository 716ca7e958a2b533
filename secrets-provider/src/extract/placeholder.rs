//! Placeholders for wrong and missing values.
//!
//! serde ends its walk at the first problem. On the next walk, a placeholder of the same type takes
//! the place of the wrong value, so that the walk reaches the values after it. A type may reject a
//! placeholder: then the next walk offers another. The result of a walk with placeholders is always
//! discarded, but a type's own `Deserialize` does see them.
//!
//! A placeholder is small for every type: it has at most [`MAX_NODES`] values, and an enum that
//! contains itself gets a variant that does not. Which variant that is shows only when one is
//! tried, so each walk skips one variant more.

use std::cell::Cell;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::context::Context;
use super::error::{ExtractError, Objection};
use super::missing::Shape;
use super::numbers::{Number, numbers};
use super::serde_internals::{KEY, identity, key_length};

/// Texts for types that only take some texts: addresses, URLs, durations, identifiers, dates.
const TEXTS: [&str; 9] = [
    "",
    "1",
    "1s",
    "127.0.0.1",
    "127.0.0.1:1",
    "http://localhost",
    "00000000-0000-0000-0000-000000000001",
    "2000-01-01",
    "2000-01-01T00:00:00Z",
];

/// How deep a placeholder may nest: a type that contains itself has no end.
const MAX_DEPTH: usize = 32;

/// How many values a placeholder may have. Depth does not bound its size: a type with two
/// children at each of 32 levels has billions of values.
const MAX_NODES: usize = 4096;

/// A placeholder of the type that a seed is for. A type that rejects it gets another one on the
/// next walk, until it has rejected them all.
pub(super) fn placeholder<'de, S: DeserializeSeed<'de>>(
    seed: S,
    at: &str,
    context: &Context<'_>,
) -> Result<S::Value, ExtractError> {
    let nodes_left = Cell::new(MAX_NODES);
    Placeholder { attempt: 0, depth: 0, at, enums: None, nodes_left: &nodes_left, context }.of(seed)
}

/// The deserializer that makes a placeholder, and serde's access to what is in it.
#[derive(Clone, Copy)]
struct Placeholder<'a> {
    attempt: usize,
    depth: usize,
    /// The path of the whole value.
    at: &'a str,
    /// The enums that this one is inside of.
    enums: Option<&'a EnumFrame<'a>>,
    nodes_left: &'a Cell<usize>,
    context: &'a Context<'a>,
}

/// An enum whose placeholder is being made.
struct EnumFrame<'a> {
    name: &'static str,
    variants: usize,
    outer: Option<&'a EnumFrame<'a>>,
}

impl EnumFrame<'_> {
    fn is_inside(&self, name: &str) -> bool {
        self.name == name || self.outer.is_some_and(|outer| outer.is_inside(name))
    }
}

impl Placeholder<'_> {
    fn text(self) -> &'static str {
        TEXTS[self.attempt]
    }

    fn number<T: Number, R>(
        self,
        _: &str,
        visit: impl FnOnce(T) -> Result<R, ExtractError>,
    ) -> Result<R, ExtractError> {
        let number = if self.attempt == 0 { "0" } else { "1" };
        T::of(number).map_or(Err(ExtractError::Unplaced(Objection::Rejected)), visit)
    }

    fn of<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ExtractError> {
        let name = identity::<S::Value>();
        let attempt = self.context.rejected_placeholders(name);
        let nodes_left = self.nodes_left.get();
        if attempt >= TEXTS.len() || self.depth > MAX_DEPTH || nodes_left == 0 {
            return Err(ExtractError::Reported);
        }
        self.nodes_left.set(nodes_left - 1);
        seed.deserialize(Self { attempt, ..self }).map_err(|failure| {
            if matches!(failure, ExtractError::Unplaced(_)) {
                self.context.reject_placeholder(name);
            }
            ExtractError::Reported
        })
    }

    fn inside<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ExtractError> {
        Self { depth: self.depth + 1, ..self }.of(seed)
    }

    /// The whole value shows what type its field has.
    fn note_shape(self, shape: Shape) {
        if self.depth == 0 {
            self.context.know_shape(self.at, shape);
        }
    }

    /// An enum contains itself by the variants that were chosen: the innermost enum that has
    /// another variant takes that one on the next walk.
    fn skip_variant(self) {
        let mut frame = self.enums;
        while let Some(EnumFrame { name, variants, outer }) = frame {
            if self.context.skip_variant(name, *variants) {
                return;
            }
            frame = *outer;
        }
    }
}

impl<'de> Deserializer<'de> for Placeholder<'_> {
    type Error = ExtractError;

    numbers!();

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        match self.attempt {
            0 => visitor.visit_unit(),
            2 => visitor.visit_u64(1),
            4 => visitor.visit_map(NoMembers),
            6 => visitor.visit_seq(Items { of: self, left: 0 }),
            _ => visitor.visit_str(self.text()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_bool(self.attempt > 0)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_char('1')
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_str(self.text())
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_none()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        if name == KEY {
            return visitor.visit_bytes(&vec![0; key_length::<V::Value>()]);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.note_shape(Shape::List);
        visitor.visit_seq(Items { of: self, left: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        visitor.visit_seq(Items { of: self, left: length })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.note_shape(Shape::Map);
        visitor.visit_map(NoMembers)
    }

    /// As a sequence of as many fields as the type takes, in their order. The names are no help,
    /// because they include aliases.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.note_shape(Shape::Table(fields));
        visitor.visit_seq(Items { of: self, left: usize::MAX })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        let name = identity::<V::Value>();
        if self.enums.is_some_and(|frame| frame.is_inside(name)) {
            self.skip_variant();
            return Err(ExtractError::Reported);
        }
        let next = self.attempt + self.context.skipped_variants(name);
        match next.checked_rem(variants.len()).map(|next| variants[next]) {
            Some(variant) => {
                let frame = EnumFrame { name, variants: variants.len(), outer: self.enums };
                let of = Placeholder { enums: Some(&frame), ..self };
                visitor.visit_enum(Variant { of, name: variant })
            }
            None => Err(ExtractError::Unplaced(Objection::Rejected)),
        }
    }

    forward_to_deserialize_any! { string byte_buf identifier ignored_any }
}

/// As many items as are asked for, up to a bound.
struct Items<'a> {
    of: Placeholder<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ExtractError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ExtractError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.of.inside(seed).map(Some)
    }
}

struct NoMembers;

impl<'de> MapAccess<'de> for NoMembers {
    type Error = ExtractError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        _: S,
    ) -> Result<Option<S::Value>, ExtractError> {
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<S::Value, ExtractError> {
        Err(ExtractError::Unplaced(Objection::Rejected))
    }
}

struct Variant<'a> {
    of: Placeholder<'a>,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = ExtractError;
    type Variant = Placeholder<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Placeholder<'a>), ExtractError> {
        let name: StrDeserializer<'_, ExtractError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.of))
    }
}

impl<'de> VariantAccess<'de> for Placeholder<'_> {
    type Error = ExtractError;

    fn unit_variant(self) -> Result<(), ExtractError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ExtractError> {
        self.inside(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        self.deserialize_struct("", fields, visitor)
    }
}

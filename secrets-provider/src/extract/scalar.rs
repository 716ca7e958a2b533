//! Scalars: numbers from their source text, map keys from their names.
//!
//! Nothing is rounded before a type asks for it.

use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::error::{ExtractError, Objection};
use super::numbers::{Number, numbers};
use super::variants::named;

/// A number for a type that takes any value: an integer if one holds it exactly, else a float.
pub(super) fn visit_number<'de, V: Visitor<'de>>(
    text: &str,
    visitor: V,
) -> Result<V::Value, ExtractError> {
    if let Ok(number) = text.parse::<u64>() {
        visitor.visit_u64(number)
    } else if let Ok(number) = text.parse::<i64>() {
        visitor.visit_i64(number)
    } else {
        match f64::of(text) {
            Some(number) => visitor.visit_f64(number),
            None => Err(ExtractError::Unplaced(Objection::Rejected)),
        }
    }
}

/// The name of a member, for map keys that are text, numbers or enums.
pub(super) struct Key<'a>(pub(super) &'a str);

impl Key<'_> {
    fn number<T: Number, R>(
        self,
        _: &str,
        visit: impl FnOnce(T) -> Result<R, ExtractError>,
    ) -> Result<R, ExtractError> {
        T::of(self.0).map_or(Err(ExtractError::Unplaced(Objection::Rejected)), visit)
    }
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = ExtractError;

    numbers!();

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        self.number("bool", |value| visitor.visit_bool(value))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ExtractError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        visitor.visit_enum(named(self.0, variants).into_deserializer())
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

//! The names of a type's fields, as serde's derive tells them to whoever asks.

use std::cell::Cell;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The fields of a struct; none for what is no struct, and where `flatten` makes a map of one.
pub(crate) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let fields = Cell::new(&[] as &[&str]);
    // It fails, as there is nothing to read; on its way the type says what it wants.
    let _ = T::deserialize(Probe(&fields));
    fields.get()
}

struct Probe<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("nothing is read here"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.set(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only its fields' names count")]
    struct Plain {
        database: String,
        #[serde(rename = "jwt-secret", alias = "jwt")]
        jwt_secret: String,
        #[serde(default)]
        port: u16,
    }

    #[derive(serde::Deserialize)]
    struct Wrapped(#[allow(dead_code, reason = "as above")] Plain);

    #[test]
    fn a_type_says_which_fields_it_has() {
        assert_eq!(fields_of::<Plain>(), ["database", "jwt", "jwt-secret", "port"]);
        assert_eq!(fields_of::<Wrapped>(), fields_of::<Plain>());
        assert!(fields_of::<serde_json::Value>().is_empty());
        assert!(fields_of::<u16>().is_empty());
    }
}

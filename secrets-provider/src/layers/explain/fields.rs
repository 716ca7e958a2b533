//! The fields of the settings type, and the environment variables that fill them.
//!
//! serde's derived code passes a struct's field names to the deserializer, so a deserializer that
//! only records them and then fails reads the names of any type. `Live` calls it once per
//! generation.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::{ExplainedKey, Explanation};
use crate::tree::spelling::relaxed;

impl Explanation {
    /// With the omitted variables that may fill one of these fields.
    pub(crate) fn with_fields(mut self, fields: &[&str]) -> Self {
        let mut known = FirstNames::default();
        known.extend(fields.iter().copied());
        let may_fill_a_field =
            |key: &mut ExplainedKey| known.has_one_like(key.key.split('.').next().unwrap_or(""));
        self.keys.extend(self.omitted.extract_if(.., may_fill_a_field));
        self.sort();
        self
    }
}

/// The first names of keys, to be compared with a variable's by lookup: there may be thousands.
#[derive(Default)]
pub(super) struct FirstNames {
    relaxed: BTreeSet<String>,
    lowercase: BTreeSet<String>,
}

impl FirstNames {
    pub(super) fn extend<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            self.relaxed.insert(relaxed(name));
            self.lowercase.insert(name.to_ascii_lowercase());
        }
    }

    /// Whether one of these is the same name in any spelling, or is followed by `_` in it:
    /// `DATABASE_URL` may be meant for `database.url`.
    pub(super) fn has_one_like(&self, first: &str) -> bool {
        let mut starts = first.match_indices('_').map(|(at, _)| &first[..at]);
        self.relaxed.contains(&relaxed(first)) || starts.any(|start| self.lowercase.contains(start))
    }
}

/// The fields of a struct. Empty for other types, and for a struct that `flatten` turns into a map.
pub(crate) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let fields = Cell::new(&[] as &[&str]);
    // It always fails; before that, the type passes its fields.
    let _ = T::deserialize(FieldRecorder(&fields));
    fields.get()
}

struct FieldRecorder<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for FieldRecorder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("this deserializer has no values"))
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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only the names of its fields are read")]
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
    fn fields_are_read_from_the_type() {
        assert_eq!(fields_of::<Plain>(), ["database", "jwt", "jwt-secret", "port"]);
        assert_eq!(fields_of::<Wrapped>(), fields_of::<Plain>());
        assert!(fields_of::<serde_json::Value>().is_empty());
        assert!(fields_of::<u16>().is_empty());
    }
}

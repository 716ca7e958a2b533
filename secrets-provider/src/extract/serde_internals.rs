//! What extraction knows about serde beyond its interface, in one place.
//!
//! serde gives a `Deserializer` no way to say which type is asked for, which field a key was taken
//! for, or why a visitor objected. Three side channels help, and each has a test here that fails
//! when serde changes what it relies on:
//!
//! 1. **Names of types** (`std::any::type_name`): serde's derive macros read a struct's keys into a
//!    hidden enum called `__Field` (or `__Field<'_>` below `flatten`), since serde 1.0. The name of
//!    a visitor or of a value distinguishes types without a `'static` bound, and contains the
//!    length of a [`Key<N>`](crate::Key).
//! 2. **Names of newtypes**: serde passes the name given to `deserialize_newtype_struct` on
//!    unchanged, so types of ours ask for special treatment by a name that no other type has. Other
//!    deserializers ignore it.
//! 3. **A thread-local**: a `Key` leaves the reason for its rejection there, because serde reduces
//!    it to text that may quote the value, and such text is never shown. Extraction takes it on the
//!    same thread, right after the call.
//!
//! A name that is not what this module expects only costs comfort: an error names no type, or two
//! spellings of one field are not recognised below `flatten`. No value is read from a name.

use std::any::type_name;
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::error::KeyError;

/// The newtype's name by which [`Key`](crate::Key) asks for raw bytes.
pub(super) const KEY: &str = "$secrets_provider::Key";

/// The newtype's name by which [`Rotating`](crate::Rotating) asks for both versions. It is a name
/// and not a shape, so that a secret with members `current` and `previous` is not mistaken for one.
pub(super) const ROTATING: &str = "$secrets_provider::Rotating";

/// The identity of a type that may borrow, which `TypeId` does not give.
pub(super) fn identity<T>() -> &'static str {
    type_name::<T>()
}

/// The type's name without its path, for error messages; empty for types that serde's macros
/// generate and for generic ones.
pub(super) fn short_name<T>() -> &'static str {
    let full = type_name::<T>();
    if full.contains("__") || full.contains('{') {
        return "";
    }
    if full.starts_with("core::num::nonzero::NonZero<") {
        return "a number other than 0";
    }
    // The last segment before any generics: `core::option::Option<url::Url>` is about `Url`.
    let inner = full
        .strip_prefix("core::option::Option<")
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(full);
    if inner.contains('<') { "" } else { inner.rsplit("::").next().unwrap_or(inner) }
}

/// Whether the type of a key is the hidden enum of serde's macros.
pub(super) fn is_field_enum<K>() -> bool {
    let name = type_name::<K>();
    name.strip_suffix("<'_>").unwrap_or(name).ends_with("__Field")
}

/// Which field of a struct a key was taken for, if the key's type is the hidden enum of serde's
/// macros.
pub(super) fn field_of<K>(key: &K) -> Option<u64> {
    is_field_enum::<K>().then(|| {
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(key).hash(&mut hasher);
        hasher.finish()
    })
}

/// Whether a type is serde's own buffer, or what it reads an unknown member into. Such a member is
/// not known to be a field; any other type shows that it is one.
pub(super) fn is_buffer<V>() -> bool {
    let name = type_name::<V>();
    let name = name.split('<').next().unwrap_or(name);
    name.starts_with("serde") && (name.ends_with("::Content") || name.ends_with("::IgnoredAny"))
}

/// Whether a visitor is the one that reads an internally tagged enum, which takes tables only.
pub(super) fn is_tagged_visitor<V>() -> bool {
    let name = type_name::<V>();
    name.starts_with("serde") && name.contains("::TaggedContentVisitor")
}

/// The length of a `Key<N>`, from the name of the type that its visitor makes.
pub(super) fn key_length<K>() -> usize {
    let length = type_name::<K>().rsplit('<').next();
    length.and_then(|length| length.trim_end_matches('>').parse().ok()).unwrap_or(0)
}

thread_local! {
    /// Why the last `Key` on this thread was rejected.
    static KEY_ERROR: Cell<Option<KeyError>> = const { Cell::new(None) };
}

pub(super) fn leave_key_error(error: KeyError) {
    KEY_ERROR.set(Some(error));
}

pub(super) fn take_key_error() -> Option<KeyError> {
    KEY_ERROR.take()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde::Deserialize;
    use serde::de::value::{Error, MapDeserializer, StrDeserializer};
    use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, Visitor};
    use serde::forward_to_deserialize_any;

    use super::*;

    thread_local! {
        static FIELDS: RefCell<Vec<Option<u64>>> = const { RefCell::new(Vec::new()) };
        static BUFFERS: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
        static NEWTYPES: RefCell<Vec<(String, usize)>> = const { RefCell::new(Vec::new()) };
    }

    /// Hands out these keys, each with the value `1`, and notes what `field_of` makes of them.
    struct Keys<'a>(std::slice::Iter<'a, &'a str>);

    impl<'de> MapAccess<'de> for Keys<'_> {
        type Error = Error;

        fn next_key_seed<K: DeserializeSeed<'de>>(
            &mut self,
            seed: K,
        ) -> Result<Option<K::Value>, Error> {
            let Some(name) = self.0.next() else { return Ok(None) };
            let name: StrDeserializer<'_, Error> = name.into_deserializer();
            let key = seed.deserialize(name)?;
            FIELDS.with_borrow_mut(|fields| fields.push(field_of(&key)));
            Ok(Some(key))
        }

        fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
            BUFFERS.with_borrow_mut(|buffers| buffers.push(is_buffer::<S::Value>()));
            seed.deserialize(1_u8.into_deserializer())
        }
    }

    struct Map<'a>(&'a [&'a str]);

    impl<'de> Deserializer<'de> for Map<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_map(Keys(self.0.iter()))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    fn fields<T: for<'de> Deserialize<'de>>(keys: &[&str]) -> Vec<Option<u64>> {
        FIELDS.take();
        // A second spelling is an error, after its key has been read.
        let _ = T::deserialize(Map(keys));
        FIELDS.take()
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its keys are read")]
    struct Plain {
        #[serde(alias = "other")]
        one: u8,
        two: u8,
    }

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its keys are read")]
    struct Flat {
        #[serde(alias = "other")]
        one: u8,
        two: u8,
        #[serde(flatten)]
        rest: std::collections::BTreeMap<String, u8>,
    }

    #[test]
    fn derived_structs_read_their_keys_into_an_enum_of_fields() {
        for fields in
            [fields::<Plain>(&["one", "two", "other"]), fields::<Flat>(&["one", "two", "other"])]
        {
            let [Some(one), Some(two), Some(alias)] = fields[..] else {
                panic!("serde's enum of fields was not recognised: {fields:?}");
            };
            assert_eq!(one, alias, "an alias is the same field");
            assert_ne!(one, two);
        }
        assert_eq!(fields::<std::collections::BTreeMap<String, u8>>(&["one"]), [None]);
    }

    #[test]
    fn what_is_no_field_is_read_into_a_buffer() {
        for (fields, expected) in [
            (fields::<Flat> as fn(&[&str]) -> _, [false, false, true]),
            (fields::<Plain>, [false, false, true]),
        ] {
            BUFFERS.take();
            let _: Vec<_> = fields(&["one", "two", "three"]);
            assert_eq!(BUFFERS.take(), expected, "serde's buffer was not recognised");
        }
    }

    /// Notes the newtype's name and the length of the key that is asked for.
    struct Newtype;

    impl<'de> Deserializer<'de> for Newtype {
        type Error = Error;

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            name: &'static str,
            visitor: V,
        ) -> Result<V::Value, Error> {
            let asked = (name.to_owned(), key_length::<V::Value>());
            NEWTYPES.with_borrow_mut(|newtypes| newtypes.push(asked));
            visitor.visit_bytes(&[0; 4])
        }

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_unit()
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    #[test]
    fn types_of_ours_ask_by_name_and_a_keys_length_is_in_its_type() {
        NEWTYPES.take();
        assert!(crate::Key::<4>::deserialize(Newtype).is_ok());
        assert!(crate::Key::<32>::deserialize(Newtype).is_err());
        assert!(crate::Rotating::<u8>::deserialize(Newtype).is_err());
        let asked = NEWTYPES.take();
        assert_eq!(asked[0], (KEY.to_owned(), 4));
        assert_eq!(asked[1], (KEY.to_owned(), 32));
        assert_eq!(asked[2].0, ROTATING);
    }

    #[test]
    fn a_key_leaves_the_reason_of_its_rejection() {
        assert!(crate::Key::<32>::deserialize(Newtype).is_err());
        let error = take_key_error().expect("a reason");
        assert_eq!(error.to_string(), "must be 32 bytes, got 4");
        assert!(take_key_error().is_none());
    }

    #[test]
    fn a_type_is_named_shortly_or_not_at_all() {
        assert_eq!(short_name::<std::net::IpAddr>(), "IpAddr");
        assert_eq!(short_name::<Option<std::net::IpAddr>>(), "IpAddr");
        assert_eq!(short_name::<Vec<u8>>(), "");
        assert_eq!(short_name::<std::num::NonZeroU16>(), "a number other than 0");
        assert_eq!(short_name::<MapDeserializer<'_, std::iter::Empty<(u8, u8)>, Error>>(), "");
        assert_ne!(identity::<u8>(), identity::<u16>());
    }
}

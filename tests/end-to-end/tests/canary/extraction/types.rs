//! The types under test: those that serde derives, those that parse foreign formats, and those
//! whose errors quote every value.
#![allow(dead_code, reason = "only serde uses it")]

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};
use url::Url;

#[derive(Debug, Deserialize)]
pub(super) struct Timeout(#[serde(with = "humantime_serde")] Duration);

#[derive(Debug, Deserialize)]
pub(super) struct Plain {
    a: u8,
    b: Url,
    #[serde(default)]
    c: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strict {
    a: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Newtype(Url);

#[derive(Debug, Deserialize)]
pub(super) struct Tuple(u8, Url);

#[derive(Debug, Deserialize)]
pub(super) struct Nested {
    a: Box<Option<Nested>>,
    b: Vec<Vec<u8>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Flat {
    #[serde(flatten)]
    a: Plain,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlatStrict {
    #[serde(flatten)]
    a: Inner,
}

#[derive(Debug, Deserialize)]
pub(super) struct Inner {
    a: Option<u8>,
    #[serde(rename = "type")]
    tag: Option<bool>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    A,
    B,
}

#[derive(Debug, Deserialize)]
pub(super) enum External {
    A(u8),
    B { a: bool, b: Url },
    C(u8, u8),
    D,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Internal {
    A { content: u8, a: bool },
    B(Plain),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "content", deny_unknown_fields)]
pub(super) enum Adjacent {
    A(u8),
    B { a: bool },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    A(u8),
    B(Plain),
    C(Vec<bool>),
}

/// Bytes that refuse every value.
#[derive(Debug)]
pub(super) struct Raw;

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Quote::<InvalidValue>(PhantomData)).map(|()| Self)
    }
}

/// A number that is refused after it was parsed.
#[derive(Debug)]
pub(super) struct Bounded;

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Quote::<InvalidValue>(PhantomData)).map(|()| Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Chatty;

impl TryFrom<String> for Chatty {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("cannot use {text:?}, that is {text}"))
    }
}

/// Fields with their own deserializing functions.
#[derive(Debug, Deserialize)]
pub(super) struct QuotingFields {
    #[serde(default, deserialize_with = "quote")]
    a: (),
    #[serde(default, deserialize_with = "quote")]
    b: (),
}

fn quote<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let text = String::deserialize(deserializer)?;
    Err(D::Error::custom(format!("bad {text}")))
}

/// The error of serde in which a type quotes a value.
pub(super) trait Kind: Send + Sync + 'static {
    fn error<E: Error>(quoted: &str) -> E;
}

macro_rules! kinds {
    ($($name:ident: $quoted:ident => $error:expr;)+) => {$(
        #[derive(Debug)]
        pub(super) struct $name;

        impl Kind for $name {
            fn error<E: Error>($quoted: &str) -> E {
                $error
            }
        }
    )+};
}

kinds! {
    Custom: quoted => E::custom(format!("bad {quoted}"));
    InvalidValue: quoted => E::invalid_value(Unexpected::Str(quoted), &Wanted(quoted));
    InvalidType: quoted => E::invalid_type(Unexpected::Other(quoted), &Wanted(quoted));
    UnknownField: quoted => E::unknown_field(quoted, &["a", "b"]);
    UnknownVariant: quoted => E::unknown_variant(quoted, &["a", "b"]);
}

struct Wanted<'a>(&'a str);

impl Expected for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "anything but {}", self.0)
    }
}

/// A type that reads any value, and quotes it in an error.
#[derive(Debug)]
pub(super) struct Quoting<K>(PhantomData<K>);

impl<'de, K: Kind> Deserialize<'de> for Quoting<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Quote::<K>(PhantomData)).map(|()| Self(PhantomData))
    }
}

struct Quote<K>(PhantomData<K>);

macro_rules! quoted {
    ($($method:ident $type:ty;)+) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<(), E> {
            Err(K::error(&format!("{value}")))
        }
    )+};
}

impl<'de, K: Kind> Visitor<'de> for Quote<K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("something else")
    }

    quoted! {
        visit_bool bool;
        visit_i64 i64;
        visit_u64 u64;
        visit_f64 f64;
        visit_str &str;
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        Err(K::error(&format!("{bytes:?} {}", String::from_utf8_lossy(bytes))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut texts = String::new();
        while let Some(text) = items.next_element_seed(AnyText)? {
            texts += &text;
        }
        Err(K::error(&texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut texts = String::new();
        while let Some(_name) = members.next_key::<String>()? {
            texts += &members.next_value_seed(AnyText)?;
        }
        Err(K::error(&texts))
    }
}

/// Any value as text, to be quoted.
struct AnyText;

impl<'de> DeserializeSeed<'de> for AnyText {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        })
    }
}

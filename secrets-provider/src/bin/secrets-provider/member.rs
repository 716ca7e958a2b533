//! One key of a JSON text, replaced in place: everything else stays as it is, to the byte.
//!
//! Pure. `put` and `import` call it with the text that the store has.

use std::fmt;

use secrets_provider::{Error, ErrorKind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::output::printable;

/// The text with this value, which is JSON, at a dotted key path. Objects on the way that are
/// missing are made.
///
/// # Errors
///
/// If the text, or something on the way, is no JSON object, or has the key twice. The error shows
/// the key, which the caller has given, and nothing of the text.
pub(crate) fn with(text: &str, path: &str, value: &str) -> Result<Zeroizing<String>, Error> {
    let keys: Vec<&str> = path.split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        let message = format!("key `{}` has an empty part", printable(path));
        return Err(Error::new(ErrorKind::Config, message).with_hint("give it as `outer.inner`"));
    }
    placed(text, &keys, value).map_err(|problem| {
        Error::new(
            ErrorKind::Malformed,
            format!("key `{}` cannot be set: {problem}", printable(path)),
        )
        .with_key(path)
        .with_hint("read the secret with `get --keys`, or store it as a whole, without --key")
    })
}

fn placed(text: &str, keys: &[&str], value: &str) -> Result<Zeroizing<String>, &'static str> {
    let Some((key, rest)) = keys.split_first() else { return Ok(Zeroizing::new(value.to_owned())) };
    let members: Members<'_> = serde_json::from_str(text).map_err(|_| "it is in no JSON object")?;
    let mut found = members.0.iter().filter(|(name, _)| name == key);
    let nested = |inside: &str| placed(inside, rest, value);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err("it is there twice"),
        (Some((_, member)), None) => {
            let member = member.get();
            // It is a part of the text, so its place follows from where both are.
            let start = member.as_ptr() as usize - text.as_ptr() as usize;
            let end = start + member.len();
            let nested = nested(member)?;
            Ok(Zeroizing::new([&text[..start], nested.as_str(), &text[end..]].concat()))
        }
        (None, _) => {
            let nested = nested("{}")?;
            let end = text.rfind('}').ok_or("it is in no JSON object")?;
            let comma = if members.0.is_empty() { "" } else { ", " };
            let head = text[..end].trim_end();
            let tail = &text[head.len()..];
            let key = json_text(key);
            Ok(Zeroizing::new([head, comma, &key, ": ", nested.as_str(), tail].concat()))
        }
    }
}

/// Text as JSON.
pub(crate) fn json_text(text: &str) -> Zeroizing<String> {
    // A text can always be written.
    Zeroizing::new(serde_json::to_string(text).unwrap_or_default())
}

/// Whether this is a JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    serde_json::from_str::<Members<'_>>(text).is_ok()
}

/// The members of an object, in order, with their source.
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_changes_and_nothing_else() {
        for (text, path, expected) in [
            (r#"{"a": 1.10,  "b":"x" }"#, "b", r#"{"a": 1.10,  "b":"new" }"#),
            (r#" {"b":{"c":1,"d":[ ]}}"#, "b.d", r#" {"b":{"c":1,"d":"new"}}"#),
            ("{}", "a", r#"{"a": "new"}"#),
            ("{\n  \"a\": 1\n}\n", "b", "{\n  \"a\": 1, \"b\": \"new\"\n}\n"),
            (r#"{"a": 1}"#, "b.c", r#"{"a": 1, "b": {"c": "new"}}"#),
            (r#"{"\u0061": 1, "a b": "}"}"#, "a", r#"{"\u0061": "new", "a b": "}"}"#),
        ] {
            assert_eq!(with(text, path, r#""new""#).expect(path).as_str(), expected);
        }
    }

    #[test]
    fn what_is_no_object_is_an_error_that_shows_nothing_of_it() {
        for (text, path) in [
            ("hunter2", "a"),
            (r#"["hunter2"]"#, "a"),
            (r#"{"a": "hunter2"}"#, "a.b"),
            (r#"{"a": "hunter2", "a": "hunter2"}"#, "a"),
            (r#"{"a": hunter2}"#, "a"),
            ("{}", "a..b"),
            ("{}", ""),
        ] {
            let error = with(text, path, "1").expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

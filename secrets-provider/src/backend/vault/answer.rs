//! Vault's answers, taken apart: values stay in the buffer that is wiped.
//!
//! serde's errors quote what they found, so they are dropped here. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::secret::{Payload, Text};
use crate::tree::json;

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// What surrounds every answer. Absent and `null` are one.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) auth: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) errors: Option<&'a RawValue>,
}

/// A version of a secret in the key-value engine, version 2.
#[derive(Deserialize)]
pub(super) struct Versioned<'a> {
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    pub(super) metadata: Metadata,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) version: u64,
    #[serde(default)]
    pub(super) created_time: String,
    #[serde(default)]
    pub(super) destroyed: bool,
}

/// A folder's names; a folder in it ends with a slash.
#[derive(Deserialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
}

/// A mount, as the user interface sees it.
#[derive(Deserialize)]
pub(super) struct Mount {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) options: Option<MountOptions>,
}

#[derive(Deserialize)]
pub(super) struct MountOptions {
    #[serde(default)]
    pub(super) version: Option<String>,
}

impl Answer {
    /// The answer as JSON; `None` for anything else.
    pub(super) fn envelope(&self) -> Option<Envelope<'_>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What the answer is about, in this form.
    pub(super) fn data<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.envelope()?.data?.get()).ok()
    }

    /// Whether one of Vault's own messages contains this text.
    pub(super) fn complains_of(&self, text: &str) -> bool {
        let errors = self.envelope().and_then(|envelope| envelope.errors);
        let errors: Vec<String> =
            errors.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        errors.iter().any(|error| error.contains(text))
    }
}

/// What a secret holds: the text of its one member `value`, if that is text, and else the JSON
/// object as Vault wrote it. `None` if it is no object.
pub(super) fn payload(data: &RawValue) -> Option<Payload> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Scalar<'a> {
        #[serde(borrow)]
        value: &'a RawValue,
    }
    let object = data.get();
    if !object.starts_with('{') {
        return None;
    }
    let scalar = serde_json::from_str::<Scalar<'_>>(object).ok();
    let text = scalar.map(|scalar| scalar.value.get()).filter(|value| value.starts_with('"'));
    match text {
        Some(text) => Some(Payload::Text(Text::wiped(json::text(text)?))),
        None => Some(Payload::text(object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_value_that_is_text_is_the_secret() {
        for (data, expected) in [
            (r#"{"value":"a\n\"b\""}"#, Some("a\n\"b\"")),
            (r#"{"value":""}"#, Some("")),
            (r#"{"value":"{\"port\":1}"}"#, Some(r#"{"port":1}"#)),
            (r#"{"value":5.50}"#, Some(r#"{"value":5.50}"#)),
            (r#"{"value":{"a":1}}"#, Some(r#"{"value":{"a":1}}"#)),
            (r#"{"value":"a","b":"c"}"#, Some(r#"{"value":"a","b":"c"}"#)),
            (r#"{"Value":"a"}"#, Some(r#"{"Value":"a"}"#)),
            ("{}", Some("{}")),
            ("[]", None),
            (r#""a""#, None),
        ] {
            let raw: &RawValue = serde_json::from_str(data).expect("JSON");
            assert!(payload(raw) == expected.map(Payload::text), "{data}");
        }
    }

    #[test]
    fn an_answer_that_is_not_json_has_no_data_and_no_complaint() {
        for body in ["", "<html>", "{", "null", "[]", r#"{"data":null}"#, r#"{"errors":5}"#] {
            let answer = Answer { status: 200, body: Zeroizing::new(body.as_bytes().to_vec()) };
            assert!(answer.data::<Keys>().is_none(), "{body}");
            assert!(!answer.complains_of("sealed"), "{body}");
        }
    }
}

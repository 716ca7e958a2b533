//! Whether one value fits what a schema says of it, as the library reads text (T2). Pure.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::names::relaxed;
use crate::settings::Tree;

pub(super) fn is_same(value: &Value, text: &SecretString) -> bool {
    let text = text.expose_secret();
    match value {
        Value::String(name) => relaxed(name) == relaxed(text),
        other => {
            let written = other.to_string();
            written == text.trim()
        }
    }
}

pub(super) fn fits(kind: &str, schema: &Value, tree: &Tree) -> bool {
    let text = match (kind, tree) {
        // A table fills text by its source, and a list by its numbered keys.
        ("string" | "array", _) => return true,
        (_, Tree::Table(_)) => return false,
        (_, Tree::Text(text)) => text.expose_secret().trim(),
    };
    let within = |number: f64| {
        schema["minimum"].as_f64().is_none_or(|least| number >= least)
            && schema["maximum"].as_f64().is_none_or(|most| number <= most)
    };
    match kind {
        "boolean" => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        #[allow(clippy::cast_precision_loss, reason = "only compared with bounds")]
        "integer" => text.parse::<i128>().is_ok_and(|number| within(number as f64)),
        "number" => text.parse::<f64>().is_ok_and(|number| number.is_finite() && within(number)),
        _ => false,
    }
}

pub(super) fn expected(types: &[&str], schema: &Value) -> String {
    let kind = types.iter().find(|kind| **kind != "null").copied().unwrap_or("nothing");
    let word = match kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        other => other,
    };
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!("{word} from {least} to {most}"),
        (Some(least), None) => format!("{word} of at least {least}"),
        _ => word.to_owned(),
    }
}

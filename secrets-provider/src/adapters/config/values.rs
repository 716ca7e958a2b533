//! Conversions between our values and config-rs's. Pure; `source` and `tree` call them.
//!
//! config-rs has no raw bytes and no source text of numbers: bytes become base64 text, and a number
//! takes the first kind that holds it. `tree` therefore prefers the snapshot's own node to a
//! converted one.

use config::{Map, Value, ValueKind};

use crate::secret::Text;
use crate::tree::{Node, Table, Value as TreeValue, base64};

pub(super) fn map(table: &Table) -> Map<String, Value> {
    table.entries.iter().map(|(name, node)| (name.clone(), value(node))).collect()
}

pub(super) fn value(node: &Node) -> Value {
    let kind = match &node.value {
        TreeValue::Null => ValueKind::Nil,
        TreeValue::Bool(value) => ValueKind::Boolean(*value),
        TreeValue::Text(text) => ValueKind::String(text.as_str().to_owned()),
        TreeValue::Bytes(bytes) => ValueKind::String(base64(bytes).to_string()),
        TreeValue::Number(text) => number(text.as_str()),
        TreeValue::Array(items) => ValueKind::Array(items.iter().map(value).collect()),
        TreeValue::Table(table) => ValueKind::Table(map(table)),
    };
    with_origin(node, kind)
}

pub(super) fn with_origin(node: &Node, kind: ValueKind) -> Value {
    Value::new(Some(&node.origin.to_string()), kind)
}

/// A number as config-rs reads it from a JSON file. Its 128-bit kinds are not used, because types
/// that serde buffers (`flatten`, `untagged`, `serde_json::Value`) reject them.
fn number(text: &str) -> ValueKind {
    if let Ok(number) = text.parse::<i64>() {
        ValueKind::I64(number)
    } else if let Ok(number) = text.parse::<u64>() {
        ValueKind::U64(number)
    } else {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => ValueKind::Float(number),
            // Beyond a float, where it would be infinite.
            _ => ValueKind::String(text.to_owned()),
        }
    }
}

/// Whether config-rs holds the scalar of this node unchanged.
pub(super) fn is_unchanged(kind: &ValueKind, node: &Node) -> bool {
    match (&node.value, kind) {
        (TreeValue::Null, ValueKind::Nil) => true,
        (TreeValue::Bool(ours), ValueKind::Boolean(theirs)) => ours == theirs,
        (TreeValue::Text(ours), ValueKind::String(theirs)) => ours.as_str() == theirs,
        (TreeValue::Bytes(ours), ValueKind::String(theirs)) => base64(ours).as_str() == theirs,
        (TreeValue::Number(ours), theirs) => number(ours.as_str()) == *theirs,
        _ => false,
    }
}

/// A scalar of another source. Tables and arrays are not scalars; `tree` converts them.
pub(super) fn scalar(kind: ValueKind) -> TreeValue {
    let number = |text: String| TreeValue::Number(Text::new(text));
    match kind {
        ValueKind::Boolean(value) => TreeValue::Bool(value),
        ValueKind::I64(value) => number(value.to_string()),
        ValueKind::I128(value) => number(value.to_string()),
        ValueKind::U64(value) => number(value.to_string()),
        ValueKind::U128(value) => number(value.to_string()),
        ValueKind::Float(value) => number(value.to_string()),
        ValueKind::String(text) => TreeValue::Text(Text::new(text)),
        ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => TreeValue::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_first_kind_that_holds_them() {
        for (text, expected) in [
            ("0", ValueKind::I64(0)),
            ("-9223372036854775808", ValueKind::I64(i64::MIN)),
            ("9223372036854775807", ValueKind::I64(i64::MAX)),
            ("9223372036854775808", ValueKind::U64(1 << 63)),
            ("18446744073709551615", ValueKind::U64(u64::MAX)),
            ("18446744073709551616", ValueKind::Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775809", ValueKind::Float(-9_223_372_036_854_775_808.0)),
            ("1e3", ValueKind::Float(1000.0)),
            ("0.5", ValueKind::Float(0.5)),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}

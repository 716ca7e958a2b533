//! Conversions between our values and figment's. Pure; `provider` and `tree` call them.
//!
//! figment has no raw bytes and no source text of numbers: bytes become base64 text, and a number
//! takes the first type that holds it. `tree` therefore prefers the snapshot's own node to a
//! converted one.

use figment::value::{Dict, Empty, Num, Tag, Value as FigmentValue};

use crate::tree::{Node, Table, Value, base64};

pub(super) fn dict(table: &Table) -> Dict {
    table.entries.iter().map(|(name, node)| (name.clone(), value(node))).collect()
}

pub(super) fn value(node: &Node) -> FigmentValue {
    match &node.value {
        Value::Null => FigmentValue::Empty(Tag::Default, Empty::None),
        Value::Bool(value) => FigmentValue::Bool(Tag::Default, *value),
        Value::Text(text) => FigmentValue::String(Tag::Default, text.as_str().to_owned()),
        Value::Bytes(bytes) => FigmentValue::String(Tag::Default, base64(bytes).to_string()),
        Value::Number(text) => match number(text.as_str()) {
            Some(number) => FigmentValue::Num(Tag::Default, number),
            None => FigmentValue::String(Tag::Default, text.as_str().to_owned()),
        },
        Value::Array(items) => FigmentValue::Array(Tag::Default, items.iter().map(value).collect()),
        Value::Table(table) => FigmentValue::Dict(Tag::Default, dict(table)),
    }
}

/// The number that the text is; `None` if it is beyond a float, which would be infinite.
fn number(text: &str) -> Option<Num> {
    Some(if let Ok(number) = text.parse::<u64>() {
        Num::U64(number)
    } else if let Ok(number) = text.parse::<i64>() {
        Num::I64(number)
    } else if let Ok(number) = text.parse::<u128>() {
        Num::U128(number)
    } else if let Ok(number) = text.parse::<i128>() {
        Num::I128(number)
    } else {
        Num::F64(text.parse().ok().filter(|number: &f64| number.is_finite())?)
    })
}

/// The text of a number that another provider parsed.
pub(super) fn number_text(number: Num) -> String {
    match number {
        Num::U8(n) => n.to_string(),
        Num::U16(n) => n.to_string(),
        Num::U32(n) => n.to_string(),
        Num::U64(n) => n.to_string(),
        Num::U128(n) => n.to_string(),
        Num::USize(n) => n.to_string(),
        Num::I8(n) => n.to_string(),
        Num::I16(n) => n.to_string(),
        Num::I32(n) => n.to_string(),
        Num::I64(n) => n.to_string(),
        Num::I128(n) => n.to_string(),
        Num::ISize(n) => n.to_string(),
        Num::F32(n) => n.to_string(),
        Num::F64(n) => n.to_string(),
    }
}

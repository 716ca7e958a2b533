//! What a secret holds, as a tree (rules M3 to M5). Pure: no I/O, no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::secret::{Payload, Text};
use crate::tree::{Node, Origin, Table, Value, join};

/// How deep a payload may nest; the object itself is the first level.
const MAX_DEPTH: usize = 64;

/// Why a payload has no place in a tree. Names keys and positions, never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Text or binary where only a JSON object can be placed.
    NotAnObject(&'static str),
    /// Text that starts as an object but breaks off being JSON at this line and column.
    BrokenObject {
        line: usize,
        column: usize,
    },
    DuplicateKey(String),
    TooDeep,
    NotUnicode,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject(sort) => write!(f, "expected a JSON object, found {sort}"),
            Self::BrokenObject { line, column } => {
                write!(
                    f,
                    "expected a JSON object, but it is not JSON from line {line}, column {column} on"
                )
            }
            Self::DuplicateKey(key) => write!(f, "the JSON object gives key `{key}` twice"),
            Self::TooDeep => write!(f, "the JSON object nests deeper than {MAX_DEPTH} levels"),
            Self::NotUnicode => f.write_str(
                "a string in the JSON object is no Unicode text (a lone surrogate escape)",
            ),
        }
    }
}

impl Problem {
    /// The problem with text that stands where a table or a sequence is wanted.
    pub(crate) fn of_text(&self) -> String {
        match self {
            Self::BrokenObject { line, column } => {
                format!("the text there is not JSON from line {line}, column {column} on")
            }
            other => other.to_string(),
        }
    }
}

/// A secret's value as a node: a JSON object as a table, all else as it is.
pub(crate) fn parse(payload: &Payload, origin: &Arc<Origin>) -> Result<Node, Problem> {
    let value = match payload {
        Payload::Binary(bytes) => Value::Bytes(bytes.clone()),
        Payload::Text(text) => match object_error(text.as_str()) {
            None => {
                let mut table = object(text.as_str(), origin, "", 1)?;
                table.source_text = Some(text.clone());
                Value::Table(table)
            }
            Some(_) => Value::Text(text.clone()),
        },
    };
    Ok(Node::new(value, origin.clone()))
}

/// A secret's value as the table that merges at the root.
pub(crate) fn parse_root(payload: &Payload, origin: &Arc<Origin>) -> Result<Table, Problem> {
    match parse(payload, origin)?.value {
        Value::Table(table) => Ok(table),
        Value::Text(text) => Err(match object_error(text.as_str()) {
            Some(problem) => problem,
            None => Problem::NotAnObject("text"),
        }),
        other => Err(Problem::NotAnObject(other.sort())),
    }
}

/// JSON text as a node, for a field that wants a table or a sequence where a layer has text.
pub(crate) fn parse_json(text: &str, origin: &Arc<Origin>) -> Result<Node, Problem> {
    let raw: &RawValue = serde_json::from_str(text.trim())
        .map_err(|error| Problem::BrokenObject { line: error.line(), column: error.column() })?;
    Ok(Node::new(value(raw, origin, "", 0)?.unwrap_or(Value::Null), origin.clone()))
}

/// Why text is not a JSON object, or `None` if it is one (its keys and depth are looked at later).
fn object_error(text: &str) -> Option<Problem> {
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Some(Problem::NotAnObject("text"));
    }
    // Skims the grammar without recursion, so that no depth of brackets overflows the stack.
    serde_json::from_str::<&RawValue>(text)
        .err()
        .map(|error| Problem::BrokenObject { line: error.line(), column: error.column() })
}

fn object(text: &str, origin: &Arc<Origin>, at: &str, depth: usize) -> Result<Table, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    let mut members: BTreeMap<String, &RawValue> = BTreeMap::new();
    for (key, raw) in entries(text)? {
        let key = normalised(key);
        if members.contains_key(&key) {
            return Err(Problem::DuplicateKey(join(at, &key)));
        }
        members.insert(key, raw);
    }
    let mut table = Table::default();
    for (key, raw) in members {
        if let Some(value) = value(raw, origin, &join(at, &key), depth)? {
            table.entries.insert(key, Node::new(value, origin.clone()));
        }
    }
    Ok(table)
}

/// One JSON value at a depth; `None` for `null`, which as a member counts as absent.
fn value(
    raw: &RawValue,
    origin: &Arc<Origin>,
    at: &str,
    depth: usize,
) -> Result<Option<Value>, Problem> {
    let text = raw.get();
    Ok(Some(match text.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'"') => Value::Text(Text::new(
            serde_json::from_str::<String>(text).map_err(|_| Problem::NotUnicode)?,
        )),
        Some(b'{') => Value::Table(object(text, origin, at, depth + 1)?),
        Some(b'[') => {
            if depth + 1 > MAX_DEPTH {
                return Err(Problem::TooDeep);
            }
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|_| Problem::NotUnicode)?;
            let nodes = items.into_iter().map(|item| {
                let value = value(item, origin, at, depth + 1)?.unwrap_or(Value::Null);
                Ok(Node::new(value, origin.clone()))
            });
            Value::Array(nodes.collect::<Result<_, _>>()?)
        }
        _ => Value::Number(Text::new(text)),
    }))
}

/// `SCREAMING_CASE` keys are lowercased, as environment sources do; all others stay to the letter.
fn normalised(key: String) -> String {
    let screaming = key.starts_with(|c: char| c.is_ascii_uppercase())
        && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if screaming { key.to_ascii_lowercase() } else { key }
}

/// The members of a JSON object as they stand, repeated keys included, which a map would swallow.
fn entries(text: &str) -> Result<Vec<(String, &RawValue)>, Problem> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    serde_json::Deserializer::from_str(text)
        .deserialize_map(Members)
        .map_err(|_| Problem::NotUnicode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Arc<Origin> {
        Arc::new(Origin::Secret { name: "s".into(), version_id: "v".into() })
    }

    fn problem(text: &str) -> Option<Problem> {
        parse(&Payload::text(text), &origin()).err()
    }

    fn nested(levels: usize) -> String {
        format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn only_a_whole_json_object_is_expanded() {
        for (text, table) in [
            ("{}", true),
            (" \n{\"a\": 1}\n ", true),
            ("{\"a\": 1} x", false),
            ("{\"a\": 01}", false),
            ("{a: 1}", false),
            ("{", false),
            ("[{}]", false),
            ("", false),
            ("\u{a0}{}", false),
        ] {
            let Ok(node) = parse(&Payload::text(text), &origin()) else { panic!("{text:?}") };
            assert_eq!(matches!(node.value, Value::Table(_)), table, "{text:?}");
        }
    }

    #[test]
    fn a_key_twice_is_found_at_any_depth_and_after_lowercasing() {
        for (text, key) in [
            (r#"{"a": 1, "a": 1}"#, "a"),
            (r#"{"a": null, "a": 1}"#, "a"),
            (r#"{"API_KEY": 1, "api_key": 1}"#, "api_key"),
            (r#"{"x": {"y": {"b": 1, "\u0062": 2}}}"#, "x.y.b"),
            (r#"{"x": [{"b": 1, "b": 2}]}"#, "x.b"),
        ] {
            assert_eq!(problem(text), Some(Problem::DuplicateKey(key.into())), "{text}");
        }
        assert_eq!(problem(r#"{"a": {"b": 1}, "b": 1}"#), None);
    }

    #[test]
    fn nesting_is_bounded_at_64_levels_for_objects_and_arrays() {
        assert_eq!(problem(&nested(64)), None);
        assert_eq!(problem(&nested(65)), Some(Problem::TooDeep));
        let arrays = |n| format!("{{\"a\": {}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(problem(&arrays(63)), None);
        assert_eq!(problem(&arrays(64)), Some(Problem::TooDeep));
        assert_eq!(problem(&arrays(30_000)), Some(Problem::TooDeep));
    }

    #[test]
    fn a_lone_surrogate_is_a_problem_and_not_a_panic() {
        assert_eq!(problem(r#"{"a": "\ud800"}"#), Some(Problem::NotUnicode));
        assert_eq!(problem(r#"{"\ud800": 1}"#), Some(Problem::NotUnicode));
    }

    #[test]
    fn numbers_keep_their_source_text() {
        let node = parse(
            &Payload::text(r#"{"n": 1.50, "big": 123456789012345678901234567890}"#),
            &origin(),
        );
        let Ok(Node { value: Value::Table(table), .. }) = node else { panic!("a table") };
        for (key, text) in [("n", "1.50"), ("big", "123456789012345678901234567890")] {
            let Some(Value::Number(number)) = table.find(&[key]).map(|node| &node.value) else {
                panic!("{key}")
            };
            assert_eq!(number.as_str(), text);
        }
    }

    #[test]
    fn a_root_secret_says_where_it_stops_being_json_without_showing_it() {
        let root =
            |payload| parse_root(&payload, &origin()).err().map(|problem| problem.to_string());
        assert_eq!(
            root(Payload::text("hunter2")).as_deref(),
            Some("expected a JSON object, found text")
        );
        assert_eq!(
            root(Payload::text("{\"a\": 1,\n hunter2}")).as_deref(),
            Some("expected a JSON object, but it is not JSON from line 2, column 2 on")
        );
        assert_eq!(
            root(Payload::binary(*b"{}")).as_deref(),
            Some("expected a JSON object, found binary")
        );
        assert_eq!(root(Payload::text("{}")), None);
    }
}

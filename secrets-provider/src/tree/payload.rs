//! From what a secret holds to a tree (rules M3 to M5).
//!
//! Only a whole JSON object becomes a table. A `SCREAMING_CASE` key is named and nested as a
//! variable is, and the node keeps the key as it is stored. Keys that repeat, nesting that is too
//! deep and broken JSON are errors that name keys and positions, never content. Pure, and without
//! recursion over the input before its depth is known.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::secret::{Payload, Text};
use crate::tree::{Node, Origin, Table, Value, join, json};

/// How deep a payload may nest; the object itself is the first level.
const MAX_DEPTH: usize = 64;

/// A byte order mark, as it is in text.
const MARK: &str = "\u{feff}";

/// Why a payload has no place in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PayloadError {
    /// Text or binary, but only a JSON object has a place here.
    NotAnObject(&'static str),
    /// Text that starts as an object but is not JSON at this line and column.
    BrokenObject {
        line: usize,
        column: usize,
    },
    DuplicateKey(String),
    TooDeep,
    NotUnicode,
    /// A JSON string that holds the JSON.
    EncodedTwice,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject(sort) => write!(f, "expected a JSON object, found {sort}"),
            Self::BrokenObject { line, column } => {
                write!(
                    f,
                    "expected a JSON object, found invalid JSON at line {line}, column {column}"
                )
            }
            // The key may be content (rule T1).
            Self::DuplicateKey(_) => f.write_str("the JSON object has a key twice"),
            Self::TooDeep => write!(f, "the JSON object nests deeper than {MAX_DEPTH} levels"),
            Self::NotUnicode => f.write_str(
                "a string in the JSON object is not Unicode (it has an unpaired surrogate escape)",
            ),
            Self::EncodedTwice => f.write_str(
                "expected a JSON object, found a JSON string that holds JSON: it was encoded twice",
            ),
        }
    }
}

impl PayloadError {
    /// The same about text that should be a table or a sequence.
    pub(crate) fn of_text(&self) -> String {
        match self {
            Self::BrokenObject { line, column } => {
                format!("the text is not valid JSON at line {line}, column {column}")
            }
            Self::EncodedTwice => "the text is JSON that was encoded more than twice".to_owned(),
            other => other.to_string(),
        }
    }
}

/// A secret's value as a node: a JSON object becomes a table, anything else stays as it is.
pub(crate) fn parse(payload: &Payload, origin: &Arc<Origin>) -> Result<Node, PayloadError> {
    let value = match payload {
        Payload::Binary(bytes) => Value::Bytes(bytes.clone()),
        Payload::Text(text) => match object_error(text.as_str()) {
            None => {
                let source = Source { text, origin };
                let mut table = source.object(without_mark(text.as_str()), "", 1)?;
                table.source_text = Some(text.clone());
                Value::Table(table)
            }
            Some(_) => Value::Text(text.clone()),
        },
    };
    Ok(Node::new(value, origin.clone()))
}

/// A secret's value as the table that merges at the root.
pub(crate) fn parse_root(payload: &Payload, origin: &Arc<Origin>) -> Result<Table, PayloadError> {
    match parse(payload, origin)?.value {
        Value::Table(table) => Ok(table),
        Value::Text(text) => Err(match object_error(text.as_str()) {
            Some(PayloadError::NotAnObject(_)) if encoded_in(&text).is_some() => {
                PayloadError::EncodedTwice
            }
            Some(error) => error,
            None => PayloadError::NotAnObject("text"),
        }),
        Value::Bytes(bytes) => match text_of(&bytes) {
            Some(text) if object_error(text.as_str()).is_none() => {
                parse_root(&Payload::Text(text), origin)
            }
            _ => Err(PayloadError::NotAnObject("binary")),
        },
        other => Err(PayloadError::NotAnObject(other.kind())),
    }
}

/// Bytes as text, if they may be a JSON object in UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Option<Text> {
    let unmarked = bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes);
    let opening = unmarked.iter().find(|byte| !b" \t\n\r".contains(byte))?;
    (*opening == b'{').then(|| std::str::from_utf8(bytes).ok().map(Text::new)).flatten()
}

/// Whether bytes begin as a JSON object or array.
pub(crate) fn opens_json(bytes: &[u8]) -> bool {
    let unmarked = bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes);
    let opening = unmarked.iter().find(|byte| !b" \t\n\r".contains(byte));
    matches!(opening, Some(b'{' | b'['))
}

/// Text that may be JSON: the text itself if it begins with `{` or `[`, or what a JSON string holds
/// that begins so, because it was encoded twice. `None` for other text.
pub(crate) fn json_in(text: &Text) -> Option<Result<Text, PayloadError>> {
    if opens(text.as_str()) {
        return Some(Ok(text.clone()));
    }
    let once = encoded_in(text)?;
    Some(if opens(once.as_str()) { Ok(once) } else { Err(PayloadError::EncodedTwice) })
}

/// What a JSON string holds, if that is JSON, encoded once or more often.
fn encoded_in(text: &Text) -> Option<Text> {
    let decoded = |text: &str| -> Option<Text> {
        let text = without_mark(text).trim();
        let string =
            text.starts_with('"').then(|| serde_json::from_str::<&RawValue>(text).ok())??;
        json::text(string.get()).map(Text::wiped)
    };
    let once = decoded(text.as_str())?;
    let holds_json =
        opens(once.as_str()) || decoded(once.as_str()).is_some_and(|twice| opens(twice.as_str()));
    holds_json.then_some(once)
}

fn opens(text: &str) -> bool {
    without_mark(text).trim_start().starts_with(['{', '['])
}

/// Text without a byte order mark, which editors on Windows write in front of it.
fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// JSON text as a node, for a field that takes a table or a sequence while the layer has text.
pub(crate) fn parse_json(text: &Text, origin: &Arc<Origin>) -> Result<Node, PayloadError> {
    let json = without_mark(text.as_str()).trim();
    let raw: &RawValue = serde_json::from_str(json).map_err(|error| {
        PayloadError::BrokenObject { line: error.line(), column: error.column() }
    })?;
    Source { text, origin }.node(raw, "", 0)
}

/// Whether text is a JSON object, as far as its grammar shows.
pub(crate) fn is_object(text: &str) -> bool {
    object_error(text).is_none()
}

/// Why text is not a JSON object, or `None` if it is one. Its keys and depth are checked later.
fn object_error(text: &str) -> Option<PayloadError> {
    let text = without_mark(text);
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Some(PayloadError::NotAnObject("text"));
    }
    // This checks the grammar without recursion, so that no depth of brackets overflows the stack.
    serde_json::from_str::<&RawValue>(text)
        .err()
        .map(|error| PayloadError::BrokenObject { line: error.line(), column: error.column() })
}

/// Where JSON comes from: its text, which source texts are shared with, and its origin.
struct Source<'a> {
    text: &'a Text,
    origin: &'a Arc<Origin>,
}

impl Source<'_> {
    /// The members of an object that are all named as they are spelled, as nearly all are.
    fn plain_object(
        &self,
        entries: Vec<(String, &RawValue)>,
        at: &str,
        depth: usize,
    ) -> Result<Table, PayloadError> {
        let mut members: BTreeMap<String, &RawValue> = BTreeMap::new();
        for (key, raw) in entries {
            match members.entry(key) {
                Entry::Vacant(slot) => slot.insert(raw),
                Entry::Occupied(slot) => {
                    return Err(PayloadError::DuplicateKey(join(at, slot.key())));
                }
            };
        }
        let mut nodes = Vec::with_capacity(members.len());
        for (key, raw) in members {
            // Only what is below needs the path, for its errors.
            let holds_keys = matches!(raw.get().as_bytes().first(), Some(b'{' | b'['));
            let at = if holds_keys { join(at, &key) } else { String::new() };
            let node = self.node(raw, &at, depth)?;
            // A member that is `null` counts as absent (M5).
            if node.value != Value::Null {
                nodes.push((key, node));
            }
        }
        Ok(Table { entries: nodes.into_iter().collect(), source_text: None })
    }

    fn object(&self, text: &str, at: &str, depth: usize) -> Result<Table, PayloadError> {
        if depth > MAX_DEPTH {
            return Err(PayloadError::TooDeep);
        }
        // In the order of their paths, so that a value comes before the members of a table of its
        // name.
        let mut members: BTreeMap<Vec<String>, (String, &RawValue)> = BTreeMap::new();
        let entries = json::members(text).ok_or(PayloadError::NotUnicode)?;
        let entries: Vec<(String, &RawValue)> =
            entries.into_iter().map(|(mut key, raw)| (std::mem::take(&mut *key), raw)).collect();
        if !entries.iter().any(|(key, _)| is_screaming(key)) {
            return self.plain_object(entries, at, depth);
        }
        let keys: HashSet<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
        // Beside a key of its lowercased name, a key keeps its own: a map holds both.
        let paths: Vec<Vec<String>> = entries
            .iter()
            .map(|(key, _)| match path_of(key) {
                path if path.len() == 1 && path[0] != *key && keys.contains(path[0].as_str()) => {
                    vec![key.clone()]
                }
                path => path,
            })
            .collect();
        for (path, (key, raw)) in paths.into_iter().zip(entries) {
            match members.entry(path) {
                Entry::Vacant(slot) => slot.insert((key, raw)),
                Entry::Occupied(slot) => {
                    return Err(PayloadError::DuplicateKey(join(at, &slot.key().join("."))));
                }
            };
        }
        let mut table = Table::default();
        for (path, (key, raw)) in members {
            let at = join(at, &path.join("."));
            let levels = path.len() - 1;
            if depth + levels > MAX_DEPTH {
                return Err(PayloadError::TooDeep);
            }
            let mut node = self.node(raw, &at, depth + levels)?;
            // A member that is `null` counts as absent (M5).
            if node.value != Value::Null {
                if levels > 0 || path[0] != key {
                    node = node.stored_as(key, levels);
                }
                insert(&mut table, &path, node)
                    .map_err(|NotFree| PayloadError::DuplicateKey(at))?;
            }
        }
        Ok(table)
    }

    /// One JSON value at a depth, with its source text if it is an object or an array.
    fn node(&self, raw: &RawValue, at: &str, depth: usize) -> Result<Node, PayloadError> {
        let text = raw.get();
        let value = match text.as_bytes().first() {
            Some(b'n') => Value::Null,
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'"') => {
                Value::Text(Text::wiped(json::text(text).ok_or(PayloadError::NotUnicode)?))
            }
            Some(b'{') => {
                let mut table = self.object(text, at, depth + 1)?;
                table.source_text = Some(self.text.share(text));
                Value::Table(table)
            }
            Some(b'[') => {
                if depth + 1 > MAX_DEPTH {
                    return Err(PayloadError::TooDeep);
                }
                let items: Vec<&RawValue> =
                    serde_json::from_str(text).map_err(|_| PayloadError::NotUnicode)?;
                let nodes = items.into_iter().map(|item| self.node(item, at, depth + 1));
                let array = Value::Array(nodes.collect::<Result<_, _>>()?);
                return Ok(
                    Node::new(array, self.origin.clone()).with_source_text(self.text.share(text))
                );
            }
            _ => Value::Number(Text::new(text)),
        };
        Ok(Node::new(value, self.origin.clone()))
    }
}

/// There is another value at the path.
struct NotFree;

/// Puts a node at a path. As among variables (rule L2), a table hides a value of the same name.
fn insert(table: &mut Table, path: &[String], mut node: Node) -> Result<(), NotFree> {
    let Some((name, rest)) = path.split_first() else { return Ok(()) };
    if rest.is_empty() && !table.entries.contains_key(name) {
        table.entries.insert(name.clone(), node);
        return Ok(());
    }
    let origin = node.origin.clone();
    let is_stored = table.entries.get(name).is_some_and(|node| !node.is_leaf());
    let entry = table.entries.entry(name.clone());
    let standing =
        entry.or_insert_with(|| Node::new(Value::Table(Table::default()), origin.clone()));
    if standing.is_leaf() {
        if rest.is_empty() {
            return Err(NotFree);
        }
        let hidden = std::mem::replace(standing, Node::new(Value::Table(Table::default()), origin));
        standing.hide(hidden);
    }
    if !rest.is_empty() {
        standing.nest(is_stored);
    }
    let Value::Table(below) = &mut standing.value else { return Err(NotFree) };
    below.source_text = None;
    if !rest.is_empty() {
        return insert(below, rest, node);
    }
    // Two tables at one path: one of them has been nested there.
    let Value::Table(members) = &mut node.value else { return Err(NotFree) };
    for (name, member) in std::mem::take(&mut members.entries) {
        insert(below, &[name], member)?;
    }
    standing.merge_spelling(node.spelling);
    Ok(())
}

/// Where the tree has a key: a `SCREAMING_CASE` key is read as a variable is, lowercased and nested
/// at `__`; any other key is its own name.
fn path_of(key: &str) -> Vec<String> {
    if !is_screaming(key) {
        return vec![key.to_owned()];
    }
    let key = key.to_ascii_lowercase();
    let path: Vec<String> = key.split("__").map(str::to_owned).collect();
    if path.iter().any(String::is_empty) { vec![key] } else { path }
}

fn is_screaming(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_uppercase())
        && key.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
}

#[cfg(test)]
mod tests;

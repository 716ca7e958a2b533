//! Typed extraction: a serde `Deserializer` over the merged tree, directed by the target type
//! (rules T1 to T4).
//!
//! [`extract`] walks the target type as often as it learns something new, with placeholders for
//! what is wrong, until every problem is known (`context`, `placeholder`). Errors are built from
//! key, expected type and origin (`error`); what serde or a type's own `Deserialize` says about a
//! value is dropped, because it may quote the value. The public types [`Key`](key::Key) and
//! [`Rotating`](rotating::Rotating) ask for special treatment through `serde_internals`.

mod access;
mod context;
mod deserializer;
mod error;
mod fields;
pub(crate) mod key;
mod lists;
mod magic;
mod marks;
mod missing;
mod near;
mod numbers;
mod placeholder;
pub(crate) mod plain;
mod recovery;
pub(crate) mod rotating;
mod scalar;
#[cfg(feature = "schema")]
pub(crate) mod schema;
mod sequences;
mod serde_internals;
mod unfit;
mod variants;

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::secret::Text;
use crate::tree::encoding;
use crate::tree::names::Names;
use crate::tree::payload;
use crate::tree::spelling::is_service_link;
use crate::tree::{Node, Origin, Table, Value, base64};

use context::Context;
use error::ExtractError;
pub(crate) use missing::Implied;
use numbers::Number;

/// How many wrong values are reported at most, because each costs a walk.
const MAX_ERRORS: usize = 100;

/// The tree as a value of `T`, or every wrong value in it. `names` are those that the secrets give;
/// variables and fields are added to them.
pub(crate) fn extract<T: DeserializeOwned>(tree: &Table, names: Names) -> Result<T, Error> {
    extract_with_names(tree, names).map(|(value, ..)| value)
}

/// The same, with the keys that variables named after them have filled, and the names that may be
/// shown.
pub(crate) fn extract_with_names<T: DeserializeOwned>(
    tree: &Table,
    names: Names,
) -> Result<(T, Vec<Implied>, Names), Error> {
    walk(Place::Root(tree), "", tree, names.with_variables(tree))
}

/// One secret's value, which may be anything and is at this key path, as a value of `T`.
pub(crate) fn extract_one<T: DeserializeOwned>(
    node: &Node,
    at: &str,
    names: Names,
) -> Result<T, Error> {
    walk(Place::Node(node), at, &Table::default(), names).map(|(value, ..)| value)
}

/// Walks the type until every wrong value at or below a place is known.
fn walk<T: DeserializeOwned>(
    place: Place<'_>,
    at: &str,
    tree: &Table,
    names: Names,
) -> Result<(T, Vec<Implied>, Names), Error> {
    let context = Context::new(tree, names);
    loop {
        let known = context.learned();
        context.start_walk();
        let root = Extractor {
            place,
            at: at.to_owned(),
            expected: "",
            optional: false,
            context: &context,
        };
        match T::deserialize(root) {
            Ok(value) => {
                if context.end_walk() {
                    context.check_tried();
                    if context.error_count() == 0 && !context.has_replaced() {
                        let implied = context.implied();
                        return Ok((value, implied, context.into_names()));
                    }
                    break;
                }
            }
            Err(ExtractError::Unplaced(objection)) => {
                context.object(at, None, &objection, "", context.buffered() > 0);
            }
            Err(ExtractError::Reported) => {}
        }
        if context.learned() == known || context.error_count() >= MAX_ERRORS {
            break;
        }
    }
    Err(Error::all(context.into_errors())
        .unwrap_or_else(|| Error::new(ErrorKind::Invalid, "the settings do not fit their type")))
}

/// A node on its way into a type: serde's `Deserializer`.
struct Extractor<'a> {
    place: Place<'a>,
    at: String,
    /// The type's name, for errors of types that read themselves; may be empty.
    expected: &'static str,
    /// Whether it is inside an `Option`.
    optional: bool,
    context: &'a Context<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Root(&'a Table),
    Node(&'a Node),
}

impl<'a> Extractor<'a> {
    fn node(&self) -> Option<&'a Node> {
        match self.place {
            Place::Root(_) => None,
            Place::Node(node) => Some(node),
        }
    }

    fn table(&self) -> Option<&'a Table> {
        match self.place {
            Place::Root(table) => Some(table),
            Place::Node(Node { value: Value::Table(table), .. }) => Some(table),
            Place::Node(_) => None,
        }
    }

    /// The node that a scalar is read from: `{"value": x}` without other keys counts as `x`.
    fn scalar(&self) -> Option<&'a Node> {
        let node = self.node()?;
        match &node.value {
            Value::Table(table) if table.entries.len() == 1 => {
                let inner = table.entries.get("value")?;
                (!matches!(inner.value, Value::Table(_) | Value::Array(_))).then_some(inner)
            }
            Value::Table(_) | Value::Array(_) => None,
            _ => Some(node),
        }
    }

    /// A scalar as text: text itself, the source text of a number or bool, base64 of binary, and
    /// the source text of a JSON object or array.
    fn text(&self) -> Option<Text> {
        if let Some(node) = self.scalar() {
            return match &node.value {
                Value::Text(text) | Value::Number(text) => Some(text.clone()),
                Value::Bool(value) => Some(Text::new(value.to_string())),
                Value::Bytes(bytes) => Some(Text::wiped(base64(bytes))),
                Value::Null | Value::Array(_) | Value::Table(_) => None,
            };
        }
        match self.node() {
            Some(node) => node.source_text().cloned(),
            None => self.table()?.source_text.clone(),
        }
    }

    /// Reports a visitor's objection at this node, unless it was reported further in.
    fn settle<T>(&self, result: Result<T, ExtractError>) -> Result<T, ExtractError> {
        self.settle_buffered(result, self.context.buffered())
    }

    /// The same if serde may have buffered what is below; `known` is the count from before.
    fn settle_buffered<T>(
        &self,
        result: Result<T, ExtractError>,
        known: usize,
    ) -> Result<T, ExtractError> {
        result.map_err(|failure| {
            if let ExtractError::Unplaced(objection) = failure {
                let buffered = self.context.buffered() > known;
                self.context.object(&self.at, self.node(), &objection, self.expected, buffered);
            }
            ExtractError::Reported
        })
    }

    /// The same node once more, for a type inside an `Option` or a newtype.
    fn again(&self) -> Self {
        Self {
            place: self.place,
            at: self.at.clone(),
            expected: self.expected,
            optional: self.optional,
            context: self.context,
        }
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, ExtractError> {
        if self.node().is_some() && self.context.is_tried(&self.at) {
            self.context.nothing_filled(&self.at);
            return Err(ExtractError::Reported);
        }
        // Of `{"value": x}` the value is meant where a scalar is.
        let is_scalar = !is_of_tables(expected);
        let found = match self.scalar().filter(|_| is_scalar).or(self.node()) {
            None => "a table",
            Some(node) => match &node.value {
                Value::Text(text) if text.as_str().trim().is_empty() => "empty text",
                value => value.kind(),
            },
        };
        let message = error::mismatch(expected, found);
        self.context.report_with(&self.at, self.node(), &message, self.advice(expected));
        Err(ExtractError::Reported)
    }

    /// How to write what is expected, where there is something to say.
    fn advice(&self, expected: &str) -> Option<String> {
        let node = self.node()?;
        match (&*node.origin, &node.value) {
            (Origin::Environment { variable }, _)
                if is_service_link(&variable.to_ascii_lowercase(), node) =>
            {
                Some(error::service_link(variable))
            }
            (Origin::Dotenv { .. }, Value::Text(text))
                if payload::opens_json(text.as_str().as_bytes()) =>
            {
                Some(error::HOW_JSON_IN_DOTENV.to_owned())
            }
            (_, value) if is_of_tables(expected) && encoding::advice(value).is_some() => {
                encoding::advice(value)
            }
            _ if expected == "u8" && self.context.is_listed(&self.at) => {
                Some(lists::HOW_BYTES.to_owned())
            }
            _ if expected.starts_with("a sequence") || self.context.is_listed(&self.at) => {
                Some(lists::HOW.to_owned())
            }
            (origin, Value::Text(_)) if expected == "a table" && origin.is_variable() => {
                Some(error::HOW_A_TABLE.to_owned())
            }
            _ if is_of_tables(expected) => None,
            _ => encoding::advice_for_scalar(&self.scalar()?.value).map(str::to_owned),
        }
    }

    /// A table is wanted where there is none. A variable's text never fills a section, because the
    /// environment is full of variables that are not meant: the member is left out, and reported
    /// only if its field is missing then. JSON is meant.
    fn no_table<T>(&self) -> Result<T, ExtractError> {
        if let Some(node) = self.node()
            && node.origin.is_variable()
            && !is_json(&node.value)
            && !self.context.is_tried(&self.at)
            && self.context.leave_out(&self.at, node)
        {
            return Err(ExtractError::Reported);
        }
        self.wrong("a table")
    }

    /// Text that starts as JSON but is not the table or sequence that is wanted.
    fn malformed<T>(&self, expected: &str, reason: &str) -> Result<T, ExtractError> {
        self.malformed_with(expected, reason, self.advice(expected))
    }

    /// The same with other advice.
    fn malformed_with<T>(
        &self,
        expected: &str,
        reason: &str,
        advice: Option<String>,
    ) -> Result<T, ExtractError> {
        let message = error::malformed(expected, reason);
        self.context.report_with(&self.at, self.node(), &message, advice);
        Err(ExtractError::Reported)
    }

    fn parsed<T: Number>(&self) -> Option<T> {
        match &self.scalar()?.value {
            Value::Text(text) | Value::Number(text) => T::of(text.as_str().trim()),
            _ => None,
        }
    }

    /// JSON text, if a table or a sequence is wanted; also a JSON object in bytes, and JSON that
    /// was encoded twice.
    fn json(&self) -> Option<Result<Node, String>> {
        let node = self.node()?;
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => payload::text_of(bytes)?,
            _ => return None,
        };
        let json = payload::json_in(&text)?;
        Some(
            json.and_then(|json| payload::parse_json(&json, &node.origin))
                .map_err(|error| error.of_text()),
        )
    }

    /// The same node, inside an `Option`.
    fn inside_option(&self) -> Self {
        Self { optional: true, ..self.again() }
    }

    fn with<'b>(&self, node: &'b Node) -> Extractor<'b>
    where
        'a: 'b,
    {
        Extractor {
            place: Place::Node(node),
            at: self.at.clone(),
            expected: self.expected,
            optional: self.optional,
            context: self.context,
        }
    }
}

/// Whether a table or a list is expected, not a scalar.
fn is_of_tables(expected: &str) -> bool {
    expected == "a table" || expected.starts_with("a sequence")
}

/// Whether this is a list, or text that begins as a table or a list.
fn is_json(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Text(text) => payload::json_in(text).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

//! Typed extraction: a serde `Deserializer` over the merged tree, directed by the target type (rules T1 to T4).
//!
//! Errors are built here from key, expected type and origin alone. What serde, or a type's own `Deserialize`,
//! says about a value never gets through: it may quote the value.

mod access;
mod context;
mod deserializer;
mod error;
mod fields;
pub(crate) mod key;
mod numbers;
mod placeholder;
pub(crate) mod rotating;
mod scalar;

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::secret::Text;
use crate::tree::payload;
use crate::tree::{Node, Origin, Table, Value, base64};

use context::Context;
use error::Failure;
pub(crate) use fields::{relaxed, variables_of};

/// How many wrong values are told of: each costs a walk.
const MAX_ERRORS: usize = 100;

/// A nested key that the variable named after it has filled.
pub(crate) struct Guessed {
    pub(crate) key: String,
    pub(crate) origin: Arc<Origin>,
}

/// The tree as a value of `T`, or every wrong value in it.
pub(crate) fn extract<T: DeserializeOwned>(tree: &Table) -> Result<T, Error> {
    extract_with_guesses(tree).map(|(value, _)| value)
}

/// The same, and what was guessed.
pub(crate) fn extract_with_guesses<T: DeserializeOwned>(
    tree: &Table,
) -> Result<(T, Vec<Guessed>), Error> {
    let context = Context::new(tree);
    loop {
        let known = context.learned();
        let root = Extractor {
            place: Place::Root(tree),
            at: String::new(),
            expected: "",
            context: &context,
        };
        match T::deserialize(root) {
            Ok(value) => {
                context.check_tried();
                if context.errors.borrow().is_empty() {
                    return Ok((value, context.guessed()));
                }
                break;
            }
            Err(Failure::Unplaced(problem)) => {
                context.object("", None, &problem, "", context.buffered.get() > 0);
            }
            Err(Failure::Reported) => {}
        }
        // A wrong value ends serde's walk. On the next one something stands in for it, so that the others are found.
        if context.learned() == known || context.errors.borrow().len() >= MAX_ERRORS {
            break;
        }
    }
    Err(Error::all(context.errors.into_inner())
        .unwrap_or_else(|| Error::new(ErrorKind::Invalid, "the settings do not fit their type")))
}

/// A node on its way into a type: serde's `Deserializer`.
struct Extractor<'a> {
    place: Place<'a>,
    at: String,
    /// The type's name, for errors of types that read themselves; empty where it says nothing.
    expected: &'static str,
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

    /// The node that a scalar is read from: `{"value": x}` with no other key stands for `x`.
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

    /// What a scalar reads as text: text itself, a number or bool by its source text, binary as base64, a whole
    /// JSON secret as its original text.
    fn text(&self) -> Option<Text> {
        if let Some(node) = self.scalar() {
            return match &node.value {
                Value::Text(text) | Value::Number(text) => Some(text.clone()),
                Value::Bool(value) => Some(Text::new(value.to_string())),
                Value::Bytes(bytes) => Some(Text::wiped(base64(bytes))),
                Value::Null | Value::Array(_) | Value::Table(_) => None,
            };
        }
        self.table()?.source_text.clone()
    }

    /// Reports what a visitor made of this node, unless it was reported further in.
    fn settle<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.settle_buffered(result, self.context.buffered.get())
    }

    /// The same where serde may have buffered what is below; `known` is the count from before.
    fn settle_buffered<T>(&self, result: Result<T, Failure>, known: usize) -> Result<T, Failure> {
        result.map_err(|failure| {
            if let Failure::Unplaced(problem) = failure {
                let buffered = self.context.buffered.get() > known;
                self.context.object(&self.at, self.node(), &problem, self.expected, buffered);
            }
            Failure::Reported
        })
    }

    /// The same node once more, for a type inside an `Option` or a newtype.
    fn again(&self) -> Self {
        Self {
            place: self.place,
            at: self.at.clone(),
            expected: self.expected,
            context: self.context,
        }
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Failure> {
        if self.node().is_some() && self.context.is_tried(&self.at) {
            self.context.nothing_filled(&self.at);
            return Err(Failure::Reported);
        }
        let found = match self.place {
            Place::Root(_) => "a table",
            Place::Node(node) => node.value.sort(),
        };
        let message = match found {
            "text" => format!("expected {expected}, which the text there is not"),
            "a number" => format!("expected {expected}, which the number there is not"),
            found => format!("expected {expected}, found {found}"),
        };
        self.context.report(&self.at, self.node(), &message);
        Err(Failure::Reported)
    }

    /// JSON text that cannot be taken for a table or a sequence, as it begins to be.
    fn broken<T>(&self, expected: &str, problem: &str) -> Result<T, Failure> {
        self.context.report(&self.at, self.node(), &format!("expected {expected}, but {problem}"));
        Err(Failure::Reported)
    }

    fn parsed<T: std::str::FromStr>(&self) -> Option<T> {
        match &self.scalar()?.value {
            Value::Text(text) | Value::Number(text) => text.as_str().trim().parse().ok(),
            _ => None,
        }
    }

    /// JSON text where a table or a sequence is wanted.
    fn json(&self) -> Option<Result<Node, String>> {
        let node = self.node()?;
        let Value::Text(text) = &node.value else { return None };
        let opening = text.as_str().trim_start().chars().next();
        matches!(opening, Some('{' | '[')).then(|| {
            payload::parse_json(text.as_str(), &node.origin).map_err(|problem| problem.of_text())
        })
    }

    fn with<'b>(&self, node: &'b Node) -> Extractor<'b>
    where
        'a: 'b,
    {
        Extractor {
            place: Place::Node(node),
            at: self.at.clone(),
            expected: self.expected,
            context: self.context,
        }
    }
}

#[cfg(test)]
mod tests;

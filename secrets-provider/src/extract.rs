//! Typed extraction: a serde `Deserializer` over the merged tree, directed by the target type (rules T1, T2).
//!
//! Errors are built here from key, expected type and origin alone. What serde, or a type's own `Deserialize`,
//! says about a value never gets through: it may quote the value.

mod access;
mod failure;
mod scalar;

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::{Error, ErrorKind};
use crate::payload;
use crate::tree::{Node, Table, Text, Value, base64, join};

use access::{Enum, Items, Members};
use failure::Failure;

/// The tree as a value of `T`, or every wrong value in it.
pub(crate) fn extract<T: DeserializeOwned>(tree: &Table) -> Result<T, Error> {
    let context = Context::default();
    loop {
        let known = context.progress();
        let root = Extractor { place: Place::Root(tree), at: String::new(), expected: "", context: &context };
        match T::deserialize(root) {
            Ok(value) if context.errors.borrow().is_empty() => return Ok(value),
            Ok(_) => break,
            Err(failure) => {
                if let Failure::Unplaced(problem) = failure {
                    context.report("", None, problem.describe(""), problem.missing());
                }
            }
        }
        // A wrong value ends serde's walk. The next one leaves it for last, so that the others are found too.
        if context.progress() == known {
            break;
        }
    }
    Err(Error::all(context.errors.into_inner())
        .unwrap_or_else(|| Error::new(ErrorKind::Invalid, "the settings do not fit their type")))
}

/// What one extraction knows beyond the node at hand.
#[derive(Default)]
struct Context {
    errors: RefCell<Vec<Error>>,
    /// Paths whose values are known to be wrong.
    wrong: RefCell<BTreeSet<String>>,
    /// Paths below which nothing is left to find but what is known.
    exhausted: RefCell<BTreeSet<String>>,
    /// Paths where empty text stands for an absent value of a type that is no text.
    empty: RefCell<BTreeSet<String>>,
}

impl Context {
    /// Grows with everything that a walk finds out.
    fn progress(&self) -> usize {
        self.wrong.borrow().len() + self.exhausted.borrow().len() + self.empty.borrow().len()
    }

    /// Whether a path is best left for last.
    fn spent(&self, path: &str) -> bool {
        self.wrong.borrow().contains(path) || self.exhausted.borrow().contains(path)
    }

    fn report(&self, at: &str, node: Option<&Node>, message: String, missing: Option<&str>) {
        let key = missing.map_or_else(|| at.to_owned(), |field| join(at, field));
        // Found again on a later walk.
        if !self.wrong.borrow_mut().insert(key.clone()) {
            return;
        }
        let place = if key.is_empty() { "the settings".to_owned() } else { format!("key `{key}`") };
        let mut error = match (missing, node) {
            (Some(_), _) => Error::new(ErrorKind::Invalid, format!("{place} is missing: {message}"))
                .with_hint("no layer gives it; add it to a secret, the environment or the `.env` file"),
            (None, Some(node)) => {
                let message = format!("invalid value for {place}: {message} ({})", node.origin);
                let error = Error::new(ErrorKind::Invalid, message);
                match &*node.origin {
                    crate::tree::Origin::Secret { name, .. } => error.with_secret(name),
                    _ => error,
                }
            }
            (None, None) => Error::new(ErrorKind::Invalid, format!("{place}: {message}")),
        };
        if !key.is_empty() {
            error = error.with_key(key);
        }
        self.errors.borrow_mut().push(error);
    }
}

/// A node on its way into a type: serde's `Deserializer`.
struct Extractor<'a> {
    place: Place<'a>,
    at: String,
    /// The type's name, for errors of types that read themselves; empty where it says nothing.
    expected: &'static str,
    context: &'a Context,
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
                Value::Bytes(bytes) => Some(Text::new(base64(bytes))),
                Value::Null | Value::Array(_) | Value::Table(_) => None,
            };
        }
        self.table()?.source_text.clone()
    }

    /// Reports what a visitor made of this node, unless it was reported further in.
    fn settle<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| {
            if let Failure::Unplaced(problem) = failure {
                self.context.report(
                    &self.at,
                    self.node(),
                    problem.describe(self.expected),
                    problem.missing(),
                );
            }
            Failure::Reported
        })
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Failure> {
        let found = match self.place {
            Place::Root(_) => "a table",
            Place::Node(node) => node.value.sort(),
        };
        let message = match found {
            "text" => format!("expected {expected}, which the text there is not"),
            "a number" => format!("expected {expected}, which the number there is not"),
            found => format!("expected {expected}, found {found}"),
        };
        self.context.report(&self.at, self.node(), message, None);
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
        matches!(opening, Some('{' | '['))
            .then(|| payload::parse_json(text.as_str(), &node.origin).map_err(|problem| problem.to_string()))
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

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.parsed::<$type>() {
                Some(number) => self.settle(visitor.$visit(number)),
                None => self.wrong(stringify!($type)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Extractor<'_> {
    type Error = Failure;

    numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let Place::Node(node) = self.place else {
            return self.deserialize_map(visitor);
        };
        let visited = match &node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => scalar::visit_number(number.as_str(), visitor),
            Value::Text(text) => visitor.visit_str(text.as_str()),
            Value::Bytes(bytes) => visitor.visit_str(&base64(bytes)),
            Value::Array(_) => return self.deserialize_seq(visitor),
            Value::Table(_) => return self.deserialize_map(visitor),
        };
        self.settle(visited)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.scalar().and_then(|node| match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) if text.as_str().trim().eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.as_str().trim().eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        });
        match value {
            Some(value) => self.settle(visitor.visit_bool(value)),
            None => self.wrong("bool (`true` or `false`)"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let single = self.text().and_then(|text| {
            let mut chars = text.as_str().chars();
            chars.next().filter(|_| chars.next().is_none())
        });
        match single {
            Some(single) => self.settle(visitor.visit_char(single)),
            None => self.wrong("a single character"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.text() {
            Some(text) => self.settle(visitor.visit_str(text.as_str())),
            None => self.wrong("text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let bytes = self.scalar().and_then(|node| match &node.value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Text(text) => scalar::decoded(text.as_str()),
            _ => None,
        });
        match bytes {
            Some(bytes) => self.settle(visitor.visit_bytes(&bytes)),
            None => self.wrong("bytes (SecretBinary, or base64 text)"),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node().map(|node| &node.value) {
            Some(Value::Null) => return self.settle(visitor.visit_none()),
            // Whether the type inside takes empty text only shows when it is tried: a refusal is noted, and the
            // next walk makes it `None`.
            Some(Value::Text(text)) if text.as_str().trim().is_empty() => {
                if self.context.empty.borrow().contains(&self.at) {
                    return self.settle(visitor.visit_none());
                }
                let (at, context) = (self.at.clone(), self.context);
                let errors = context.errors.borrow().len();
                let wrong = context.wrong.borrow().clone();
                let inner =
                    Extractor { place: self.place, at: self.at.clone(), expected: self.expected, context };
                let visited = self.settle(visitor.visit_some(inner));
                if visited.is_err() {
                    context.errors.borrow_mut().truncate(errors);
                    *context.wrong.borrow_mut() = wrong;
                    context.empty.borrow_mut().insert(at);
                }
                return visited;
            }
            _ => {}
        }
        let inner = Extractor {
            place: self.place,
            at: self.at.clone(),
            expected: self.expected,
            context: self.context,
        };
        let visited = visitor.visit_some(inner);
        self.settle(visited)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node().map(|node| &node.value) {
            Some(Value::Null) => self.settle(visitor.visit_unit()),
            _ => self.wrong("nothing (null)"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let inner = Extractor {
            place: self.place,
            at: self.at.clone(),
            expected: self.expected,
            context: self.context,
        };
        let visited = visitor.visit_newtype_struct(inner);
        self.settle(visited)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node().map(|node| &node.value) {
            Some(Value::Array(items)) => {
                let visited = visitor.visit_seq(Items::new(items, &self.at, self.context));
                self.settle(visited)
            }
            _ => match self.json() {
                Some(Ok(node)) if matches!(node.value, Value::Array(_)) => {
                    self.with(&node).deserialize_seq(visitor)
                }
                Some(Err(problem)) => self.wrong(&format!("a sequence; as JSON text: {problem}")),
                _ => self.wrong("a sequence"),
            },
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.table() {
            Some(table) => {
                let visited = visitor.visit_map(Members::of_map(table, &self.at, self.context));
                self.settle(visited)
            }
            None => match self.json() {
                Some(Ok(node)) if matches!(node.value, Value::Table(_)) => {
                    self.with(&node).deserialize_map(visitor)
                }
                Some(Err(problem)) => self.wrong(&format!("a table; {problem}")),
                _ => self.wrong("a table"),
            },
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.table() {
            Some(table) => {
                let visited = visitor.visit_map(Members::of_struct(table, fields, &self.at, self.context));
                self.settle(visited)
            }
            None => match self.json() {
                Some(Ok(node)) if matches!(node.value, Value::Table(_)) => {
                    self.with(&node).deserialize_struct(name, fields, visitor)
                }
                Some(Err(problem)) => self.wrong(&format!("a table; {problem}")),
                _ => self.wrong("a table"),
            },
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if let Some(table) = self.table()
            && table.entries.len() == 1
            && let Some((variant, node)) = table.entries.iter().next()
            && variant != "value"
        {
            let visited = visitor.visit_enum(Enum::with_content(variant, node, &self.at, self.context));
            return self.settle(visited);
        }
        match self.text() {
            Some(text) => {
                let visited = visitor.visit_enum(Enum::unit(text.as_str().trim(), self.context));
                self.settle(visited)
            }
            None => self.wrong("a variant's name"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { identifier }
}

#[cfg(test)]
mod tests;

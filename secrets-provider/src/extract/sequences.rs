//! How a sequence or a tuple is read from a node (rule T2), and what its errors say.
//!
//! A list may be an array, text in one of three forms, a table with numbered keys, or bytes.
//! `lists` takes these apart; here they are offered to the type, and what does not fit is reported
//! with how that very form is written. Called by the deserializer.

use serde::de::Visitor;
use serde::de::value::SeqDeserializer;

use super::access::Items;
use super::error::{ExtractError, Objection, how_to_number};
use super::{Extractor, lists};
use crate::tree::{Node, Value, encoding, payload};

impl Extractor<'_> {
    /// The items of an array; for a tuple, exactly as many as it has.
    pub(super) fn items<'de, V: Visitor<'de>>(
        self,
        length: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        let expected =
            || length.map_or_else(|| "a sequence".to_owned(), |n| format!("a sequence of {n}"));
        match self.node().map(|node| &node.value) {
            Some(Value::Array(items)) => self.listed(items, length, visitor),
            Some(Value::Bytes(bytes)) => match length.filter(|length| *length != bytes.len()) {
                Some(length) => {
                    let reason = format!("there are {} bytes", bytes.len());
                    self.malformed_with(&expected(), &reason, Some(of_bytes(bytes, Some(length))))
                }
                None => match visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())) {
                    Err(ExtractError::Unplaced(Objection::Rejected | Objection::Unfit { .. })) => {
                        let advice = of_bytes(bytes, None);
                        self.malformed_with(
                            &expected(),
                            "the bytes do not fit its items",
                            Some(advice),
                        )
                    }
                    visited => self.settle(visited),
                },
            },
            Some(Value::Text(text)) => match (self.json(), lists::split(text)) {
                (Some(Ok(node)), _) if matches!(node.value, Value::Array(_) | Value::Table(_)) => {
                    self.with(&node).items(length, visitor)
                }
                // In an `Option`, empty text is `None`.
                (_, Some(items)) if items.is_empty() && self.optional => self.wrong(&expected()),
                (_, Some(items)) => {
                    let is_one = items.len() == 1;
                    let node = self.node().map(|node| lists::array(items, node));
                    let items = node.unwrap_or_default();
                    match length.filter(|length| is_one && *length > 1) {
                        Some(length) => {
                            let advice = format!("{}; {}", lists::HOW, lists::how_bytes(length));
                            self.malformed_with(&expected(), "there is 1", Some(advice))
                        }
                        None => {
                            self.context.read_as_list(&self.at);
                            self.listed(&items, length, visitor)
                        }
                    }
                }
                (Some(Err(problem)), None) => self.malformed(&expected(), &problem),
                _ => self.wrong(&expected()),
            },
            // figment has parsed a variable with one item.
            Some(Value::Number(_) | Value::Bool(_))
                if self.node().is_some_and(|node| node.origin.is_variable()) =>
            {
                let item: Vec<Node> = self.node().cloned().into_iter().collect();
                self.listed(&item, length, visitor)
            }
            _ => match self.table().map(|table| (lists::indexed(table), lists::gap(table))) {
                Some((Some(items), _)) => self.listed(&items, length, visitor),
                Some((None, Some(gap))) => {
                    let reason = format!("item {gap} is not there; items are numbered from 0");
                    let advice = self.how_to_number();
                    self.malformed_with(&expected(), &reason, Some(advice))
                }
                _ => self.wrong(&expected()),
            },
        }
    }

    /// These nodes as the items of a list.
    fn listed<'de, V: Visitor<'de>>(
        self,
        items: &[Node],
        length: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, ExtractError> {
        if let Some(length) = length.filter(|length| *length != items.len()) {
            let reason = match items.len() {
                1 => "there is 1".to_owned(),
                count => format!("there are {count}"),
            };
            return self.malformed(&format!("a sequence of {length}"), &reason);
        }
        self.context.know_items(&self.at);
        let items = Items::new(items, length.is_none(), &self.at, self.context);
        let visited = visitor.visit_seq(items);
        self.settle(visited)
    }

    /// How the keys of a list are numbered, where it is given.
    fn how_to_number(&self) -> String {
        match self.node().is_some_and(is_of_variables) {
            true => how_to_number(&self.context.shown(&self.at)),
            false => format!("number the keys from 0 without a gap; {}", lists::HOW),
        }
    }
}

/// Whether a variable gives this value, or all that is below it.
fn is_of_variables(node: &Node) -> bool {
    match &node.value {
        Value::Table(table) => table.entries.values().all(is_of_variables),
        _ => node.origin.is_variable(),
    }
}

/// What to do about bytes that do not fit a list, or an array of this length.
fn of_bytes(bytes: &[u8], length: Option<usize>) -> String {
    let value = Value::Bytes(std::sync::Arc::new(zeroize::Zeroizing::new(bytes.to_vec())));
    match (encoding::advice(&value), length) {
        (Some(advice), _) => advice,
        (None, _) if payload::opens_json(bytes) => {
            "the bytes are JSON: store them as text (SecretString)".to_owned()
        }
        (None, Some(length)) => lists::how_bytes(length),
        (None, None) => "SecretBinary fills bytes; store a list as text".to_owned(),
    }
}

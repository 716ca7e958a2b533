//! The tree that every layer becomes: named values, each with its origin.
//!
//! Secrets, variables, figment and config-rs are all turned into a [`Table`]; the tables are laid
//! over each other and the result is read into the settings' type by `extract`. Text keeps its
//! exact characters and a number its digits, because only the target type knows how to read them.
//! A member that a JSON object spells in `SCREAMING_CASE` is named in lower case here, as variables
//! are, and keeps its stored spelling beside that (`stored`).
//! Secret text is shared between trees rather than copied, and wiped when the last tree is gone.
//! Everything here is pure.

mod diff;
pub(crate) mod encoding;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod payload;
pub(crate) mod spelling;
mod stored;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

pub(crate) use origin::Origin;
pub(crate) use stored::Spelling;

use crate::secret::Text;

/// A value and its origin.
#[derive(Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Arc<Origin>,
    /// The layer that the value is in: of two spellings of one name, the higher layer wins.
    pub(crate) rank: u32,
    /// The value in the secret's previous version, for [`Rotating`](crate::Rotating) fields.
    pub(crate) previous: Option<Box<Node>>,
    /// How the JSON object spells the member, where its name in the tree does not say it.
    pub(crate) spelling: Option<Box<Spelling>>,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number as its source text: it is rounded only if the target type needs that.
    Number(Text),
    Text(Text),
    Bytes(Arc<Zeroizing<Vec<u8>>>),
    Array(Vec<Node>),
    Table(Table),
}

/// Named nodes, in the order of their names.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<String, Node>,
    /// The JSON text of this table, as a secret holds it; `None` once another table is merged in.
    pub(crate) source_text: Option<Text>,
}

impl Node {
    pub(crate) fn new(value: Value, origin: Arc<Origin>) -> Self {
        Self { value, rank: origin.rank(), origin, previous: None, spelling: None }
    }

    /// The same node, in the layer with this rank.
    #[cfg(feature = "figment")]
    pub(crate) fn ranked(self, rank: u32) -> Self {
        Self { rank, ..self }
    }

    /// Attaches the value of the previous version, also to the members of a table.
    pub(crate) fn set_previous(&mut self, previous: Node) {
        if let (Value::Table(now), Value::Table(before)) = (&mut self.value, &previous.value) {
            now.set_previous(before);
        }
        self.previous = Some(Box::new(previous));
    }

    /// Whether the node holds a table, at any depth, with a member of this name.
    pub(crate) fn has_key(&self, name: &str) -> bool {
        match &self.value {
            Value::Table(table) => {
                table.entries.contains_key(name)
                    || table.stored().iter().any(|(stored, _)| *stored == name)
                    || table.entries.values().any(|node| node.has_key(name))
            }
            Value::Array(items) => items.iter().any(|node| node.has_key(name)),
            _ => false,
        }
    }

    /// Whether the node is anything but a table.
    pub(crate) fn is_leaf(&self) -> bool {
        !matches!(self.value, Value::Table(_))
    }
}

impl Value {
    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "binary",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Standard base64: how binary values are read as text.
pub(crate) fn base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(bytes))
}

impl Table {
    /// Attaches to each member its value in the previous version.
    pub(crate) fn set_previous(&mut self, before: &Table) {
        for (name, node) in &mut self.entries {
            if let Some(before) = before.entries.get(name) {
                node.set_previous(before.clone());
            }
        }
    }

    /// Lays `other` over this table: tables merge, all other values are replaced.
    pub(crate) fn overlay(&mut self, other: Table) {
        self.overlay_by(other, &|_, _| true);
    }

    /// Lays `other` over this table, but keeps tables that would be replaced by a scalar.
    pub(crate) fn overlay_keeping_tables(&mut self, other: Table) {
        self.overlay_by(other, &|below, _| !matches!(below.value, Value::Table(_)));
    }

    /// Merges two spellings of one table: for each value the higher layer wins, and `other` within
    /// one layer.
    pub(crate) fn overlay_by_rank(&mut self, other: Table) {
        self.overlay_by(other, &|below, above| above.rank >= below.rank);
    }

    fn overlay_by(&mut self, other: Table, replaces: &dyn Fn(&Node, &Node) -> bool) {
        self.source_text = None;
        for (name, node) in other.entries {
            match self.entries.entry(name) {
                Entry::Vacant(slot) => {
                    slot.insert(node);
                }
                Entry::Occupied(mut slot) => match (&mut slot.get_mut().value, node) {
                    (
                        Value::Table(below),
                        Node { value: Value::Table(above), origin, rank, previous, spelling },
                    ) => {
                        // A previous version was laid over the same lower layers.
                        let previous = previous.map(|mut previous| {
                            if let Value::Table(table) = &mut previous.value {
                                let mut whole = below.clone();
                                whole.overlay_by(std::mem::take(table), replaces);
                                *table = whole;
                            }
                            previous
                        });
                        below.overlay_by(above, replaces);
                        let standing = slot.get_mut();
                        standing.origin = origin;
                        standing.rank = rank;
                        standing.previous = previous.or(standing.previous.take());
                        standing.merge_spelling(spelling);
                    }
                    (_, node) => {
                        if replaces(slot.get(), &node) {
                            slot.insert(node);
                        }
                    }
                },
            }
        }
    }

    /// Tables that hold a node at a key path.
    pub(crate) fn nested(path: &[String], node: Node) -> Self {
        let Some((name, rest)) = path.split_first() else { return Self::default() };
        let node = match rest {
            [] => node,
            rest => {
                let origin = node.origin.clone();
                Node::new(Value::Table(Self::nested(rest, node)), origin)
            }
        };
        Self { entries: [(name.clone(), node)].into(), source_text: None }
    }

    /// Takes the value at a key path out of the table, and the tables that it leaves empty. A whole
    /// JSON object is a value, too.
    pub(crate) fn take(&mut self, path: &[String]) -> Option<Node> {
        let (name, rest) = path.split_first()?;
        let node = self.entries.get_mut(name)?;
        if rest.is_empty() {
            let is_value = node.is_leaf() || node.source_text().is_some();
            return if is_value { self.entries.remove(name) } else { None };
        }
        let Value::Table(table) = &mut node.value else { return None };
        let taken = table.take(rest)?;
        table.source_text = None;
        if table.entries.is_empty() {
            self.entries.remove(name);
        }
        Some(taken)
    }

    /// Whether there is a value or a table at a key path.
    pub(crate) fn has<'a>(&self, path: &mut impl Iterator<Item = &'a str>) -> bool {
        let mut table = Some(self);
        path.all(|name| {
            let node = table.and_then(|table| table.entries.get(name));
            table = match node.map(|node| &node.value) {
                Some(Value::Table(table)) => Some(table),
                _ => None,
            };
            node.is_some()
        })
    }

    /// The node at a key path.
    #[cfg(any(test, feature = "figment"))]
    pub(crate) fn find(&self, path: &[impl AsRef<str>]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let node = self.entries.get(first.as_ref())?;
        match &node.value {
            _ if rest.is_empty() => Some(node),
            Value::Table(table) => table.find(rest),
            _ => None,
        }
    }
}

/// `at.name`, or `name` at the root.
pub(crate) fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        return name.to_owned();
    }
    let mut path = String::with_capacity(at.len() + 1 + name.len());
    path.push_str(at);
    path.push('.');
    path.push_str(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, value: &str) -> Table {
        let origin = Arc::new(Origin::Environment { variable: name.to_owned() });
        let node = Node::new(Value::Text(Text::new(value)), origin);
        Table { entries: [(name.to_owned(), node)].into(), source_text: Some(Text::new("source")) }
    }

    #[test]
    fn merging_into_a_table_drops_its_source_text() {
        let mut merged = table("a", "1");
        merged.overlay(table("b", "2"));
        assert!(merged.source_text.is_none());
    }
}

//! The one tree that every layer becomes: values with the place they came from.

pub(crate) mod payload;
#[cfg(any(feature = "config", feature = "figment"))]
pub(crate) mod redact;
pub(crate) mod spelling;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::secret::Text;

/// Where a value came from: what an error names instead of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Secret {
        name: String,
        version_id: String,
    },
    Environment {
        variable: String,
    },
    Dotenv {
        file: String,
        variable: String,
    },
    /// A provider that figment merged.
    #[cfg(feature = "figment")]
    Figment {
        provider: String,
        variable: bool,
    },
    /// A layer of a `config::Config`, by the name that it gives its values, where it gives one.
    #[cfg(feature = "config")]
    Config {
        source: Option<String>,
        variable: bool,
    },
}

impl Origin {
    /// Which layer it commonly is: the higher one wins.
    fn rank(&self) -> u32 {
        match self {
            Self::Dotenv { .. } => 0,
            Self::Environment { .. } => 1,
            // A figment has an order of its own, which its tree is ranked by.
            #[cfg(feature = "figment")]
            Self::Figment { .. } => 0,
            // A built config no longer knows the order of its sources; this is the common one.
            #[cfg(feature = "config")]
            Self::Config { source: None, .. } => 0,
            #[cfg(feature = "config")]
            Self::Config { variable, .. } => 1 + u32::from(*variable),
            Self::Secret { .. } => u32::MAX,
        }
    }

    /// Whether it is a variable, of the environment or a `.env` file.
    pub(crate) fn is_variable(&self) -> bool {
        match self {
            Self::Dotenv { .. } | Self::Environment { .. } => true,
            #[cfg(feature = "figment")]
            Self::Figment { variable, .. } => *variable,
            #[cfg(feature = "config")]
            Self::Config { variable, .. } => *variable,
            Self::Secret { .. } => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { name, version_id } => {
                write!(f, "secret `{name}`, version `{version_id}`")
            }
            Self::Environment { variable } => write!(f, "environment variable `{variable}`"),
            Self::Dotenv { file, variable } => write!(f, "variable `{variable}` of `{file}`"),
            #[cfg(feature = "figment")]
            Self::Figment { provider, .. } => f.write_str(provider),
            #[cfg(feature = "config")]
            Self::Config { source: Some(source), .. } => write!(f, "config source `{source}`"),
            #[cfg(feature = "config")]
            Self::Config { source: None, .. } => {
                f.write_str("a config source without a name: a default, an override or a string")
            }
        }
    }
}

/// A value and its origin.
#[derive(Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Arc<Origin>,
    /// Which layer it is of: of two spellings of one name, the higher one's counts.
    pub(crate) rank: u32,
    /// What stood here in the version before, for [`Rotating`](crate::Rotating) fields.
    pub(crate) previous: Option<Box<Node>>,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number by its source text, so that nothing is rounded before a type asks for it.
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
    /// The text that this whole table was read from; gone once another table is merged in.
    pub(crate) source_text: Option<Text>,
}

impl Node {
    pub(crate) fn new(value: Value, origin: Arc<Origin>) -> Self {
        Self { value, rank: origin.rank(), origin, previous: None }
    }

    /// The same node in the layer of this rank.
    #[cfg(feature = "figment")]
    pub(crate) fn ranked(self, rank: u32) -> Self {
        Self { rank, ..self }
    }

    /// Notes what stood here, and in the members of a table there, in the version before.
    pub(crate) fn remember(&mut self, previous: Node) {
        if let (Value::Table(now), Value::Table(before)) = (&mut self.value, &previous.value) {
            now.remember(before);
        }
        self.previous = Some(Box::new(previous));
    }

    /// Whether a table in it, at any depth, has a member of this name.
    pub(crate) fn has_key(&self, name: &str) -> bool {
        match &self.value {
            Value::Table(table) => {
                table.entries.contains_key(name)
                    || table.entries.values().any(|node| node.has_key(name))
            }
            Value::Array(items) => items.iter().any(|node| node.has_key(name)),
            _ => false,
        }
    }

    /// Whether it is no table.
    pub(crate) fn is_leaf(&self) -> bool {
        !matches!(self.value, Value::Table(_))
    }
}

impl Value {
    /// What sort of value it is, for messages.
    pub(crate) fn sort(&self) -> &'static str {
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

/// Standard base64, the text form of binary values.
pub(crate) fn base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(bytes))
}

impl Table {
    /// Notes for each member what it was before.
    pub(crate) fn remember(&mut self, before: &Table) {
        for (name, node) in &mut self.entries {
            if let Some(before) = before.entries.get(name) {
                node.remember(before.clone());
            }
        }
    }

    /// Lays `other` over this table: tables merge, anything else is replaced.
    pub(crate) fn overlay(&mut self, other: Table) {
        self.overlay_by(other, &|_, _| true);
    }

    /// Lays `other` over this table, but a table that stands here is not replaced by anything but a table.
    pub(crate) fn overlay_keeping_tables(&mut self, other: Table) {
        self.overlay_by(other, &|below, _| !matches!(below.value, Value::Table(_)));
    }

    /// Merges two spellings of one table: of each value the higher layer's counts, and `other`'s within one layer.
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
                        Node { value: Value::Table(above), origin, rank, previous },
                    ) => {
                        // What a lower layer gives was there before too.
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

    /// The dotted paths of the leaves that one of the two has and the other has not, or has otherwise.
    pub(crate) fn changed_keys(&self, other: &Table) -> Vec<String> {
        let mut keys = Vec::new();
        changed(self, other, "", &mut keys);
        keys
    }
}

fn changed(old: &Table, new: &Table, at: &str, keys: &mut Vec<String>) {
    let empty = Table::default();
    let names: std::collections::BTreeSet<_> =
        old.entries.keys().chain(new.entries.keys()).collect();
    for name in names {
        let path = join(at, name);
        let (was, is) = (old.entries.get(name), new.entries.get(name));
        let table = |node: Option<&Node>| match node.map(|node| &node.value) {
            Some(Value::Table(_)) | None => true,
            Some(_) => false,
        };
        if table(was) && table(is) {
            let sub = |node: Option<&Node>| match node.map(|node| &node.value) {
                Some(Value::Table(table)) => table.clone(),
                _ => empty.clone(),
            };
            changed(&sub(was), &sub(is), &path, keys);
        } else if !same(was, is) {
            keys.push(path);
        }
    }
}

/// Equal values, wherever they came from: a new version with the old content changes no key.
fn same(a: Option<&Node>, b: Option<&Node>) -> bool {
    fn values(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| values(&a.value, &b.value))
            }
            (Value::Table(a), Value::Table(b)) => a.changed_keys(b).is_empty(),
            (a, b) => a == b,
        }
    }
    match (a, b) {
        (Some(a), Some(b)) => {
            values(&a.value, &b.value) && same(a.previous.as_deref(), b.previous.as_deref())
        }
        (None, None) => true,
        _ => false,
    }
}

/// `at.name`, or `name` at the root.
pub(crate) fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
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
    fn a_table_that_others_are_merged_into_has_no_source_text() {
        let mut merged = table("a", "1");
        merged.overlay(table("b", "2"));
        assert!(merged.source_text.is_none());
    }

    #[test]
    fn changed_keys_are_those_added_removed_or_of_another_value() {
        let mut old = table("a", "1");
        old.overlay(table("b", "1"));
        let mut new = table("a", "1");
        new.overlay(table("c", "1"));
        assert_eq!(old.changed_keys(&new), ["b", "c"]);
        assert_eq!(table("a", "1").changed_keys(&table("a", "2")), ["a"]);
        assert!(old.changed_keys(&old).is_empty());
    }
}

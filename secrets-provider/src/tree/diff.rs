//! Which keys differ between two trees: what a change of the settings is reported by.
//!
//! Compared are values, not origins: a new version of a secret with the old content changes no
//! key. Versions before (for [`Rotating`](crate::Rotating) fields) count as part of the value.

use std::collections::BTreeSet;

use super::{Node, Table, Value, join};

impl Table {
    /// The dotted paths of the leaves that only one of the two has, or that differ.
    pub(crate) fn changed_keys(&self, other: &Table) -> Vec<String> {
        let mut keys = Vec::new();
        changed(self, other, "", &mut keys);
        keys
    }
}

fn changed(old: &Table, new: &Table, at: &str, keys: &mut Vec<String>) {
    let none = Table::default();
    let names: BTreeSet<_> = old.entries.keys().chain(new.entries.keys()).collect();
    for name in names {
        let path = join(at, name);
        let (was, is) = (old.entries.get(name), new.entries.get(name));
        match (table_or(was, &none), table_or(is, &none)) {
            (Some(was), Some(is)) => changed(was, is, &path, keys),
            _ if same(was, is) => {}
            _ => keys.push(path),
        }
    }
}

/// The table that this node is, or `none` where there is no node.
fn table_or<'a>(node: Option<&'a Node>, none: &'a Table) -> Option<&'a Table> {
    match node.map(|node| &node.value) {
        None => Some(none),
        Some(Value::Table(table)) => Some(table),
        Some(_) => None,
    }
}

/// Whether two nodes have equal values, regardless of their origins.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::secret::Text;
    use crate::tree::{Node, Origin, Table, Value};

    fn table(entries: &[(&str, &str)]) -> Table {
        let origin = Arc::new(Origin::Environment { variable: "x".to_owned() });
        let node = |value: &str| Node::new(Value::Text(Text::new(value)), origin.clone());
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), node(value)));
        Table { entries: entries.collect(), source_text: None }
    }

    #[test]
    fn added_removed_and_different_keys_are_changed() {
        let old = table(&[("a", "1"), ("b", "1")]);
        let new = table(&[("a", "1"), ("c", "1")]);
        assert_eq!(old.changed_keys(&new), ["b", "c"]);
        assert_eq!(table(&[("a", "1")]).changed_keys(&table(&[("a", "2")])), ["a"]);
        assert!(old.changed_keys(&old).is_empty());
    }
}

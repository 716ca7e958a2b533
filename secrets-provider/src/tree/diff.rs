//! Which keys differ between two trees: what a change of the settings is reported by.
//!
//! Compared are values, not origins: a new version of a secret with the old content changes no
//! key. Versions before (for [`Rotating`](crate::Rotating) fields) count as part of the value.

use std::cmp::Ordering;

use super::{Node, Table, Value};

impl Table {
    /// The dotted paths of the leaves that only one of the two has, or that differ.
    pub(crate) fn changed_keys(&self, other: &Table) -> Vec<String> {
        let mut keys = Vec::new();
        changed(self, other, &mut String::new(), &mut keys);
        keys
    }
}

/// Walks both tables at once, in the order of the names. Most nodes are the same, so a path is made
/// for those only that are not.
fn changed(old: &Table, new: &Table, at: &mut String, keys: &mut Vec<String>) {
    let none = Table::default();
    let (mut was, mut is) = (old.entries.iter().peekable(), new.entries.iter().peekable());
    loop {
        let order = match (was.peek(), is.peek()) {
            (Some((was, _)), Some((is, _))) => was.cmp(is),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let was = if order.is_le() { was.next() } else { None };
        let is = if order.is_ge() { is.next() } else { None };
        let Some((name, _)) = was.or(is) else { return };
        let (was, is) = (was.map(|(_, node)| node), is.map(|(_, node)| node));
        let length = at.len();
        match (table_or(was, &none), table_or(is, &none)) {
            (Some(was), Some(is)) => {
                push(at, name);
                changed(was, is, at, keys);
            }
            _ if same(was, is) => {}
            _ => {
                push(at, name);
                keys.push(at.clone());
            }
        }
        at.truncate(length);
    }
}

fn push(at: &mut String, name: &str) {
    if !at.is_empty() {
        at.push('.');
    }
    at.push_str(name);
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

    #[test]
    fn changed_keys_below_tables_have_their_whole_paths_in_order() {
        let below = |name: &str, table: Table| {
            let origin = Arc::new(Origin::Environment { variable: "x".to_owned() });
            let node = Node::new(Value::Table(table), origin);
            Table { entries: [(name.to_owned(), node)].into(), source_text: None }
        };
        let tree = |entries: &[(&str, &str)]| {
            let mut tree = below("a", below("b", table(entries)));
            tree.overlay(table(&[("c", "1")]));
            tree
        };
        let (old, new) = (tree(&[("x", "1"), ("y", "1")]), tree(&[("x", "2"), ("z", "1")]));
        assert_eq!(old.changed_keys(&new), ["a.b.x", "a.b.y", "a.b.z"]);
        // A table that comes or goes is its leaves; one in place of a value is one key.
        assert_eq!(table(&[("c", "1")]).changed_keys(&old), ["a.b.x", "a.b.y"]);
        assert_eq!(table(&[("a", "1"), ("c", "1")]).changed_keys(&old), ["a"]);
        assert!(table(&[("c", "1")]).changed_keys(&tree(&[])).is_empty());
    }
}

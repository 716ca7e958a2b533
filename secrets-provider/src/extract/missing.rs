//! Missing fields: what fills them, and what is reported of them.
//!
//! A nested key may be filled by the secret or the variable that is named after it (rule T3). A
//! section that no layer has is tried if a variable's name begins with it. What nothing fills is
//! reported once for each table, with the other absent fields (rule T4), and a placeholder takes its
//! place on the next walk.

use std::sync::Arc;

use super::context::Context;
use super::error;
use super::marks::{State, Tried};
use crate::tree::spelling::{is_service_link, variables_of};
use crate::tree::{Node, Origin, Table, Value, join};

/// A nested key that the secret or the variable named after it has filled.
pub(crate) struct Implied {
    pub(crate) key: String,
    pub(crate) origin: Arc<Origin>,
    node: Node,
}

impl Implied {
    /// Adds the value at the key that it fills, so that a new value is a change of that key.
    pub(crate) fn add_to(&self, tree: &mut Table) {
        let path: Vec<String> = self.key.split('.').map(str::to_owned).collect();
        tree.overlay(Table::nested(&path, self.node.clone()));
    }
}

impl State {
    /// A table lacks a field. The first one is reported, and its message names the others.
    fn lacks(&mut self, table: &str, path: &str, absent: &str) {
        let mark = self.marks.entry(table.to_owned()).or_default();
        match std::mem::replace(&mut mark.incomplete, true) {
            false => self.add(path, error::missing(&self.names.shown(path), absent)),
            true => {
                self.set(path, |mark| &mut mark.exhausted);
            }
        }
    }
}

impl<'a> Context<'a> {
    /// The fields that were missing in a table, with what was found for them.
    pub(super) fn found(&self, table: &str) -> Vec<(&'static str, Node)> {
        self.state.borrow().mark(table).map(|mark| mark.found.clone()).unwrap_or_default()
    }

    /// The fields that a secret or a variable named after their path has filled.
    pub(super) fn implied(&self) -> Vec<Implied> {
        let state = self.state.borrow();
        let found = state.marks.iter().flat_map(|(table, mark)| {
            mark.found.iter().map(move |(field, node)| (table, field, node))
        });
        found
            .filter(|(_, _, node)| node.is_leaf() && !matches!(node.value, Value::Null))
            .map(|(table, field, node)| Implied {
                key: join(table, field),
                origin: node.origin.clone(),
                node: node.clone(),
            })
            .collect()
    }

    /// Whether this table is one that no layer defines.
    pub(super) fn is_tried(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.tried.is_some())
    }

    /// A required field that no layer defines. A nested one may be filled by the secret or the
    /// variable that is named after its path, `DATABASE_URL` for `database.url`; nothing else is
    /// guessed.
    pub(super) fn missing(&self, table: &str, field: &'static str, absent: &[&str]) {
        let path = join(table, field);
        self.know_field(table, field);
        // It is there, but left out because no placeholder fits. An alias hides under which name.
        if self.is_spent(&path) || self.has_dropped_member(table) {
            return;
        }
        if !table.is_empty()
            && let Some(node) = self.variable(&path)
        {
            return self.state.borrow_mut().put(table, field, node);
        }
        let absent = error::also_absent(absent.iter().copied().filter(|other| *other != field));
        let origin = self.variable_below(&path).filter(|_| !self.is_tried(&path));
        let mut state = self.state.borrow_mut();
        if let Some(origin) = origin {
            let tried = Tried { table: table.to_owned(), absent };
            state.marks.entry(path).or_default().tried = Some(tried);
            return state.put(table, field, Node::new(Value::Table(Table::default()), origin));
        }
        state.lacks(table, &path, &absent);
        // On the next walk, a placeholder takes its place.
        let origin = Arc::new(Origin::Environment { variable: String::new() });
        state.put(table, field, Node::new(Value::Null, origin));
    }

    fn has_dropped_member(&self, table: &str) -> bool {
        let state = self.state.borrow();
        let start = if table.is_empty() { 0 } else { table.len() + 1 };
        state.below(table).any(|(path, mark)| mark.dropped && !path[start..].contains('.'))
    }

    /// The table at this path was only tried to see whether variables fill it, and they do not.
    pub(super) fn nothing_filled(&self, path: &str) {
        let mut state = self.state.borrow_mut();
        let tried = state.mark(path).and_then(|mark| mark.tried.clone()).unwrap_or_default();
        state.lacks(&tried.table, path, &tried.absent);
    }

    /// Reports tables that were tried and not filled, after a walk that succeeded.
    pub(super) fn check_tried(&self) {
        let state = self.state.borrow_mut();
        let is_filled = |state: &State, path: &str| {
            let own = state.mark(path).map(|mark| (path, mark));
            let below = state.below(path).map(|(path, mark)| (path.as_str(), mark));
            own.into_iter().chain(below).any(|(table, mark)| {
                let mut found = mark.found.iter();
                found.any(|(field, node)| node.is_leaf() && !state.is_spent(&join(table, field)))
            })
        };
        let unfilled: Vec<_> = state
            .marks
            .iter()
            .filter_map(|(path, mark)| Some((path, mark.tried.as_ref()?)))
            .filter(|(path, _)| {
                !is_filled(&state, path) && !state.is_spent(path) && !state.is_spent_below(path)
            })
            .map(|(path, tried)| {
                (path.clone(), error::missing(&state.names.shown(path), &tried.absent))
            })
            .collect();
        drop(state);
        unfilled.into_iter().for_each(|(path, error)| self.add_beside(&path, error));
    }

    /// The value that is named after a path: a secret's before a variable's, and of these the
    /// higher layer's.
    fn variable(&self, path: &str) -> Option<Node> {
        let wanted = variables_of(path);
        let mut nodes: Vec<_> =
            self.variables().filter(|(name, _)| wanted.contains(name)).collect();
        nodes.sort_by_key(|(name, node)| (is_secret(node), node.rank, **name == wanted[0]));
        nodes.pop().map(|(_, node)| node.clone())
    }

    fn variable_below(&self, path: &str) -> Option<Arc<Origin>> {
        let starts = variables_of(path).map(|name| name + "_");
        let mut variables = self.variables();
        variables
            .find(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
            .map(|(_, node)| node.origin.clone())
    }

    /// What may be named after a nested key: variables, and keys of secrets, which may be variables
    /// that have moved.
    fn variables(&self) -> impl Iterator<Item = (String, &'a Node)> {
        let nodes =
            self.root.entries.iter().filter(|(_, node)| {
                node.is_leaf() && (node.origin.is_variable() || is_secret(node))
            });
        nodes
            .map(|(name, node)| (name.to_ascii_lowercase(), node))
            .filter(|(name, node)| is_secret(node) || !is_service_link(name, node))
    }
}

fn is_secret(node: &Node) -> bool {
    matches!(*node.origin, Origin::Secret { .. })
}

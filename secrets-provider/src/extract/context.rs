//! What one extraction has found out so far.
//!
//! serde ends its walk through a type at the first problem. To report every problem at once (rule
//! T4), extraction walks the type again and again, each time with what it has learned before:
//! values that are wrong are replaced by placeholders, missing fields are filled from variables,
//! spellings that lose are left out. It stops when a walk succeeds or learns nothing new.
//!
//! [`Context`] is that memory, and the words for what is found; `marks` has what is known of each
//! path and type, `recovery` the errors that a type takes back, `missing` the fields that nothing
//! defines.

use std::cell::RefCell;

use super::error::{self, Objection};
use super::fields::Ambiguity;
use super::marks::State;
use super::missing::Shape;
use crate::error::Error;
use crate::tree::names::{self, Names};
use crate::tree::{Node, Table, Value, join};

/// One extraction's knowledge.
pub(super) struct Context<'a> {
    pub(super) root: &'a Table,
    pub(super) state: RefCell<State>,
}

impl<'a> Context<'a> {
    pub(super) fn new(root: &'a Table, names: Names) -> Self {
        Self { root, state: RefCell::new(State { names, ..State::default() }) }
    }

    /// The errors, with their keys as they may be shown.
    pub(super) fn into_errors(self) -> Vec<Error> {
        let mut state = self.state.into_inner();
        let errors = std::mem::take(&mut state.errors);
        let errors = errors.into_iter().map(|error| state.with_advice(error));
        let errors: Vec<_> = errors.collect();
        let names = state.names;
        let shown = |error: Error| match error.key().map(|key| names.shown(key)) {
            Some(key) => error.with_key(key),
            None => error,
        };
        error::counted(errors.into_iter().map(shown))
    }

    pub(super) fn into_names(self) -> Names {
        self.state.into_inner().names
    }

    /// A struct or an enum with these fields or variants is read at this path.
    pub(super) fn know_fields(&self, at: &str, fields: &'static [&'static str]) {
        self.state.borrow_mut().names.know_fields(at, fields);
    }

    /// A struct that is read as a map has a field of this name.
    pub(super) fn know_field(&self, at: &str, name: &str) {
        self.state.borrow_mut().names.know_field(at, name);
    }

    /// An array is read at this path.
    pub(super) fn know_items(&self, at: &str) {
        self.state.borrow_mut().names.know_items(at);
    }

    /// A placeholder of this type is made for the value at a path.
    pub(super) fn know_shape(&self, path: &str, shape: Shape) {
        self.state.borrow_mut().shapes.insert(path.to_owned(), shape);
    }

    pub(super) fn error_count(&self) -> usize {
        self.state.borrow().errors.len()
    }

    /// A number that grows with everything that a walk finds out.
    pub(super) fn learned(&self) -> usize {
        self.state.borrow().learned
    }

    /// How often text was read for a type that takes any value.
    pub(super) fn buffered(&self) -> usize {
        self.state.borrow().buffered
    }

    pub(super) fn count_buffered(&self) {
        self.state.borrow_mut().buffered += 1;
    }

    /// Decides between two spellings of one field. They are handed out highest layer first, so the
    /// last one loses, unless both are in one layer and it is the field's own name.
    pub(super) fn same_field(&self, table: &str, field: &str, rank: impl Fn(&str) -> Option<u32>) {
        let mut state = self.state.borrow_mut();
        let (last, before) = state.last_member.clone();
        let mut loser = last.as_str();
        if let Some(before) = before.as_deref().filter(|before| rank(before) == rank(&last)) {
            if last == field {
                loser = before;
                state.take_back(&join(table, before));
            } else if before != field && rank(field) != rank(before) {
                let path = join(table, field);
                let [one, other] =
                    [before, &last].map(|name| state.names.shown(&join(table, name)));
                let error = error::ambiguous(&state.names.shown(&path), &one, &other);
                state.add(&path, error);
            }
        }
        state.set(&join(table, loser), |mark| &mut mark.ignored);
    }

    /// Fields of the table at a path that are spelled in two ways.
    pub(super) fn report_ambiguities(&self, at: &str, ambiguities: Vec<Ambiguity<'_>>) {
        for ambiguity in ambiguities {
            let [one, other] = ambiguity.spellings.map(|name| join(at, name));
            self.report_ambiguous(&join(at, ambiguity.field), &one, &other);
        }
    }

    /// Two spellings of a field within one layer, neither of them exact.
    fn report_ambiguous(&self, path: &str, one: &str, other: &str) {
        let shown = {
            let state = self.state.borrow();
            [path, one, other].map(|path| state.names.shown(path))
        };
        let [shown, one, other] = shown;
        self.add_beside(path, error::ambiguous(&shown, &one, &other));
    }

    /// What is wrong with the value at a path.
    pub(super) fn report(&self, path: &str, node: Option<&Node>, message: &str) {
        self.report_with(path, node, message, None);
    }

    /// The same with advice.
    pub(super) fn report_with(
        &self,
        path: &str,
        node: Option<&Node>,
        message: &str,
        hint: Option<String>,
    ) {
        let origin = node.map(|node| &*node.origin);
        let mut state = self.state.borrow_mut();
        let error = error::invalid(&state.names.shown(path), origin, message);
        state.add(path, hint.into_iter().fold(error, Error::with_hint));
    }

    /// Reports what a type objects to in the value at a path.
    pub(super) fn object(
        &self,
        path: &str,
        node: Option<&Node>,
        objection: &Objection,
        expected: &str,
        buffered: bool,
    ) {
        match objection {
            Objection::Missing(field) => self.missing(path, node, field, &[]),
            // What the type makes of the whole says nothing while a part of it is a placeholder.
            Objection::Rejected if self.state.borrow().is_spent_below(path) => {}
            _ if node.is_some() && self.is_tried(path) => self.nothing_filled(path),
            // Other variables of the environment are no mistake; the next walk does not see this
            // one.
            Objection::UnknownField(name) if self.is_variable(node, name) => {
                self.state.borrow_mut().set(&join(path, name), |mark| &mut mark.ignored);
            }
            // What a type calls a field may be a value; only a key that exists there is a name.
            Objection::UnknownField(name) if !self.is_name(&join(path, name)) => {
                let message = match node.is_some_and(|node| node.has_key(name)) {
                    true => "it has a key that is not one of its fields".to_owned(),
                    false => Objection::Rejected.describe(expected, buffered),
                };
                self.report(path, node, &message);
            }
            _ => self.report(path, node, &objection.describe(expected, buffered)),
        }
    }

    /// Whether the whole path may be shown.
    fn is_name(&self, path: &str) -> bool {
        !names::hides_a_name(&self.state.borrow().names.shown(path))
    }

    /// Whether a variable defines a member of a table (of the root, if there is no node).
    fn is_variable(&self, node: Option<&Node>, member: &str) -> bool {
        let table = match node.map(|node| &node.value) {
            None => self.root,
            Some(Value::Table(table)) => table,
            Some(_) => return false,
        };
        table.entries.get(member).is_some_and(|member| member.origin.is_variable())
    }
}

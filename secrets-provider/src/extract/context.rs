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
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::error::{self, Objection};
use super::fields::{Ambiguity, FieldIndex};
use super::marks::State;
use super::missing::Shape;
use crate::error::Error;
use crate::tree::names::{self, Names};
use crate::tree::spelling::{is_service_link, same_name};
use crate::tree::{Node, Origin, Table, Value, join};

/// One extraction's knowledge.
pub(super) struct Context<'a> {
    pub(super) root: &'a Table,
    pub(super) state: RefCell<State>,
    /// By the address and the length of the list of fields.
    indexes: RefCell<BTreeMap<(usize, usize), Rc<FieldIndex>>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(root: &'a Table, names: Names) -> Self {
        let state = RefCell::new(State { names, ..State::default() });
        Self { root, state, indexes: RefCell::default() }
    }

    /// The fields of a struct or the variants of an enum, to be looked up.
    pub(super) fn fields_of(&self, fields: &'static [&'static str]) -> Rc<FieldIndex> {
        let key = (fields.as_ptr().addr(), fields.len());
        let mut indexes = self.indexes.borrow_mut();
        indexes.entry(key).or_insert_with(|| Rc::new(FieldIndex::of(fields))).clone()
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

    /// Two members are one field, by an alias. They are handed out highest layer first, so the last
    /// one loses. Two in one layer are an error, as they are for serde, unless Kubernetes has set
    /// one of them.
    pub(super) fn same_field<'n>(
        &self,
        table: &str,
        field: &str,
        node: impl Fn(&str) -> Option<&'n Node>,
    ) {
        let (last, before) = self.state.borrow().last_member.clone();
        let given = |name: &str| node(name).map(|node| (name.to_owned(), node));
        let mut loser = last.as_str();
        if let Some([one, other]) = before
            .as_deref()
            .and_then(|before| Some([given(before)?, given(&last)?]))
            .filter(|[(_, one), (_, other)]| one.rank == other.rank)
        {
            let is_link =
                |(name, node): &(String, &Node)| is_service_link(&name.to_ascii_lowercase(), node);
            if is_link(&one) {
                loser = before.as_deref().unwrap_or(&last);
                self.state.borrow_mut().take_back(&join(table, loser));
            } else if !is_link(&other) {
                let spelled = |(name, node): &(String, &Node)| {
                    let stored = node.stored_name().filter(|stored| same_name(stored, name));
                    (join(table, stored.unwrap_or(name)), node.origin.clone())
                };
                // The type has taken both for a field.
                for (name, _) in [&one, &other] {
                    self.know_field(table, name);
                }
                self.report_ambiguous(&join(table, field), [spelled(&one), spelled(&other)]);
            }
        }
        self.state.borrow_mut().set(&join(table, loser), |mark| &mut mark.ignored);
    }

    /// Fields of the table at a path that are spelled in two ways.
    pub(super) fn report_ambiguities(&self, at: &str, ambiguities: Vec<Ambiguity<'_>>) {
        for ambiguity in ambiguities {
            let spellings =
                ambiguity.spellings.map(|spelled| (join(at, spelled.name), spelled.origin));
            self.report_ambiguous(&join(at, ambiguity.field), spellings);
        }
    }

    /// A field is given twice within one layer.
    fn report_ambiguous(&self, path: &str, spellings: [(String, Arc<Origin>); 2]) {
        let error = {
            let names = &self.state.borrow().names;
            let [one, other] = &spellings;
            let shown = [one, other].map(|(path, origin)| (names.shown(path), &**origin));
            error::ambiguous(&names.shown(path), shown)
        };
        self.add_beside(path, error);
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
            Objection::Unfit { scalar, expected }
                if self.place_unfit(path, node, *scalar, expected) => {}
            Objection::Unfit { .. } | Objection::Rejected
                if self.state.borrow().is_spent_below(path) => {}
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

    /// A path as it may be shown.
    pub(super) fn shown(&self, path: &str) -> String {
        self.state.borrow().names.shown(path)
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

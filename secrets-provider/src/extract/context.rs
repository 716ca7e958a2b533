//! What one extraction has found out so far.
//!
//! serde ends its walk through a type at the first problem. To report every problem at once (rule
//! T4), extraction walks the type again and again, each time with what it has learned before:
//! values that are wrong are replaced by placeholders, missing fields are filled from variables,
//! spellings that lose are left out. It stops when a walk succeeds or learns nothing new.
//!
//! A type may try a value and recover from its error (`deserialize_with`). serde does not say so,
//! but the walk does: after an error that nothing recovers from, nothing more is read. So an error
//! counts only when the walk ends with it; if another value is read first, or the walk succeeds, it
//! is taken back, and its place is never reported nor replaced again.
//!
//! All of that is kept by key path, as one [`Mark`] per path, and by type, as one [`TypeMark`] per
//! type. Everything that counts as progress goes through [`State::learn`], so that the loop cannot
//! run for ever.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{self, Objection};
use crate::error::Error;
use crate::tree::names::{self, Names};
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

/// One extraction's knowledge.
pub(super) struct Context<'a> {
    root: &'a Table,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Each with the exact path of its key; their texts have the path as it may be shown.
    errors: Vec<Error>,
    /// The names that may be shown.
    names: Names,
    /// By key path.
    marks: BTreeMap<String, Mark>,
    types: BTreeMap<&'static str, TypeMark>,
    /// Grows with everything that a walk finds out.
    learned: usize,
    /// The member that was handed out last and, if it is another spelling of the same field, the
    /// one before it.
    last_member: (String, Option<String>),
    /// How often text was read for a type that takes any value.
    buffered: usize,
    /// Where this walk has failed; nothing is read after that unless a type has recovered.
    failed: Option<String>,
    /// Whether a failure of this walk only asks for another one.
    again: bool,
    /// Whether this walk has a placeholder in it.
    replaced: bool,
}

/// What is known about a key path.
#[derive(Default)]
struct Mark {
    /// The value is wrong or missing, and reported.
    wrong: bool,
    /// Nothing is left to find here.
    exhausted: bool,
    /// No placeholder fits, so the member or item is left out.
    dropped: bool,
    /// The value is read as absent.
    absent: bool,
    /// The member does not count: another spelling of its field wins, or its name does not fit.
    ignored: bool,
    /// The type of this table does not take the names as they are stored.
    by_tree_names: bool,
    /// A type has recovered from an error at this path or below it.
    recovered: bool,
    /// A missing field of this table was reported.
    incomplete: bool,
    /// No layer defines this table; it is tried because variables may fill it.
    tried: Option<Tried>,
    /// Fields that were missing in this table, with what was found for them.
    found: Vec<(&'static str, Node)>,
}

#[derive(Clone, Default)]
struct Tried {
    /// The table that it is in.
    table: String,
    /// What else is missing there, for the message if no variable fills it.
    absent: String,
}

/// What is known about a type.
#[derive(Default)]
struct TypeMark {
    /// How many placeholders it has rejected.
    rejected: usize,
    /// How many variants of an enum have no placeholder, because they contain the enum itself.
    skipped_variants: usize,
    /// Whether it is inside an `Option` and rejects empty text.
    rejects_empty: bool,
    /// Of the hidden enum of a struct with `flatten`: what it makes of a name that is no field.
    other_field: Option<u64>,
    /// Of the same: which names are fields.
    fields: BTreeMap<String, bool>,
}

impl State {
    /// Counts progress.
    fn learn(&mut self, new: bool) -> bool {
        self.learned += usize::from(new);
        new
    }

    fn mark(&self, path: &str) -> Option<&Mark> {
        self.marks.get(path)
    }

    /// Sets a flag of a path, and counts progress if it was not set.
    fn set(&mut self, path: &str, flag: fn(&mut Mark) -> &mut bool) -> bool {
        let flag = flag(self.marks.entry(path.to_owned()).or_default());
        let new = !std::mem::replace(flag, true);
        self.learn(new)
    }

    fn is_spent(&self, path: &str) -> bool {
        self.mark(path).is_some_and(|mark| mark.wrong || mark.exhausted)
    }

    /// The marks of all paths below this one.
    fn below(&self, path: &str) -> impl Iterator<Item = (&String, &Mark)> {
        let below = if path.is_empty() { String::new() } else { format!("{path}.") };
        let from = self.marks.range(below.clone()..);
        from.take_while(move |(known, _)| known.starts_with(&below))
            .filter(|(known, _)| !known.is_empty())
    }

    fn is_spent_below(&self, path: &str) -> bool {
        self.below(path).any(|(_, mark)| mark.wrong || mark.exhausted)
    }

    /// Whether a type is known to recover from what is wrong at this path.
    fn is_recovered(&self, path: &str) -> bool {
        let mut ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
        ends.any(|end| self.mark(&path[..end]).is_some_and(|mark| mark.recovered))
    }

    /// A type has read on after an error, or the walk has succeeded: the error is none.
    fn recover(&mut self) {
        if let Some(path) = self.failed.take() {
            self.take_back(&path);
            self.set(&path, |mark| &mut mark.recovered);
        }
    }

    fn add(&mut self, path: &str, error: Error) {
        // After an error that nothing recovers from, there is no other one but what is above it.
        if self.failed.as_ref().is_some_and(|failed| !failed.starts_with(path)) {
            self.recover();
        }
        self.failed.get_or_insert_with(|| path.to_owned());
        if self.is_recovered(path) {
            return;
        }
        // It may be found again on a later walk.
        if self.set(path, |mark| &mut mark.wrong) {
            self.errors.push(if path.is_empty() { error } else { error.with_key(path) });
        }
    }

    /// Forgets what was reported of a path and of those below it.
    fn take_back(&mut self, path: &str) {
        let below = format!("{path}.");
        let of_it = |key: &str| key == path || key.starts_with(&below);
        self.errors.retain(|error| !error.key().is_some_and(of_it));
        if let Some(mark) = self.marks.get_mut(path) {
            (mark.wrong, mark.exhausted) = (false, false);
        }
        for (_, mark) in
            self.marks.range_mut(below.clone()..).take_while(|(known, _)| known.starts_with(&below))
        {
            (mark.wrong, mark.exhausted) = (false, false);
        }
    }

    /// Gives a table a field that it lacks.
    fn put(&mut self, table: &str, field: &'static str, node: Node) {
        let found = &mut self.marks.entry(table.to_owned()).or_default().found;
        // Only once: if serde does not take it, it is missing again.
        let new = found.iter().all(|(known, _)| *known != field);
        if new {
            found.push((field, node));
        }
        self.learn(new);
    }

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
    pub(super) fn new(root: &'a Table, names: Names) -> Self {
        Self { root, state: RefCell::new(State { names, ..State::default() }) }
    }

    /// The errors, with their keys as they may be shown.
    pub(super) fn into_errors(self) -> Vec<Error> {
        let State { errors, names, .. } = self.state.into_inner();
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

    /// A new walk.
    pub(super) fn start_walk(&self) {
        let mut state = self.state.borrow_mut();
        (state.failed, state.again, state.replaced) = (None, false, false);
    }

    /// The walk has succeeded. `false` if something was learned on the way by a failure that a type
    /// has recovered from, so that the walk has to be repeated.
    pub(super) fn end_walk(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.recover();
        !state.again
    }

    /// Another value is read.
    pub(super) fn read_on(&self) {
        self.state.borrow_mut().recover();
    }

    /// The walk has failed at this path, where there were `errors` before, and `learned` was known.
    pub(super) fn fail(&self, path: &str, errors: usize, learned: usize) {
        let mut state = self.state.borrow_mut();
        if state.errors.len() == errors && state.learned > learned {
            (state.failed, state.again) = (None, true);
        } else if !state.again {
            state.failed.get_or_insert_with(|| path.to_owned());
        }
    }

    /// Notes an error that does not end the walk.
    fn add_beside(&self, path: &str, error: Error) {
        let mut state = self.state.borrow_mut();
        let failed = state.failed.take();
        state.add(path, error);
        state.failed = failed;
    }

    /// A placeholder replaces a value in this walk, so its result is none.
    pub(super) fn replace(&self) {
        self.state.borrow_mut().replaced = true;
    }

    pub(super) fn has_replaced(&self) -> bool {
        self.state.borrow().replaced
    }

    /// Whether a placeholder replaces the value at this path, so that the walk continues after it.
    pub(super) fn is_spent(&self, path: &str) -> bool {
        self.state.borrow().is_spent(path)
    }

    /// Nothing is left to find at this path.
    pub(super) fn exhaust(&self, path: &str) {
        let mut state = self.state.borrow_mut();
        let recovers =
            state.is_recovered(path) || state.below(path).any(|(_, mark)| mark.recovered);
        if !recovers {
            state.set(path, |mark| &mut mark.exhausted);
        }
    }

    /// Leaves out a member or an item that no placeholder fits.
    pub(super) fn drop_out(&self, path: &str) {
        self.state.borrow_mut().set(path, |mark| &mut mark.dropped);
    }

    pub(super) fn is_dropped(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.dropped)
    }

    /// How many placeholders a type has rejected.
    pub(super) fn rejected_placeholders(&self, of: &'static str) -> usize {
        self.state.borrow().types.get(of).map_or(0, |mark| mark.rejected)
    }

    /// A type rejected a placeholder.
    pub(super) fn reject_placeholder(&self, of: &'static str) {
        let mut state = self.state.borrow_mut();
        state.types.entry(of).or_default().rejected += 1;
        state.learn(true);
    }

    /// How many variants of an enum contain the enum itself.
    pub(super) fn skipped_variants(&self, of: &'static str) -> usize {
        self.state.borrow().types.get(of).map_or(0, |mark| mark.skipped_variants)
    }

    /// Skips one more variant of an enum; `false` if all of them were tried.
    pub(super) fn skip_variant(&self, of: &'static str, variants: usize) -> bool {
        let mut state = self.state.borrow_mut();
        let skipped = &mut state.types.entry(of).or_default().skipped_variants;
        let new = *skipped + 1 < variants;
        *skipped += usize::from(new);
        state.learn(new)
    }

    /// What the enum of a struct's fields makes of a name that is no field.
    pub(super) fn other_field(&self, of: &'static str) -> Option<u64> {
        self.state.borrow().types.get(of)?.other_field
    }

    pub(super) fn note_other_field(&self, of: &'static str, other: u64) {
        let mut state = self.state.borrow_mut();
        let new = state.types.entry(of).or_default().other_field.replace(other).is_none();
        state.learn(new);
    }

    /// Whether a name is a field of a struct, as far as it is known.
    pub(super) fn is_field(&self, of: &'static str, name: &str) -> Option<bool> {
        self.state.borrow().types.get(of)?.fields.get(name).copied()
    }

    pub(super) fn note_field(&self, of: &'static str, name: &str, is_field: bool) {
        let mut state = self.state.borrow_mut();
        let fields = &mut state.types.entry(of).or_default().fields;
        let new = fields.insert(name.to_owned(), is_field).is_none();
        state.learn(new);
    }

    /// Whether the value at this path is read as absent.
    pub(super) fn is_absent(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.absent)
    }

    /// Reads the value at a path as absent from now on.
    pub(super) fn read_as_absent(&self, path: &str) {
        self.state.borrow_mut().set(path, |mark| &mut mark.absent);
    }

    /// Whether a type inside an `Option` is known to reject empty text.
    pub(super) fn rejects_empty(&self, visitor: &'static str) -> bool {
        self.state.borrow().types.get(visitor).is_some_and(|mark| mark.rejects_empty)
    }

    pub(super) fn reject_empty(&self, visitor: &'static str) {
        let mut state = self.state.borrow_mut();
        let mark = state.types.entry(visitor).or_default();
        let new = !std::mem::replace(&mut mark.rejects_empty, true);
        state.learn(new);
    }

    /// Takes back what was reported of a path, and below it, since there were only `errors`.
    pub(super) fn take_back_since(&self, errors: usize, path: &str) {
        let mut state = self.state.borrow_mut();
        for error in state.errors.split_off(errors) {
            if let Some(mark) = state.marks.get_mut(error.key().unwrap_or_default()) {
                mark.wrong = false;
            }
        }
        state.take_back(path);
    }

    /// Whether the members of a table are handed out under the names that the tree has.
    pub(super) fn is_read_by_tree_names(&self, table: &str) -> bool {
        self.state.borrow().mark(table).is_some_and(|mark| mark.by_tree_names)
    }

    /// Hands out the members of a table under the tree's names from now on; `false` if it was so
    /// already.
    pub(super) fn read_by_tree_names(&self, table: &str) -> bool {
        self.state.borrow_mut().set(table, |mark| &mut mark.by_tree_names)
    }

    /// Leaves out a member that is no field of the struct, or no key of the map.
    pub(super) fn ignore(&self, path: &str) {
        self.state.borrow_mut().marks.entry(path.to_owned()).or_default().ignored = true;
    }

    pub(super) fn is_ignored(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.ignored)
    }

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

    /// Notes which member is handed out, and which one before it was another spelling of the same
    /// field.
    pub(super) fn hand_out(&self, member: &str, spelling_before: Option<String>) {
        self.state.borrow_mut().last_member = (member.to_owned(), spelling_before);
    }

    /// Whether the member that was handed out last is another spelling of a field handed out
    /// before.
    pub(super) fn is_last_a_spelling(&self) -> bool {
        self.state.borrow().last_member.1.is_some()
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

    /// Two spellings of a field within one layer, neither of them exact.
    pub(super) fn report_ambiguous(&self, path: &str, one: &str, other: &str) {
        let shown = {
            let state = self.state.borrow();
            [path, one, other].map(|path| state.names.shown(path))
        };
        let [shown, one, other] = shown;
        self.add_beside(path, error::ambiguous(&shown, &one, &other));
    }

    /// What is wrong with the value at a path.
    pub(super) fn report(&self, path: &str, node: Option<&Node>, message: &str) {
        let origin = node.map(|node| &*node.origin);
        let mut state = self.state.borrow_mut();
        let error = error::invalid(&state.names.shown(path), origin, message);
        state.add(path, error);
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
            Objection::Missing(field) => self.missing(path, field, &[]),
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

fn is_secret(node: &Node) -> bool {
    matches!(*node.origin, Origin::Secret { .. })
}

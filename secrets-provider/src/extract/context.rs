//! What one extraction has found out: serde ends its walk at the first wrong value, so the walk is repeated, each
//! time with what was learnt before, until nothing new comes of it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Guessed;
use super::error::Problem;
use super::fields::{is_link, variables_of};
use crate::error::{Error, ErrorKind};
use crate::tree::{Node, Origin, Table, Value, join};

/// One extraction's knowledge, by key path.
pub(super) struct Context<'a> {
    root: &'a Table,
    pub(super) errors: RefCell<Vec<Error>>,
    /// Counts what was found out.
    learned: Cell<usize>,
    /// Values that are known to be wrong or missing.
    wrong: RefCell<BTreeSet<String>>,
    /// Where nothing is left to find but what is known.
    exhausted: RefCell<BTreeSet<String>>,
    /// What no value could stand in for: members and items to leave out.
    dropped: RefCell<BTreeSet<String>>,
    /// By type: how many of the values that could stand in for it were refused.
    attempts: RefCell<BTreeMap<&'static str, usize>>,
    /// What is read as an absent value.
    absent: RefCell<BTreeSet<String>>,
    /// Visitors of an `Option` of a type that refuses empty text.
    refuse_empty: RefCell<BTreeSet<&'static str>>,
    /// Members that do not count: another spelling of the same field outranks them, or their names do not fit.
    outranked: RefCell<BTreeSet<String>>,
    /// Tables that a missing field was reported of.
    lacking: RefCell<BTreeSet<String>>,
    /// By table: fields that were missing there, and what was found for them elsewhere.
    found: RefCell<BTreeMap<String, Vec<(&'static str, Node)>>>,
    /// Tables that no layer gives, tried because variables may fill them; the table they are in, and what to say if they
    /// do not.
    tried: RefCell<BTreeMap<String, (String, String)>>,
    /// The member that was handed out last; and, where it is another spelling of the same field, one before it.
    pub(super) last: RefCell<(String, Option<String>)>,
    /// How often text was read for a type that takes any.
    pub(super) buffered: Cell<usize>,
}

impl<'a> Context<'a> {
    pub(super) fn new(root: &'a Table) -> Self {
        Self {
            root,
            errors: RefCell::default(),
            learned: Cell::default(),
            wrong: RefCell::default(),
            exhausted: RefCell::default(),
            dropped: RefCell::default(),
            attempts: RefCell::default(),
            absent: RefCell::default(),
            refuse_empty: RefCell::default(),
            outranked: RefCell::default(),
            lacking: RefCell::default(),
            found: RefCell::default(),
            tried: RefCell::default(),
            last: RefCell::default(),
            buffered: Cell::default(),
        }
    }

    /// Grows with everything that a walk finds out.
    pub(super) fn learned(&self) -> usize {
        self.learned.get()
    }

    fn learn(&self, new: bool) -> bool {
        self.learned.set(self.learned.get() + usize::from(new));
        new
    }

    /// Whether another value stands in for the one at this path, so that the walk goes on behind it.
    pub(super) fn spent(&self, path: &str) -> bool {
        self.wrong.borrow().contains(path) || self.exhausted.borrow().contains(path)
    }

    pub(super) fn exhaust(&self, path: String) {
        let new = self.exhausted.borrow_mut().insert(path);
        self.learn(new);
    }

    /// Whether a path below this one is spent: what the type makes of the whole says nothing, then.
    fn spent_below(&self, path: &str) -> bool {
        let below = if path.is_empty() { String::new() } else { format!("{path}.") };
        [&self.wrong, &self.exhausted].into_iter().any(|paths| {
            paths
                .borrow()
                .range(below.clone()..)
                .find(|known| !known.is_empty())
                .is_some_and(|known| known.starts_with(&below))
        })
    }

    /// Leaves out a member or an item that nothing can stand in for.
    pub(super) fn drop_out(&self, path: String) {
        let new = self.dropped.borrow_mut().insert(path);
        self.learn(new);
    }

    pub(super) fn is_dropped(&self, path: &str) -> bool {
        self.dropped.borrow().contains(path)
    }

    /// Which of the values that may stand in for a type is next.
    pub(super) fn attempt(&self, type_name: &'static str) -> usize {
        self.attempts.borrow().get(type_name).copied().unwrap_or_default()
    }

    /// A type refused what was to stand in for it.
    pub(super) fn refused(&self, type_name: &'static str) {
        *self.attempts.borrow_mut().entry(type_name).or_default() += 1;
        self.learn(true);
    }

    /// Whether what stands at this path is read as absent.
    pub(super) fn is_absent(&self, path: &str) -> bool {
        self.absent.borrow().contains(path)
    }

    /// Whether empty text has turned out to be no value of this visitor's type.
    pub(super) fn refuses_empty(&self, visitor: &'static str) -> bool {
        self.refuse_empty.borrow().contains(visitor)
    }

    pub(super) fn refused_empty(&self, visitor: &'static str) {
        let new = self.refuse_empty.borrow_mut().insert(visitor);
        self.learn(new);
    }

    /// Takes back what was reported of a path, and below it, since `errors` were known.
    pub(super) fn take_back_since(&self, errors: usize, path: &str) {
        for error in self.errors.borrow_mut().drain(errors..) {
            self.wrong.borrow_mut().remove(error.key().unwrap_or_default());
        }
        self.take_back(path);
    }

    /// Reads what stands at a path as absent from now on.
    pub(super) fn read_as_absent(&self, path: String) {
        let new = self.absent.borrow_mut().insert(path);
        self.learn(new);
    }

    /// Leaves out a member that is no field of the struct, or no key of the map.
    pub(super) fn ignore(&self, path: String) {
        self.outranked.borrow_mut().insert(path);
    }

    pub(super) fn is_outranked(&self, path: &str) -> bool {
        self.outranked.borrow().contains(path)
    }

    pub(super) fn found(&self, table: &str) -> Vec<(&'static str, Node)> {
        self.found.borrow().get(table).cloned().unwrap_or_default()
    }

    /// The fields that a variable named after their path has filled.
    pub(super) fn guessed(&self) -> Vec<Guessed> {
        let found = self.found.borrow();
        let fields =
            found.iter().flat_map(|(table, fields)| fields.iter().map(move |field| (table, field)));
        fields
            .filter(|(_, (_, node))| node.is_leaf() && !matches!(node.value, Value::Null))
            .map(|(table, (field, node))| Guessed {
                key: join(table, field),
                origin: node.origin.clone(),
            })
            .collect()
    }

    /// Whether this table is one that no layer gives.
    pub(super) fn is_tried(&self, path: &str) -> bool {
        self.tried.borrow().contains_key(path)
    }

    /// Whether the member that was handed out last is another spelling of a field handed out before.
    pub(super) fn is_last_a_spelling(&self) -> bool {
        self.last.borrow().1.is_some()
    }

    /// Two spellings of one field. They come highest layer first, so the last one handed out loses, unless both are of
    /// one layer and it is the field's own name.
    pub(super) fn same_field(&self, table: &str, field: &str, rank: impl Fn(&str) -> Option<u32>) {
        let (last, before) = self.last.borrow().clone();
        let mut loser = last.as_str();
        if let Some(before) = before.as_deref().filter(|before| rank(before) == rank(&last)) {
            if last == field {
                loser = before;
                self.take_back(&join(table, before));
            } else if before != field && rank(field) != rank(before) {
                self.report_ambiguous(
                    &join(table, field),
                    &join(table, before),
                    &join(table, &last),
                );
            }
        }
        let new = self.outranked.borrow_mut().insert(join(table, loser));
        self.learn(new);
    }

    /// Forgets what was reported of a path, and of what is below it.
    fn take_back(&self, path: &str) {
        let below = format!("{path}.");
        let of_it = |key: &str| key == path || key.starts_with(&below);
        self.errors.borrow_mut().retain(|error| !error.key().is_some_and(of_it));
        self.wrong.borrow_mut().retain(|known| !of_it(known));
        self.exhausted.borrow_mut().retain(|known| !of_it(known));
    }

    /// A required field that no layer gives: a nested one may be filled by the variable that is named after its
    /// path, `DATABASE_URL` for `database.url`; nothing else is guessed.
    pub(super) fn missing(&self, table: &str, field: &'static str, absent: &[&str]) {
        let path = join(table, field);
        // Given, but left out as nothing can stand in for it; under which name, an alias does not tell.
        if self.spent(&path) || self.has_dropped_member(table) {
            return;
        }
        let message =
            match absent.iter().filter(|other| **other != field).collect::<Vec<_>>().as_slice() {
                [] => String::new(),
                others => {
                    let others: Vec<_> = others.iter().map(|other| format!("`{other}`")).collect();
                    format!("; not there either, needed or not: {}", others.join(", "))
                }
            };
        if !table.is_empty()
            && let Some(node) = self.variable(&path)
        {
            return self.put(table, field, node);
        }
        if !self.is_tried(&path)
            && let Some(origin) = self.variable_below(&path)
        {
            self.tried.borrow_mut().insert(path, (table.to_owned(), message));
            return self.put(table, field, Node::new(Value::Table(Table::default()), origin));
        }
        self.lacks(table, &path, &message);
        // What stands in for it takes its place on the next walk.
        let origin = Arc::new(Origin::Environment { variable: String::new() });
        self.put(table, field, Node::new(Value::Null, origin));
    }

    fn has_dropped_member(&self, table: &str) -> bool {
        let below = if table.is_empty() { String::new() } else { format!("{table}.") };
        let dropped = self.dropped.borrow();
        dropped.iter().any(|path| path.strip_prefix(&below).is_some_and(|name| !name.contains('.')))
    }

    /// The value of this path was made up to see whether variables fill it, and they do not.
    pub(super) fn nothing_filled(&self, path: &str) {
        let (table, message) = self.tried.borrow().get(path).cloned().unwrap_or_default();
        self.lacks(&table, path, &message);
    }

    /// A table lacks a field. The first one is reported, and names the others.
    fn lacks(&self, table: &str, path: &str, absent: &str) {
        match self.lacking.borrow_mut().insert(table.to_owned()) {
            true => self.report_missing(path, absent),
            false => self.exhaust(path.to_owned()),
        }
    }

    /// Tables that were tried and got nothing, after a walk that succeeded.
    pub(super) fn check_tried(&self) {
        let tried = self.tried.borrow().clone();
        for (path, (_, absent)) in tried {
            let below = format!("{path}.");
            let filled = self.found.borrow().iter().any(|(table, fields)| {
                (*table == path || table.starts_with(&below))
                    && fields
                        .iter()
                        .any(|(field, node)| node.is_leaf() && !self.spent(&join(table, field)))
            });
            if !filled && !self.spent(&path) && !self.spent_below(&path) {
                self.report_missing(&path, &absent);
            }
        }
    }

    fn put(&self, table: &str, field: &'static str, node: Node) {
        let mut found = self.found.borrow_mut();
        let fields = found.entry(table.to_owned()).or_default();
        // Once only: where serde does not take it, it is missing again.
        if self.learn(fields.iter().all(|(known, _)| *known != field)) {
            fields.push((field, node));
        }
    }

    /// The variable that is named after a path, of the higher layer.
    fn variable(&self, path: &str) -> Option<Node> {
        let wanted = variables_of(path);
        let mut nodes: Vec<_> =
            self.variables().filter(|(name, _)| wanted.contains(name)).collect();
        nodes.sort_by_key(|(name, node)| (node.rank, **name == wanted[0]));
        nodes.pop().map(|(_, node)| node.clone())
    }

    fn variable_below(&self, path: &str) -> Option<Arc<Origin>> {
        let starts = variables_of(path).map(|name| name + "_");
        let mut variables = self.variables();
        variables
            .find(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
            .map(|(_, node)| node.origin.clone())
    }

    fn variables(&self) -> impl Iterator<Item = (String, &'a Node)> {
        let variables = self
            .root
            .entries
            .iter()
            .filter(|(_, node)| node.origin.is_variable() && node.is_leaf());
        variables
            .map(|(name, node)| (name.to_ascii_lowercase(), node))
            .filter(|(name, node)| !is_link(name, node))
    }

    fn report_missing(&self, path: &str, absent: &str) {
        let variable = path.to_ascii_uppercase().replace('.', "__");
        let error = Error::new(ErrorKind::Invalid, format!("key `{path}` is missing{absent}")).with_hint(format!(
            "no layer gives it: add it to a secret, or set the variable `{variable}` in the environment or the `.env` file"
        ));
        self.add(path, error);
    }

    /// Two spellings within one layer, neither of them exact.
    pub(super) fn report_ambiguous(&self, path: &str, one: &str, other: &str) {
        let mut spellings = [one, other];
        spellings.sort_unstable();
        let [one, other] = spellings;
        let error = Error::new(
            ErrorKind::Invalid,
            format!("key `{path}` is given twice in one layer: as `{one}` and `{other}`"),
        )
        .with_hint("remove one of them");
        self.add(path, error);
    }

    /// What is wrong with the value at a path.
    pub(super) fn report(&self, path: &str, node: Option<&Node>, message: &str) {
        let place =
            if path.is_empty() { "the settings".to_owned() } else { format!("key `{path}`") };
        let error = match node {
            Some(node) => {
                let message = format!("invalid value for {place}: {message} ({})", node.origin);
                let error = Error::new(ErrorKind::Invalid, message);
                match &*node.origin {
                    Origin::Secret { name, .. } => error.with_secret(name),
                    _ => error,
                }
            }
            None => Error::new(ErrorKind::Invalid, format!("{place}: {message}")),
        };
        self.add(path, error);
    }

    /// Reports what a type objects to, of the value at a path.
    pub(super) fn object(
        &self,
        path: &str,
        node: Option<&Node>,
        problem: &Problem,
        expected: &str,
        buffered: bool,
    ) {
        match problem {
            Problem::Missing(field) => self.missing(path, field, &[]),
            Problem::Refused if self.spent_below(path) => {}
            _ if node.is_some() && self.is_tried(path) => self.nothing_filled(path),
            // What else stands in the environment is nobody's mistake: the next walk does not see it.
            Problem::UnknownField(name) if self.is_variables(node, name) => {
                let new = self.outranked.borrow_mut().insert(join(path, name));
                self.learn(new);
            }
            // What a type calls a field may be a value: only a key that stands there is one.
            Problem::UnknownField(name) if !node.is_some_and(|node| node.has_key(name)) => {
                self.report(path, node, &Problem::Refused.describe(expected, buffered));
            }
            _ => self.report(path, node, &problem.describe(expected, buffered)),
        }
    }

    /// Whether a member of a table (without a node, of the whole) is given by a variable.
    fn is_variables(&self, node: Option<&Node>, member: &str) -> bool {
        let table = match node.map(|node| &node.value) {
            None => self.root,
            Some(Value::Table(table)) => table,
            Some(_) => return false,
        };
        table.entries.get(member).is_some_and(|member| member.origin.is_variable())
    }

    fn add(&self, path: &str, error: Error) {
        let new = self.wrong.borrow_mut().insert(path.to_owned());
        // Found again on a later walk, otherwise.
        if self.learn(new) {
            let error = if path.is_empty() { error } else { error.with_key(path) };
            self.errors.borrow_mut().push(error);
        }
    }
}

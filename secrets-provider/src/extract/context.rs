//! What one extraction has found out: serde ends its walk at the first wrong value, so the walk is repeated, each
//! time with what was learnt before, until nothing new comes of it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::failure::Problem;
use super::names::relaxed;
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
    /// Empty text that stands for an absent value of a type that is no text.
    empty: RefCell<BTreeSet<String>>,
    /// Members that another spelling of the same field outranks.
    outranked: RefCell<BTreeSet<String>>,
    /// By table: the member to hand out first, to find the one that it is at odds with.
    leads: RefCell<BTreeMap<String, String>>,
    /// By table: fields that were missing there, and what was found for them elsewhere.
    found: RefCell<BTreeMap<String, Vec<(&'static str, Node)>>>,
    /// Tables that no layer gives, tried because variables may fill them; and what to say if they do not.
    tried: RefCell<BTreeMap<String, String>>,
    /// The member that was handed out last.
    pub(super) last: RefCell<String>,
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
            empty: RefCell::default(),
            outranked: RefCell::default(),
            leads: RefCell::default(),
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

    /// Whether a path is best left for last, as it ends the walk.
    pub(super) fn spent(&self, path: &str) -> bool {
        self.wrong.borrow().contains(path) || self.exhausted.borrow().contains(path)
    }

    pub(super) fn exhaust(&self, path: String) {
        let new = self.exhausted.borrow_mut().insert(path);
        self.learn(new);
    }

    /// Whether empty text at this path has turned out to be no value of its type.
    pub(super) fn stands_for_none(&self, path: &str) -> bool {
        self.empty.borrow().contains(path)
    }

    /// Takes back what was reported since `errors` were known, and reads the path as absent from now on.
    pub(super) fn read_as_none(&self, path: String, errors: usize) {
        let mut reported = self.errors.borrow_mut();
        for error in reported.drain(errors..) {
            self.wrong.borrow_mut().remove(error.key().unwrap_or_default());
        }
        drop(reported);
        self.exhausted.borrow_mut().retain(|known| !known.starts_with(path.as_str()));
        let new = self.empty.borrow_mut().insert(path);
        self.learn(new);
    }

    pub(super) fn is_outranked(&self, path: &str) -> bool {
        self.outranked.borrow().contains(path)
    }

    pub(super) fn leads(&self, table: &str) -> Option<String> {
        self.leads.borrow().get(table).cloned()
    }

    pub(super) fn found(&self, table: &str) -> Vec<(&'static str, Node)> {
        self.found.borrow().get(table).cloned().unwrap_or_default()
    }

    /// Whether this table is one that no layer gives.
    pub(super) fn is_tried(&self, path: &str) -> bool {
        self.tried.borrow().contains_key(path)
    }

    /// Two spellings of one field, the last one handed out and another: the higher layer's counts, the field's own
    /// name breaks a tie.
    pub(super) fn same_field(&self, table: &str, field: &str, rank: impl Fn(&str) -> u32) {
        let last = self.last.borrow().clone();
        let lead = self.leads.borrow().get(table).cloned().filter(|lead| *lead != last);
        let Some(lead) = lead else {
            // Handed out first, it will meet the other one.
            let new =
                self.leads.borrow_mut().insert(table.to_owned(), last.clone()).is_none_or(|old| old != last);
            self.learn(new);
            return;
        };
        self.leads.borrow_mut().remove(table);
        let loser = match rank(&lead).cmp(&rank(&last)) {
            std::cmp::Ordering::Less => &lead,
            std::cmp::Ordering::Greater => &last,
            std::cmp::Ordering::Equal if lead == field => &last,
            std::cmp::Ordering::Equal if last == field => &lead,
            std::cmp::Ordering::Equal => {
                self.report_ambiguous(&join(table, field), &join(table, &lead), &join(table, &last));
                &last
            }
        };
        let new = self.outranked.borrow_mut().insert(join(table, loser));
        self.learn(new);
    }

    /// A required field that no layer gives: a nested one may be filled by the variable that is named after its
    /// path, `DATABASE_URL` for `database.url`; nothing else is guessed.
    pub(super) fn missing(&self, table: &str, field: &'static str, absent: &[&str]) {
        let path = join(table, field);
        let message = match absent.iter().filter(|other| **other != field).collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            others => {
                let others: Vec<_> = others.iter().map(|other| format!("`{other}`")).collect();
                format!("; not there either, needed or not: {}", others.join(", "))
            }
        };
        if !self.wrong.borrow().contains(&path) {
            if !table.is_empty()
                && let Some(node) = self.variable(&path)
            {
                return self.put(table, field, node);
            }
            if !self.is_tried(&path)
                && let Some(origin) = self.variable_below(&path)
            {
                self.tried.borrow_mut().insert(path, message);
                return self.put(table, field, Node::new(Value::Table(Table::default()), origin));
            }
        }
        self.report_missing(&path, &message);
    }

    /// The value of this path was made up to see whether variables fill it, and they do not.
    pub(super) fn nothing_filled(&self, path: &str) {
        let message = self.tried.borrow().get(path).cloned().unwrap_or_default();
        self.report_missing(path, &message);
    }

    /// Tables that were tried and got nothing, after a walk that succeeded.
    pub(super) fn check_tried(&self) {
        let tried: Vec<String> = self.tried.borrow().keys().cloned().collect();
        for path in tried {
            let below = format!("{path}.");
            let filled = self.found.borrow().iter().any(|(table, fields)| {
                (*table == path || table.starts_with(&below)) && fields.iter().any(|(_, node)| node.is_leaf())
            });
            if !filled {
                self.nothing_filled(&path);
            }
        }
    }

    fn put(&self, table: &str, field: &'static str, node: Node) {
        self.found.borrow_mut().entry(table.to_owned()).or_default().push((field, node));
        self.learn(true);
    }

    /// The variable that is named after a path, of the higher layer.
    fn variable(&self, path: &str) -> Option<Node> {
        let wanted = relaxed(path);
        let mut nodes: Vec<_> = self.variables().filter(|(name, _)| relaxed(name) == wanted).collect();
        nodes.sort_by_key(|(name, node)| (node.rank, **name == path.replace('.', "_")));
        nodes.pop().map(|(_, node)| node.clone())
    }

    fn variable_below(&self, path: &str) -> Option<Arc<Origin>> {
        let start = relaxed(path);
        let mut variables = self.variables();
        variables
            .find(|(name, _)| relaxed(name).strip_prefix(start.as_str()).is_some_and(|rest| !rest.is_empty()))
            .map(|(_, node)| node.origin.clone())
    }

    fn variables(&self) -> impl Iterator<Item = (&'a String, &'a Node)> {
        self.root.entries.iter().filter(|(_, node)| node.origin.is_variable() && node.is_leaf())
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
        let place = if path.is_empty() { "the settings".to_owned() } else { format!("key `{path}`") };
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
            _ if node.is_some() && self.is_tried(path) => self.nothing_filled(path),
            // What a type calls a field may be a value: only a key that stands there is one.
            Problem::UnknownField(name) if !node.is_some_and(|node| node.has_key(name)) => {
                self.report(path, node, &Problem::Refused.describe(expected, buffered));
            }
            _ => self.report(path, node, &problem.describe(expected, buffered)),
        }
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

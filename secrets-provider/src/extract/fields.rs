//! Which member of a table is which field of a struct (rule T3).
//!
//! The exact name counts before other spellings, and a higher layer before a lower one. Two other
//! spellings within one layer are reported to the caller, and so is a name beside its
//! SCREAMING_CASE form in one secret, which is the same key twice (rule M4). Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::tree::spelling::relaxed;
use crate::tree::{Node, Origin, Table, Value};

/// A member on its way to a visitor: the name that it is handed out under, and its value.
pub(super) type Member<'a> = (Cow<'a, str>, Cow<'a, Node>);

/// A field with two spellings in one layer, of which neither counts more.
pub(super) struct Ambiguity<'a> {
    pub(super) field: &'static str,
    pub(super) spellings: [Spelled<'a>; 2],
}

/// One spelling of a name, and where it is.
#[derive(Clone)]
pub(super) struct Spelled<'a> {
    pub(super) name: &'a str,
    pub(super) origin: Arc<Origin>,
}

/// The members of a table that are fields of a struct, under the fields' names, and unknown members
/// of secrets, for `deny_unknown_fields`. Other variables of the environment are not mistakes.
pub(super) fn fields<'a>(
    table: &'a Table,
    known: &FieldIndex,
) -> (Vec<Member<'a>>, Vec<Ambiguity<'a>>) {
    let mut spellings: BTreeMap<&'static str, Vec<(&'a str, Cow<'a, Node>)>> = BTreeMap::new();
    let exact = |name: &str| known.exact(name);
    let (mut members, mut ambiguities) = (Vec::new(), Vec::new());
    for (name, node) in &table.entries {
        // A secret's key is found as it is stored, too.
        let stored = node.stored_name().and_then(|stored| Some((stored, exact(stored)?)));
        let found = known.any_spelling(name);
        match stored.or_else(|| Some((node.stored_name().unwrap_or(name), found?))) {
            Some((name, field)) => {
                spellings.entry(field).or_default().push((name, Cow::Borrowed(node)));
            }
            None if matches!(&*node.origin, Origin::Secret { .. }) => {
                members.push((Cow::Borrowed(name.as_str()), Cow::Borrowed(node)));
            }
            None => {}
        }
    }
    // `DATABASE__URL` is `database.url`, but a field of that very name is found as well.
    for (name, node) in table.stored_nested() {
        if let Some(field) = known.any_spelling(name) {
            spellings.entry(field).or_insert_with(|| vec![(name, node)]);
        }
    }
    for (field, mut candidates) in spellings {
        // The higher layer first; in one layer, the exact spelling.
        candidates.sort_by_key(|(name, node)| std::cmp::Reverse((node.rank, *name == field)));
        if let [(one, first), others @ ..] = candidates.as_slice()
            && let Some((other, second)) = others.iter().find(|(other, second)| {
                first.rank == second.rank && (*one != field || is_in_capitals(other, one))
            })
        {
            let spelled = |name, node: &Node| Spelled { name, origin: node.origin.clone() };
            let spellings = [spelled(*one, first.as_ref()), spelled(*other, second.as_ref())];
            ambiguities.push(Ambiguity { field, spellings });
        }
        members.extend(merged(candidates).map(|node| (Cow::Borrowed(field), node)));
    }
    (members, ambiguities)
}

/// Whether a name is this one in SCREAMING_CASE, which answers to it.
fn is_in_capitals(name: &str, of: &str) -> bool {
    name != of && !name.contains(|c: char| c.is_ascii_lowercase()) && name.eq_ignore_ascii_case(of)
}

/// The fields of a struct, to look the name of each member up: structs and secrets may be large.
/// Made once for each type in an extraction, because a map may hold thousands of one.
pub(super) struct FieldIndex {
    fields: &'static [&'static str],
    positions: HashMap<&'static str, usize, RandomState>,
    by_relaxed: HashMap<String, &'static str, RandomState>,
}

impl FieldIndex {
    pub(super) fn of(fields: &'static [&'static str]) -> Self {
        // An alias may repeat a name; the first position counts.
        let positions = fields.iter().enumerate().rev();
        Self {
            fields,
            positions: positions.map(|(position, field)| (*field, position)).collect(),
            by_relaxed: fields.iter().rev().map(|field| (relaxed(field), *field)).collect(),
        }
    }

    /// The position in the struct of the field of this very name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    fn exact(&self, name: &str) -> Option<&'static str> {
        self.position(name).map(|position| self.fields[position])
    }

    fn any_spelling(&self, name: &str) -> Option<&'static str> {
        self.exact(name).or_else(|| self.by_relaxed.get(&relaxed(name)).copied())
    }
}

/// The first of several spellings. If all are tables, with what the others contain below it.
fn merged<'a>(candidates: Vec<(&'a str, Cow<'a, Node>)>) -> Option<Cow<'a, Node>> {
    let tables: Option<Vec<&Table>> = candidates
        .iter()
        .map(|(_, node)| match &node.value {
            Value::Table(table) => Some(table),
            _ => None,
        })
        .collect();
    let merged = tables.filter(|tables| tables.len() > 1).map(|tables| {
        let mut merged = Table::default();
        tables.into_iter().rev().for_each(|table| merged.overlay_by_rank(table.clone()));
        Value::Table(merged)
    });
    let (_, first) = candidates.into_iter().next()?;
    Some(match merged {
        Some(value) => Cow::Owned(Node { value, ..first.into_owned() }),
        None => first,
    })
}

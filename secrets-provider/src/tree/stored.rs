//! How JSON objects spell their members (rule M4).
//!
//! In a table, a member has one name, which fields, layers, figment and config-rs know it by: for a
//! `SCREAMING_CASE` key the lowercased one, nested at `__`. Beside it, the node keeps the key as it
//! is stored, and how many tables further up the object is that has it. Types for which names are
//! data (maps, variants, tags) read a table through [`Table::stored`], which puts each node back
//! where it is stored. Everything here takes time in proportion to the members, times the levels
//! that one key nests.

use std::borrow::Cow;

use super::{Node, Table, Value};
use crate::secret::Text;

/// What the name of a node in the tree does not say about the JSON objects that it came from.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Spelling {
    /// The key as it is stored, if that is not the name in the tree.
    name: Option<String>,
    /// How many tables further up the object with that key is.
    levels: usize,
    /// Whether the node is a table with members that are stored further up, as `A__B`.
    nests: bool,
    /// Whether such a table is also stored under its own name, even if it is empty there.
    is_stored: bool,
    /// The JSON text of an array.
    source_text: Option<Text>,
    /// The value stored under this name that such a table hides, as among variables (rule L2).
    hidden: Option<Node>,
}

impl Node {
    /// The same node, stored under this key, `levels` tables further up.
    pub(crate) fn stored_as(mut self, name: String, levels: usize) -> Self {
        let spelling = self.spelling.get_or_insert_default();
        (spelling.name, spelling.levels) = (Some(name), levels);
        self
    }

    /// The same node without the key that it was stored under, for another place.
    pub(crate) fn unnamed(mut self) -> Self {
        if let Some(spelling) = &mut self.spelling {
            (spelling.name, spelling.levels) = (None, 0);
        }
        self
    }

    /// The key as it is stored, if it is stored at this level and is not the name in the tree.
    pub(crate) fn stored_name(&self) -> Option<&str> {
        let spelling = self.spelling.as_deref().filter(|spelling| spelling.levels == 0)?;
        spelling.name.as_deref()
    }

    /// Whether it is one member of the object that it is stored in, with all that is below it.
    pub(crate) fn is_stored_whole(&self) -> bool {
        let spelling = self.spelling.as_deref();
        spelling.is_none_or(|spelling| !spelling.nests && spelling.hidden.is_none())
    }

    /// The same node with the text that its table or array was read from.
    pub(crate) fn with_source_text(mut self, text: Text) -> Self {
        match &mut self.value {
            Value::Table(table) => table.source_text = Some(text),
            _ => self.spelling.get_or_insert_default().source_text = Some(text),
        }
        self
    }

    /// The JSON text of a table or an array that a secret or a variable holds.
    pub(crate) fn source_text(&self) -> Option<&Text> {
        match &self.value {
            Value::Table(table) => table.source_text.as_ref(),
            Value::Array(_) => self.spelling.as_ref()?.source_text.as_ref(),
            _ => None,
        }
    }

    /// Notes that this table has members that are stored further up, and whether it is also stored
    /// under its own name.
    pub(super) fn nest(&mut self, is_stored: bool) {
        let spelling = self.spelling.get_or_insert_default();
        spelling.is_stored |= is_stored && !spelling.nests;
        spelling.nests = true;
    }

    /// Notes the value of the same name that this table hides.
    pub(super) fn hide(&mut self, hidden: Node) {
        self.spelling.get_or_insert_default().hidden = Some(hidden);
    }

    /// Adds the spelling of a table that is merged into this one.
    pub(crate) fn merge_spelling(&mut self, other: Option<Box<Spelling>>) {
        let Some(other) = other else { return };
        let spelling = self.spelling.get_or_insert_default();
        spelling.nests |= other.nests;
        spelling.is_stored |= other.is_stored;
        if spelling.name.is_none() {
            (spelling.name, spelling.levels) = (other.name, other.levels);
        }
        spelling.hidden = spelling.hidden.take().or(other.hidden);
    }
}

impl Table {
    /// The members under the keys that they are stored under; the name in the tree where there is
    /// no other.
    pub(crate) fn stored(&self) -> Vec<(&str, Cow<'_, Node>)> {
        let mut members = Vec::with_capacity(self.entries.len());
        self.entries.iter().for_each(|(name, node)| node.stored_here(name, &mut members));
        members
    }

    /// Whether a member of this table, or further down, is stored under another name than it has
    /// here.
    pub(crate) fn has_stored_names(&self) -> bool {
        self.entries.values().any(|node| {
            let spelling = node.spelling.as_ref();
            spelling.is_some_and(|spelling| spelling.name.is_some() || spelling.nests)
                || match &node.value {
                    Value::Table(table) => table.has_stored_names(),
                    _ => false,
                }
        })
    }

    /// Only the members that are stored here as `A__B`, while the tree has them further down.
    pub(crate) fn stored_nested(&self) -> Vec<(&str, Cow<'_, Node>)> {
        let mut members = Vec::new();
        for node in self.entries.values() {
            rest(node, 0, &mut members);
        }
        members
    }
}

impl Node {
    /// The members of the table at hand that this member of it, `name`, is stored as: itself under
    /// its stored name, and what is stored as `A__B`.
    pub(crate) fn stored_here<'a>(
        &'a self,
        name: &'a str,
        members: &mut Vec<(&'a str, Cow<'a, Self>)>,
    ) {
        if let Some(node_here) = rest(self, 0, members) {
            members.push((self.stored_name().unwrap_or(name), node_here));
        }
        if let Some(hidden) = self.spelling.as_ref().and_then(|spelling| spelling.hidden.as_ref())
            && hidden.stored_level() == 0
        {
            members.push((hidden.stored_name().unwrap_or(name), Cow::Borrowed(hidden)));
        }
    }

    fn stored_level(&self) -> usize {
        self.spelling.as_ref().map_or(0, |spelling| spelling.levels)
    }
}

/// A node without those members that are stored `level` tables further up, which go to `members`.
/// `None` if nothing is left.
fn rest<'a>(
    node: &'a Node,
    level: usize,
    members: &mut Vec<(&'a str, Cow<'a, Node>)>,
) -> Option<Cow<'a, Node>> {
    let Some(spelling) = node.spelling.as_deref() else { return Some(Cow::Borrowed(node)) };
    let mut left = Some(Cow::Borrowed(node));
    if let Value::Table(table) = &node.value
        && spelling.nests
    {
        let before = members.len();
        let mut entries = std::collections::BTreeMap::new();
        for (name, member) in &table.entries {
            if let Some(member) = rest(member, level + 1, members) {
                entries.insert(name.clone(), member);
            }
            let spelling = member.spelling.as_ref();
            if let Some(hidden) = spelling.and_then(|spelling| spelling.hidden.as_ref())
                && hidden.stored_level() == level + 1
                && let Some(name) = hidden.spelling.as_ref().and_then(|s| s.name.as_deref())
            {
                members.push((name, Cow::Borrowed(hidden)));
            }
        }
        if members.len() > before {
            let entries = entries.into_iter().map(|(name, node)| (name, node.into_owned()));
            let table = Table { entries: entries.collect(), source_text: None };
            let is_empty = table.entries.is_empty();
            left = (!is_empty || spelling.name.is_some() || spelling.is_stored)
                .then(|| Cow::Owned(Node { value: Value::Table(table), ..node.clone() }));
        }
    }
    match &spelling.name {
        Some(name) if level > 0 && spelling.levels == level => {
            members.extend(left.map(|node| (name.as_str(), node)));
            None
        }
        _ => left,
    }
}

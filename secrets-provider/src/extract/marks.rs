//! What is known about each key path and each type, for the walks of one extraction.
//!
//! There is one [`Mark`] per path, one [`TypeMark`] per type, and one [`State`] for both.
//! Everything that counts as progress goes through [`State::learn`], so that the loop of walks
//! cannot run for ever. The methods of [`Context`] here only ask for a mark or set one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Context;
use super::missing::{Instead, Shape};
use crate::error::Error;
use crate::tree::names::Names;
use crate::tree::spelling::same_name;
use crate::tree::{Node, Origin, Table};

#[derive(Default)]
pub(super) struct State {
    /// Each with the exact path of its key; their texts have the path as it may be shown.
    pub(super) errors: Vec<Error>,
    /// The names that may be shown.
    pub(super) names: Names,
    /// By key path.
    pub(super) marks: BTreeMap<String, Mark>,
    pub(super) types: BTreeMap<&'static str, TypeMark>,
    /// What is there instead of a missing field, and what type it has, by the field's path.
    pub(super) instead: BTreeMap<String, Instead>,
    pub(super) shapes: BTreeMap<String, Shape>,
    /// What is numbered as the items of a missing list, but not as keys below it, by its path.
    pub(super) numbered: BTreeMap<String, Arc<Origin>>,
    /// Grows with everything that a walk finds out.
    pub(super) learned: usize,
    /// The member that was handed out last and, if it is another spelling of the same field, the
    /// one before it.
    pub(super) last_member: (String, Option<String>),
    /// How often text was read for a type that takes any value.
    pub(super) buffered: usize,
    /// Where this walk has failed; nothing is read after that unless a type has recovered.
    pub(super) failed: Option<String>,
    /// Whether a failure of this walk only asks for another one.
    pub(super) again: bool,
    /// Whether this walk has a placeholder in it.
    pub(super) replaced: bool,
}

/// What is known about a key path.
#[derive(Default)]
pub(super) struct Mark {
    /// The value is wrong or missing, and reported.
    pub(super) wrong: bool,
    /// Nothing is left to find here.
    pub(super) exhausted: bool,
    /// No placeholder fits, so the member or item is left out.
    pub(super) dropped: bool,
    /// The value is read as absent.
    pub(super) absent: bool,
    /// The member does not count: another spelling of its field wins, or its name does not fit.
    pub(super) ignored: bool,
    /// The text here is the tag of an enum, which names the fields beside it.
    pub(super) tag: bool,
    /// The variant that the tag spells.
    pub(super) variant: Option<&'static str>,
    /// The type of this table does not take the names as they are stored.
    pub(super) by_tree_names: bool,
    /// A type has recovered from an error at this path or below it.
    pub(super) recovered: bool,
    /// A missing field of this table was reported.
    pub(super) incomplete: bool,
    /// Text is read as a list here.
    pub(super) listed: bool,
    /// A variable whose text is no table is left out here.
    pub(super) misfit: Option<Arc<Origin>>,
    /// Which variables are left out of a struct with `flatten`.
    pub(super) left_out: LeftOut,
    /// The names among them that fields need.
    pub(super) kept: BTreeSet<String>,
    /// No layer defines this table; it is tried because variables may fill it.
    pub(super) tried: Option<Tried>,
    /// Fields that were missing in this table, with what was found for them.
    pub(super) found: Vec<(&'static str, Node)>,
}

/// Which variables are not handed out to a struct with `flatten`, because they are not meant for
/// it: serde does not say which one does not fit.
#[derive(Clone, Copy, PartialEq, PartialOrd, Default)]
pub(super) enum LeftOut {
    #[default]
    Nothing,
    /// Those that nest, as a map of text would not take them.
    Tables,
    All,
}

#[derive(Clone, Default)]
pub(super) struct Tried {
    /// The table that it is in.
    pub(super) table: String,
    /// What else is missing there, for the message if no variable fills it.
    pub(super) absent: String,
}

/// What is known about a type.
#[derive(Default)]
pub(super) struct TypeMark {
    /// How many placeholders it has rejected.
    pub(super) rejected: usize,
    /// How many variants of an enum have no placeholder, because they contain the enum itself.
    pub(super) skipped_variants: usize,
    /// Whether it is inside an `Option` and rejects empty text.
    pub(super) rejects_empty: bool,
    /// Of the hidden enum of a struct with `flatten`: what it makes of a name that is no field.
    pub(super) other_field: Option<u64>,
    /// Of the same: which names are fields.
    pub(super) fields: BTreeMap<String, bool>,
}

impl State {
    /// Counts progress.
    pub(super) fn learn(&mut self, new: bool) -> bool {
        self.learned += usize::from(new);
        new
    }

    pub(super) fn mark(&self, path: &str) -> Option<&Mark> {
        self.marks.get(path)
    }

    /// Sets a flag of a path, and counts progress if it was not set.
    pub(super) fn set(&mut self, path: &str, flag: fn(&mut Mark) -> &mut bool) -> bool {
        let flag = flag(self.marks.entry(path.to_owned()).or_default());
        let new = !std::mem::replace(flag, true);
        self.learn(new)
    }

    pub(super) fn is_spent(&self, path: &str) -> bool {
        self.mark(path).is_some_and(|mark| mark.wrong || mark.exhausted)
    }

    /// The marks of all paths below this one.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = (&String, &Mark)> {
        let below = if path.is_empty() { String::new() } else { format!("{path}.") };
        let from = self.marks.range(below.clone()..);
        from.take_while(move |(known, _)| known.starts_with(&below))
            .filter(|(known, _)| !known.is_empty())
    }

    pub(super) fn is_spent_below(&self, path: &str) -> bool {
        self.below(path).any(|(_, mark)| mark.wrong || mark.exhausted)
    }

    /// Gives a table a field that it lacks.
    pub(super) fn put(&mut self, table: &str, field: &'static str, node: Node) {
        let found = &mut self.marks.entry(table.to_owned()).or_default().found;
        // Only once: if serde does not take it, it is missing again.
        let new = found.iter().all(|(known, _)| *known != field);
        if new {
            found.push((field, node));
        }
        self.learn(new);
    }
}

impl Context<'_> {
    /// Whether a placeholder replaces the value at this path, so that the walk continues after it.
    pub(super) fn is_spent(&self, path: &str) -> bool {
        self.state.borrow().is_spent(path)
    }

    /// Leaves out a member or an item that no placeholder fits.
    pub(super) fn drop_out(&self, path: &str) {
        self.state.borrow_mut().set(path, |mark| &mut mark.dropped);
    }

    pub(super) fn is_dropped(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.dropped)
    }

    /// Whether anything at all is known of a path: mostly not, and then no path is worth making.
    pub(super) fn has_marks(&self) -> bool {
        !self.state.borrow().marks.is_empty()
    }

    /// Notes that the text at this path names a variant.
    pub(super) fn know_tag(&self, path: &str) {
        self.state.borrow_mut().marks.entry(path.to_owned()).or_default().tag = true;
    }

    /// The variant that the tag at this path spells, as far as it is known.
    pub(super) fn variant_of_tag(&self, path: &str) -> Option<&'static str> {
        self.state.borrow().mark(path)?.variant
    }

    /// Notes which of these variants the tag at a path spells; `false` if it is none.
    pub(super) fn name_tag(
        &self,
        path: &str,
        tag: &str,
        variants: &'static [&'static str],
    ) -> bool {
        let Some(variant) = variants.iter().find(|variant| same_name(variant, tag)) else {
            return false;
        };
        let mut state = self.state.borrow_mut();
        state.marks.entry(path.to_owned()).or_default().variant = Some(variant);
        state.learn(true)
    }

    /// Whether the tag of this table was refused, so that its fields are not known.
    pub(super) fn has_refused_tag(&self, table: &str) -> bool {
        let state = self.state.borrow();
        let start = if table.is_empty() { 0 } else { table.len() + 1 };
        let is_refused = |mark: &Mark| mark.tag && mark.wrong;
        state.below(table).any(|(path, mark)| is_refused(mark) && !path[start..].contains('.'))
    }

    /// Whether the value at this path is read as absent.
    pub(super) fn is_absent(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.absent)
    }

    /// Reads the value at a path as absent from now on.
    pub(super) fn read_as_absent(&self, path: &str) {
        self.state.borrow_mut().set(path, |mark| &mut mark.absent);
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

    /// Text is read as a list at this path.
    pub(super) fn read_as_list(&self, path: &str) {
        self.state.borrow_mut().marks.entry(path.to_owned()).or_default().listed = true;
    }

    /// Whether this path is an item of such a list.
    pub(super) fn is_listed(&self, path: &str) -> bool {
        let list = path.rsplit_once('.').map_or("", |(list, _)| list);
        self.state.borrow().mark(list).is_some_and(|mark| mark.listed)
    }

    /// Leaves out a variable's text that is no table, or the list of which it is an item; `false`
    /// if that has not helped.
    pub(super) fn leave_out(&self, path: &str, node: &Node) -> bool {
        let path = match path.rsplit_once('.') {
            Some((list, _)) if self.is_listed(path) => list,
            _ => path,
        };
        let mut state = self.state.borrow_mut();
        let mark = state.marks.entry(path.to_owned()).or_default();
        let new = mark.misfit.is_none();
        mark.misfit = Some(node.origin.clone());
        mark.ignored = true;
        // It may have been found for a missing field.
        let (table, field) = path.rsplit_once('.').unwrap_or(("", path));
        if let Some(mark) = state.marks.get_mut(table) {
            mark.found.retain(|(found, _)| *found != field);
        }
        state.learn(new)
    }

    /// Leaves more variables out of a struct with `flatten` that does not take all of them; `false`
    /// if there are no more. A field that is missing then gets its variable back.
    pub(super) fn leave_out_variables(
        &self,
        at: &str,
        table: &Table,
        missing: Option<&str>,
    ) -> bool {
        let mut state = self.state.borrow_mut();
        let mark = state.marks.entry(at.to_owned()).or_default();
        if let Some(field) = missing {
            let member = table.entries.iter().find(|(name, _)| same_name(name, field));
            let new = mark.left_out != LeftOut::Nothing
                && member.is_some_and(|(name, _)| mark.kept.insert(name.clone()));
            return state.learn(new);
        }
        let mut variables = table.entries.values().filter(|node| node.origin.is_variable());
        let next = match mark.left_out {
            LeftOut::Nothing if variables.clone().any(|node| !node.is_leaf()) => LeftOut::Tables,
            LeftOut::Nothing | LeftOut::Tables if variables.next().is_some() => LeftOut::All,
            _ => return false,
        };
        mark.left_out = next;
        state.learn(true)
    }

    /// Whether a member is left out of a struct with `flatten`, unless it is a field of its own.
    pub(super) fn is_left_out(&self, at: &str, name: &str, node: &Node) -> bool {
        let state = self.state.borrow();
        let Some(mark) = state.mark(at) else { return false };
        let is_meant = match mark.left_out {
            LeftOut::Nothing => true,
            LeftOut::Tables => node.is_leaf(),
            LeftOut::All => false,
        };
        !is_meant && node.origin.is_variable() && !mark.kept.contains(name)
    }

    pub(super) fn is_ignored(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.ignored)
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
}

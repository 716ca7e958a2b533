//! serde's access to what a node contains: members of tables, items of arrays, versions of a value.
//!
//! Members that are dropped or lose to another spelling are left out here, and missing ones that
//! were found elsewhere are added, so the deserializer never knows about earlier walks.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::context::Context;
use super::error::{ExtractError, Objection, bad_name};
use super::fields::{self, Member};
use super::placeholder::placeholder;
use super::scalar::Key;
use super::serde_internals::{field_of, identity, is_buffer, is_field_enum, short_name};
use super::{Extractor, Place};
use crate::tree::{Node, Table, join};

/// The keys that only a try distinguishes from the fields of a struct with `flatten`.
struct Probe<'a> {
    left: Vec<(&'a str, &'a Node)>,
    /// Whether a name was no field, so that it was handed out under the wrong name.
    is_misnamed: bool,
}

/// The members of a table, in the order they are handed to a visitor.
pub(super) struct Members<'a> {
    /// The table of a type whose names may be data, until its first key is asked for: only then
    /// does it show whether it is a map, or a struct with `flatten`.
    unread: Option<&'a Table>,
    /// Whether names are handed out to see which of them are fields, and whether one of them is
    /// not.
    probing: Option<Probe<'a>>,
    members: std::vec::IntoIter<Member<'a>>,
    next: Option<Member<'a>>,
    /// The field that the member that comes next was taken for, as serde's macros number it.
    next_field: Option<u64>,
    /// The fields that were handed out already, as serde's macros number them, with their names in
    /// the table.
    fields: HashMap<u64, Cow<'a, str>, RandomState>,
    /// Whether the type has said which fields it has.
    is_struct: bool,
    at: &'a str,
    context: &'a Context<'a>,
}

impl<'a> Members<'a> {
    /// For a type whose names may be data: it gets them as they are stored.
    pub(super) fn of_map(table: &'a Table, at: &'a str, context: &'a Context<'a>) -> Self {
        Self { unread: Some(table), ..Self::new(Vec::new(), at, context) }
    }

    /// Reads the table, for a type with such keys: a field of a struct with `flatten` has the
    /// tree's name, all else is named as it is stored. Which names are fields is found out by
    /// handing them out, once for each type.
    fn read<K>(&mut self, table: &'a Table) {
        let context = self.context;
        let by_tree_names = context.is_read_by_tree_names(self.at);
        let mut members: Vec<Member<'_>> = Vec::with_capacity(table.entries.len());
        let (mut unknown, mut stored) = (Vec::new(), Vec::new());
        for (name, node) in &table.entries {
            let left_out = is_field_enum::<K>() && context.is_left_out(self.at, name, node);
            let is_field = match node.spelling {
                Some(_) if by_tree_names => Some(true),
                Some(_) if is_field_enum::<K>() => context.is_field(identity::<K>(), name),
                _ if left_out => context.is_field(identity::<K>(), name),
                _ => Some(false),
            };
            match is_field {
                Some(false) if left_out => {}
                Some(true) => members.push((Cow::Borrowed(name), Cow::Borrowed(node))),
                Some(false) => {
                    node.stored_here(name, &mut stored);
                    let stored = stored.drain(..);
                    members.extend(stored.map(|(name, node)| (Cow::Borrowed(name), node)));
                }
                None => unknown.push((name.as_str(), node)),
            }
        }
        if context.has_marks() {
            members.retain(|(name, _)| !context.is_ignored(&join(self.at, name)));
        }
        // A struct with `flatten` is read as a map, and may miss fields.
        for (field, node) in context.found(self.at) {
            if !table.entries.contains_key(field) {
                members.push((Cow::Borrowed(field), Cow::Owned(node)));
            }
        }
        // Of two spellings of one field, the first counts.
        members.sort_by_key(|(_, node)| std::cmp::Reverse(node.rank));
        *self = Self::new(members, self.at, context);
        if !unknown.is_empty() {
            self.probing = Some(Probe { left: unknown, is_misnamed: false });
        }
    }

    pub(super) fn of_struct(
        table: &'a Table,
        fields: &'static [&'static str],
        at: &'a str,
        context: &'a Context<'a>,
    ) -> Self {
        let index = context.fields_of(fields);
        let (mut members, ambiguities) = fields::fields(table, &index);
        context.report_ambiguities(at, ambiguities);
        if context.has_marks() {
            members.retain(|(name, _)| !context.is_ignored(&join(at, name)));
        }
        for (field, node) in context.found(at) {
            members.push((Cow::Borrowed(field), Cow::Owned(node)));
        }
        // Of two spellings of one field, the first counts. Within a layer, members come in the
        // order of the fields: then the tag of an adjacently tagged enum comes before its content,
        // so that serde need not buffer it.
        members.sort_by_cached_key(|(name, node)| {
            (std::cmp::Reverse(node.rank), index.position(name.as_ref()))
        });
        Self { is_struct: true, ..Self::new(members, at, context) }
    }

    fn new(mut members: Vec<Member<'a>>, at: &'a str, context: &'a Context<'a>) -> Self {
        if context.has_marks() {
            members.retain(|(name, _)| !context.is_dropped(&join(at, name)));
        }
        Self {
            unread: None,
            probing: None,
            members: members.into_iter(),
            next: None,
            next_field: None,
            fields: HashMap::default(),
            is_struct: false,
            at,
            context,
        }
    }

    /// The member that is handed out under this name.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        let members = self.members.as_slice();
        members.iter().find(|(member, _)| member == name).map(|(_, node)| &**node)
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = ExtractError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ExtractError> {
        if let Some(table) = self.unread.take() {
            self.read::<K::Value>(table);
        }
        if let Some(probe) = &mut self.probing {
            let of = identity::<K::Value>();
            let Some(other) = self.context.other_field(of) else {
                // No field has this name.
                let key = seed.deserialize(Key("\0"));
                match key.as_ref().ok().and_then(field_of) {
                    Some(other) => self.context.note_other_field(of, other),
                    None => _ = self.context.read_by_tree_names(self.at),
                }
                return Err(ExtractError::Reported);
            };
            if let Some((name, node)) = probe.left.pop() {
                let key = seed.deserialize(Key(name))?;
                let is_field = field_of(&key) != Some(other);
                self.context.note_field(of, name, is_field);
                probe.is_misnamed |= !is_field;
                self.next = Some((Cow::Borrowed(name), Cow::Borrowed(node)));
                return Ok(Some(key));
            }
            if probe.is_misnamed {
                return Err(ExtractError::Reported);
            }
            self.probing = None;
        }
        self.next = self.members.next();
        match &self.next {
            None => Ok(None),
            Some((name, node)) => match seed.deserialize(Key(name)) {
                Ok(key) => {
                    self.next_field = field_of(&key);
                    let before = self.next_field.and_then(|field| self.fields.get(&field));
                    self.context.hand_out(name, before.map(|name| name.to_string()));
                    Ok(Some(key))
                }
                Err(ExtractError::Unplaced(objection)) => {
                    let path = join(self.at, name);
                    self.context.report(&path, Some(node), &bad_name(&objection));
                    self.context.ignore(&path);
                    Err(ExtractError::Reported)
                }
                Err(ExtractError::Reported) => Err(ExtractError::Reported),
            },
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ExtractError> {
        match self.next.take() {
            Some((name, node)) => {
                // Below `flatten`, a member that is no field of the struct itself is read into a
                // buffer, and all of these are one field to serde's macros.
                let at = join(self.at, &name);
                if let Some(field) = self.next_field.filter(|_| !is_buffer::<S::Value>()) {
                    if !self.is_struct {
                        self.context.know_field(self.at, &name);
                    }
                    self.fields.insert(field, name);
                }
                descend(seed, &node, at, self.context)
            }
            None => Err(ExtractError::Unplaced(Objection::Rejected)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.unread.map_or(self.members.len(), |table| table.entries.len()))
    }
}

/// The items of an array.
pub(super) struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    /// Whether all are of one type, so that one can be left out.
    alike: bool,
    at: &'a str,
    context: &'a Context<'a>,
}

impl<'a> Items<'a> {
    pub(super) fn new(
        items: &'a [Node],
        alike: bool,
        at: &'a str,
        context: &'a Context<'a>,
    ) -> Self {
        Self { items: items.iter().enumerate(), alike, at, context }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ExtractError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ExtractError> {
        for (index, node) in self.items.by_ref() {
            let at = join(self.at, &index.to_string());
            match self.context.is_dropped(&at) {
                false => return descend(seed, node, at, self.context).map(Some),
                true if self.alike => {}
                true => return Err(ExtractError::Reported),
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The current value and, where the secret's previous version was fetched, the previous one: what
/// [`Rotating`](crate::Rotating) is read from.
pub(super) struct Versions<'a> {
    extractor: Extractor<'a>,
    current: bool,
}

impl<'a> Versions<'a> {
    pub(super) fn of(extractor: Extractor<'a>) -> Self {
        Self { extractor, current: true }
    }
}

impl<'de> SeqAccess<'de> for Versions<'_> {
    type Error = ExtractError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ExtractError> {
        if std::mem::take(&mut self.current) {
            return seed.deserialize(self.extractor.again()).map(Some);
        }
        let context = self.extractor.context;
        let at = format!("{} (previous)", self.extractor.at);
        let Some(node) = self.extractor.node().and_then(|node| node.previous.as_deref()) else {
            return Ok(None);
        };
        // A previous value that no longer fits is of no use, and no reason to reject the current
        // one.
        if context.is_absent(&at) {
            return Ok(None);
        }
        let errors = context.error_count();
        let read = descend(seed, node, at.clone(), context);
        if read.is_err() {
            context.take_back_since(errors, &at);
            context.read_as_absent(&at);
        }
        read.map(Some)
    }
}

/// Reads one node, and reports what the type itself objects to (`try_from`, `deserialize_with`) at
/// the node's path.
pub(super) fn descend<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &Node,
    at: String,
    context: &Context<'_>,
) -> Result<S::Value, ExtractError> {
    let expected = short_name::<S::Value>();
    let extractor =
        Extractor { place: Place::Node(node), at: at.clone(), expected, optional: false, context };
    context.read_on();
    let (known, buffered) = (context.learned(), context.buffered());
    let errors = context.error_count();
    if context.is_spent(&at) {
        context.replace();
        return placeholder(seed, &at, context).inspect_err(|_| {
            if context.learned() == known {
                context.drop_out(&at);
            }
            context.fail(&at, errors, known);
        });
    }
    seed.deserialize(extractor).map_err(|failure| {
        if let ExtractError::Unplaced(objection) = failure {
            context.object(&at, Some(node), &objection, expected, context.buffered() > buffered);
        }
        context.fail(&at, errors, known);
        if context.learned() == known {
            context.exhaust(&at);
        }
        ExtractError::Reported
    })
}

//! One secret in the cache: its tree, and the values that were read from it by type.
//!
//! A member of a JSON secret is found as a field of a struct is (rule T3), and everything is read
//! by the typed extraction (rules T1, T2, T4). Values that are handed out as an `Arc` are kept with
//! the entry, so that they are parsed once for each version and leave the cache with it.

mod typed;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use typed::Typed;

use super::shape;
use super::variables::Named;
use crate::error::{Error, ErrorKind};
use crate::extract::{self, plain};
use crate::secret::{Fetched, Lease};
use crate::tree::names::Names;
use crate::tree::spelling::relaxed;
use crate::tree::{Node, Table, Value, join, payload};
use crate::unwind;

/// One version of a secret.
pub(super) struct Entry {
    /// The name or ARN that was read, for errors and events.
    pub(super) id: String,
    /// `None` for the value of a variable.
    pub(super) version_id: Option<String>,
    /// The version of the previous value too, if that is read.
    pub(super) previous_version_id: Option<String>,
    /// Grows with each new version of any secret of the lookup.
    pub(super) generation: u64,
    /// The dotted key path by which errors name it.
    path: String,
    /// The whole secret, and its members where they have names of their own: variables.
    node: Node,
    members: Table,
    /// What variables it is looked for in, if it is not a secret.
    variables: Option<Named>,
    /// What is read has a lease, which lasts as long as this uses it.
    pub(super) source: Option<Fetched>,
    typed: Typed,
}

impl Entry {
    pub(super) fn new(id: String, path: String, generation: u64, node: Node) -> Self {
        Self {
            id,
            version_id: None,
            previous_version_id: None,
            generation,
            path,
            node,
            members: Table::default(),
            variables: None,
            source: None,
            typed: Typed::default(),
        }
    }

    /// The same as the value of variables, with members that have variables of their own.
    pub(super) fn of_variables(mut self, named: Named, members: Table) -> Self {
        self.variables = Some(named);
        self.members = members;
        self
    }

    /// The value's lease, if it has one.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.source.as_ref()?.lease()
    }

    /// Whether this is the same version, so that it need not be replaced. Variables have none: they
    /// are the same if they have the same values.
    pub(super) fn is_same_version(&self, other: &Self) -> bool {
        (&self.id, &self.version_id, &self.previous_version_id)
            == (&other.id, &other.version_id, &other.previous_version_id)
            && (self.version_id.is_some()
                || (&self.node, &self.members) == (&other.node, &other.members))
    }

    /// The value as a type; that of a member, and of a member of that, if keys are given.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such member, or if only variables are named after members and the
    /// type has none; `Invalid` if the value does not fit the type.
    pub(super) fn value<T: DeserializeOwned>(&self, keys: &[Cow<'_, str>]) -> Result<T, Error> {
        if keys.is_empty() {
            return self.whole();
        }
        let mut node = Cow::Borrowed(&self.node);
        let mut path = self.path.clone();
        for (depth, key) in keys.iter().enumerate() {
            path = join(&path, key);
            let own = (depth == 0).then(|| member(&self.members, key)).transpose();
            let found = own.and_then(|own| match own.flatten() {
                Some(own) => Ok(Some(own)),
                None => self.member_of(&node, key, &path),
            });
            let found = found.map_err(|error| error.with_secret(&self.id).with_key(&*path))?;
            node = match found {
                Some(found) => Cow::Owned(found.into_owned()),
                None => return Err(self.without(keys, key, &path)),
            };
        }
        self.read(&node, path)
    }

    /// The same, shared and kept: parsed once for each version, type and key.
    pub(super) fn shared<T>(&self, keys: &[Cow<'_, str>]) -> Result<Arc<T>, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        match self.typed.find(keys) {
            Some(value) => Ok(value),
            None => Ok(self.typed.keep(keys, Arc::new(self.value::<T>(keys)?))),
        }
    }

    fn whole<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if matches!(self.node.value, Value::Null) {
            // Only variables named after members are set.
            if let Some(variables) = &self.variables
                && !shape::wants_table::<T>()
            {
                return Err(variables.unset(&self.id, &[]));
            }
            let node = Node::new(Value::Table(self.members.clone()), self.node.origin.clone());
            return self.read(&node, self.path.clone());
        }
        match plain::read(&self.node) {
            Some(value) => Ok(value),
            None => self.read_in_full(&self.node, self.path.clone()),
        }
    }

    fn read<T: DeserializeOwned>(&self, node: &Node, path: String) -> Result<T, Error> {
        match plain::read(node) {
            Some(value) => Ok(value),
            None => self.read_in_full(node, path),
        }
    }

    fn read_in_full<T: DeserializeOwned>(&self, node: &Node, path: String) -> Result<T, Error> {
        let names = Names::of_paths([path.as_str()]);
        let tree = Table { entries: [(path, node.clone())].into(), source_text: None };
        extract::extract::<Only<T>>(&tree, names).map(|Only(value)| value)
    }

    fn member_of<'a>(
        &self,
        node: &'a Node,
        key: &str,
        path: &str,
    ) -> Result<Option<Cow<'a, Node>>, Error> {
        let parsed = match &node.value {
            Value::Table(table) => return member(table, key),
            Value::Null => return Ok(None),
            Value::Text(text) => Some(text.clone()),
            Value::Bytes(bytes) => payload::text_of(bytes),
            _ => None,
        };
        let parsed = parsed.and_then(|text| payload::parse_json(&text, &node.origin).ok());
        match parsed.map(|node| node.value) {
            Some(Value::Table(table)) => {
                Ok(member(&table, key)?.map(|found| Cow::Owned(found.into_owned())))
            }
            _ => {
                let message =
                    format!("{}: found {}, which has no members", node.origin, node.value.kind());
                Err(Error::new(ErrorKind::Invalid, message)
                    .with_hint(format!("`{path}` is a member of a JSON object: store one")))
            }
        }
    }

    /// The error for keys of which this one, at this path, has no value.
    fn without(&self, keys: &[Cow<'_, str>], key: &str, path: &str) -> Error {
        if let Some(variables) = &self.variables {
            let path = keys.iter().fold(self.path.clone(), |path, key| join(&path, key));
            return variables.unset(&self.id, keys).with_key(path);
        }
        let message = format!("{}: it has no member `{key}`", self.node.origin);
        Error::new(ErrorKind::NotFound, message)
            .with_secret(&self.id)
            .with_key(path)
            .with_hint("add the member to the secret's JSON, or correct the key")
    }
}

/// A member of a table: the exact name before other spellings, as it is stored or as the tree has
/// it.
fn member<'a>(table: &'a Table, key: &str) -> Result<Option<Cow<'a, Node>>, Error> {
    if let Some(node) = table.entries.get(key).filter(|node| node.stored_name().is_none()) {
        return Ok(Some(Cow::Borrowed(node)));
    }
    let stored = table.stored();
    if let Some((_, node)) = stored.iter().find(|(name, _)| *name == key) {
        return Ok(Some(node.clone()));
    }
    let wanted = relaxed(key);
    let mut alike: Vec<_> = table
        .entries
        .iter()
        .filter(|(name, _)| relaxed(name) == wanted)
        .map(|(_, node)| Cow::Borrowed(node))
        .collect();
    if alike.is_empty() {
        alike
            .extend(stored.into_iter().filter(|(name, _)| relaxed(name) == wanted).map(|(_, n)| n));
    }
    match alike.len() {
        2.. => {
            let message = format!("two members are spelled like `{key}`, and neither exactly so");
            Err(Error::new(ErrorKind::Invalid, message).with_hint("remove one of them"))
        }
        _ => Ok(alike.pop()),
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // These are types of the program.
        unwind::drop_quietly(std::mem::take(&mut self.typed));
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("version_id", &self.version_id)
            .finish_non_exhaustive()
    }
}

/// The only member of a table, under any name.
struct Only<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Only<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Member<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Member<T> {
            type Value = Only<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Only<T>, A::Error> {
                match map.next_entry::<IgnoredAny, T>()? {
                    Some((_, value)) => Ok(Only(value)),
                    None => Err(serde::de::Error::custom("no value")),
                }
            }
        }
        deserializer.deserialize_map(Member(PhantomData))
    }
}

#[cfg(test)]
mod tests;

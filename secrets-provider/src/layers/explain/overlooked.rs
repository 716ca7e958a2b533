//! Keys of secrets that nothing reads, because a variable fills their field in another spelling:
//! a stale `DATABASE__PASSWORD` beside a secret's `database_password`. Pure.
//!
//! Layers decide between values of one key, and fields between spellings of one name (rule T3);
//! neither sees that a flat key and a nested one are meant for the same field. `Live` finds such
//! keys here once per generation, and says so: rotations of the secret would have no effect.

use std::collections::{BTreeMap, BTreeSet};

use super::build::for_each_leaf;
use super::{Explanation, Provenance};
use crate::tree::names::Names;
use crate::tree::spelling::relaxed;
use crate::tree::{Node, Origin, Table};

/// A secret's key that is not read, and the variable that is read in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlooked {
    /// The field's key, which the variable fills.
    pub(crate) key: String,
    pub(crate) variable: Provenance,
    pub(crate) secret: Provenance,
    /// The secret's own key. It may be content.
    secret_key: String,
}

impl Overlooked {
    /// What stays the same when the secret has a new version.
    pub(crate) fn identity(&self) -> (&str, &str) {
        (&self.key, &self.secret.name)
    }
}

/// The secrets' keys in `merged` that are no fields, while a variable is the field of that name.
pub(super) fn overlooked(merged: &Table, names: &Names) -> Vec<Overlooked> {
    let mut variables = Vec::new();
    for_each_leaf(merged, &mut Vec::new(), &mut |path, node| {
        if node.origin.is_variable() && names.is_field(path) {
            variables.push((path.to_vec(), node));
        }
    });
    // Mostly there is no such variable, and no secret's key need be looked at.
    if variables.is_empty() {
        return Vec::new();
    }
    let mut secrets = BTreeMap::<String, Vec<_>>::new();
    for_each_leaf(merged, &mut Vec::new(), &mut |path, node| {
        if matches!(&*node.origin, Origin::Secret { .. }) && !names.is_field(path) {
            secrets.entry(relaxed(&path.concat())).or_default().push((path.to_vec(), node));
        }
    });
    let beside = |(path, variable): (Vec<&str>, &Node)| {
        let others = secrets.get(&relaxed(&path.concat())).into_iter().flatten();
        let pair = |(other, secret): &(Vec<&str>, &Node)| Overlooked {
            key: path.join("."),
            variable: Provenance::of(&variable.origin),
            secret: Provenance::of(&secret.origin),
            secret_key: other.join("."),
        };
        others.map(pair).collect::<Vec<_>>()
    };
    variables.into_iter().flat_map(beside).collect()
}

impl Explanation {
    /// With each overlooked key among what the variable hides, not as a key of its own.
    pub(super) fn with_overlooked(mut self, overlooked: &[Overlooked]) -> Self {
        let mut hidden: BTreeMap<&str, Vec<&Provenance>> = BTreeMap::new();
        for Overlooked { key, secret, .. } in overlooked {
            hidden.entry(key).or_default().push(secret);
        }
        let unread: BTreeSet<(&str, &Provenance)> =
            overlooked.iter().map(|other| (other.secret_key.as_str(), &other.secret)).collect();
        self.keys.retain(|row| !unread.contains(&(row.key.as_str(), &row.source)));
        for row in &mut self.keys {
            let secrets = hidden.get(row.key.as_str()).into_iter().flatten().copied().cloned();
            row.hides.splice(..0, secrets);
        }
        self
    }
}

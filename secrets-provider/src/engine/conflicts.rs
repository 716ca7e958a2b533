//! Which new versions to leave out if secrets conflict (rule M6).
//!
//! The refresher asks when the secrets of a refresh don't fit together. Every secret is placed
//! once, and each key knows who claims it, so the work grows with the number of keys, not with its
//! square. Of a key that several secrets claim, those lose that claim it for the first time: a
//! secret that was added never holds up the rotation of one in use. Pure; the order of the secrets
//! doesn't matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::secrets::Secrets;
use crate::secret::Fetched;
use crate::tree::{Table, Value};

/// `found`, with the last good version of each secret in it that claims another one's key, or
/// without the secret if there is none. `place` puts one secret into a tree of its own.
pub(super) fn without_conflicts(
    used: &Secrets,
    found: Secrets,
    place: impl Fn(&Fetched) -> Option<Table>,
) -> Secrets {
    let mut keys = Keys::default();
    let claims = |keys: &mut Keys, secret: Option<&Fetched>| {
        let table = secret.and_then(&place).unwrap_or_default();
        keys.claims_of(&table)
    };
    let mut changed = BTreeMap::new();
    for (id, secret) in found.iter() {
        let now = claims(&mut keys, Some(secret));
        if used.has_version(id, secret) {
            keys.add(id, secret, &now, |_| true);
        } else {
            let before = claims(&mut keys, used.get(id));
            keys.add(id, secret, &now, |claim| before.contains(claim));
            changed.insert(id.clone(), (now, before));
        }
    }

    let mut kept = found;
    let mut touched: BTreeSet<usize> = (0..keys.claimed.len()).collect();
    loop {
        let contested = touched.iter().flat_map(|key| keys.losers(*key));
        let losers: BTreeSet<String> =
            contested.filter(|id| changed.contains_key(*id)).map(str::to_owned).collect();
        if losers.is_empty() {
            return kept;
        }
        // What the last good versions claim may in turn be claimed by new ones.
        touched.clear();
        for id in losers {
            let Some((now, before)) = changed.remove(&id) else { continue };
            keys.remove(&id, &now);
            match used.get(&id) {
                Some(secret) => {
                    keys.add(&id, secret, &before, |_| true);
                    touched.extend(before.iter().map(|(key, _)| key));
                    kept.insert(id, secret.clone());
                }
                None => drop(kept.remove(&id)),
            }
        }
    }
}

/// A key by its number, and whether it is claimed for a table, which secrets may share.
type Claims = BTreeSet<(usize, Shape)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Table,
    Leaf,
}

/// All keys of some secrets, and who claims each.
#[derive(Debug, Default)]
struct Keys {
    /// The number of a key, by that of the table it is in and its name. The root is 0.
    numbers: HashMap<(usize, String), usize>,
    /// By number.
    claimed: Vec<Claimed>,
}

/// The secrets that claim one key, by the name or ARN that was asked for.
#[derive(Debug, Default)]
struct Claimed {
    leaves: BTreeMap<String, Claimant>,
    tables: BTreeMap<String, Claimant>,
}

#[derive(Debug)]
struct Claimant {
    /// One secret that was asked for by name and by ARN doesn't conflict with itself.
    identity: String,
    /// Whether the live generation has this claim, too.
    incumbent: bool,
}

impl Keys {
    fn claims_of(&mut self, table: &Table) -> Claims {
        let mut claims = Claims::new();
        self.collect(table, 0, &mut claims);
        claims
    }

    fn collect(&mut self, table: &Table, at: usize, claims: &mut Claims) {
        for (name, node) in &table.entries {
            let next = self.numbers.len() + 1;
            let key = *self.numbers.entry((at, name.clone())).or_insert(next);
            claims.insert((key, if node.is_leaf() { Shape::Leaf } else { Shape::Table }));
            if let Value::Table(table) = &node.value {
                self.collect(table, key, claims);
            }
        }
    }

    fn add(
        &mut self,
        id: &str,
        secret: &Fetched,
        claims: &Claims,
        incumbent: impl Fn(&(usize, Shape)) -> bool,
    ) {
        self.claimed.resize_with(self.numbers.len() + 1, Claimed::default);
        for claim in claims {
            let claimant =
                Claimant { identity: secret.identity().to_owned(), incumbent: incumbent(claim) };
            self.claimed[claim.0].of(claim.1).insert(id.to_owned(), claimant);
        }
    }

    fn remove(&mut self, id: &str, claims: &Claims) {
        for (key, shape) in claims {
            self.claimed[*key].of(*shape).remove(id);
        }
    }

    /// Who has to give up a key; no one, unless several secrets claim it and one of them for a
    /// value.
    fn losers(&self, key: usize) -> impl Iterator<Item = &str> {
        let Claimed { leaves, tables } = &self.claimed[key];
        let claimants = || leaves.iter().chain(tables);
        let first = leaves.values().next();
        let contested = first.is_some_and(|first| {
            claimants().any(|(_, claimant)| claimant.identity != first.identity)
        });
        let losers = claimants().filter(move |(_, claimant)| contested && !claimant.incumbent);
        losers.map(|(id, _)| id.as_str())
    }
}

impl Claimed {
    fn of(&mut self, shape: Shape) -> &mut BTreeMap<String, Claimant> {
        match shape {
            Shape::Table => &mut self.tables,
            Shape::Leaf => &mut self.leaves,
        }
    }
}

#[cfg(test)]
mod tests;

//! The secrets that settings are made of, by the name or ARN they are asked for.
//!
//! The live generation's [`Secrets`] are what a read is compared with, and what is used for a
//! secret that cannot be read this time. Whether anything is new is decided here and only here, by
//! versions (rule R1).

use std::collections::{BTreeMap, BTreeSet};

use crate::load::fetch::each_once;
use crate::secret::{Fetched, Lease};

#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(BTreeMap<String, Fetched>);

impl Secrets {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Fetched> {
        self.0.get(id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Fetched)> {
        self.0.iter()
    }

    /// Those whose values have a lease.
    pub(crate) fn leases(&self) -> impl Iterator<Item = (&String, &Lease)> {
        self.iter().filter_map(|(id, secret)| Some((id, secret.lease()?)))
    }

    pub(crate) fn insert(&mut self, id: String, secret: Fetched) -> Option<Fetched> {
        self.0.insert(id, secret)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Fetched> {
        self.0.remove(id)
    }

    /// Every secret once, in the order of the names.
    pub(crate) fn each_once(&self) -> Vec<Fetched> {
        each_once(self.0.values())
    }

    /// Whether this very version of a secret is in use.
    pub(crate) fn has_version(&self, id: &str, secret: &Fetched) -> bool {
        self.get(id).is_some_and(|used| used.versions() == secret.versions())
    }

    /// Whether both hold the same versions of the same secrets, under whichever ids.
    pub(crate) fn same_versions(&self, other: &Self) -> bool {
        self.versions() == other.versions()
    }

    /// The ids whose current version differs from that in `old`.
    pub(crate) fn renewed_since(&self, old: &Self) -> Vec<String> {
        let renewed = |(id, secret): &(&String, &Fetched)| {
            old.get(id).is_none_or(|used| used.version_id() != secret.version_id())
        };
        self.iter().filter(renewed).map(|(id, _)| id.clone()).collect()
    }

    fn versions(&self) -> BTreeSet<(&str, &str, Option<&str>)> {
        let mut versions = BTreeSet::new();
        for secret in self.0.values() {
            let (version, previous) = secret.versions();
            versions.insert((secret.identity(), version, previous));
        }
        versions
    }
}

impl FromIterator<(String, Fetched)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Fetched)>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

//! What is known of each secret while a replica is read: a replica may lag behind. Pure.
//!
//! A version that the first region has replaced must not come back because the replica has it
//! still, and a secret that was not replicated is not a deleted one.

use std::collections::BTreeMap;

/// How many replaced versions of a secret are remembered.
const MAX_REPLACED: usize = 4;

/// The versions of each secret, by the id that is asked for. Grows with the secrets that are read.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Versions>);

#[derive(Debug)]
struct Versions {
    current: String,
    of_replica: bool,
    /// The oldest first.
    replaced: Vec<String>,
}

impl Known {
    /// This version was read, of the secret or of its replica, and is used from now on.
    pub(super) fn read(&mut self, id: &str, version_id: &str, of_replica: bool) {
        let Some(known) = self.0.get_mut(id) else {
            let current = version_id.to_owned();
            self.0.insert(id.to_owned(), Versions { current, of_replica, replaced: Vec::new() });
            return;
        };
        known.of_replica = of_replica;
        if known.current == version_id {
            return;
        }
        known.replaced.retain(|replaced| replaced != version_id);
        known.replaced.push(std::mem::replace(&mut known.current, version_id.to_owned()));
        let surplus = known.replaced.len().saturating_sub(MAX_REPLACED);
        known.replaced.drain(..surplus);
    }

    /// Whether the secret was ever read.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Whether the version in use was read of the replica; `None` if the secret was never read.
    pub(super) fn is_of_replica(&self, id: &str) -> Option<bool> {
        self.0.get(id).map(|known| known.of_replica)
    }

    /// Whether another version has replaced this one.
    pub(super) fn is_replaced(&self, id: &str, version_id: &str) -> bool {
        self.0.get(id).is_some_and(|known| known.replaced.iter().any(|old| old == version_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_replaced_until_it_is_read_again() {
        let mut known = Known::default();
        assert!(!known.contains("a"));
        for version in ["1", "2", "2", "3"] {
            known.read("a", version, false);
        }
        assert!(known.contains("a"));
        let replaced = |known: &Known| ["1", "2", "3", "4"].map(|v| known.is_replaced("a", v));
        assert_eq!(replaced(&known), [true, true, false, false]);
        known.read("a", "1", true);
        assert_eq!([known.is_of_replica("a"), known.is_of_replica("b")], [Some(true), None]);
        assert_eq!(replaced(&known), [false, true, true, false]);
        assert!(!known.is_replaced("b", "2"));
        (0..100).for_each(|n| known.read("a", &n.to_string(), false));
        assert_eq!(known.0["a"].replaced, ["95", "96", "97", "98"]);
    }
}

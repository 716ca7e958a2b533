//! What is known of each secret while a replica is read: a replica may lag behind. Pure.
//!
//! A version that the first region has replaced must not come back because the replica has it
//! still, and a secret that was not replicated is not a deleted one. A version that was read and
//! replaced is known as such. One that was never read counts as replaced if it was made before the one
//! in use.

use std::collections::BTreeMap;
use std::time::SystemTime;

/// How many replaced versions of a secret are remembered.
const MAX_REPLACED: usize = 4;

/// The versions of each secret, by the id that is asked for. Grows with the secrets that are read.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<String, Versions>);

#[derive(Debug)]
struct Versions {
    current: String,
    made: Option<SystemTime>,
    /// The oldest first.
    replaced: Vec<String>,
}

impl Known {
    /// This version was read, of the secret or of its replica, and is used from now on.
    pub(super) fn read(&mut self, id: &str, version_id: &str, made: Option<SystemTime>) {
        let Some(known) = self.0.get_mut(id) else {
            let current = version_id.to_owned();
            self.0.insert(id.to_owned(), Versions { current, made, replaced: Vec::new() });
            return;
        };
        if known.current == version_id {
            return;
        }
        known.replaced.retain(|replaced| replaced != version_id);
        known.replaced.push(std::mem::replace(&mut known.current, version_id.to_owned()));
        known.made = made;
        let surplus = known.replaced.len().saturating_sub(MAX_REPLACED);
        known.replaced.drain(..surplus);
    }

    /// Whether the secret was ever read.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Whether another version has replaced this one.
    pub(super) fn is_replaced(&self, id: &str, version_id: &str, made: Option<SystemTime>) -> bool {
        self.0.get(id).filter(|known| known.current != version_id).is_some_and(|known| {
            let is_older = made.zip(known.made).is_some_and(|(made, current)| made < current);
            is_older || known.replaced.iter().any(|old| old == version_id)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_version_is_replaced_until_it_is_read_again() {
        let mut known = Known::default();
        assert!(!known.contains("a"));
        for version in ["1", "2", "2", "3"] {
            known.read("a", version, None);
        }
        assert!(known.contains("a"));
        let replaced =
            |known: &Known| ["1", "2", "3", "4"].map(|v| known.is_replaced("a", v, None));
        assert_eq!(replaced(&known), [true, true, false, false]);
        known.read("a", "1", None);
        assert_eq!(replaced(&known), [false, true, true, false]);
        assert!(!known.is_replaced("b", "2", None));
        (0..100).for_each(|n| known.read("a", &n.to_string(), None));
        assert_eq!(known.0["a"].replaced, ["95", "96", "97", "98"]);
    }

    #[test]
    fn a_version_that_was_made_before_the_one_in_use_is_replaced_though_it_was_never_read() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let mut known = Known::default();
        known.read("a", "3", at(3));
        for (version, made, is_replaced) in [
            ("2", at(2), true),
            ("4", at(4), false),
            ("at the same time", at(3), false),
            ("at an unknown time", None, false),
            // Replicated later than it was made: it is the same.
            ("3", at(1), false),
        ] {
            assert_eq!(known.is_replaced("a", version, made), is_replaced, "{version}");
        }
        // Someone has moved the label back, in the first region.
        known.read("a", "1", at(1));
        assert!(known.is_replaced("a", "3", at(3)) && !known.is_replaced("a", "2", at(2)));
    }
}

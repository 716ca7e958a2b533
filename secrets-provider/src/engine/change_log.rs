//! Which generation each key last changed in.
//!
//! A derived value is behind its settings if a key at or below its path has changed since it was
//! built, and a search for newer settings has succeeded if one has changed since the caller read
//! them. Both ask here.
//!
//! Keys are kept as a tree, so that a look-up takes the steps of its path, however many keys there
//! are. A key that is gone is forgotten once [`MAX_GONE`] others have gone after it, so that keys
//! that come and go do not pile up. The tables that it was in keep their generation.

use std::collections::{BTreeMap, VecDeque};

use crate::tree::spelling::{relaxed, same_name};

/// How many keys that are gone are remembered. Who asks for one is behind by fewer: a derived value
/// is rebuilt, and its build retried, at each change.
const MAX_GONE: usize = 1000;

/// For each key, the generation that last changed it.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    root: Entry,
    /// The keys that are gone, with the generation that removed them, the oldest first.
    gone: VecDeque<(String, u64)>,
    /// The last generation whose changed keys are not known.
    all: u64,
    /// The last generation.
    last: u64,
}

/// A key or a table, by its relaxed name.
#[derive(Debug, Default)]
struct Entry {
    /// When the whole of it last changed.
    whole: u64,
    /// When anything at or below it last changed.
    any: u64,
    below: BTreeMap<String, Entry>,
}

impl Entry {
    fn record(&mut self, path: &[String], generation: u64) {
        self.any = generation;
        match path.split_first() {
            Some((name, rest)) => {
                self.below.entry(name.clone()).or_default().record(rest, generation);
            }
            None => self.whole = generation,
        }
    }

    /// Removes the entry of a path if it last changed with this generation, and the tables that are
    /// empty without it.
    fn forget(&mut self, path: &[String], generation: u64) {
        let Some((name, rest)) = path.split_first() else { return };
        let Some(entry) = self.below.get_mut(name) else { return };
        entry.forget(rest, generation);
        if entry.below.is_empty() && entry.any <= generation {
            self.below.remove(name);
        }
    }
}

impl ChangeLog {
    /// The first generation: everything is new.
    pub(crate) fn started() -> Self {
        Self { all: 1, last: 1, ..Self::default() }
    }

    /// These keys changed with a generation; those that are not in the settings any more are gone.
    pub(crate) fn record(
        &mut self,
        generation: u64,
        keys: &[String],
        is_gone: impl Fn(&str) -> bool,
    ) {
        self.last = generation;
        for key in keys {
            self.root.record(&parts(key), generation);
            if is_gone(key) {
                self.gone.push_back((key.clone(), generation));
            }
        }
        let forgotten = self.gone.len().saturating_sub(MAX_GONE);
        for (key, generation) in self.gone.drain(..forgotten) {
            self.root.forget(&parts(&key), generation);
        }
    }

    /// Any key may have changed with a generation.
    pub(crate) fn record_all(&mut self, generation: u64) {
        (self.last, self.all) = (generation, generation);
    }

    /// The last generation in which a key at or below this path changed, or a table above it came
    /// or went; for the empty path, the last generation.
    pub(crate) fn last_change(&self, path: &str) -> u64 {
        if path.is_empty() {
            return self.last;
        }
        let (mut entry, mut newest) = (&self.root, self.all);
        for name in parts(path) {
            match entry.below.get(&name) {
                Some(below) => entry = below,
                None => return newest,
            }
            newest = newest.max(entry.whole);
        }
        newest.max(entry.any)
    }
}

/// The names of a path, without what their spellings differ in.
fn parts(path: &str) -> Vec<String> {
    path.split('.').map(relaxed).collect()
}

/// Whether a change of this key concerns the path: it is at or below the path, or above it, when a
/// whole table came or went.
pub(crate) fn concerns(key: &str, path: &str) -> bool {
    key.split('.').zip(path.split('.')).all(|(key, path)| same_name(key, path))
}

/// The same for a key as it is shown, with `*` for what may be any name.
pub(crate) fn may_concern(shown: &str, path: &str) -> bool {
    let named = shown.split('*').next().unwrap_or(shown);
    match named.len() < shown.len() {
        true => named.is_empty() || concerns(named.trim_end_matches('.'), path),
        false => concerns(shown, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_concerns_the_paths_at_below_and_above_it() {
        for (key, path, expected) in [
            ("database.password", "database", true),
            ("database", "database", true),
            ("database", "database.password", true),
            ("database.url", "database.password", false),
            ("database_replica.url", "database", false),
            ("jwt_secret", "database", false),
            ("Api-Keys.clerk", "api_keys.clerk", true),
            ("apiKeys.aws", "api_keys.clerk", false),
            ("größe", "grüße", false),
        ] {
            assert_eq!(concerns(key, path), expected, "{key} {path}");
            assert_eq!(may_concern(key, path), expected, "{key} {path}");
        }
        assert!(may_concern("tokens.*", "tokens.acme") && may_concern("*", "a"));
        assert!(!may_concern("tokens.*", "database"));
    }

    #[test]
    fn the_last_change_is_kept_for_each_key() {
        let mut log = ChangeLog::started();
        assert_eq!((log.last_change("a"), log.last_change("")), (1, 1));
        let is_gone = |key: &str| key == "c";
        log.record(2, &["a.b".to_owned()], is_gone);
        log.record(3, &["c".to_owned()], is_gone);
        log.record(4, &[], is_gone);
        assert_eq!(
            [log.last_change("a"), log.last_change("c"), log.last_change("d"), log.last_change("")],
            [2, 3, 1, 4]
        );
        log.record_all(5);
        assert_eq!(log.last_change("d"), 5);
        // Of several keys below a path, the one that changed last.
        log.record(6, &["a.x".to_owned()], is_gone);
        log.record(7, &["a.b".to_owned()], is_gone);
        assert_eq!(log.last_change("a"), 7);
    }

    #[test]
    fn keys_that_come_and_go_do_not_pile_up() {
        fn entries(entry: &Entry) -> usize {
            entry.below.values().map(|below| 1 + entries(below)).sum()
        }
        let mut log = ChangeLog::started();
        log.record(2, &["database.url".to_owned()], |_| false);
        for n in 0..5_000_u64 {
            let key = |n: u64| format!("tokens.tk-{n}.owner");
            let before = key(n.saturating_sub(1));
            log.record(n + 3, &[before.clone(), key(n)], |key| key == before);
        }
        let kept = entries(&log.root);
        assert!(kept < 2 * MAX_GONE + 10, "{kept}");
        assert!(log.gone.len() <= MAX_GONE);
        assert_eq!(log.last_change("tokens"), 5_002);
        assert_eq!(log.last_change("tokens.tk-4998.owner"), 5_002);
        assert_eq!(log.last_change("Tokens.TK_4998"), 5_002, "in any spelling");
        assert_eq!(log.last_change("database"), 2, "a key that is there is not forgotten");
    }
}

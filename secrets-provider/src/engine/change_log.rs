//! Which generation each key last changed in.
//!
//! A derived value is behind its settings if a key at or below its path has changed since it was built, and a search for
//! newer settings has succeeded if one has changed since the caller read them. Both ask here.

use std::collections::BTreeMap;

use crate::tree::spelling::same_name;

/// For each key, the generation that last changed it.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    keys: BTreeMap<String, u64>,
    /// The last generation whose changed keys are not known.
    all: u64,
    /// The last generation.
    last: u64,
}

impl ChangeLog {
    /// The first generation: everything is new.
    pub(crate) fn started() -> Self {
        Self { keys: BTreeMap::new(), all: 1, last: 1 }
    }

    /// These keys changed with a generation.
    pub(crate) fn record(&mut self, generation: u64, keys: &[String]) {
        self.last = generation;
        for key in keys {
            self.keys.insert(key.clone(), generation);
        }
    }

    /// Any key may have changed with a generation.
    pub(crate) fn record_all(&mut self, generation: u64) {
        (self.last, self.all) = (generation, generation);
    }

    /// The last generation in which a key at or below this path changed; for the empty path, the last generation.
    pub(crate) fn last_change(&self, path: &str) -> u64 {
        if path.is_empty() {
            return self.last;
        }
        let touched = self
            .keys
            .iter()
            .filter(|(key, _)| concerns(key, path))
            .map(|(_, generation)| *generation);
        touched.max().unwrap_or_default().max(self.all)
    }
}

/// Whether a change of this key concerns the path: it is at or below the path, or above it, when a whole table came or
/// went.
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
        log.record(2, &["a.b".to_owned()]);
        log.record(3, &["c".to_owned()]);
        log.record(4, &[]);
        assert_eq!(
            [log.last_change("a"), log.last_change("c"), log.last_change("d"), log.last_change("")],
            [2, 3, 1, 4]
        );
        log.record_all(5);
        assert_eq!(log.last_change("d"), 5);
        // Of several keys below a path, the one that changed last.
        log.record(6, &["a.x".to_owned()]);
        log.record(7, &["a.b".to_owned()]);
        assert_eq!(log.last_change("a"), 7);
    }
}

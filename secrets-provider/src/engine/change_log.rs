//! Which generation each key last changed in: what tells a derived value whether it is behind.

use std::collections::BTreeMap;

/// Key paths that differ by case or separators are one field's spellings.
fn relaxed(segment: &str) -> String {
    segment.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// For each key, the generation that last changed it.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    keys: BTreeMap<String, u64>,
    /// The generation that last changed as a whole, keys unknown.
    whole: u64,
    /// The last generation.
    last: u64,
}

impl Journal {
    /// The first generation: everything is new.
    pub(crate) fn started() -> Self {
        Self { keys: BTreeMap::new(), whole: 1, last: 1 }
    }

    pub(crate) fn note(&mut self, generation: u64, keys: &[String]) {
        self.last = generation;
        for key in keys {
            self.keys.insert(key.clone(), generation);
        }
    }

    /// A generation of which no keys are known.
    pub(crate) fn note_whole(&mut self, generation: u64) {
        (self.last, self.whole) = (generation, generation);
    }

    /// The last generation in which a key at or below this path changed; of the empty path, the last one.
    pub(crate) fn last_change(&self, path: &str) -> u64 {
        if path.is_empty() {
            return self.last;
        }
        let touched = self
            .keys
            .iter()
            .filter(|(key, _)| concerns(key, path))
            .map(|(_, generation)| *generation);
        touched.max().unwrap_or_default().max(self.whole)
    }
}

/// Whether a change of this key is one at or below the path; or above it, where a table came or went whole.
pub(crate) fn concerns(key: &str, path: &str) -> bool {
    key.split('.').zip(path.split('.')).all(|(key, path)| relaxed(key) == relaxed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_concerns_what_it_is_at_below_or_above() {
        for (key, path, expected) in [
            ("database.password", "database", true),
            ("database", "database", true),
            ("database", "database.password", true),
            ("database.url", "database.password", false),
            ("database_replica.url", "database", false),
            ("jwt_secret", "database", false),
            ("Api-Keys.clerk", "api_keys.clerk", true),
            ("apiKeys.aws", "api_keys.clerk", false),
        ] {
            assert_eq!(concerns(key, path), expected, "{key} {path}");
        }
    }

    #[test]
    fn the_last_change_is_kept_for_each_key() {
        let mut journal = Journal::started();
        assert_eq!((journal.last_change("a"), journal.last_change("")), (1, 1));
        journal.note(2, &["a.b".to_owned()]);
        journal.note(3, &["c".to_owned()]);
        journal.note(4, &[]);
        assert_eq!(
            [
                journal.last_change("a"),
                journal.last_change("c"),
                journal.last_change("d"),
                journal.last_change("")
            ],
            [2, 3, 1, 4]
        );
        journal.note_whole(5);
        assert_eq!(journal.last_change("d"), 5);
        // Of several keys below a path, the one that changed last.
        journal.note(6, &["a.x".to_owned()]);
        journal.note(7, &["a.b".to_owned()]);
        assert_eq!(journal.last_change("a"), 7);
    }
}

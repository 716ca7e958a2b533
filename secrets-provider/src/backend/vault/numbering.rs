//! Version ids of the key-value engine, version 2: Vault's numbers.
//!
//! Numbers start again at 1 when a secret's metadata was deleted, so a number alone may mean two
//! values. Of each secret, the highest number with its time of creation is remembered; a version
//! with a number that is not higher, but made later, is from a new beginning, and from there on the
//! time is part of the id. Grows with the number of secrets that were read. Pure.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Numbering(HashMap<String, Known>);

#[derive(Debug)]
struct Known {
    /// The version that is current, as it was read last.
    current: u64,
    /// The highest version before any new beginning.
    highest: u64,
    created: String,
    has_begun_again: bool,
}

impl Numbering {
    /// The id of a version that is current.
    pub(super) fn current(&mut self, name: &str, number: u64, created: &str) -> String {
        let created = created.trim_end_matches('Z');
        let known = self.0.entry(name.to_owned()).or_insert_with(|| Known {
            current: number,
            highest: number,
            created: created.to_owned(),
            has_begun_again: false,
        });
        known.current = number;
        if !known.has_begun_again {
            if number > known.highest {
                (known.highest, known.created) = (number, created.to_owned());
            } else if *created > *known.created {
                known.has_begun_again = true;
            }
        }
        known.id(number, created)
    }

    /// The id of a version that was replaced.
    pub(super) fn previous(&self, name: &str, number: u64, created: &str) -> String {
        match self.0.get(name) {
            Some(known) => known.id(number, created.trim_end_matches('Z')),
            None => number.to_string(),
        }
    }

    /// The number that was current when the secret was read last; `None` if it was not read, or has
    /// no value any more.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).map(|known| known.current).filter(|number| *number > 0)
    }

    /// The secret has no value now.
    pub(super) fn gone(&mut self, name: &str) {
        if let Some(known) = self.0.get_mut(name) {
            known.current = 0;
        }
    }
}

impl Known {
    fn id(&self, number: u64, created: &str) -> String {
        match self.has_begun_again && *created > *self.created {
            true => format!("{number}-{created}Z"),
            false => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_until_a_number_comes_again() {
        let mut numbering = Numbering::default();
        for (number, created, id) in [
            (1, "2026-11-26T02:00:00.1Z", "1"),
            (3, "2026-11-26T02:00:00.12Z", "3"),
            (3, "2026-11-26T02:00:00.12Z", "3"),
            // Another active node, whose clock is behind.
            (4, "2026-11-26T02:00:00Z", "4"),
            (5, "2026-11-26T03:00:00Z", "5"),
            // A rollback of the storage to a snapshot, and what follows.
            (4, "2026-11-26T02:00:00Z", "4"),
            // The metadata was deleted.
            (1, "2026-11-26T04:00:00Z", "1-2026-11-26T04:00:00Z"),
            (1, "2026-11-26T04:00:00Z", "1-2026-11-26T04:00:00Z"),
            (6, "2026-11-26T04:00:00.5Z", "6-2026-11-26T04:00:00.5Z"),
            (1, "2026-11-26T05:00:00Z", "1-2026-11-26T05:00:00Z"),
            (2, "2026-11-26T05:01:00Z", "2-2026-11-26T05:01:00Z"),
        ] {
            assert_eq!(numbering.current("a", number, created), id, "{created}");
            assert_eq!(numbering.previous("a", number, created), id, "as a previous one");
            assert_eq!(numbering.number("a"), Some(number));
        }
        assert_eq!(numbering.current("b", 1, "2026-11-26T05:00:00Z"), "1", "another secret");
        numbering.gone("a");
        assert_eq!(numbering.number("a"), None);
        assert_eq!(numbering.current("a", 3, "2026-11-26T06:00:00Z"), "3-2026-11-26T06:00:00Z");
    }
}

//! Variables that stand for a nested key by their name alone: `DATABASE_URL` for `database.url` (rule T3).

use super::{Explanation, Layer, Provenance, relaxed};
use crate::extract::{Guessed, variables_of};

impl Explanation {
    /// With each variable at the key that it filled, and at the one that it would have filled, had not a higher layer
    /// given it: such a variable is no key of its own. `fields` are the settings' own; none, if they are not known.
    pub(crate) fn with_guessed(mut self, guessed: &[Guessed], fields: &[&str]) -> Self {
        let is_field = |key: &str| fields.iter().any(|field| relaxed(field) == relaxed(key));
        for Guessed { key, origin } in guessed {
            let source = Provenance::of(origin);
            let of_it = |row: &&mut super::ExplainedKey| row.source == source && !row.key.contains('.');
            let row = self.keys.iter_mut().find(of_it);
            match row {
                Some(row) if !is_field(&row.key) => row.key.clone_from(key),
                Some(row) => {
                    let another = super::ExplainedKey { key: key.clone(), ..row.clone() };
                    self.keys.push(another);
                }
                None => self.keys.push(super::ExplainedKey { key: key.clone(), source, hides: Vec::new() }),
            }
            self.omitted.retain(|row| row.source != Provenance::of(origin));
        }
        if !fields.is_empty() {
            self.hide_overridden(is_field);
        }
        self.keys.sort_by(|a, b| a.key.cmp(&b.key));
        self
    }

    fn hide_overridden(&mut self, is_field: impl Fn(&str) -> bool) {
        let nested: Vec<(usize, [String; 2])> = self
            .keys
            .iter()
            .enumerate()
            .filter(|(_, row)| row.key.contains('.'))
            .map(|(at, row)| (at, variables_of(&row.key)))
            .collect();
        let mut overridden = Vec::new();
        for (at, row) in self.keys.iter().enumerate() {
            let variable =
                matches!(row.source.layer, Layer::Environment | Layer::Dotenv) && !row.key.contains('.');
            if !variable || is_field(&row.key) {
                continue;
            }
            let name = row.key.to_ascii_lowercase();
            if let Some((winner, _)) = nested.iter().find(|(_, names)| names.contains(&name)) {
                overridden.push((at, *winner));
            }
        }
        for (at, winner) in &overridden {
            let row = self.keys[*at].clone();
            let hides = &mut self.keys[*winner].hides;
            hides.push(row.source);
            hides.extend(row.hides);
        }
        let mut at = 0;
        self.keys.retain(|_| {
            at += 1;
            overridden.iter().all(|(gone, _)| *gone != at - 1)
        });
    }
}

//! Secrets and variables that fill a nested key by their name: `DATABASE_URL` for `database.url`
//! (rule T3).
//!
//! The layers do not know that such a variable is a setting; extraction finds it when a required
//! field is missing. `Live` passes here what extraction found, so that the variable is shown at the
//! key it fills.

use std::collections::BTreeMap;

use super::{ExplainedKey, Explanation, Layer, Provenance};
use crate::extract::Implied;
use crate::tree::spelling::{relaxed, variables_of};

impl Explanation {
    /// With each variable in `implied` moved to the key that it fills, and with each variable named
    /// after a nested key of a higher layer among what that key hides. A variable that is itself
    /// one of `fields` keeps its own row. `fields` is empty if the fields of the settings type are
    /// not known.
    pub(crate) fn with_implied(mut self, implied: &[Implied], fields: &[&str]) -> Self {
        let is_field = |key: &str| fields.iter().any(|field| relaxed(field) == relaxed(key));
        for Implied { key, origin, .. } in implied {
            let source = Provenance::of(origin);
            // By its name, too, because one secret may have many rows.
            let names = variables_of(key);
            let is_own_row = |row: &&mut ExplainedKey| {
                row.source == source && names.contains(&row.key.to_ascii_lowercase())
            };
            let row = self.keys.iter_mut().find(is_own_row);
            match row {
                Some(row) if !is_field(&row.key) => row.key.clone_from(key),
                Some(row) => {
                    let another = ExplainedKey { key: key.clone(), ..row.clone() };
                    self.keys.push(another);
                }
                None => {
                    let hides = Vec::new();
                    self.keys.push(ExplainedKey {
                        key: key.clone(),
                        source,
                        hides,
                        count: 1,
                        followed_by: Vec::new(),
                    });
                }
            }
            self.omitted.retain(|row| row.source != Provenance::of(origin));
        }
        if !fields.is_empty() {
            self.hide_overridden(is_field);
        }
        self.sort();
        self
    }

    /// Moves each variable named after a nested key of another row into what that row hides.
    fn hide_overridden(&mut self, is_field: impl Fn(&str) -> bool) {
        let (variables, mut keys): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.keys).into_iter().partition(|row| {
                let variable = matches!(row.source.layer, Layer::Environment | Layer::Dotenv);
                variable && !row.key.contains('.') && !is_field(&row.key)
            });
        let nested = keys.iter().enumerate().filter(|(_, row)| row.key.contains('.'));
        let named: BTreeMap<String, usize> =
            nested.flat_map(|(at, row)| variables_of(&row.key).map(|name| (name, at))).collect();
        for row in variables {
            match named.get(&row.key.to_ascii_lowercase()) {
                Some(winner) => {
                    let hides = &mut keys[*winner].hides;
                    hides.push(row.source);
                    hides.extend(row.hides);
                }
                None => keys.push(row),
            }
        }
        self.keys = keys;
    }
}

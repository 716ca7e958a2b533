//! Which keys something follows: the last column of an explanation.
//!
//! Known are derived values, streams of changes, and the paths of `on_change` and `restart_on`. Who
//! reads the settings at each use (`load`, `map`, an extractor) follows them, too, but which fields
//! it reads cannot be seen.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Live;
use super::link::Input;
use crate::engine::change_log;
use crate::layers::explain::Explanation;

/// How many different followers an explanation regards.
const MAX_FOLLOWERS: usize = 100;

/// A path, and who follows it, in words.
pub(super) type Followed = BTreeSet<(String, String)>;

impl<T> Live<T> {
    /// Who follows which keys of the settings; for a derived value, of those that it is derived
    /// from.
    pub(super) fn followed(&self) -> Followed {
        if let Input::Derived { from, .. } = &self.link.input {
            return from.followed();
        }
        let derived = self.cell.derived().into_iter().filter(|derived| derived.ended_at.is_none());
        let derived = derived.map(|derived| {
            let words = match (derived.label == derived.path, derived.path.is_empty()) {
                (true, true) => "derive".to_owned(),
                (true, false) => format!("derive {}", derived.path),
                (false, _) => format!("derive {}", derived.label),
            };
            (derived.path, words)
        });
        let others = self.cell.followers().all();
        let others = others.iter().map(|follower| (follower.path.clone(), follower.in_words()));
        derived.chain(others).collect()
    }

    /// An explanation of the settings with who follows each key now.
    pub(super) fn with_followers(&self, explanation: Arc<Explanation>) -> Arc<Explanation> {
        let followed = self.followed();
        if followed.is_empty() {
            return explanation;
        }
        let mut explanation = Explanation::clone(&explanation);
        for key in explanation.all_keys_mut() {
            let by = followed.iter().take(MAX_FOLLOWERS);
            key.followed_by = by
                .filter(|(path, _)| path.is_empty() || change_log::may_concern(&key.key, path))
                .map(|(_, words)| words.clone())
                .collect();
        }
        Arc::new(explanation)
    }
}

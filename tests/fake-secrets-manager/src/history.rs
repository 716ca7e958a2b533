//! Which versions of each secret were current, and since when: what a test compares with what its
//! readers saw. Kept only after a test asked for it.

use std::collections::BTreeMap;
use std::fmt;

use tokio::time::Instant;

use crate::fake::FakeSecretsManager;
use crate::secret::{CURRENT, Secret, Value};

/// What readers of a secret got from some moment on.
#[derive(Clone, PartialEq, Eq)]
pub struct CurrentVersion {
    /// Since when, on tokio's clock.
    pub since: Instant,
    /// The id of the version; `None` while there is no secret, or it is to be deleted.
    pub version_id: Option<String>,
    /// Its text; `None` if it is binary.
    pub text: Option<String>,
    /// Its bytes; `None` if it is text.
    pub binary: Option<Vec<u8>>,
}

/// Shows no value.
impl fmt::Debug for CurrentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentVersion")
            .field("since", &self.since)
            .field("version_id", &self.version_id)
            .finish_non_exhaustive()
    }
}

/// By name, oldest first. `None` unless a test asked for it: it grows with each change.
#[derive(Debug, Default)]
pub(crate) struct History(Option<BTreeMap<String, Vec<CurrentVersion>>>);

impl History {
    pub(crate) fn record(&mut self, name: &str, secret: Option<&Secret>) {
        let Some(kept) = &mut self.0 else { return };
        let readable = secret.filter(|secret| secret.deletion.is_none());
        let version = readable.and_then(|secret| secret.labelled(CURRENT));
        let version = version.filter(|version| version.value.is_some());
        let (version_id, value) = match version {
            Some(version) => (Some(version.id.clone()), version.value.as_ref()),
            None => (None, None),
        };
        let before = kept.entry(name.to_owned()).or_default();
        if before.last().is_some_and(|last| last.version_id == version_id) {
            return;
        }
        let text = match value {
            Some(Value::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        let binary = match value {
            Some(Value::Binary(bytes)) => Some(bytes.to_vec()),
            _ => None,
        };
        before.push(CurrentVersion { since: Instant::now(), version_id, text, binary });
    }
}

/// Looking back.
impl FakeSecretsManager {
    /// Keeps from now on which version of each secret was current when. Ask before anything is
    /// stored, and only in a test that ends: what is kept grows with each change.
    pub fn keep_history(&self) {
        self.shared.state().history.0.get_or_insert_default();
    }

    /// Which versions of a secret were current, oldest first. Empty unless
    /// [kept](Self::keep_history).
    #[must_use]
    pub fn history(&self, name: &str) -> Vec<CurrentVersion> {
        let state = self.shared.state();
        let kept = state.history.0.as_ref().and_then(|kept| kept.get(name));
        kept.cloned().unwrap_or_default()
    }
}

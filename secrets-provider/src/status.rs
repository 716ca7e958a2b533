//! What can be told about a live value without telling the value.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// How a [`Live`](crate::Live) stands: generation, freshness, last error, and each secret's version. Serializes;
/// holds no values. Times serialize as whole seconds since 1970.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Status {
    generation: u64,
    #[serde(serialize_with = "epoch")]
    changed_at: Instant,
    #[serde(serialize_with = "epoch")]
    last_success: Instant,
    last_error: Option<LastError>,
    secrets: Vec<SecretStatus>,
}

/// One secret of the live generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecretStatus {
    pub(crate) name: String,
    pub(crate) key_path: String,
    pub(crate) version_id: String,
    pub(crate) error: Option<ErrorKind>,
}

/// The last failed refresh.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LastError {
    kind: ErrorKind,
    message: String,
    #[serde(serialize_with = "epoch")]
    at: Instant,
}

impl Status {
    pub(crate) fn started(generation: u64, secrets: Vec<SecretStatus>) -> Self {
        let now = Instant::now();
        Self { generation, changed_at: now, last_success: now, last_error: None, secrets }
    }

    pub(crate) fn swapped(&mut self, secrets: Vec<SecretStatus>) {
        self.generation += 1;
        self.changed_at = Instant::now();
        self.secrets = secrets;
    }

    /// Notes which secrets could not be read, and that all others could.
    pub(crate) fn mark(&mut self, failed: &BTreeMap<String, ErrorKind>) {
        for secret in &mut self.secrets {
            secret.error = failed.get(&secret.name).copied();
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.last_success = Instant::now();
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        self.last_error =
            Some(LastError { kind: error.kind(), message: error.to_string(), at: Instant::now() });
    }

    /// The number of the live generation: 1 at the start, one more with each swap.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the live generation came.
    pub fn changed_at(&self) -> SystemTime {
        system_time(self.changed_at)
    }

    /// When all secrets were last checked and nothing failed; the start counts.
    pub fn last_success(&self) -> SystemTime {
        system_time(self.last_success)
    }

    /// How long ago that was, on tokio's clock.
    pub fn last_success_age(&self) -> Duration {
        self.last_success.elapsed()
    }

    /// The last refresh that failed, wholly or for some secrets; it stays here when later ones succeed, so compare
    /// [`LastError::at`] with [`last_success`](Self::last_success).
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// The secrets of the live generation, in the order of their names.
    pub fn secrets(&self) -> &[SecretStatus] {
        &self.secrets
    }
}

impl SecretStatus {
    /// The secret's name in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dotted key path that its value stands at; empty at the root.
    pub fn key_path(&self) -> &str {
        &self.key_path
    }

    /// The id of the version in use.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// Why the last refresh could not read it, if it could not: the version in use is the last good one.
    pub fn error(&self) -> Option<ErrorKind> {
        self.error
    }
}

impl LastError {
    /// What kind of failure it was; of several, the gravest.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error's whole message: names keys and secrets, no values.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When it happened.
    pub fn at(&self) -> SystemTime {
        system_time(self.at)
    }
}

/// Kept on tokio's clock, which tests can pause and which never jumps; told by the wall clock.
fn system_time(at: Instant) -> SystemTime {
    SystemTime::now() - at.elapsed()
}

fn epoch<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    let since = system_time(*at).duration_since(UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

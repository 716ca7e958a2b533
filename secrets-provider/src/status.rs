//! What can be told about a live value without telling the value.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// After how many intervals without a success settings count as stale.
const STALE_AFTER: u32 = 3;

/// How a [`Live`](crate::Live) stands: generation, health, freshness, last error, and each secret's version.
/// Serializes, with its health; holds no values. Times serialize as whole seconds since 1970.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    generation: u64,
    changed_at: Instant,
    last_success: Instant,
    last_error: Option<LastError>,
    secrets: Vec<SecretStatus>,
    /// How often it is refreshed; not at all, for a constant.
    interval: Option<Duration>,
    /// Lower layers stand in for a secret that is not optional.
    fallback: bool,
    /// The last refresh failed.
    failing: bool,
}

/// How far settings can be trusted to be what the store holds.
///
/// ```
/// use secrets_provider::{Health, Live};
///
/// assert_eq!(Live::constant(8080).status().health(), Health::Fresh);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// The last refresh (or the start) found everything, not longer ago than three intervals.
    Fresh,
    /// The last refresh succeeded, but longer ago than three intervals: it hangs, has been shut down, or the machine
    /// slept.
    Stale,
    /// Lower layers stand in for secrets since the start, by
    /// [`fallback_to_env`](crate::SecretsManager::fallback_to_env).
    Fallback,
    /// The last refresh failed, wholly or for some secrets: the last good values are served.
    Failing,
}

/// Where a secret's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretState {
    /// From the secret, as the last refresh found it.
    Current,
    /// From the secret, as it was when it could last be read.
    LastGood,
    /// From the layers below, if they have any: the secret is optional and not there.
    Absent,
    /// From the layers below until the secret comes, by
    /// [`fallback_to_env`](crate::SecretsManager::fallback_to_env).
    Fallback,
    /// From the layers below, if they have any: the secret was added after the start, and could not be read yet.
    Unread,
}

/// One secret: of the live generation, or selected and not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecretStatus {
    pub(crate) name: String,
    pub(crate) key_path: String,
    pub(crate) version_id: String,
    pub(crate) state: SecretState,
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
    /// The first generation, of a value refreshed so often.
    pub(crate) fn started(interval: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            generation: 1,
            changed_at: now,
            last_success: now,
            last_error: None,
            secrets: Vec::new(),
            interval,
            fallback: false,
            failing: false,
        }
    }

    pub(crate) fn swapped(&mut self) {
        self.generation += 1;
        self.changed_at = Instant::now();
    }

    /// Notes how each secret stands, and whether lower layers stand in for any that is needed.
    pub(crate) fn describe(&mut self, secrets: Vec<SecretStatus>, fallback: bool) {
        self.secrets = secrets;
        self.fallback = fallback;
    }

    pub(crate) fn succeeded(&mut self) {
        self.last_success = Instant::now();
        self.failing = false;
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        self.last_error =
            Some(LastError { kind: error.kind(), message: error.to_string(), at: Instant::now() });
        self.failing = true;
    }

    /// How far the settings can be trusted, at the time of this call. Of several that hold, the first counts:
    ///
    /// 1. [`Fallback`](Health::Fallback): lower layers stand in for a secret that is not optional.
    /// 2. [`Failing`](Health::Failing): the last refresh failed.
    /// 3. [`Stale`](Health::Stale): the last success is longer ago than three refresh intervals.
    /// 4. [`Fresh`](Health::Fresh).
    pub fn health(&self) -> Health {
        let longest = self.interval.map(|interval| interval.saturating_mul(STALE_AFTER));
        if self.fallback {
            Health::Fallback
        } else if self.failing {
            Health::Failing
        } else if longest.is_some_and(|longest| self.last_success_age() > longest) {
            Health::Stale
        } else {
            Health::Fresh
        }
    }

    /// The number of the live generation: 1 at the start, one more with each swap.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the live generation came.
    pub fn changed_at(&self) -> SystemTime {
        system_time(self.changed_at)
    }

    /// When all secrets were last checked and nothing failed; the start counts, even one on fallback.
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

    /// The secrets of the live generation, and those that are selected but could not be read, in the order of their
    /// names; [`SecretStatus::state`] tells them apart. An optional secret below a prefix that is not listed is none.
    pub fn secrets(&self) -> &[SecretStatus] {
        &self.secrets
    }
}

impl SecretStatus {
    /// The secret's name in the store; of one that was never read, the name or ARN it is asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dotted key path that its value stands at; empty at the root.
    pub fn key_path(&self) -> &str {
        &self.key_path
    }

    /// Where its values come from.
    pub fn state(&self) -> SecretState {
        self.state
    }

    /// The id of the version in use; empty if there is none.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// Why the last refresh could not read it, if it could not: the version in use is the last good one, if any.
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

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Status", 6)?;
        fields.serialize_field("generation", &self.generation)?;
        fields.serialize_field("health", &self.health())?;
        fields.serialize_field("changed_at", &Epoch(self.changed_at))?;
        fields.serialize_field("last_success", &Epoch(self.last_success))?;
        fields.serialize_field("last_error", &self.last_error)?;
        fields.serialize_field("secrets", &self.secrets)?;
        fields.end()
    }
}

/// An instant as whole seconds since 1970.
struct Epoch(Instant);

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        epoch(&self.0, serializer)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn health_is_what_holds_when_it_is_asked_for() {
        let outage = Error::new(ErrorKind::Unavailable, "no answer");
        let mut status = Status::started(Some(Duration::from_secs(300)));
        assert_eq!(status.health(), Health::Fresh);
        tokio::time::advance(Duration::from_secs(900)).await;
        assert_eq!(status.health(), Health::Fresh);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(status.health(), Health::Stale);
        status.failed(&outage);
        assert_eq!(status.health(), Health::Failing);
        status.describe(Vec::new(), true);
        assert_eq!(status.health(), Health::Fallback);
        assert_eq!(serde_json::to_value(&status).expect("a status")["health"], "fallback");
        status.describe(Vec::new(), false);
        status.succeeded();
        assert_eq!(status.health(), Health::Fresh);

        let constant = Status::started(None);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(constant.health(), Health::Fresh);
    }
}

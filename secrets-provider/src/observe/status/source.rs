//! The status of one of several sources: how far its secrets can be trusted, and why they could not
//! be read.
//!
//! The engine records what each read of a source found; `Status` is made of all of them, and lists
//! them where there are several.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::clock::{Epoch, system_time};
use super::failover::Failover;
use super::health::Health;
use super::last_error::LastError;
use super::{INTERVALS_TO_STALE, record::INTERVALS_TO_FAILING};
use crate::error::Error;

/// The state of one of several [sources](crate::Sources) of a [`Live`](crate::Live). Its secrets
/// are in [`Status::secrets`](crate::Status::secrets), each with the name of its source.
///
/// It holds no values. Times serialize as whole seconds since 1970, durations as seconds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceStatus {
    pub(super) name: Arc<str>,
    pub(super) interval: Duration,
    pub(super) max_staleness: Duration,
    pub(super) last_success: Instant,
    pub(super) last_check: Instant,
    pub(super) has_succeeded: bool,
    pub(super) failed: bool,
    pub(super) search_failed: bool,
    pub(super) fallback: bool,
    pub(super) last_error: Option<LastError>,
    pub(super) failover: Option<Failover>,
}

impl SourceStatus {
    /// A source that was just read.
    pub(crate) fn started(
        name: Arc<str>,
        interval: Duration,
        max_staleness: Option<Duration>,
    ) -> Self {
        let now = Instant::now();
        let default = || interval.saturating_mul(INTERVALS_TO_FAILING);
        Self {
            name,
            interval,
            max_staleness: max_staleness.unwrap_or_else(default),
            last_success: now,
            last_check: now,
            has_succeeded: true,
            failed: false,
            search_failed: false,
            fallback: false,
            last_error: None,
            failover: None,
        }
    }

    /// The start could not read all required secrets.
    pub(crate) fn record_start_on_fallback(&mut self) {
        self.has_succeeded = false;
    }

    /// Every secret was read, and the settings have what was found.
    pub(crate) fn record_success(&mut self) {
        self.record_check();
        self.last_success = self.last_check;
        (self.has_succeeded, self.failed, self.search_failed) = (true, false, false);
    }

    /// A refresh failed, for all secrets or for some.
    pub(crate) fn record_failure(&mut self, error: &Error) {
        self.last_error = Some(LastError::new(error));
        self.failed = true;
    }

    /// A read of only some secrets ended. It neither proves that all is well nor clears the failure
    /// of a refresh.
    pub(crate) fn record_search(&mut self, error: Option<&Error>) {
        self.search_failed = error.is_some();
        self.last_error = error.map(LastError::new).or_else(|| self.last_error.take());
    }

    /// The store gave a definite answer for every secret in use.
    pub(crate) fn record_check(&mut self) {
        self.last_check = Instant::now();
    }

    /// Whether lower layers serve the keys of a required secret.
    pub(crate) fn set_fallback(&mut self, fallback: bool) {
        self.fallback = fallback;
    }

    /// Which region is read, of a source with replicas.
    pub(crate) fn set_failover(&mut self, failover: Option<Failover>) {
        self.failover = failover;
    }

    pub(super) fn is_older_than(&self, behind_since: Option<Instant>, bound: Duration) -> bool {
        let good_until =
            behind_since.map_or(self.last_success, |since| since.min(self.last_success));
        good_until.elapsed() > bound
    }

    pub(super) fn is_overdue(&self, behind_since: Option<Instant>) -> bool {
        self.is_older_than(behind_since, self.interval.saturating_mul(INTERVALS_TO_STALE))
    }

    /// The source's name: what [`SecretsManager::source_name`](crate::SecretsManager::source_name)
    /// sets, or else the prefix, or the first name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far the source's secrets can be trusted, by the rules of
    /// [`Status::health`](crate::Status::health).
    pub fn health(&self) -> Health {
        if self.fallback && self.is_ready() {
            Health::Fallback
        } else if self.is_older_than(None, self.max_staleness) {
            Health::Failing
        } else if self.failed || self.is_overdue(None) {
            Health::Stale
        } else {
            Health::Fresh
        }
    }

    /// Whether the store has answered for every secret in use of this source within
    /// [`max_staleness`](Self::max_staleness).
    pub fn is_ready(&self) -> bool {
        self.last_check.elapsed() <= self.max_staleness
    }

    /// The time between two refreshes of this source.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How old the last success may be before the source is [failing](Health::Failing).
    pub fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    /// When a refresh of all its secrets last succeeded; the start counts.
    pub fn last_success(&self) -> SystemTime {
        system_time(self.last_success)
    }

    /// The time since the last success, on tokio's clock.
    pub fn last_success_age(&self) -> Duration {
        self.last_success.elapsed()
    }

    /// When the store last gave a definite answer for every secret in use of this source.
    pub fn last_check(&self) -> SystemTime {
        system_time(self.last_check)
    }

    /// Whether the start or a refresh has ever read every required secret of this source.
    pub fn has_succeeded(&self) -> bool {
        self.has_succeeded
    }

    /// The last failure of this source. It stays here after later successes.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// The region of the source's replicas, and since when they are read in place of the first
    /// region; `None` without [`SecretsManager::or_region`](crate::SecretsManager::or_region).
    pub fn failover(&self) -> Option<&Failover> {
        self.failover.as_ref()
    }

    /// Whether the last error still holds: no refresh has succeeded after it.
    pub(crate) fn error_persists(&self) -> bool {
        self.failed || self.search_failed
    }
}

impl Serialize for SourceStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let length = 9 + usize::from(self.failover.is_some());
        let mut fields = serializer.serialize_struct("SourceStatus", length)?;
        fields.serialize_field("name", &self.name())?;
        fields.serialize_field("health", &self.health())?;
        fields.serialize_field("ready", &self.is_ready())?;
        let last_success = self.has_succeeded.then_some(Epoch(self.last_success));
        fields.serialize_field("last_success", &last_success)?;
        fields.serialize_field("last_success_age", &self.last_success_age().as_secs_f64())?;
        fields.serialize_field("last_check", &Epoch(self.last_check))?;
        fields.serialize_field("interval", &self.interval.as_secs_f64())?;
        fields.serialize_field("max_staleness", &self.max_staleness.as_secs_f64())?;
        fields.serialize_field("last_error", &self.last_error)?;
        if let Some(failover) = &self.failover {
            fields.serialize_field("failover", failover)?;
        }
        fields.end()
    }
}

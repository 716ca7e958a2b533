//! The public status of a live value: its generation, health, age, secrets and last error.
//!
//! The engine records what each refresh found (`record`); `Live::status` returns a copy, which the
//! status page, the HTTP routes and the metrics show. `health` is computed when it is asked for, so
//! that it worsens even while a refresh hangs.
//!
//! A status holds names, versions, times and error messages, never a value. Times are kept on
//! tokio's clock and shown on the wall clock (`clock`).

mod clock;
mod derived;
mod failover;
mod health;
mod last_error;
#[cfg(feature = "sqs")]
mod peers;
#[cfg(feature = "sqs")]
mod push;
mod record;
mod secret;
mod source;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

pub use derived::DerivedStatus;
pub use failover::Failover;
pub use health::Health;
pub use last_error::LastError;
#[cfg(feature = "sqs")]
pub(crate) use peers::PeersProgress;
#[cfg(feature = "sqs")]
pub use peers::PeersStatus;
#[cfg(feature = "sqs")]
pub(crate) use push::Progress;
#[cfg(feature = "sqs")]
pub use push::{PushState, PushStatus};
pub use secret::{SecretState, SecretStatus};
pub use source::SourceStatus;

use clock::{Epoch, system_time};

/// Without a success for this many intervals, a refresh is overdue. One interval is the schedule;
/// the second leaves room for its jitter of a tenth and for the refresh itself.
const INTERVALS_TO_STALE: u32 = 2;

/// Calls by the operation's name, such as `GetSecretValue`.
pub type Calls = BTreeMap<&'static str, u64>;

/// The state of a [`Live`](crate::Live): its generation, health and age, its last error, the
/// version of each secret, the values derived from it, and the calls it made.
///
/// It holds no values. It serializes with its health and readiness; times serialize as whole
/// seconds since 1970, durations as seconds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    generation: u64,
    changed_at: Instant,
    last_success: Instant,
    last_check: Instant,
    /// Since when a derived value may lag behind its settings: its builds fail, or it was shut
    /// down.
    behind_since: Option<Instant>,
    last_error: Option<LastError>,
    secrets: Vec<SecretStatus>,
    /// `None` for a constant.
    interval: Option<Duration>,
    /// `None` for a constant.
    max_staleness: Option<Duration>,
    next_attempt: Option<Instant>,
    calls: Calls,
    /// How old a value may be that is read, if a cache may give it.
    cache_ttl: Option<Duration>,
    derived: Vec<DerivedStatus>,
    /// Lower layers serve the keys of a required secret.
    fallback: bool,
    /// The last refresh failed or, for a derived value, its last build.
    failed: bool,
    /// A search for newer settings has failed since the last refresh.
    search_failed: bool,
    /// Every required secret was read at least once: at the start, or by a refresh.
    has_succeeded: bool,
    /// What the program calls these settings.
    title: Option<String>,
    /// One for each source, the lowest first; none for a constant.
    sources: Vec<SourceStatus>,
    /// The queue that changes are pushed through.
    #[cfg(feature = "sqs")]
    push: Option<std::sync::Arc<Progress>>,
    /// The peers that hints are passed on to.
    #[cfg(feature = "sqs")]
    peers: Option<std::sync::Arc<PeersProgress>>,
}

impl Status {
    /// How far the settings can be trusted, at the time of this call. The first of these that
    /// holds:
    ///
    /// 1. [`Fallback`](Health::Fallback): lower layers serve the keys of a required secret, and all
    ///    other secrets were [checked](Self::last_check) within the bound.
    /// 2. [`Failing`](Health::Failing): the last success is older than
    ///    [`max_staleness`](Self::max_staleness).
    /// 3. [`Stale`](Health::Stale): the last refresh failed, or the last success is older than two
    ///    [intervals](Self::interval).
    /// 4. [`Fresh`](Health::Fresh).
    ///
    /// Of several [sources](Self::sources), each has its own interval and bound, and what holds for
    /// one of them holds for the settings.
    ///
    /// Settings that are not [ready](Self::is_ready) are failing. For a derived value, the time of
    /// the last success ends when its builds start to fail or when it is shut down.
    pub fn health(&self) -> Health {
        let is_failing = match self.sources.as_slice() {
            [_, _, ..] => self
                .any_source(|source| source.is_older_than(self.behind_since, source.max_staleness)),
            _ => self.is_older_than(self.max_staleness),
        };
        let is_overdue = match self.sources.as_slice() {
            [_, _, ..] => self.any_source(|source| source.is_overdue(self.behind_since)),
            _ => {
                let intervals = |interval: Duration| interval.saturating_mul(INTERVALS_TO_STALE);
                self.is_older_than(self.interval.map(intervals))
            }
        };
        if self.fallback && self.is_ready() {
            Health::Fallback
        } else if is_failing {
            Health::Failing
        } else if self.failed || is_overdue {
            Health::Stale
        } else {
            Health::Fresh
        }
    }

    fn any_source(&self, holds: impl Fn(&SourceStatus) -> bool) -> bool {
        self.sources.iter().any(holds)
    }

    fn is_older_than(&self, bound: Option<Duration>) -> bool {
        let good_until =
            self.behind_since.map_or(self.last_success, |since| since.min(self.last_success));
        bound.is_some_and(|bound| good_until.elapsed() > bound)
    }

    /// Whether this replica should receive traffic.
    ///
    /// False once [`max_staleness`](Self::max_staleness) has passed since the store last gave a
    /// definite answer for every secret in use: a value, or that the secret is deleted, malformed,
    /// or has a value that a check rejects. Unreachable, throttled and denied are not definite
    /// answers. If lower layers serve the keys of all secrets, none is in use, and every refresh
    /// counts. Always true for a constant.
    ///
    /// [`health`](Self::health) is stricter: it also worsens when a secret is deleted, when a new
    /// value is rejected, and when the builds of a derived value fail. The last good values are
    /// then the best there are, on this replica and on every other, so none of these makes a
    /// replica unready.
    pub fn is_ready(&self) -> bool {
        match self.sources.as_slice() {
            [_, _, ..] => self.sources.iter().all(SourceStatus::is_ready),
            _ => self.max_staleness.is_none_or(|bound| self.last_check.elapsed() <= bound),
        }
    }

    /// When the store last gave a definite answer for every secret in use; see
    /// [`is_ready`](Self::is_ready).
    pub fn last_check(&self) -> SystemTime {
        system_time(self.last_check)
    }

    /// The time between two refreshes, 300 s by default; `None` for a constant. Of several
    /// [sources](Self::sources), the shortest.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// How old the last success may be before the settings are [failing](Health::Failing), and how
    /// old the last check may be before the replica is not [ready](Self::is_ready). Three intervals
    /// unless [`LiveBuilder::max_staleness`](crate::LiveBuilder::max_staleness) sets it; `None` for
    /// a constant.
    pub fn max_staleness(&self) -> Option<Duration> {
        self.max_staleness
    }

    /// Whether the last refresh failed or, for a derived value, its last build.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// What [`LiveBuilder::title`](crate::LiveBuilder::title) calls these settings.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Whether the start or a refresh has ever read every required secret. False after a start on
    /// [fallback](Health::Fallback), until a refresh succeeds; then no last success is shown.
    pub fn has_succeeded(&self) -> bool {
        self.has_succeeded
    }

    /// Whether the last error still holds: no refresh has succeeded after it.
    pub(crate) fn error_persists(&self) -> bool {
        self.failed || self.search_failed
    }

    /// Whether the secrets in use were checked after the last success.
    pub(crate) fn was_checked_since_success(&self) -> bool {
        self.last_check > self.last_success
    }

    /// Whether lower layers serve the keys of a required secret, however old the other values are.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_on_fallback(&self) -> bool {
        self.fallback
    }

    /// When the next refresh is due; `None` during a refresh, for a constant, and after a shutdown.
    pub fn next_attempt(&self) -> Option<SystemTime> {
        self.next_attempt.map(system_time)
    }

    /// The calls sent to the store up to the end of the last refresh, by operation, retries
    /// included. Clones of one [`SecretsManager`](crate::SecretsManager) share their counts. Empty
    /// for a store that does not count.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// How old a value may be when it is read, if it may come from a cache between this process and
    /// the store, such as that of AWS's local agent ([`Backend::cache_ttl`](crate::Backend::cache_ttl)).
    /// A rotation may go unnoticed for this time and an [interval](Self::interval) together. `None`
    /// if every read asks the store. Of several [sources](Self::sources), the longest.
    pub fn cache_ttl(&self) -> Option<Duration> {
        self.cache_ttl
    }

    /// The region of the replicas, and since when they are read in place of the first region; `None`
    /// without [`SecretsManager::or_region`](crate::SecretsManager::or_region). As of the end of the
    /// last refresh. Of several [sources](Self::sources) with replicas, one that reads them, if
    /// there is any.
    pub fn failover(&self) -> Option<&Failover> {
        let all = || self.sources.iter().filter_map(SourceStatus::failover);
        all().find(|failover| failover.is_active()).or_else(|| all().next())
    }

    /// Each region with replicas, and whether they are read.
    #[cfg(feature = "metrics")]
    pub(crate) fn failovers(&self) -> BTreeMap<&str, bool> {
        let mut regions = BTreeMap::new();
        for failover in self.sources.iter().filter_map(SourceStatus::failover) {
            *regions.entry(failover.region()).or_default() |= failover.is_active();
        }
        regions
    }

    /// The values [derived](crate::Live::derive) from these settings that are still in use, oldest
    /// first.
    pub fn derived(&self) -> &[DerivedStatus] {
        &self.derived
    }

    /// The state of the queue that [`LiveBuilder::push`](crate::LiveBuilder::push) receives, at the
    /// time of this call; `None` without one. It does not count for [`health`](Self::health):
    /// secrets are read at the interval in any case.
    #[cfg(feature = "sqs")]
    pub fn push(&self) -> Option<PushStatus> {
        self.push.as_ref().map(|progress| progress.status())
    }

    /// The state of the peers that [`Push::peers`](crate::Push::peers) passes hints on to, at the
    /// time of this call; `None` without them. It does not count for [`health`](Self::health).
    #[cfg(feature = "sqs")]
    pub fn peers(&self) -> Option<PeersStatus> {
        self.peers.as_ref().map(|progress| progress.status())
    }

    /// The number of the live generation: 1 at the start, one more after each swap.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the live generation was swapped in.
    pub fn changed_at(&self) -> SystemTime {
        system_time(self.changed_at)
    }

    /// When a refresh of all secrets last succeeded. The start counts, even a start on fallback,
    /// which [`has_succeeded`](Self::has_succeeded) distinguishes (and `null` in JSON). A
    /// search by [`refresh_past`](crate::Live::refresh_past) does not count, because it reads only
    /// some of the secrets. For a derived value, the last success of its settings.
    pub fn last_success(&self) -> SystemTime {
        system_time(self.last_success)
    }

    /// The time since the last success, on tokio's clock.
    pub fn last_success_age(&self) -> Duration {
        self.last_success.elapsed()
    }

    /// The last failure: of a refresh (of all secrets or only some), of a search for newer
    /// settings, or of a derived value's build. It stays here after later successes; a
    /// [`last_success`](Self::last_success) later than [`LastError::at`] means that it is over.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// The secrets of the live generation and the selected secrets that could not be read, by name;
    /// [`SecretStatus::state`] distinguishes them. An optional secret that does not exist below a
    /// listed prefix is not included.
    pub fn secrets(&self) -> &[SecretStatus] {
        &self.secrets
    }

    /// Each source of the settings by itself, the lowest first, where there are several (see
    /// [`Sources`](crate::Sources)); empty if there is only one, whose state this status is.
    pub fn sources(&self) -> &[SourceStatus] {
        match self.sources.len() {
            0 | 1 => &[],
            _ => &self.sources,
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        let length = 15
            + usize::from(self.cache_ttl.is_some())
            + usize::from(self.failover().is_some())
            + usize::from(!self.sources().is_empty());
        #[cfg(feature = "sqs")]
        let length = length + usize::from(self.push.is_some()) + usize::from(self.peers.is_some());
        let mut fields = serializer.serialize_struct("Status", length)?;
        fields.serialize_field("title", &self.title)?;
        fields.serialize_field("generation", &self.generation)?;
        fields.serialize_field("health", &self.health())?;
        fields.serialize_field("ready", &self.is_ready())?;
        fields.serialize_field("changed_at", &Epoch(self.changed_at))?;
        let last_success = self.has_succeeded.then_some(Epoch(self.last_success));
        fields.serialize_field("last_success", &last_success)?;
        fields.serialize_field("last_success_age", &self.last_success_age().as_secs_f64())?;
        fields.serialize_field("last_check", &Epoch(self.last_check))?;
        fields.serialize_field("max_staleness", &seconds(self.max_staleness))?;
        fields.serialize_field("next_attempt", &self.next_attempt.map(Epoch))?;
        fields.serialize_field("interval", &seconds(self.interval))?;
        fields.serialize_field("last_error", &self.last_error)?;
        fields.serialize_field("secrets", &self.secrets)?;
        if !self.sources().is_empty() {
            fields.serialize_field("sources", &self.sources())?;
        }
        fields.serialize_field("derived", &self.derived)?;
        fields.serialize_field("calls", &self.calls)?;
        if self.cache_ttl.is_some() {
            fields.serialize_field("cache_ttl", &seconds(self.cache_ttl))?;
        }
        if let Some(failover) = self.failover() {
            fields.serialize_field("failover", failover)?;
        }
        // Only where there is a queue, so that the feature changes nothing else.
        #[cfg(feature = "sqs")]
        if let Some(push) = self.push() {
            fields.serialize_field("push", &push)?;
        }
        #[cfg(feature = "sqs")]
        if let Some(peers) = self.peers() {
            fields.serialize_field("peers", &peers)?;
        }
        fields.end()
    }
}

#[cfg(test)]
mod tests;

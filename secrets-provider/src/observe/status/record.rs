//! What the engine and derived values write into a status.
//!
//! Every setter is named for the event that it records; none of them reads a clock other than
//! tokio's, and none can fail. When each is called is for the engine to decide.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::derived::DerivedStatus;
use super::secret::SecretStatus;
use super::source::SourceStatus;
use super::{Calls, Status};

/// The default `max_staleness`, in intervals.
pub(super) const INTERVALS_TO_FAILING: u32 = 3;

impl Status {
    /// Generation 1, just read. `interval` is `None` for a constant; `max_staleness` then has no
    /// default.
    pub(crate) fn started(interval: Option<Duration>, max_staleness: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            generation: 1,
            changed_at: now,
            last_success: now,
            last_check: now,
            behind_since: None,
            last_error: None,
            secrets: Vec::new(),
            interval,
            max_staleness: max_staleness
                .or_else(|| interval.map(|interval| interval.saturating_mul(INTERVALS_TO_FAILING))),
            next_attempt: None,
            calls: Calls::new(),
            cache_ttl: None,
            derived: Vec::new(),
            fallback: false,
            failed: false,
            search_failed: false,
            has_succeeded: true,
            title: None,
            sources: Vec::new(),
            #[cfg(feature = "sqs")]
            push: None,
            #[cfg(feature = "sqs")]
            peers: None,
        }
    }

    /// Settings of these sources, which were just read.
    pub(crate) fn of_sources(sources: Vec<SourceStatus>, max_staleness: Option<Duration>) -> Self {
        // A constant has no sources.
        let interval = sources.iter().map(|source| source.interval).min();
        let longest = sources.iter().map(|source| source.max_staleness).max();
        Self { sources, ..Self::started(interval, max_staleness.or(longest)) }
    }

    /// Changes what is known of one source, and of all together.
    pub(crate) fn record_source(&mut self, source: usize, record: impl FnOnce(&mut SourceStatus)) {
        let Some(source) = self.sources.get_mut(source) else { return };
        record(source);
        let all = |holds: fn(&SourceStatus) -> bool| self.sources.iter().all(holds);
        let oldest = |time: fn(&SourceStatus) -> Instant| self.sources.iter().map(time).min();
        self.last_success = oldest(|source| source.last_success).unwrap_or(self.last_success);
        self.last_check = oldest(|source| source.last_check).unwrap_or(self.last_check);
        self.has_succeeded = all(|source| source.has_succeeded);
        self.failed = !all(|source| !source.failed);
        self.search_failed = !all(|source| !source.search_failed);
        self.fallback = !all(|source| !source.fallback);
        let last = self.sources.iter().filter_map(|source| source.last_error.as_ref());
        self.last_error = last.max_by_key(|error| error.instant()).cloned();
    }

    /// Sets what the program calls these settings.
    pub(crate) fn set_title(&mut self, title: Option<String>) {
        self.title = title;
    }

    /// Sets the queue that changes are pushed through, and the peers that they are passed on to.
    #[cfg(feature = "sqs")]
    pub(crate) fn set_push(
        &mut self,
        queue: Option<std::sync::Arc<super::Progress>>,
        peers: Option<std::sync::Arc<super::PeersProgress>>,
    ) {
        (self.push, self.peers) = (queue, peers);
    }

    /// A change that a hint announced went live; it happened at this time.
    #[cfg_attr(not(feature = "sqs"), allow(unused_variables, reason = "only a queue announces"))]
    pub(crate) fn record_lag(&self, changed_at: std::time::SystemTime) {
        #[cfg(feature = "sqs")]
        if let Some(push) = &self.push {
            push.served(changed_at);
        }
    }

    /// A new generation went live.
    pub(crate) fn record_swap(&mut self) {
        self.generation += 1;
        self.changed_at = Instant::now();
    }

    /// Sets the state of each secret. One whose version is the one before keeps its time of change.
    pub(crate) fn set_secrets(&mut self, mut secrets: Vec<SecretStatus>) {
        let now = Instant::now();
        let before: BTreeMap<_, _> = self
            .secrets
            .iter()
            .map(|secret| {
                ((secret.source(), secret.name(), secret.version_id()), secret.changed_at)
            })
            .collect();
        for secret in secrets.iter_mut().filter(|secret| !secret.version_id.is_empty()) {
            let known = before.get(&(secret.source(), secret.name(), secret.version_id()));
            let known = known.copied().flatten();
            secret.changed_at = known.or(Some(now));
        }
        self.secrets = secrets;
    }

    /// Sets how old a value may be that is read.
    pub(crate) fn set_cache_ttl(&mut self, ttl: Option<Duration>) {
        self.cache_ttl = ttl;
    }

    /// Sets the calls made so far.
    pub(crate) fn set_calls(&mut self, calls: Calls) {
        self.calls = calls;
    }

    /// Sets when the next refresh is due: `None` during one, and after the task has ended.
    pub(crate) fn set_next_attempt(&mut self, next: Option<Instant>) {
        self.next_attempt = next;
    }

    /// With the values derived from these settings.
    pub(crate) fn with_derived(mut self, derived: Vec<DerivedStatus>) -> Self {
        self.derived = derived;
        self
    }

    /// The status of a derived value, made from the status of its settings: it has its own
    /// generation, and is worse where it lags behind them. `below` are the values derived from it
    /// in turn.
    pub(crate) fn of_derived(self, own: DerivedStatus, below: Vec<DerivedStatus>) -> Self {
        let behind_since =
            [self.behind_since, own.failing_since, own.ended_at].into_iter().flatten().min();
        let last_error = match (self.last_error, own.last_error) {
            (Some(theirs), Some(ours)) => {
                Some(if ours.instant() > theirs.instant() { ours } else { theirs })
            }
            (theirs, ours) => theirs.or(ours),
        };
        Self {
            generation: own.generation,
            changed_at: own.built_at,
            behind_since,
            failed: self.failed || own.failing_since.is_some(),
            last_error,
            derived: below,
            ..self
        }
    }
}

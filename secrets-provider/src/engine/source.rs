//! One source of secrets, as the refresher keeps it: what it read, what is missing, and when it is
//! read again (rules R3 to R5).
//!
//! Sources know nothing of each other. The refresher merges what they have, and swaps. Several
//! sources are read at the same time, each at most once; what has to be read meanwhile waits here
//! for the read under way.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::due::{DueReads, Replaced};
use super::hints::{Hint, Hints};
use super::missing::Missing;
use super::refresher::drain_ready;
use super::rotation::RotationSchedule;
use super::secrets::Secrets;
use super::trigger::{self, Trigger};
use crate::error::Error;
use crate::load::fetch::{Failures, FetchResult, Fetcher, Scope};
use crate::load::notify::Subscriber;
use crate::load::retry::schedule::Schedule;
use crate::observe::events;
use crate::observe::status::SecretStatus;
use crate::secret::SecretVersion;
use crate::unwind;

/// Everything about one source that changes from one refresh to the next.
pub(super) struct Source {
    pub(super) fetcher: Fetcher,
    pub(super) schedule: Schedule,
    /// The secrets of the live generation.
    pub(super) used: Secrets,
    pub(super) served: Vec<SecretVersion>,
    pub(super) missing: Missing,
    pub(super) listing: Listing,
    pub(super) hints: Hints,
    pub(super) rotation: RotationSchedule,
    pub(super) due: DueReads,
    pub(super) replaced: Replaced,
    /// The failed refreshes in a row.
    failures: u32,
    /// The failures of single secrets that are in the log.
    pub(super) failures_logged: Failures,
    /// The failure of a refresh that is in the log, by its fingerprint.
    failure_logged: Option<u64>,
    /// The rejection that is in the log, by its fingerprint.
    pub(super) rejection_logged: Option<u64>,
    /// When the next refresh is due.
    pub(super) next: Instant,
    /// The backend's own signals.
    signals: BoxStream<'static, Trigger>,
    /// What has to be read next, if anything.
    pub(super) pending: Option<Scope>,
    /// The requests that the next read answers.
    pub(super) asked: Vec<u64>,
    pub(super) reading: Option<Reading>,
    /// Whether the next read, which is due at once, should not take its time.
    pub(super) reads_again: bool,
    /// Hears of secrets that this program rotates.
    _subscription: Arc<Subscriber>,
}

/// A read under way.
pub(super) struct Reading {
    pub(super) batch: u64,
    /// The requests that it answers.
    pub(super) requests: Vec<u64>,
    /// Whether somebody waits for its end.
    pub(super) wanted: watch::Sender<bool>,
}

/// The names that the last listing found, and when.
pub(super) struct Listing {
    pub(super) names: Option<Vec<String>>,
    pub(super) at: Instant,
}

impl Source {
    /// A source that was just read for the first time.
    pub(super) fn started(
        fetcher: Fetcher,
        schedule: Schedule,
        result: FetchResult,
        failures_logged: Failures,
        subscription: Arc<Subscriber>,
    ) -> Self {
        let missing = Missing::at_start(&result, schedule, Instant::now());
        // A start on fallback is tried again as soon as after any other failure.
        let failures = u32::from(result.error().is_some());
        let used: Secrets = result
            .outcomes
            .into_iter()
            .filter_map(|(id, outcome)| Some((id, outcome.ok()?)))
            .collect();
        let mut rotation = RotationSchedule::default();
        rotation.renewed(used.ids().cloned());
        Self {
            served: fetcher.versions(&used.each_once()),
            signals: futures_util::stream::pending().boxed(),
            listing: Listing { names: result.listed, at: Instant::now() },
            next: Instant::now(),
            fetcher,
            schedule,
            used,
            missing,
            hints: Hints::default(),
            rotation,
            due: DueReads::default(),
            replaced: Replaced::default(),
            failures,
            failures_logged,
            failure_logged: None,
            rejection_logged: None,
            pending: None,
            asked: Vec::new(),
            reading: None,
            reads_again: false,
            _subscription: subscription,
        }
    }

    /// Settings were made of the first read: from now on, there are others.
    pub(super) fn begin(&mut self) {
        let first = match self.failures {
            0 => self.schedule.first(fastrand::f64()),
            failures => self.schedule.retry(failures, fastrand::f64()),
        };
        self.next = Instant::now() + first;
        let signals = unwind::catch(|| self.fetcher.changes()).ok().flatten();
        if let Some(signals) = signals {
            let signals = signals.map(|()| Trigger::new("backend"));
            self.signals = trigger::fuse_quietly(signals);
        }
    }

    /// Whether it is being read.
    pub(super) fn is_read(&self) -> bool {
        self.reading.is_some()
    }

    /// The batch of the read under way.
    pub(super) fn batch(&self) -> Option<u64> {
        self.reading.as_ref().map(|reading| reading.batch)
    }

    /// Somebody waits for the end of the read under way, if there is one: it should not take its time.
    pub(super) fn hurry(&self) {
        if let Some(reading) = &self.reading {
            reading.wanted.send_replace(true);
        }
    }

    /// Asks for rotation dates that are not known, and moves the next refresh by those that are.
    pub(super) fn plan_next(&mut self) {
        self.rotation.ask(&self.fetcher);
        let now = Instant::now();
        let wait = self.next.saturating_duration_since(now);
        self.next = self.next.min(now + self.rotation.shorten(wait, fastrand::f64()));
    }

    /// Two waits, for ever while it is being read. The first ends when the source itself says that
    /// something has to be read: at the interval, or earlier for some secrets; with `None` if it
    /// only has to begin again. The second ends at a signal of the backend, which may be endless,
    /// so that the loop can have it last.
    pub(super) fn waits(&mut self) -> (BoxFuture<'_, Option<Scope>>, BoxFuture<'_, ()>) {
        if self.is_read() {
            return (pending().boxed(), pending().boxed());
        }
        let Self { next, hints, rotation, due, used, signals, .. } = self;
        let next = *next;
        let wake = async move {
            let hints_due = hints.due();
            tokio::select! {
                biased;
                () = sleep_until(next) => Some(Scope::due()),
                () = sleep_until(hints_due.unwrap_or(next)), if hints_due.is_some() => {
                    Some(Scope::Only(hints.take_due(Instant::now())))
                }
                ids = due.wait(used) => Some(Scope::Only(ids)),
                () = rotation.answered() => None,
            }
        };
        (wake.boxed(), signals.next().map(drop).boxed())
    }

    /// Whether the backend has signalled, if it is not being read. Takes its signals.
    pub(super) async fn take_signals(&mut self) -> bool {
        !self.is_read() && !drain_ready(&mut self.signals).await.is_empty()
    }

    /// Something has to be read, for this request if there is one.
    pub(super) fn pend(&mut self, scope: Scope, request: Option<u64>) {
        self.pending = Some(match self.pending.take() {
            Some(pending) => pending.and(scope),
            None => scope,
        });
        self.asked.extend(request);
        self.hurry();
    }

    /// The ids that each of these hints asks for here.
    pub(super) fn hear(&mut self, hints: &[Hint]) -> Vec<Vec<String>> {
        let selector = self.fetcher.selector(self.used.ids());
        hints.iter().map(|hint| self.hints.hear(hint, &selector, &self.used)).collect()
    }

    /// Notes that credentials at, below or around this path were refused: a store that makes them
    /// when they are read may make others.
    pub(super) fn refuse(&self, path: &str) {
        for (id, lease) in self.used.leases() {
            if overlap(&self.fetcher.key_path(id), path) {
                lease.refuse();
            }
        }
    }

    /// A read of this scope has ended: sets when the next one is due.
    pub(super) fn schedule_next(&mut self, scope: &Scope, error: Option<&Error>) {
        let ids = match scope {
            Scope::Only(ids) => ids.clone(),
            Scope::InUse | Scope::Due | Scope::Everything => self.used.ids().cloned().collect(),
        };
        let now = Instant::now();
        self.due.read(&ids, &self.used, self.schedule, now, fastrand::f64());
        self.next = match scope.is_partial() {
            // A partial read has a schedule of its own.
            true => self.next.max(now),
            false => now + self.wait_after(error),
        };
    }

    /// What a long read found is of different moments: of secrets that rotated together in the midst of
    /// it, those that were read before are old. So everything is read once more, in one moment.
    pub(super) fn read_again(&mut self) {
        self.next = Instant::now();
        self.reads_again = true;
    }

    fn wait_after(&mut self, error: Option<&Error>) -> Duration {
        let Some(error) = error else {
            if self.failures > 0 {
                events::refresh_recovered(self.failures, self.fetcher.source_name());
            }
            self.failures = 0;
            self.failure_logged = None;
            return self.schedule.next(fastrand::f64());
        };
        self.failures = self.failures.saturating_add(1);
        let wait = self.schedule.retry(self.failures, fastrand::f64());
        let failure = Some(error.fingerprint());
        let repeated = self.failure_logged == failure;
        self.failure_logged = failure;
        let source = self.fetcher.source_name();
        events::refresh_failed(self.failures, error, repeated, wait, source);
        wait
    }

    /// The last listing, if it is still valid.
    pub(super) fn valid_listing(&self) -> Option<Vec<String>> {
        // Reads that come more often because a secret is about to rotate are for values, not for
        // names.
        let rotating = self.rotation.listing_lasts(self.schedule.interval);
        let valid = self.listing.at.elapsed() < self.schedule.rediscover.max(rotating);
        self.listing.names.clone().filter(|_| valid)
    }

    /// The status of every secret.
    pub(super) fn statuses(&self) -> Vec<SecretStatus> {
        self.missing.statuses(&self.served, &self.used, &self.fetcher, self.schedule)
    }

    /// These secrets are in use from now on; `complete` if every selected secret was read.
    pub(super) fn now_uses(&mut self, used: Secrets, complete: bool) {
        self.rotation.renewed(used.renewed_since(&self.used));
        self.used = used;
        self.served = self.fetcher.versions(&self.used.each_once());
        self.missing.now_used(&self.used, complete);
    }
}

/// Whether one of two key paths is the other, or is below it.
fn overlap(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    within(one, other) || within(other, one)
}

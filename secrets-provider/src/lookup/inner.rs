//! What the clones of a lookup share: how a secret is read, what becomes of the answer, and what a
//! caller gets from the cache.

mod expire;
mod reading;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::cache::{Cache, Failing, Served, Stored};
use super::entry::Entry;
use super::failures::Failures;
use super::flights::{Flights, Found};
use super::name::{Target, target};
use super::search::Searches;
use super::stats::Counters;
use super::variables::Variables;
use crate::error::{Error, ErrorKind};
use crate::load::manager::{SecretsManager, Sources};
use crate::load::notify::Subscriber;
use crate::load::plan::Plan;
use crate::load::retry::schedule::{Budget, Schedule};
use crate::observe::{events, metrics};
use crate::secret::id::same_secret;

/// How long it is remembered that a secret does not exist or may not be read. While the store
/// itself fails twice in a row, a secret without a value is tried again by a backoff up to this.
const REMEMBERED: Duration = Duration::from_secs(5);

/// What the setters of a lookup change.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) sources: Sources,
    pub(super) ttl: Duration,
    pub(super) max_stale: Duration,
    pub(super) capacity: usize,
    pub(super) search: Budget,
    pub(super) variables: Variables,
}

pub(super) struct Inner {
    pub(super) options: Options,
    /// The plan of each source, the lowest first.
    pub(super) plans: Vec<Result<Plan, Error>>,
    pub(super) cache: Cache,
    pub(super) flights: Flights,
    pub(super) searches: Searches,
    pub(super) counters: Counters,
    pub(super) failures: Failures,
    generations: AtomicU64,
    _subscription: Arc<Subscriber>,
}

/// What a read brought.
pub(super) struct Read {
    pub(super) entry: Entry,
    /// How long it is served.
    lasts: Duration,
    /// Why the store could not be read, if a variable has the value.
    fallback: Option<Error>,
}

/// What became of a read.
pub(super) struct Landed {
    /// What its callers get.
    pub(super) found: Found,
    /// When to try again behind the value that is served.
    pub(super) retry: Option<Instant>,
    pub(super) report: Report,
}

/// What is worth an event.
pub(super) enum Report {
    Nothing,
    Read { entry: Arc<Entry>, is_new: bool, recovered: u32, fallback: Option<Error> },
    Stale { entry: Arc<Entry>, failures: u32, error: Error, repeated: bool, next_try: Duration },
}

impl Inner {
    pub(super) fn new(options: Options) -> Arc<Self> {
        let managers = options.sources.managers();
        let plans = managers.iter().map(|manager| manager.description().choice.plan()).collect();
        let cache = Cache::new(options.capacity);
        Arc::new_cyclic(|lookup| {
            let subscription = Self::subscriber(lookup);
            let managers = options.sources.managers();
            managers.iter().for_each(|manager| manager.notifier().subscribe(&subscription));
            Self {
                options,
                plans,
                cache,
                flights: Flights::default(),
                searches: Searches::default(),
                counters: Counters::default(),
                failures: Failures::default(),
                generations: AtomicU64::new(0),
                _subscription: subscription,
            }
        })
    }

    pub(super) fn is_off(&self) -> bool {
        self.plans.iter().all(|plan| plan.as_ref().is_ok_and(|plan| plan.off))
    }

    pub(super) fn schedule(&self) -> Schedule {
        Schedule::new(self.options.ttl, None, self.options.search)
    }

    /// What a name comes to in the highest source that may have it.
    fn target(&self, name: &str) -> Result<Target, Error> {
        self.targets(name).map(|mut targets| targets.swap_remove(0).1)
    }

    /// What a name comes to in each source that may have it, by the source's index, the highest
    /// first.
    fn targets(&self, name: &str) -> Result<Vec<(usize, Target)>, Error> {
        let (mut targets, mut refused) = (Vec::new(), None);
        for (index, plan) in self.plans.iter().enumerate().rev() {
            let plan = plan.as_ref().map_err(Clone::clone)?;
            // Where only some sources are off, they have nothing.
            if plan.off && !self.is_off() {
                continue;
            }
            match target(name, plan) {
                Ok(target) => targets.push((index, target)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if targets.is_empty() => Err(error),
            _ => Ok(targets),
        }
    }

    /// Whether this is one of the ids that a name comes to.
    fn is_id_of(&self, name: &str, id: &str) -> bool {
        let targets = self.targets(name).unwrap_or_default();
        targets.iter().any(|(_, own)| same_secret(&own.id, id))
    }

    /// Whether a name may be looked up: what is cached was checked before.
    pub(super) fn check(&self, name: &str) -> Result<(), Error> {
        self.target(name).map(drop)
    }

    /// The value that the cache has for a caller, after counting a hit; `None` to read the secret.
    /// If its last read failed and it is due again, it is read behind the caller.
    pub(super) fn cached<R>(
        self: &Arc<Self>,
        name: &str,
        take: impl FnOnce(&Arc<Entry>) -> Result<R, Error>,
    ) -> Option<Result<R, Error>> {
        self.cache.serve(name, self.options.max_stale, |served| match served {
            Served::Fresh(entry) => {
                self.counters.looked_up(true);
                Some(take(entry))
            }
            Served::Stale(entry, due) => {
                self.counters.looked_up(true);
                if due {
                    self.read_behind(name);
                }
                Some(take(entry))
            }
            Served::Refused(error) => {
                self.counters.looked_up(true);
                Some(Err(error.clone()))
            }
            Served::Read => None,
        })
    }

    /// Reads a secret for a caller: past the cache if `fresh`, which fails if the read does.
    pub(super) async fn obtain(self: &Arc<Self>, name: &str, fresh: bool) -> Found {
        self.counters.looked_up(false);
        match self.read(name, fresh).await {
            // The last good value, if it may be served.
            Err(error) if !fresh => {
                self.cache.serve(name, self.options.max_stale, |served| match served {
                    Served::Fresh(entry) | Served::Stale(entry, _) => Ok(entry.clone()),
                    Served::Refused(_) | Served::Read => Err(error),
                })
            }
            found => found,
        }
    }

    /// The error of a lookup with keys: where AWS is off and nothing is set, it names the variable
    /// of the member.
    pub(super) fn at(&self, error: Error, name: &str, keys: &[Cow<'_, str>]) -> Error {
        let is_unset = error.kind() == ErrorKind::NotFound && error.key().is_none();
        match self.target(name) {
            Ok(target) if is_unset && !keys.is_empty() && self.is_off() => {
                self.options.variables.unset(name, &target, keys)
            }
            _ => error,
        }
    }

    /// The source that is asked first.
    fn highest(&self) -> &SecretsManager {
        self.options.sources.highest()
    }

    fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Stores what a read brought. Called under the lock of the flights.
    pub(super) fn store(&self, name: &Arc<str>, read: Result<Read, Error>) -> Landed {
        let now = Instant::now();
        let known = self.cache.peek(name);
        let last_good = known
            .as_ref()
            .and_then(|(stored, used)| Some((stored.found.as_ref().ok()?.clone(), stored, *used)));
        let error = match read {
            Ok(Read { entry, lasts, fallback }) => {
                let same = last_good.as_ref().map(|(known, ..)| known);
                let same = same.filter(|known| known.is_same_version(&entry)).cloned();
                let is_new = same.is_none();
                // What was parsed of a version stays with it.
                let entry = same.unwrap_or_else(|| Arc::new(entry));
                let failing = last_good.and_then(|(_, stored, _)| stored.failing);
                let recovered = failing.map_or(0, |failing| failing.failures);
                let stored = Stored { found: Ok(entry.clone()), until: now + lasts, failing: None };
                self.cache.put(name, stored);
                let report = Report::Read { entry: entry.clone(), is_new, recovered, fallback };
                return Landed { found: Ok(entry), retry: None, report };
            }
            Err(error) => error,
        };
        let failed = |report, retry| Landed { found: Err(error.clone()), retry, report };
        match last_good {
            // It was asked for past the cache.
            Some((_, stored, _)) if now < stored.until => failed(Report::Nothing, None),
            Some((entry, stored, used)) if stored.lasts(now, self.options.max_stale) => {
                let failures = stored.failing.map_or(0, |failing| failing.failures) + 1;
                let next_try = self.schedule().retry(failures, fastrand::f64());
                let retry = now + next_try;
                let mark = error.fingerprint();
                let repeated = stored.failing.is_some_and(|failing| failing.mark == mark);
                let failing = Some(Failing { failures, retry, used, mark, superseded: false });
                self.cache.change(name, |stored| Stored { failing, ..stored.clone() });
                // Whether it is used from here on decides whether it is tried again.
                self.cache.mark_uses();
                let error = error.clone();
                let report = Report::Stale { entry, failures, error, repeated, next_try };
                failed(report, Some(retry))
            }
            // It says nothing about the secret: the next caller may have other credentials.
            _ if error.errors().iter().any(Error::is_of_caller) => {
                self.cache.remove(name);
                failed(Report::Nothing, None)
            }
            _ => {
                let before = known.as_ref().and_then(|(stored, _)| stored.failing);
                let stored = self.refusal(&error, before, now);
                self.cache.put(name, stored);
                failed(Report::Nothing, None)
            }
        }
    }

    /// An error that is the answer for a moment: another call would only get it again.
    fn refusal(&self, error: &Error, before: Option<Failing>, now: Instant) -> Stored {
        let longest = REMEMBERED.min(self.options.ttl);
        if !error.is_transient() {
            return Stored { found: Err(error.clone()), until: now + longest, failing: None };
        }
        let failures = before.map_or(0, |failing| failing.failures).saturating_add(1);
        let wait = match failures {
            // A short fault is over for the next caller.
            1 => Duration::ZERO,
            // Half of the wait at least, because nothing else bounds the calls.
            _ => Schedule::backoff(failures - 1, longest, 0.5 + 0.5 * fastrand::f64()),
        };
        let until = now + wait;
        let mark = error.fingerprint();
        let failing = Failing { failures, retry: until, used: 0, mark, superseded: false };
        Stored { found: Err(error.clone()), until, failing: Some(failing) }
    }

    /// Logs and counts what became of a read. Errors that callers get are counted with them.
    pub(super) fn report(&self, report: Report) {
        match report {
            Report::Nothing => {}
            Report::Read { entry, is_new, recovered, fallback } => {
                if let Some(version_id) = &entry.version_id {
                    events::secret_fetched(&entry.id, version_id, is_new, false);
                }
                if recovered > 0 {
                    events::stale_secret_recovered(&entry.id, recovered);
                }
                if fallback.is_none() && self.failures.ends(&entry.id) {
                    events::secrets_recovered(std::slice::from_ref(&entry.id));
                }
                if let Some(error) = fallback {
                    self.failed(&error);
                    let ids = std::slice::from_ref(&entry.id);
                    self.highest().warn_once().of_fallback(ids, &error);
                }
            }
            Report::Stale { entry, failures, error, repeated, next_try } => {
                self.failed(&error);
                let version_id = entry.version_id.as_deref().unwrap_or_default();
                let tries = (failures, next_try);
                events::stale_secret_served(&entry.id, version_id, &error, repeated, tries);
            }
        }
    }

    /// Counts a failure that a caller gets, or that a served value hides, and logs it if it is one
    /// that an operator has to mend.
    pub(super) fn failed(&self, error: &Error) {
        self.counters.failed(error);
        if self.failures.begins(error, Instant::now()) {
            match error.kind() {
                ErrorKind::AccessDenied => events::secret_access_denied(error),
                _ => events::secret_failed(error),
            }
        }
    }

    /// Logs an optional secret that a caller does without, and counts a denial among the failures of
    /// the process: an alarm on any denial has to see it. For this lookup it is no failure.
    pub(super) fn absent(&self, error: &Error) {
        // A key that does not exist says nothing about its secret.
        if let (Some(secret), None) = (error.secret(), error.key())
            && self.failures.leaves_out(error, Instant::now())
        {
            events::optional_secret_absent(secret, error.kind());
        }
        if matches!(error.kind(), ErrorKind::AccessDenied | ErrorKind::Kms) {
            metrics::record_failure(error);
        }
    }

    /// Whether a secret still waits for the try at this time, and is worth it: once waits are as
    /// long as the time to live, only if it was used since the last try.
    pub(super) fn is_due(&self, name: &str, due: Instant) -> bool {
        let Some((stored, used)) = self.cache.peek(name) else { return false };
        let Some(failing) = stored.failing.filter(|failing| failing.retry == due) else {
            return false;
        };
        self.schedule().is_backing_off(failing.failures) || used > failing.used
    }
}

#[cfg(test)]
mod tests;

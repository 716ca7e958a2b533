//! What is allowed: the history of the store, what was wrong when, and the bounds that follow.
//!
//! The model knows nothing of the library but its documentation. It looks at the store's own record
//! of which version was current when, and at what the schedule did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use tokio::time::Instant;

use crate::settings::{Stamp, stamp_in};

/// How long one fetch may take, as the replicas are set up.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a build of a derived value may take, and the longest wait for the next one.
pub const BUILD_BOUND: Duration = Duration::from_secs(60 + 60);

/// The latest moment by which a change is served that nothing hinders: a fetch that began before it
/// and its probe, an interval and a tenth, and the fetch that finds it.
pub fn served_within(interval: Duration) -> Duration {
    interval.mul_f64(1.1) + 2 * (FETCH_TIMEOUT + PROBE_TIMEOUT) + Duration::from_secs(1)
}

/// A version that was current from some moment on; none while the secret doesn't exist.
#[derive(Debug, Clone)]
pub struct Moment {
    pub since: Instant,
    pub stamp: Option<Stamp>,
    pub version_id: Option<String>,
}

/// What was current when, by the number of the secret.
#[derive(Debug, Default)]
pub struct History(Vec<Vec<Moment>>);

impl History {
    /// Reads on in the store's record.
    pub fn read_on(&mut self, fake: &FakeSecretsManager, names: &[String]) {
        self.0 = names
            .iter()
            .map(|name| {
                let record = fake.history(name).into_iter().map(|current| {
                    let binary = current.binary.and_then(|bytes| String::from_utf8(bytes).ok());
                    let value = current.text.or(binary);
                    Moment {
                        since: current.since,
                        stamp: value.as_deref().and_then(stamp_in),
                        version_id: current.version_id,
                    }
                });
                record.collect()
            })
            .collect();
    }

    pub fn of(&self, secret: usize) -> &[Moment] {
        self.0.get(secret).map_or(&[], Vec::as_slice)
    }

    /// What is current now.
    pub fn current(&self, secret: usize) -> Option<Stamp> {
        self.of(secret).last()?.stamp
    }

    /// Since when nothing has changed.
    pub fn unchanged_since(&self, secret: usize) -> Option<Instant> {
        self.of(secret).last().map(|moment| moment.since)
    }

    /// The stamp of a version that was current once.
    pub fn stamp_of(&self, secret: usize, version_id: &str) -> Option<Stamp> {
        let mut moments = self.of(secret).iter();
        moments.find(|moment| moment.version_id.as_deref() == Some(version_id))?.stamp
    }

    /// The times at which a version was current; the last one may have no end.
    pub fn spans(
        &self,
        secret: usize,
        stamp: Option<Stamp>,
    ) -> impl Iterator<Item = (Instant, Option<Instant>)> {
        let moments = self.of(secret);
        moments.iter().enumerate().filter(move |(_, moment)| moment.stamp == stamp).map(
            move |(index, moment)| (moment.since, moments.get(index + 1).map(|next| next.since)),
        )
    }

    /// The times at which a secret was not there, as a reader sees them that misses what is there for
    /// less than `missed`.
    pub fn absences(&self, secret: usize, missed: Duration) -> Vec<(Instant, Option<Instant>)> {
        let mut absences: Vec<(Instant, Option<Instant>)> = Vec::new();
        for (since, end) in self.spans(secret, None) {
            match absences.last_mut() {
                Some((_, before)) if before.is_some_and(|before| since - before < missed) => {
                    *before = end;
                }
                _ => absences.push((since, end)),
            }
        }
        absences
    }

    /// Whether a version was current at some time from `from` to `to`.
    pub fn was_current(
        &self,
        secret: usize,
        stamp: Option<Stamp>,
        from: Instant,
        to: Instant,
    ) -> bool {
        let never = self.of(secret).first().is_none_or(|first| first.since > from);
        let mut spans = self.spans(secret, stamp);
        (stamp.is_none() && never)
            || spans.any(|(begun, end)| begun <= to && end.is_none_or(|end| end >= from))
    }

    /// Whether there is one moment from `from` to `to` at which all of these were current.
    pub fn were_current_together(
        &self,
        stamps: &BTreeMap<usize, Stamp>,
        from: Instant,
        to: Instant,
    ) -> bool {
        // Nothing but a beginning can make it true.
        let begins = (0..self.0.len()).flat_map(|secret| self.of(secret));
        let moments = begins.map(|moment| moment.since).filter(|at| (from..=to).contains(at));
        moments.chain([from]).any(|at| {
            stamps.iter().all(|(secret, stamp)| self.was_current(*secret, Some(*stamp), at, at))
        })
    }
}

/// What keeps readers from what is current, and since when nothing does.
#[derive(Debug)]
pub struct Disturbances {
    /// What hinders every secret, by what it is.
    of_all: BTreeSet<&'static str>,
    /// What hinders one secret, while the others go ahead.
    of_one: BTreeSet<(usize, &'static str)>,
    all_quiet_since: Instant,
    one_quiet_since: BTreeMap<usize, Instant>,
}

impl Disturbances {
    pub fn none(now: Instant) -> Self {
        Self {
            of_all: BTreeSet::new(),
            of_one: BTreeSet::new(),
            all_quiet_since: now,
            one_quiet_since: BTreeMap::new(),
        }
    }

    pub fn begin(&mut self, what: &'static str) {
        self.of_all.insert(what);
    }

    pub fn end(&mut self, what: &'static str) {
        if self.of_all.remove(what) {
            self.pass();
        }
    }

    /// Something that is over at once.
    pub fn pass(&mut self) {
        self.all_quiet_since = Instant::now();
    }

    pub fn begin_of(&mut self, secret: usize, what: &'static str) {
        self.of_one.insert((secret, what));
    }

    pub fn end_of(&mut self, secret: usize, what: &'static str) {
        if self.of_one.remove(&(secret, what)) {
            self.one_quiet_since.insert(secret, Instant::now());
        }
    }

    /// Since when nothing is wrong, unless something is.
    pub fn quiet_since(&self) -> Option<Instant> {
        let quiet = self.of_all.is_empty() && self.of_one.is_empty();
        let one = self.one_quiet_since.values().copied();
        quiet.then(|| one.fold(self.all_quiet_since, Instant::max))
    }

    /// Since when nothing hinders this secret, unless something does.
    pub fn quiet_since_for(&self, secret: usize) -> Option<Instant> {
        let quiet = self.of_all.is_empty() && self.of_one.iter().all(|(one, _)| *one != secret);
        let one = self.one_quiet_since.get(&secret).copied();
        quiet.then(|| self.all_quiet_since.max(one.unwrap_or(self.all_quiet_since)))
    }
}

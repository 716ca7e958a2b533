//! What can be told about a live value without telling the value.

mod clock;
mod derived;
mod last_error;
mod secret;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

pub use derived::DerivedStatus;
pub use last_error::LastError;
pub use secret::{SecretState, SecretStatus};

use clock::{Epoch, system_time};

use crate::error::Error;

/// After how many intervals without a success a refresh is overdue: the jitter is a tenth, the rest is for its duration.
const INTERVALS_TO_STALE: u32 = 2;

/// After how many intervals without a success settings are failing, unless the builder says otherwise.
const INTERVALS_TO_FAILING: u32 = 3;

/// Calls by the operation's name, such as `GetSecretValue`.
pub type Calls = BTreeMap<&'static str, u64>;

/// How a [`Live`](crate::Live) stands: generation, health, freshness, last error, each secret's version, what was
/// derived from it, and the calls it made. Serializes, with its health; holds no values. Times serialize as whole
/// seconds since 1970, ages as seconds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    generation: u64,
    changed_at: Instant,
    last_success: Instant,
    last_check: Instant,
    /// Since when a derived value may lag behind its settings: its builds fail, or it follows them no more.
    behind_since: Option<Instant>,
    last_error: Option<LastError>,
    secrets: Vec<SecretStatus>,
    /// How often it is refreshed; not at all, for a constant.
    interval: Option<Duration>,
    /// How old the last success may be; any age, for a constant.
    max_staleness: Option<Duration>,
    next_attempt: Option<Instant>,
    calls: Calls,
    derived: Vec<DerivedStatus>,
    /// Lower layers stand in for a secret that is not optional.
    fallback: bool,
    /// The last refresh failed, or, of a derived value, its last build.
    failed: bool,
    /// A search for newer settings has failed since.
    search_failed: bool,
}

/// How far settings can be trusted to be what the store holds. Worsens with the age of the last success, by itself: a
/// refresher that hangs cannot hide it.
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
    /// The last refresh (or the start) found everything, and the next is not overdue.
    Fresh,
    /// The last refresh failed, wholly or for some secrets, and the last good values are served; or it is overdue, with
    /// no success for two intervals. Also of a derived value whose last build failed.
    Stale,
    /// Lower layers stand in for secrets since the start, by
    /// [`fallback_to_env`](crate::SecretsManager::fallback_to_env).
    Fallback,
    /// There was no success for longer than the bound: three intervals, or
    /// [`max_staleness`](crate::LiveBuilder::max_staleness). Refreshes fail, wholly or for some secrets, or hang, or
    /// have ended.
    Failing,
}

impl Status {
    /// The first generation, of a value refreshed so often, which may be stale for so long.
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
            derived: Vec::new(),
            fallback: false,
            failed: false,
            search_failed: false,
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
        self.checked();
        self.last_success = self.last_check;
        self.failed = false;
        self.search_failed = false;
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        self.last_error = Some(LastError::new(error));
        self.failed = true;
    }

    /// Notes how a search for newer settings ended. It looks at what is in use alone: it proves neither that all is
    /// well, nor what is amiss.
    pub(crate) fn searched(&mut self, error: Option<&Error>) {
        self.search_failed = error.is_some();
        self.last_error = error.map(LastError::new).or_else(|| self.last_error.take());
    }

    /// Every secret in use was looked at.
    pub(crate) fn checked(&mut self) {
        self.last_check = Instant::now();
    }

    /// Notes what the backend has been asked so far.
    pub(crate) fn called(&mut self, calls: Calls) {
        self.calls = calls;
    }

    /// Notes when the next refresh is due; not at all, once the task has ended.
    pub(crate) fn due(&mut self, next: Option<Instant>) {
        self.next_attempt = next;
    }

    pub(crate) fn with_derived(mut self, derived: Vec<DerivedStatus>) -> Self {
        self.derived = derived;
        self
    }

    /// The status of a derived value: that of the settings it is made of, with its own generation, and worse where it
    /// lags behind them.
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

    /// How far the settings can be trusted, at the time of this call. Of several that hold, the first counts:
    ///
    /// 1. [`Fallback`](Health::Fallback): lower layers stand in for a secret that is not optional, and all others are
    ///    [checked](Self::last_check) within the bound.
    /// 2. [`Failing`](Health::Failing): the last success is older than [`max_staleness`](Self::max_staleness).
    /// 3. [`Stale`](Health::Stale): the last refresh failed, or the last success is older than two
    ///    [intervals](Self::interval).
    /// 4. [`Fresh`](Health::Fresh).
    ///
    /// What is not [ready](Self::is_ready) is failing. A derived value has no success since the first build that failed
    /// of those in a row, and since it was shut down.
    pub fn health(&self) -> Health {
        let good_until =
            self.behind_since.map_or(self.last_success, |since| since.min(self.last_success));
        let older_than =
            |bound: Option<Duration>| bound.is_some_and(|bound| good_until.elapsed() > bound);
        let overdue = self.interval.map(|interval| interval.saturating_mul(INTERVALS_TO_STALE));
        if self.fallback && self.is_ready() {
            Health::Fallback
        } else if older_than(self.max_staleness) {
            Health::Failing
        } else if self.failed || older_than(overdue) {
            Health::Stale
        } else {
            Health::Fresh
        }
    }

    /// Whether to send requests here: not, once it is longer ago than [`max_staleness`](Self::max_staleness) that the
    /// store told of every secret in use how it is: its value, or that it is gone, malformed or refused by a check. Not
    /// told is what cannot be reached, is throttled or denied. Of settings of which lower layers stand in for every secret,
    /// none is in use, so each refresh tells of all. Always, for a constant.
    ///
    /// This is not [`health`](Self::health), which a secret that was deleted, or whose new value is refused, worsens
    /// too, and a derived value's failing builds: what is served then is the best there is, here and on every other
    /// replica, and none is made unready.
    pub fn is_ready(&self) -> bool {
        self.max_staleness.is_none_or(|bound| self.last_check.elapsed() <= bound)
    }

    /// When the store last told of every secret in use how it is: see [`is_ready`](Self::is_ready).
    pub fn last_check(&self) -> SystemTime {
        system_time(self.last_check)
    }

    /// How often settings are refreshed; `None` for a constant.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// How old the last success may become before the settings count as [failing](Health::Failing), and the last check
    /// before their replica is not [ready](Self::is_ready): three intervals, or
    /// [`LiveBuilder::max_staleness`](crate::LiveBuilder::max_staleness). `None` for a constant.
    pub fn max_staleness(&self) -> Option<Duration> {
        self.max_staleness
    }

    /// Whether the last refresh failed, or, of a derived value, its last build.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether the last error is of the last refresh, or of a search since.
    pub(crate) fn failure_lasts(&self) -> bool {
        self.failed || self.search_failed
    }

    /// Whether the secrets in use were looked at since the last success.
    pub(crate) fn was_checked_since(&self) -> bool {
        self.last_check > self.last_success
    }

    /// Whether lower layers stand in for a secret that is not optional, however old the rest is.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_on_fallback(&self) -> bool {
        self.fallback
    }

    /// When the next refresh is due; `None` while one is under way, for a constant, and after a shutdown.
    pub fn next_attempt(&self) -> Option<SystemTime> {
        self.next_attempt.map(system_time)
    }

    /// The calls that were sent to the store by the end of the last refresh, retries included, by operation. Clones of
    /// one [`SecretsManager`](crate::SecretsManager) count together. Empty for a store that does not count.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// What was [derived](crate::Live::derive) from these settings and is in use, in the order of its making.
    pub fn derived(&self) -> &[DerivedStatus] {
        &self.derived
    }

    /// The number of the live generation: 1 at the start, one more with each swap.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the live generation came.
    pub fn changed_at(&self) -> SystemTime {
        system_time(self.changed_at)
    }

    /// When a refresh of all secrets last found nothing amiss; the start counts, even one on fallback. What
    /// [`refresh_past`](crate::Live::refresh_past) brings in between is no such refresh, as it looks at some secrets
    /// alone. Of a derived value: that of its settings.
    pub fn last_success(&self) -> SystemTime {
        system_time(self.last_success)
    }

    /// How long ago that was, on tokio's clock.
    pub fn last_success_age(&self) -> Duration {
        self.last_success.elapsed()
    }

    /// The last refresh that failed, wholly or for some secrets, or the last search for newer settings that did, or build
    /// of a derived value; it stays here when later ones succeed. It is over at the latest with the first
    /// [`last_success`](Self::last_success) after [`LastError::at`].
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// The secrets of the live generation, and those that are selected but could not be read, in the order of their
    /// names; [`SecretStatus::state`] tells them apart. An optional secret below a prefix that is not listed is none.
    pub fn secrets(&self) -> &[SecretStatus] {
        &self.secrets
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Status", 14)?;
        fields.serialize_field("generation", &self.generation)?;
        fields.serialize_field("health", &self.health())?;
        fields.serialize_field("ready", &self.is_ready())?;
        fields.serialize_field("changed_at", &Epoch(self.changed_at))?;
        fields.serialize_field("last_success", &Epoch(self.last_success))?;
        fields.serialize_field("last_success_age", &self.last_success_age().as_secs_f64())?;
        fields.serialize_field("last_check", &Epoch(self.last_check))?;
        fields.serialize_field(
            "max_staleness",
            &self.max_staleness.map(|bound| bound.as_secs_f64()),
        )?;
        fields.serialize_field("next_attempt", &self.next_attempt.map(Epoch))?;
        fields
            .serialize_field("interval", &self.interval.map(|interval| interval.as_secs_f64()))?;
        fields.serialize_field("last_error", &self.last_error)?;
        fields.serialize_field("secrets", &self.secrets)?;
        fields.serialize_field("derived", &self.derived)?;
        fields.serialize_field("calls", &self.calls)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn health_worsens_with_the_age_of_the_last_success() {
        let outage = Error::new(ErrorKind::Unavailable, "no answer");
        let interval = Duration::from_secs(300);
        let default = [
            (600, Health::Fresh),
            (601, Health::Stale),
            (900, Health::Stale),
            (901, Health::Failing),
        ];
        let shorter = [(400, Health::Fresh), (401, Health::Failing), (901, Health::Failing)];
        let longer = [
            (600, Health::Fresh),
            (901, Health::Stale),
            (3600, Health::Stale),
            (3601, Health::Failing),
        ];
        for (bound, ages) in [(None, &default[..]), (Some(400), &shorter), (Some(3600), &longer)] {
            let bound = bound.map(Duration::from_secs);
            let mut ended = Status::started(Some(interval), bound);
            let mut failing = ended.clone();
            failing.failed(&outage);
            assert_eq!((ended.health(), failing.health()), (Health::Fresh, Health::Stale));
            let begun = Instant::now();
            for &(age, health) in ages {
                tokio::time::advance(begun + Duration::from_secs(age) - Instant::now()).await;
                assert_eq!(ended.health(), health, "{age} s, {bound:?}");
                // A failure on top changes the first step alone.
                let expected = if health == Health::Fresh { Health::Stale } else { health };
                assert_eq!(failing.health(), expected, "{age} s, {bound:?}, failing");
                let ready = health != Health::Failing;
                assert_eq!(
                    (ended.is_ready(), failing.is_ready()),
                    (ready, ready),
                    "{age} s, {bound:?}"
                );
            }
            ended.succeeded();
            failing.succeeded();
            assert_eq!((ended.health(), failing.health()), (Health::Fresh, Health::Fresh));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn health_is_what_holds_when_it_is_asked_for() {
        let outage = Error::new(ErrorKind::Unavailable, "no answer");
        let mut status = Status::started(Some(Duration::from_secs(300)), None);
        // What was found of each secret counts as a check, though not as a success.
        tokio::time::advance(Duration::from_secs(901)).await;
        status.failed(&outage);
        status.checked();
        assert_eq!((status.health(), status.is_ready()), (Health::Failing, true));
        status.describe(Vec::new(), true);
        assert_eq!((status.health(), status.is_ready()), (Health::Fallback, true));
        tokio::time::advance(Duration::from_secs(901)).await;
        assert_eq!(
            (status.health(), status.is_ready()),
            (Health::Failing, false),
            "nor does fallback hide it"
        );
        status.checked();
        assert_eq!(serde_json::to_value(&status).expect("a status")["health"], "fallback");
        status.describe(Vec::new(), false);
        status.succeeded();
        assert_eq!(status.health(), Health::Fresh);

        let constant = Status::started(None, None);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(constant.health(), Health::Fresh);
    }
}

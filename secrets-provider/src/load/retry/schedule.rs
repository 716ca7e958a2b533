//! When to read again, as arithmetic: intervals, backoff, jitter, budgets, rotation windows (rules
//! R3 to R5).
//!
//! Pure. Callers pass in the clock and the random numbers, so that tests can pin them.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

/// The longest wait after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How long a secret rests at most if every read of it fails.
const MAX_REST: Duration = Duration::from_secs(3600);

/// The shortest wait while a rotation is expected.
const MIN_EXPECTANT_WAIT: Duration = Duration::from_secs(60);

/// Into how many parts a rotation window is divided; each part gets one read.
const READS_PER_WINDOW: u32 = 60;

/// The shortest wait between two reads of a search.
const MIN_SEARCH_WAIT: Duration = Duration::from_millis(250);

/// How long after its window a rotation is still expected, because a failed one is retried.
const ROTATION_GRACE: Duration = Duration::from_secs(3600);

/// The longest wait before a secret is read again whose lease is due, and which a read did not help.
const MAX_DUE_AGAIN: Duration = Duration::from_secs(60);

/// How long a listing of names stays valid unless `rediscover_every` says otherwise.
const DEFAULT_LISTING_LASTS: Duration = Duration::from_secs(60);

/// How long the last good value of a deleted secret is kept unless `forget_deleted_after` says
/// otherwise: long enough for someone to notice and to restore it.
const FORGET_DELETED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// When to read again. `random` is always uniform in `0.0..1.0`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) interval: Duration,
    /// How long a listing of names stays valid.
    pub(crate) rediscover: Duration,
    /// How long the last good value of a deleted secret is kept for certain.
    pub(crate) forget_deleted: Duration,
    /// How newer values are searched for after credentials were refused.
    pub(crate) search: Budget,
}

/// How often, and within which time, something is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) tries: u32,
    pub(crate) within: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tries: 5, within: Duration::from_secs(30) }
    }
}

impl Budget {
    /// The wait before the next try, after `done` tries. Waits double, so that all tries fill the
    /// time, and are shortened by up to a fifth, so that replicas that were refused together spread
    /// out.
    pub(crate) fn wait(self, done: u32, random: f64) -> Duration {
        // The time has 2^(n-1) - 1 parts: one for the first wait, two for the next, and so on.
        let parts = f64::from(2_u32.saturating_pow(self.tries.saturating_sub(1).min(30))) - 1.0;
        let share =
            f64::from(2_u32.saturating_pow(done.saturating_sub(1).min(30))) / parts.max(1.0);
        self.within
            .mul_f64(share.min(1.0) * (1.0 - 0.2 * random))
            .max(MIN_SEARCH_WAIT.min(self.within))
    }
}

impl Schedule {
    /// Refreshes at this interval. Names are listed at each refresh, but at most once a minute
    /// unless `rediscover` says otherwise.
    pub(crate) fn new(interval: Duration, rediscover: Option<Duration>, search: Budget) -> Self {
        let rediscover = rediscover.unwrap_or(DEFAULT_LISTING_LASTS);
        Self { interval, rediscover, forget_deleted: FORGET_DELETED_AFTER, search }
    }

    /// A wait, shortened by the windows in which secrets are expected to rotate. It ends soon after
    /// the next window opens, and during a window it is at most a sixtieth of the window, or a
    /// minute if that is longer. So a window of a day means a read every 24 minutes; if a database
    /// is ahead of its secret, the search for newer values helps.
    pub(crate) fn shorten_for_rotation<'a>(
        wait: Duration,
        windows: impl IntoIterator<Item = &'a Range<Instant>>,
        now: Instant,
        random: f64,
    ) -> Duration {
        windows.into_iter().filter(|window| !Self::past(window, now)).fold(wait, |wait, window| {
            let part = window.end.saturating_duration_since(window.start) / READS_PER_WINDOW;
            let expectant = part.max(MIN_EXPECTANT_WAIT).mul_f64(1.0 + 0.5 * random);
            wait.min(window.start.saturating_duration_since(now) + expectant)
        })
    }

    /// Whether a rotation window is over, so that the next one can be asked for.
    pub(crate) fn past(window: &Range<Instant>, now: Instant) -> bool {
        now >= window.end + ROTATION_GRACE
    }

    /// After the start: anywhere in the first interval, so that replicas that started together
    /// spread out.
    pub(crate) fn first(self, random: f64) -> Duration {
        self.interval.mul_f64(random)
    }

    /// After a success: the interval, plus or minus a tenth.
    pub(crate) fn next(self, random: f64) -> Duration {
        self.interval.mul_f64(0.9 + 0.2 * random)
    }

    /// After the `failures`th failure in a row: exponential backoff with full jitter
    /// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), until it
    /// reaches the interval: a lasting outage makes no more calls than a healthy service.
    pub(crate) fn retry(self, failures: u32, random: f64) -> Duration {
        match doubled(failures) {
            wait if wait < self.interval => wait.mul_f64(random),
            _ => self.next(random),
        }
    }

    /// Whether the wait after this many failures is still shorter than the interval.
    pub(crate) fn is_backing_off(self, failures: u32) -> bool {
        doubled(failures) < self.interval
    }

    /// Exponential backoff with full jitter up to a longest wait.
    pub(crate) fn backoff(failures: u32, longest: Duration, random: f64) -> Duration {
        doubled(failures).min(longest).mul_f64(random)
    }

    /// After so many reads that did not help a secret whose lease is due: a second, doubling up to
    /// a minute or the interval, and at least half of that, because nothing else bounds the calls.
    pub(crate) fn due_again(self, tries: u32, random: f64) -> Duration {
        Self::backoff(tries, MAX_DUE_AGAIN.min(self.interval).max(FIRST_RETRY), 0.5 + 0.5 * random)
    }

    /// How long a secret rests after so many failed reads in a row: an optional one
    /// that is denied, because each read is another denied call in CloudTrail, or one that was
    /// deleted. Twice the interval, doubling up to an hour.
    pub(crate) fn rest(self, times: u32) -> Duration {
        self.interval.saturating_mul(1 << times.min(30)).min(MAX_REST.max(self.interval))
    }
}

/// A second, doubled with each failure after the first.
fn doubled(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_their_bounds() {
        let every = |interval| Schedule::new(interval, None, Budget::default());
        let schedule = every(Duration::from_secs(300));
        assert_eq!(schedule.first(0.0), Duration::ZERO);
        assert_eq!(schedule.first(0.5), Duration::from_secs(150));
        assert_eq!(schedule.next(0.0), Duration::from_secs(270));
        assert!(schedule.next(0.999_999) < Duration::from_secs(330));
        for (failures, shortest, longest) in
            [(1, 0, 1), (2, 0, 2), (5, 0, 16), (9, 0, 256), (10, 270, 330), (u32::MAX, 270, 330)]
        {
            assert_eq!(schedule.retry(failures, 0.0), Duration::from_secs(shortest), "{failures}");
            assert_eq!(schedule.retry(failures, 1.0), Duration::from_secs(longest), "{failures}");
        }
        for (denials, rest) in [(1, 600), (2, 1200), (3, 2400), (4, 3600), (u32::MAX, 3600)] {
            assert_eq!(schedule.rest(denials), Duration::from_secs(rest), "{denials}");
        }
        let daily = every(Duration::from_secs(86_400));
        assert_eq!(daily.rest(5), Duration::from_secs(86_400));
        let fast = every(Duration::from_millis(100));
        assert_eq!(fast.retry(1, 1.0), Duration::from_millis(110));
    }

    #[test]
    fn the_tries_of_a_budget_fill_its_time() {
        let budget = Budget::default();
        let waits: Vec<_> = (1..5).map(|done| budget.wait(done, 0.0).as_secs_f64()).collect();
        assert_eq!(waits, [2.0, 4.0, 8.0, 16.0]);
        assert_eq!(waits.iter().sum::<f64>(), 30.0);
        assert_eq!(budget.wait(1, 0.5).as_secs_f64(), 1.8);
        for (tries, done) in [(0, 0), (1, 1), (2, 1), (40, 39), (u32::MAX, u32::MAX)] {
            let wait = Budget { tries, within: Duration::from_secs(30) }.wait(done, 0.0);
            assert!((MIN_SEARCH_WAIT..=Duration::from_secs(30)).contains(&wait), "{tries} {done}");
        }
    }

    #[test]
    fn waits_are_shortened_around_rotation_windows() {
        let seconds = Duration::from_secs;
        let start = Instant::now();
        for (case, from, to, at, random, expected) in [
            ("far ahead", 10_000, 13_600, 0, 0.0, 300),
            ("opens during the wait", 100, 3_700, 0, 0.0, 160),
            ("opens during the wait, late", 100, 3_700, 0, 0.999_999, 189),
            ("opens at the end of the wait", 290, 3_890, 0, 0.0, 300),
            ("open", 100, 3_700, 200, 0.0, 60),
            ("closed a moment ago", 100, 3_700, 3_800, 0.0, 60),
            ("closed for long", 100, 3_700, 7_300, 0.0, 300),
            ("open for a day", 0, 86_400, 200, 0.0, 300),
        ] {
            let window = start + seconds(from)..start + seconds(to);
            let wait = Schedule::shorten_for_rotation(
                seconds(300),
                &[window],
                start + seconds(at),
                random,
            );
            assert_eq!(wait.as_secs(), expected, "{case}");
        }
        assert_eq!(
            Schedule::shorten_for_rotation(seconds(5), &[start..start + seconds(60)], start, 0.5),
            seconds(5)
        );
        assert_eq!(Schedule::shorten_for_rotation(seconds(300), &[], start, 0.5), seconds(300));
    }
}

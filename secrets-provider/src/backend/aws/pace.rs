//! How fast one fetch calls, and when it gives up: AWS's quotas belong to the account,
//! so a throttled call says that others call too.
//!
//! After a throttled call a fetch pauses for a random time, then makes one call at a time, and one
//! more at once with each answer. So a fleet that starts at once uses the quota to the full, instead
//! of spending it on calls that are refused. Pure: callers pass in time and random numbers.

use std::time::Duration;

use tokio::time::Instant;

/// How many calls run at once. The quotas are 100 a second for batches and 10,000 for single calls.
const MAX_CONCURRENT_CALLS: usize = 20;

/// The longest first pause. It doubles with each throttled call that no answer follows.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest of all pauses: most of a fleet pauses, so it decides how many calls are refused in a
/// second, and how long the last replica is idle. It is less for little patience.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    limit: usize,
    /// How often in a row a pause brought no answer.
    throttles: u32,
    resumes_at: Option<Instant>,
    /// Whether anything was answered since the last pause.
    any_answered: bool,
    /// The last answer, or the beginning.
    answered_at: Instant,
    /// How long to try without an answer.
    patience: Duration,
}

impl Pace {
    /// Full speed. With no patience, one round without an answer is enough to give up.
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            limit: MAX_CONCURRENT_CALLS,
            throttles: 0,
            resumes_at: None,
            any_answered: false,
            answered_at: now,
            patience,
        }
    }

    /// How many calls may run at once.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether it repeats calls that are throttled.
    pub(super) fn is_patient(&self) -> bool {
        !self.patience.is_zero()
    }

    /// One call at a time, and more with each answer.
    pub(super) fn slow_down(&mut self) {
        self.limit = 1;
    }

    pub(super) fn answered(&mut self, now: Instant) {
        self.limit = (self.limit + 1).min(MAX_CONCURRENT_CALLS);
        (self.throttles, self.any_answered, self.answered_at) = (0, true, now);
    }

    /// A call was throttled. Those that ran at the same time are one reason to pause.
    pub(super) fn throttled(&mut self, now: Instant, random: f64) {
        self.slow_down();
        if self.resumes_at.is_none() {
            let longest = FIRST_PAUSE.saturating_mul(1 << self.throttles.min(10));
            let longest = longest.min(LONGEST_PAUSE).min(self.patience / 4);
            self.throttles = self.throttles.saturating_add(1);
            self.resumes_at = Some(now + longest.mul_f64(random));
        }
    }

    /// When calls may be made again, if not now.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        self.resumes_at
    }

    pub(super) fn resume(&mut self) {
        (self.resumes_at, self.any_answered) = (None, false);
    }

    /// Whether throttling is the result, once what ran before a pause is over.
    pub(super) fn gives_up(&self, now: Instant) -> bool {
        !self.any_answered && now.saturating_duration_since(self.answered_at) >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    #[test]
    fn pauses_double_and_speed_returns_with_answers() {
        let now = Instant::now();
        let mut pace = Pace::new(PATIENCE, now);
        assert_eq!(pace.limit(), MAX_CONCURRENT_CALLS);
        for longest in [500, 1000, 2000, 2000, 2000] {
            pace.throttled(now, 1.0);
            // The second of the calls that ran together.
            pace.throttled(now, 0.0);
            assert_eq!(pace.resumes_at(), Some(now + Duration::from_millis(longest)));
            assert_eq!(pace.limit(), 1);
            pace.resume();
        }
        let mut hurried = Pace::new(Duration::ZERO, now);
        hurried.throttled(now, 1.0);
        assert_eq!(hurried.resumes_at(), Some(now), "the SDK has waited");
        pace.answered(now);
        assert_eq!(pace.limit(), 2);
        pace.throttled(now, 0.5);
        assert_eq!(pace.resumes_at(), Some(now + Duration::from_millis(250)));
        pace.resume();
        (0..100).for_each(|_| pace.answered(now));
        assert_eq!(pace.limit(), MAX_CONCURRENT_CALLS);
    }

    #[test]
    fn it_gives_up_without_an_answer_only() {
        let now = Instant::now();
        for (case, patience, answers_at, at, gives_up) in [
            ("no patience, no answer", 0, None, 0, true),
            ("no patience, an answer in this round", 0, Some(0), 0, false),
            ("patient", 15, None, 14, false),
            ("patience is over", 15, None, 15, true),
            ("an answer in this round", 15, Some(1), 60, false),
        ] {
            let seconds = Duration::from_secs;
            let mut pace = Pace::new(seconds(patience), now);
            answers_at.into_iter().for_each(|at| pace.answered(now + seconds(at)));
            pace.throttled(now + seconds(at), 0.5);
            assert_eq!(pace.gives_up(now + seconds(at)), gives_up, "{case}");
            pace.resume();
            pace.throttled(now + seconds(at), 0.5);
            let late = answers_at.map_or(at, |answered| at - answered) >= patience;
            assert_eq!(pace.gives_up(now + seconds(at)), late, "{case}, a round later");
        }
    }

    proptest! {
        /// Whatever is answered and refused: calls go on, within the bounds, and without an answer
        /// it is over soon after the patience.
        #[test]
        fn speed_pauses_and_time_are_bounded(
            events in prop::collection::vec((any::<bool>(), 0.0..1.0_f64), 0..200),
        ) {
            let start = Instant::now();
            let (mut now, mut answered_at) = (start, start);
            let mut pace = Pace::new(PATIENCE, start);
            for (answered, random) in events {
                if answered {
                    pace.answered(now);
                    answered_at = now;
                } else {
                    pace.throttled(now, random);
                }
                prop_assert!((1..=MAX_CONCURRENT_CALLS).contains(&pace.limit()));
                if let Some(at) = pace.resumes_at() {
                    prop_assert!(at <= now + LONGEST_PAUSE);
                    if pace.gives_up(now) {
                        prop_assert!(now - answered_at >= PATIENCE);
                    }
                    now = at;
                    pace.resume();
                }
            }
        }
    }
}

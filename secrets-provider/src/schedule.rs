//! When the next refresh comes. Pure: randomness and clock are the caller's.

use std::time::Duration;

/// The longest wait after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest that an optional secret rests which is denied again and again.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// When to look again. `random` is always uniform in `0.0..1.0`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) interval: Duration,
}

impl Schedule {
    /// After the start: anywhere in the first period, so that replicas started together spread out.
    pub(crate) fn first(self, random: f64) -> Duration {
        self.interval.mul_f64(random)
    }

    /// After a success: the interval, give or take a tenth.
    pub(crate) fn next(self, random: f64) -> Duration {
        self.interval.mul_f64(0.9 + 0.2 * random)
    }

    /// After the `failures`th failure in a row: exponential backoff with full jitter
    /// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), never longer than the
    /// interval.
    pub(crate) fn retry(self, failures: u32, random: f64) -> Duration {
        let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(30));
        doubled.min(self.interval).mul_f64(random)
    }

    /// How long an optional secret rests after its `denials`th denial in a row: each asking is a denied call in the
    /// account's trail. Twice the interval, doubling up to an hour.
    pub(crate) fn denied(self, denials: u32) -> Duration {
        self.interval.saturating_mul(1 << denials.min(30)).min(LONGEST_REST.max(self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_their_bounds() {
        let schedule = Schedule { interval: Duration::from_secs(300) };
        assert_eq!(schedule.first(0.0), Duration::ZERO);
        assert_eq!(schedule.first(0.5), Duration::from_secs(150));
        assert_eq!(schedule.next(0.0), Duration::from_secs(270));
        assert!(schedule.next(0.999_999) < Duration::from_secs(330));
        for (failures, longest) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (u32::MAX, 300)] {
            assert_eq!(schedule.retry(failures, 1.0), Duration::from_secs(longest), "{failures}");
            assert_eq!(schedule.retry(failures, 0.0), Duration::ZERO);
        }
        for (denials, rest) in [(1, 600), (2, 1200), (3, 2400), (4, 3600), (u32::MAX, 3600)] {
            assert_eq!(schedule.denied(denials), Duration::from_secs(rest), "{denials}");
        }
        let daily = Schedule { interval: Duration::from_secs(86_400) };
        assert_eq!(daily.denied(5), Duration::from_secs(86_400));
        let fast = Schedule { interval: Duration::from_millis(100) };
        assert_eq!(fast.retry(1, 1.0), Duration::from_millis(100));
    }
}

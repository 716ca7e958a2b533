//! The quota of Parameter Store: 40 calls a second by default, for all readers of an account in a
//! region together.
//!
//! One reader takes three quarters of it at most, so that a large prefix does not throttle its own
//! calls, nor everyone else's. A few calls go at once, because most readers need no more.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::unwind::lock;

/// The time between two calls.
const SPACING: Duration = Duration::from_millis(33);
/// How many calls go at once, after as long a rest as they would take.
const BURST: u32 = 10;

/// When the next call may go.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<Option<Instant>>);

impl Quota {
    /// Waits until one more call may go. A caller that gives up meanwhile has used its turn.
    pub(super) async fn turn(&self) {
        let at = self.reserve(Instant::now());
        sleep_until(at).await;
    }

    fn reserve(&self, now: Instant) -> Instant {
        let mut next = lock(&self.0);
        // What was not used is worth a burst, and no more.
        let earliest = now.checked_sub(SPACING * (BURST - 1)).unwrap_or(now);
        let at = next.map_or(earliest, |next| next.max(earliest));
        *next = Some(at + SPACING);
        at.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_calls_go_at_once_and_then_thirty_a_second() {
        let quota = Quota::default();
        let begun = Instant::now();
        for _ in 0..BURST {
            quota.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..90 {
            quota.turn().await;
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((2.9..3.1).contains(&took), "{took}");

        // However long the rest was, no more than these go at once.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let begun = Instant::now();
        for _ in 0..=BURST {
            quota.turn().await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(30), "{:?}", begun.elapsed());
    }
}

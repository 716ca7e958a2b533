//! What time it is, for hits: a hot secret reads the exact clock only now and then.
//!
//! Reading the clock takes about as long as the rest of a hit. The kernel also keeps a coarse time,
//! which it moves on every few milliseconds, and which costs little to read. So a secret that was
//! hit [`EXACT`] times within one such tick, and has time left, is taken for fresh until the tick is
//! over. It is never served for longer than its time, because that ends [`LONGER`] later at least.
//!
//! tokio's clock may be paused and moved in tests. While it is, ticks are not used; only a test that
//! pauses it within the very tick of a hundred hits may see one of them too many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many hits of a tick read the exact clock before the others don't. At fewer than that, a hit
/// costs nothing that anyone could see.
const EXACT: u64 = 100;

/// What a secret must have left: longer than a tick of any system.
const LONGER: Duration = Duration::from_millis(100);

/// The bits of a state that count the hits.
const COUNT: u64 = 0xff;

/// The kernel's coarse time, rounded to some tens of nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tick(u64);

impl Tick {
    #[inline]
    pub(super) fn now() -> Self {
        Self(coarsetime::Instant::now_without_cache_update().as_ticks() & !COUNT)
    }
}

/// Whether a secret is known to be fresh: the last tick in which it was hit, and how often.
#[derive(Debug, Default)]
pub(super) struct Freshness(AtomicU64);

/// What replaces a secret is not known to be fresh.
impl Clone for Freshness {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Freshness {
    /// Whether the exact clock has said often enough that it is fresh in this tick.
    #[inline]
    pub(super) fn is_known(&self, tick: Tick) -> bool {
        self.0.load(Ordering::Relaxed) == tick.0 | EXACT
    }

    /// Notes that the exact clock said that it is fresh, for so much longer.
    pub(super) fn seen(&self, tick: Tick, longer: Duration) {
        let state = self.0.load(Ordering::Relaxed);
        let hits = match state & !COUNT == tick.0 {
            true => (state & COUNT) + 1,
            false => 1,
        };
        let may_be_known = || longer > LONGER && tick == Tick::now() && is_real();
        match hits {
            ..EXACT => self.0.store(tick.0 | hits, Ordering::Relaxed),
            EXACT if may_be_known() => self.0.store(tick.0 | EXACT, Ordering::Relaxed),
            // Another hundred.
            _ => self.0.store(tick.0, Ordering::Relaxed),
        }
    }
}

/// Whether tokio's clock is the system's, not one that is paused.
fn is_real() -> bool {
    let before = std::time::Instant::now();
    let now = tokio::time::Instant::now().into_std();
    (before..=std::time::Instant::now()).contains(&now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a secret with so much time left comes to be known as fresh by many hits.
    fn is_known_after_many(longer: Duration) -> bool {
        let freshness = Freshness::default();
        (0..1_000_000).any(|_| {
            let tick = Tick::now();
            freshness.seen(tick, longer);
            freshness.is_known(tick)
        })
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_hot_secret_is_known_to_be_fresh_until_the_tick_is_over() {
        assert!(is_known_after_many(LONGER * 2));
        let freshness = Freshness::default();
        let tick = loop {
            let tick = Tick::now();
            freshness.seen(tick, LONGER * 2);
            if freshness.is_known(tick) {
                break tick;
            }
        };
        assert!(!freshness.clone().is_known(tick), "what replaces it is another secret");
        while Tick::now() == tick {
            std::hint::spin_loop();
        }
        assert!(!freshness.is_known(Tick::now()));
    }

    #[tokio::test]
    async fn the_exact_clock_is_read_when_time_is_running_out() {
        assert!(!is_known_after_many(LONGER));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_paused_is_read_at_each_hit() {
        assert!(!is_known_after_many(LONGER * 2));
        tokio::time::advance(Duration::from_secs(301)).await;
        assert!(!is_known_after_many(LONGER * 2));
    }
}

//! For how long calls that AWS throttles are repeated.
//!
//! A start has nothing to serve, and would be begun again by whatever runs the process: it waits for
//! the quota. What comes later has older values and a schedule. Lookups and hints do not wait.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Aws;

/// The part of a start's time after which throttling is its result, if nothing is answered. The
/// last pause comes after it.
const OF_A_START: u32 = 2;
/// The same where a replica is read if the first region gives no answer within a third of the time:
/// throttling is an answer, and has to be known before.
const OF_A_START_WITH_REPLICA: u32 = 4;
/// The same for what follows: about as long as the SDK's three attempts.
const LATER: Duration = Duration::from_secs(2);

/// Of the time that a listing has left over, for the values. The last pause is up to a quarter of the
/// patience, so that the end is in time.
const OF_THE_REST: f64 = 0.75;

impl Aws {
    fn of_a_start(&self) -> Duration {
        self.timeout / if self.has_replica { OF_A_START_WITH_REPLICA } else { OF_A_START }
    }

    /// For one page of a listing. After a start, names are known, and the SDK's attempts are enough.
    pub(super) fn patience_to_list(&self) -> Duration {
        match self.awaits_quota && !self.has_started.load(Ordering::Relaxed) {
            true => self.of_a_start(),
            false => Duration::ZERO,
        }
    }

    /// For values.
    pub(super) fn patience_to_read(&self) -> Duration {
        match self.awaits_quota {
            false => Duration::ZERO,
            true if self.has_started.load(Ordering::Relaxed) => self.of_a_start().min(LATER),
            true => {
                let listing = Duration::from_millis(self.listing_took.load(Ordering::Relaxed));
                let rest = self.timeout.saturating_sub(listing).mul_f64(OF_THE_REST);
                self.of_a_start().min(rest)
            }
        }
    }

    /// Notes how much of a start's time a listing took.
    pub(super) fn listed_within(&self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.listing_took.store(millis, Ordering::Relaxed);
    }
}

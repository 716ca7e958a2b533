//! Which region is asked: the first one, or its replica while the first gives no answer. Pure:
//! callers pass in the time.
//!
//! An answer is anything that the region itself says: a value, a denial, that there is no such
//! secret, that it throttles. Timeouts, connections that fail and errors of the service are no
//! answers. It takes an answer of the replica to turn to it: if neither answers, the trouble is more
//! likely on this side, and nothing changes.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// How long the first region is left alone after it gave no answer.
const RETRY: Duration = Duration::from_secs(30);

/// The share of a whole fetch that the first region has for its first answer: the replica needs the
/// rest.
const SHARE: u32 = 3;

/// The same while the replica is read: that the first region answers again is not expected.
const SHARE_WHILE_AWAY: u32 = 10;

/// Whether this failure is no answer of a region.
pub(super) fn is_no_answer(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable
}

#[derive(Debug)]
pub(super) struct Choice {
    /// How long a whole fetch may take.
    timeout: Duration,
    away: Option<Away>,
    /// When the first region answered after the replica was read.
    returned: Option<Instant>,
}

/// The replica is read.
#[derive(Debug, Clone, Copy)]
struct Away {
    since: Instant,
    /// When the first region is tried again.
    retry: Instant,
}

impl Choice {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, away: None, returned: None }
    }

    /// Whether to ask the first region, and how long to wait for its first answer; `None` to ask the
    /// replica at once.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Duration> {
        match &mut self.away {
            None => Some(self.timeout / SHARE),
            Some(away) if away.retry <= now => {
                // Whoever asks meanwhile need not wait, too.
                away.retry = now + RETRY;
                Some(self.timeout / SHARE_WHILE_AWAY)
            }
            Some(_) => None,
        }
    }

    /// The first region has answered. Returns since when the replica was read, if it was.
    pub(super) fn first_answered(&mut self, now: Instant) -> Option<Instant> {
        let away = self.away.take()?;
        self.returned = Some(now);
        Some(away.since)
    }

    /// The replica has answered in place of the first region, in a read that began at this time.
    /// Returns whether it is read from now on, and was not before. A late answer says nothing against
    /// the first region, which has answered again since.
    pub(super) fn replica_answered(&mut self, begun: Instant, now: Instant) -> bool {
        if self.returned.is_some_and(|returned| returned > begun) {
            return false;
        }
        let begins = self.away.is_none();
        self.away.get_or_insert(Away { since: now, retry: now + RETRY });
        begins
    }

    /// Since when the replica is read.
    pub(super) fn away_since(&self) -> Option<Instant> {
        self.away.map(|away| away.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn after(begun: Instant, seconds: u64) -> Instant {
        begun + Duration::from_secs(seconds)
    }

    #[test]
    fn the_replica_is_asked_once_it_has_answered_and_the_first_region_did_not() {
        let begun = Instant::now();
        let mut choice = Choice::new(TIMEOUT);
        assert_eq!(choice.ask(begun), Some(TIMEOUT / 3));
        // It did not answer, and neither did the replica.
        assert_eq!(choice.ask(after(begun, 20)), Some(TIMEOUT / 3));
        assert_eq!(choice.away_since(), None);
        assert!(choice.replica_answered(after(begun, 20), after(begun, 30)));
        assert!(!choice.replica_answered(after(begun, 20), after(begun, 31)));
        assert_eq!(choice.ask(after(begun, 59)), None);
        assert_eq!(choice.away_since(), Some(after(begun, 30)));
    }

    #[test]
    fn the_first_region_is_tried_every_half_minute_by_one_caller_and_not_for_long() {
        let begun = Instant::now();
        let mut choice = Choice::new(TIMEOUT);
        choice.replica_answered(begun, begun);
        for round in 1..5 {
            let now = after(begun, 30 * round);
            assert_eq!(choice.ask(now - Duration::from_millis(1)), None);
            assert_eq!(choice.ask(now), Some(TIMEOUT / 10));
            assert_eq!(choice.ask(now), None, "another caller");
            assert!(!choice.replica_answered(now, now));
        }
        assert_eq!(choice.first_answered(after(begun, 121)), Some(begun));
        assert_eq!(choice.first_answered(after(begun, 122)), None);
        assert_eq!(choice.ask(after(begun, 122)), Some(TIMEOUT / 3));

        // A read of the replica that began before, and ends now.
        assert!(!choice.replica_answered(after(begun, 120), after(begun, 150)));
        assert_eq!(choice.away_since(), None);
        assert!(choice.replica_answered(after(begun, 140), after(begun, 150)));
    }
}

//! Which failures of lookups are in the log already: each is logged when it begins or changes.
//!
//! Of errors, only those that an operator has to mend are logged: a name that does not exist may be
//! a user's input, an outage is logged with the value that is served through it, and the caller gets
//! both as errors. That an optional secret is absent is logged by the same rule, at DEBUG. What is
//! remembered, and so what is logged, is bounded: a hundred secrets an hour, of each.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::unwind::lock;

/// How many secrets' failures are logged in a [`PERIOD`].
const MAX_LOGGED: usize = 100;
/// After this, a full record is begun again.
const PERIOD: Duration = Duration::from_secs(3600);

/// The failures that were logged and have not ended, and the optional secrets that were logged as
/// absent.
#[derive(Debug, Default)]
pub(super) struct Failures {
    failed: Logged,
    absent: Logged,
}

#[derive(Debug, Default)]
struct Logged(Mutex<Record>);

#[derive(Debug, Default)]
struct Record {
    marks: BTreeMap<String, u64>,
    since: Option<Instant>,
    logged: usize,
}

impl Failures {
    /// Whether this failure is to be logged.
    pub(super) fn begins(&self, error: &Error, now: Instant) -> bool {
        use ErrorKind::{AccessDenied, Kms, Malformed, PendingDeletion};
        matches!(error.kind(), AccessDenied | Kms | Malformed | PendingDeletion)
            && self.failed.begins(error, now)
    }

    /// Whether it is to be logged that an optional secret is absent, for this reason.
    pub(super) fn leaves_out(&self, error: &Error, now: Instant) -> bool {
        self.absent.begins(error, now)
    }

    /// Whether a failure of this secret was logged, now that it was read.
    pub(super) fn ends(&self, secret: &str) -> bool {
        self.absent.ends(secret);
        self.failed.ends(secret)
    }
}

impl Logged {
    fn begins(&self, error: &Error, now: Instant) -> bool {
        let Some(secret) = error.secret() else { return false };
        let mark = error.fingerprint();
        let mut record = lock(&self.0);
        if record.marks.get(secret) == Some(&mark) {
            return false;
        }
        if record.since.is_none_or(|since| now >= since + PERIOD) {
            record.since = Some(now);
            record.logged = 0;
            // A full record would keep new ones out for ever.
            if record.marks.len() >= MAX_LOGGED {
                record.marks.clear();
            }
        }
        let fits = record.marks.len() < MAX_LOGGED || record.marks.contains_key(secret);
        if !fits || record.logged >= MAX_LOGGED {
            return false;
        }
        record.logged += 1;
        record.marks.insert(secret.to_owned(), mark);
        true
    }

    fn ends(&self, secret: &str) -> bool {
        lock(&self.0).marks.remove(secret).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind, secret: &str) -> Error {
        Error::new(kind, format!("secret `{secret}`")).with_secret(secret)
    }

    #[test]
    fn a_failure_is_logged_when_it_begins_or_changes() {
        use ErrorKind::{AccessDenied, Malformed, NotFound, Unavailable};
        let (failures, now) = (Failures::default(), Instant::now());
        for (case, kind, logged) in [
            ("begins", AccessDenied, true),
            ("lasts", AccessDenied, false),
            ("an outage hides it", Unavailable, false),
            ("a name that does not exist", NotFound, false),
            ("lasts still", AccessDenied, false),
            ("changes", Malformed, true),
        ] {
            assert_eq!(failures.begins(&error(kind, "a"), now), logged, "{case}");
        }
        assert!(failures.ends("a") && !failures.ends("a"));
        assert!(failures.begins(&error(Malformed, "a"), now), "begins again");
    }

    /// It does not take the place of a failure that has to be mended.
    #[test]
    fn an_optional_secret_is_logged_as_absent_when_that_begins_or_changes() {
        use ErrorKind::{AccessDenied, NotFound};
        let (failures, now) = (Failures::default(), Instant::now());
        let leaves_out = |kind, secret: &str| failures.leaves_out(&error(kind, secret), now);
        let logged =
            [NotFound, NotFound, AccessDenied, AccessDenied].map(|kind| leaves_out(kind, "a"));
        assert_eq!(logged, [true, false, true, false]);
        assert!(!failures.ends("a"), "it was no failure");
        assert!(leaves_out(NotFound, "a"), "absent again, after it was read");
        let many = (0..1000).filter(|n| leaves_out(NotFound, &n.to_string())).count();
        assert_eq!(many, MAX_LOGGED - 3);
        assert!(failures.begins(&error(AccessDenied, "a"), now));
    }

    #[test]
    fn names_of_users_log_a_hundred_failures_an_hour() {
        let (failures, now) = (Failures::default(), Instant::now());
        let denied = |n: usize| error(ErrorKind::AccessDenied, &n.to_string());
        let logged = |from: usize, now| {
            (from..from + 1000).filter(|n| failures.begins(&denied(*n), now)).count()
        };
        assert_eq!([logged(0, now), logged(1000, now)], [MAX_LOGGED, 0]);
        assert_eq!(logged(0, now + PERIOD), MAX_LOGGED);
        // A secret that fails and recovers all the time.
        let flapping = |now| {
            let flaps = (0..1000).filter(|_| {
                failures.ends("0");
                failures.begins(&denied(0), now)
            });
            flaps.count()
        };
        assert_eq!(flapping(now + 2 * PERIOD), MAX_LOGGED);
        assert_eq!(flapping(now + 2 * PERIOD), 0);
    }
}

//! The terms of one lease: when it is renewed, when it ends, and when the next credential is read.
//!
//! A lease is renewed at two thirds of what it was given, until a renewal is cut short: then its
//! maximal life is known. From two thirds of that on, another credential is read, so that a third
//! is left for that to succeed and for pools to move. Replicas that started together spread out,
//! because each time is moved by up to a tenth. Pure: the clock and random numbers (uniform in
//! `0.0..1.0`) are passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::session::two_thirds;

/// The shortest wait before a renewal is tried again.
const MIN_RENEWAL_WAIT: Duration = Duration::from_millis(250);

/// The longest such wait.
const MAX_RENEWAL_WAIT: Duration = Duration::from_secs(60);

/// A longer term counts as one of this length, so that no time overflows.
const MAX_TERM: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How often a credential is replaced at most because it is refused: at once, and then with waits
/// that double from the first to the second.
const BETWEEN_REFUSALS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// The wait after so many failures in a row: a second, doubled with each after the first, up to the
/// longest, times a random number.
pub(super) fn backoff(failures: u32, longest: Duration, random: f64) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << failures.saturating_sub(1).min(30));
    doubled.min(longest).mul_f64(random)
}

#[derive(Debug, Clone)]
pub(super) struct Terms {
    issued: Instant,
    /// What each renewal asks for: what the lease was given when it was new.
    pub(super) term: Duration,
    pub(super) expires: Instant,
    pub(super) renew_at: Option<Instant>,
    pub(super) read_again_at: Option<Instant>,
    /// Renewals in a row without an answer.
    failures: u32,
    is_last: bool,
}

/// Why a lease was not renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There was no answer, or none about the lease.
    Unanswered,
    /// It can't be renewed, but lasts.
    NotRenewable,
    /// There is no such lease: it was revoked, or has ended.
    Gone,
}

impl Terms {
    pub(super) fn new(term: Duration, renewable: bool, now: Instant, random: f64) -> Self {
        let term = term.clamp(Duration::from_secs(1), MAX_TERM);
        let mut terms = Self {
            issued: now,
            term,
            expires: now + term,
            renew_at: Some(now + two_thirds(term, random)),
            read_again_at: None,
            failures: 0,
            is_last: false,
        };
        if !renewable {
            terms.ends_for_good(now, random);
        }
        terms
    }

    /// The lease was renewed for this time.
    pub(super) fn renewed(&mut self, granted: Duration, now: Instant, random: f64) {
        self.failures = 0;
        self.expires = now + granted.min(MAX_TERM);
        if granted < self.term {
            self.ends_for_good(now, random);
        } else {
            self.renew_at = Some(now + two_thirds(self.term, random));
            self.read_again_at = None;
        }
    }

    pub(super) fn not_renewed(&mut self, why: Refusal, now: Instant, random: f64) {
        match why {
            Refusal::Gone => self.gone(now),
            Refusal::NotRenewable => self.ends_for_good(now, random),
            Refusal::Unanswered => {
                self.failures = self.failures.saturating_add(1);
                let left = self.expires.saturating_duration_since(now);
                if left.is_zero() {
                    return self.gone(now);
                }
                let longest = (left / 4).min(MAX_RENEWAL_WAIT);
                let wait = backoff(self.failures, longest, 0.5 + 0.5 * random);
                self.renew_at = Some(now + wait.max(MIN_RENEWAL_WAIT));
                // If renewals fail to the end, there is time for another credential.
                self.read_again_at = Some(self.expires - self.term.min(left) / 6);
            }
        }
    }

    /// It can no longer be renewed, so its whole life is known.
    fn ends_for_good(&mut self, now: Instant, random: f64) {
        self.is_last = true;
        self.renew_at = None;
        let life = self.expires.saturating_duration_since(self.issued);
        self.read_again_at = Some((self.issued + two_thirds(life, random)).max(now));
    }

    /// It does not exist any more.
    pub(super) fn gone(&mut self, now: Instant) {
        self.expires = self.expires.min(now);
        (self.renew_at, self.read_again_at) = (None, Some(now));
        self.is_last = true;
    }

    /// The token that it hangs on was replaced, and ends then: Vault revokes a token's leases with
    /// it. Another credential is read within the first third of what is left.
    pub(super) fn cut_short(&mut self, end: Option<Instant>, now: Instant, random: f64) {
        let Some(end) = end.filter(|end| *end < self.expires || self.renew_at.is_some()) else {
            return;
        };
        self.expires = self.expires.min(end);
        self.renew_at = None;
        self.is_last = true;
        let left = self.expires.saturating_duration_since(now);
        let read = now + left.mul_f64(random / 3.0);
        self.read_again_at = Some(self.read_again_at.map_or(read, |at| at.min(read)));
    }

    pub(super) fn has_ended(&self, now: Instant) -> bool {
        self.expires <= now
    }

    /// Whether another credential is wanted.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.has_ended(now) || self.read_again_at.is_some_and(|at| at <= now)
    }
}

/// How often credentials of a role were replaced because they were refused.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    in_a_row: u32,
    last: Option<Instant>,
}

impl Refusals {
    /// Whether a credential may be replaced because it is refused.
    pub(super) fn permit(&self, now: Instant) -> bool {
        let (first, longest) = BETWEEN_REFUSALS;
        let wait = first.saturating_mul(1 << self.in_a_row.saturating_sub(1).min(30)).min(longest);
        self.last.is_none_or(|last| now >= last + wait)
    }

    /// A credential was replaced: because it was refused, or as planned.
    pub(super) fn replaced(&mut self, was_refused: bool, now: Instant) {
        match was_refused {
            true => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.last = Some(now);
            }
            // What came before says nothing about a credential that was good to its end.
            false => *self = Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Minutes from the beginning, to a tenth.
    fn minutes(at: Option<Instant>, begun: Instant) -> Option<f64> {
        at.map(|at| ((at - begun).as_secs_f64() / 6.0).round() / 10.0)
    }

    /// Renews at each time until the next credential is due: the times of the renewals, and then.
    fn life(term: u32, maximal: u32, random: f64) -> (Vec<f64>, f64, f64) {
        let begun = Instant::now();
        let end = begun + maximal * MINUTE;
        let mut terms = Terms::new((term * MINUTE).min(maximal * MINUTE), true, begun, random);
        let mut renewals = Vec::new();
        while let Some(at) = terms.renew_at {
            assert!(at < terms.expires && terms.read_again_at.is_none());
            renewals.extend(minutes(Some(at), begun));
            terms.renewed(terms.term.min(end - at), at, random);
        }
        let due = minutes(terms.read_again_at, begun).expect("a time");
        (renewals, due, minutes(Some(terms.expires), begun).expect("a time"))
    }

    #[test]
    fn a_lease_is_renewed_to_two_thirds_of_its_maximal_life_at_least() {
        for (term, maximal, random, first, due) in [
            (60, 60, 0.5, 40.0, 40.0),
            (60, 60, 0.0, 36.0, 36.0),
            (60, 60, 1.0, 44.0, 44.0),
            (60, 90, 0.5, 40.0, 60.0),
            (60, 120, 0.5, 40.0, 80.0),
            // A renewal is cut short later than at two thirds.
            (60, 300, 0.5, 40.0, 280.0),
        ] {
            let (renewals, found, end) = life(term, maximal, random);
            assert_eq!((renewals[0], found), (first, due), "{term} of {maximal}");
            assert_eq!(end, f64::from(maximal), "{term} of {maximal}");
        }
    }

    #[test]
    fn what_is_not_renewed_is_replaced_in_time() {
        let begun = Instant::now();
        let at = |minutes: u32| begun + minutes * MINUTE;
        let fresh = |renewable| Terms::new(60 * MINUTE, renewable, begun, 0.5);
        let after = |change: &dyn Fn(&mut Terms)| {
            let mut terms = fresh(true);
            change(&mut terms);
            let [renewal, read, end] = [terms.renew_at, terms.read_again_at, Some(terms.expires)]
                .map(|time| minutes(time, begun));
            (renewal, read, end.expect("an end"))
        };
        type Case<'a> = (&'a str, &'a dyn Fn(&mut Terms), (Option<f64>, Option<f64>, f64));
        let cases: [Case<'_>; 9] = [
            ("new", &|_| (), (Some(40.0), None, 60.0)),
            (
                "renewed",
                &|terms| terms.renewed(60 * MINUTE, at(40), 0.5),
                (Some(80.0), None, 100.0),
            ),
            (
                "renewed for less: its maximal life is 70 minutes",
                &|terms| terms.renewed(30 * MINUTE, at(40), 0.5),
                (None, Some(46.7), 70.0),
            ),
            (
                "revoked",
                &|terms| terms.not_renewed(Refusal::Gone, at(40), 0.5),
                (None, Some(40.0), 40.0),
            ),
            (
                "it cannot be renewed",
                &|terms| terms.not_renewed(Refusal::NotRenewable, at(40), 0.5),
                (None, Some(40.0), 60.0),
            ),
            (
                "sealed, or a lost answer: it is tried again",
                &|terms| terms.not_renewed(Refusal::Unanswered, at(40), 1.0),
                (Some(40.0), Some(56.7), 60.0),
            ),
            (
                "sealed to the end",
                &|terms| terms.not_renewed(Refusal::Unanswered, at(60), 0.5),
                (None, Some(60.0), 60.0),
            ),
            (
                "sealed for a while",
                &|terms| {
                    terms.not_renewed(Refusal::Unanswered, at(40), 0.5);
                    terms.renewed(60 * MINUTE, at(41), 0.5);
                },
                (Some(81.0), None, 101.0),
            ),
            (
                "its token was replaced",
                &|terms| terms.cut_short(Some(at(50)), at(20), 1.0),
                (None, Some(30.0), 50.0),
            ),
        ];
        for (case, change, expected) in cases {
            assert_eq!(after(change), expected, "{case}");
        }
        let fixed = fresh(false);
        assert_eq!(minutes(fixed.read_again_at, begun), Some(40.0));
        assert!(!fixed.is_due(at(39)) && fixed.is_due(at(40)) && fixed.has_ended(at(60)));
        let endless = Terms::new(Duration::MAX, true, begun, 0.5);
        assert!(!endless.is_due(at(10_000)));
    }

    #[test]
    fn refusals_replace_credentials_less_and_less_often() {
        let begun = Instant::now();
        let mut refusals = Refusals::default();
        let mut replaced = Vec::new();
        for minute in 0..300 {
            let now = begun + minute * MINUTE;
            if refusals.permit(now) {
                refusals.replaced(true, now);
                replaced.push(minute);
            }
        }
        assert_eq!(replaced, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        refusals.replaced(false, begun);
        assert!(refusals.permit(begun));
    }
}

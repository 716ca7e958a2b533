//! Secrets that were deleted: how often they are asked for, and when they leave the settings (R3).
//!
//! A secret is deleted if a listing leaves it out and the store answers that it has no value. Its
//! last good value stays for a while, in case someone restores it. After that it leaves the
//! settings if they can do without it (`cycle` tries); otherwise it stays, and is asked for more
//! and more rarely. However many were deleted, one read asks for at most a batch of them, apart
//! from those that are about to leave. Pure except for the clock, which is passed in.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::secrets::Secrets;
use crate::error::{Error, ErrorKind};
use crate::load::fetch::{FetchResult, Unread};
use crate::load::retry::schedule::Schedule;

/// How many deleted secrets one read asks for: as many as one call does.
const ASKED_AT_ONCE: usize = 20;

/// The deleted secrets that are still in use.
#[derive(Debug, Default)]
pub(super) struct Deleted(BTreeMap<String, Deletion>);

#[derive(Debug)]
struct Deletion {
    /// When a read first found it deleted.
    since: Instant,
    /// When the store last said so, and how.
    asked_at: Instant,
    answer: Unread,
    /// How often settings without it were refused.
    needed: u32,
    /// Until then it is not asked for, because the settings need it.
    rests_until: Option<Instant>,
}

impl Deleted {
    /// Notes what a read found out. `listed` are the names that exist, if the read knows them.
    pub(super) fn record(
        &mut self,
        result: &FetchResult,
        listed: Option<&[String]>,
        used: &Secrets,
        now: Instant,
    ) {
        let listed: Option<BTreeSet<&String>> = listed.map(|listed| listed.iter().collect());
        let is_listed = |id: &String| listed.as_ref().is_some_and(|listed| listed.contains(id));
        self.0.retain(|id, _| used.contains(id) && !is_listed(id));
        for (id, outcome) in &result.outcomes {
            match outcome {
                Ok(_) => {
                    self.0.remove(id);
                }
                Err(unread) if has_no_value(&unread.error) => match self.0.get_mut(id) {
                    Some(deletion) => {
                        (deletion.asked_at, deletion.answer) = (now, unread.clone());
                    }
                    None if used.contains(id) && listed.is_some() && !is_listed(id) => {
                        let answer = unread.clone();
                        let deletion = Deletion {
                            since: now,
                            asked_at: now,
                            answer,
                            needed: 0,
                            rests_until: None,
                        };
                        self.0.insert(id.clone(), deletion);
                    }
                    None => {}
                },
                Err(_) => {}
            }
        }
    }

    /// Which of them the next read leaves out: all but those that are about to leave, and of the
    /// others the ones that were asked for longest ago.
    pub(super) fn not_asked(&self, schedule: Schedule, now: Instant) -> BTreeSet<String> {
        let about_to_leave =
            |deletion: &Deletion| deletion.needed == 0 && now >= deletion.leaves_at(schedule);
        let others = self.0.iter().filter(|(_, deletion)| !about_to_leave(deletion));
        let mut others: Vec<_> = others.collect();
        others.sort_by_key(|(_, deletion)| (deletion.rests(now), deletion.asked_at));
        let awake = others.iter().take_while(|(_, deletion)| !deletion.rests(now)).count();
        others.iter().skip(awake.min(ASKED_AT_ONCE)).map(|(id, _)| (*id).clone()).collect()
    }

    /// What was last answered for a secret that a read left out.
    pub(super) fn last_answer(&self, id: &str) -> Option<Unread> {
        self.0.get(id).map(|deletion| deletion.answer.clone())
    }

    /// Those that should leave now: deleted for long enough, asked for at `now`, and not resting.
    pub(super) fn leaving(&self, schedule: Schedule, now: Instant) -> Vec<String> {
        let leaving =
            |deletion: &Deletion| deletion.asked_at == now && now >= deletion.leaves_at(schedule);
        self.0.iter().filter(|(_, deletion)| leaving(deletion)).map(|(id, _)| id.clone()).collect()
    }

    /// The settings need this one. Returns whether that is new.
    pub(super) fn needed(&mut self, id: &str, schedule: Schedule, now: Instant) -> bool {
        let Some(deletion) = self.0.get_mut(id) else { return false };
        deletion.needed = deletion.needed.saturating_add(1);
        deletion.rests_until = Some(now + schedule.rest(deletion.needed));
        deletion.needed == 1
    }

    /// These are no longer in use.
    pub(super) fn left(&mut self, ids: &[String]) {
        ids.iter().for_each(|id| drop(self.0.remove(id)));
    }

    /// Since when a secret is deleted, and when it leaves, unless the settings need it.
    pub(super) fn times(&self, id: &str, schedule: Schedule) -> Option<(Instant, Option<Instant>)> {
        let deletion = self.0.get(id)?;
        let leaves_at = (deletion.needed == 0).then(|| deletion.leaves_at(schedule));
        Some((deletion.since, leaves_at))
    }
}

impl Deletion {
    fn leaves_at(&self, schedule: Schedule) -> Instant {
        self.since + schedule.forget_deleted
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

/// Whether the store says that there is no such secret, or that it is going to be deleted.
fn has_no_value(error: &Error) -> bool {
    let deleted = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PendingDeletion);
    deleted && !error.is_of_caller()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::required::Verdict;
    use crate::load::retry::schedule::Budget;
    use crate::secret::Fetched;

    const HOUR: Duration = Duration::from_secs(3600);

    fn schedule() -> Schedule {
        Schedule::new(Duration::from_secs(300), None, Budget::default())
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("app/{n:03}")).collect()
    }

    fn used(names: &[String]) -> Secrets {
        names.iter().map(|name| (name.clone(), Fetched::text(name, "v1", "x"))).collect()
    }

    fn answered(names: &[String], kind: ErrorKind) -> FetchResult {
        let unread = |name: &String| {
            (name.clone(), Err(Unread { error: Error::new(kind, "x"), verdict: Verdict::Failure }))
        };
        FetchResult { outcomes: names.iter().map(unread).collect(), ..FetchResult::default() }
    }

    #[test]
    fn a_secret_is_deleted_if_it_is_not_listed_and_has_no_value() {
        let name = &names(1);
        let (used, start) = (used(name), Instant::now());
        for (case, kind, listed, deleted) in [
            ("not found", ErrorKind::NotFound, Some(&[][..]), true),
            ("scheduled for deletion", ErrorKind::PendingDeletion, Some(&[]), true),
            ("no version is current", ErrorKind::NotFound, Some(&name[..]), false),
            ("names are not known", ErrorKind::NotFound, None, false),
            ("denied", ErrorKind::AccessDenied, Some(&[]), false),
            ("an outage", ErrorKind::Unavailable, Some(&[]), false),
        ] {
            let mut found = Deleted::default();
            found.record(&answered(name, kind), listed, &used, start);
            assert_eq!(found.times(&name[0], schedule()).is_some(), deleted, "{case}");
        }
    }

    #[test]
    fn a_deletion_ends_when_the_secret_is_back_and_lasts_through_an_outage() {
        let name = &names(1);
        let (used, start) = (used(name), Instant::now());
        let since = |found: &Deleted| found.times(&name[0], schedule()).map(|(since, _)| since);
        let deleted = || {
            let mut found = Deleted::default();
            found.record(&answered(name, ErrorKind::NotFound), Some(&[]), &used, start);
            found
        };
        let mut found = deleted();
        found.record(&answered(name, ErrorKind::Unavailable), None, &used, start + HOUR);
        assert_eq!(since(&found), Some(start), "an outage");
        found.record(&answered(name, ErrorKind::NotFound), Some(&[]), &used, start + 2 * HOUR);
        assert_eq!(since(&found), Some(start), "still deleted");
        let late = start + 25 * HOUR;
        assert!(found.leaving(schedule(), late).is_empty(), "the store was not asked");
        found.record(&answered(name, ErrorKind::NotFound), Some(&[]), &used, late);
        assert_eq!(found.leaving(schedule(), late), *name);

        let mut found = deleted();
        let back = [(name[0].clone(), Ok(Fetched::text("app/000", "v2", "y")))].into();
        let back = FetchResult { outcomes: back, ..FetchResult::default() };
        found.record(&back, None, &used, start);
        assert_eq!(since(&found), None, "it has a value");

        let mut found = deleted();
        found.record(&answered(name, ErrorKind::NotFound), Some(name), &used, start);
        assert_eq!(since(&found), None, "it is listed");
    }

    #[test]
    fn a_read_asks_for_a_batch_of_them_in_turn_and_for_all_that_are_about_to_leave() {
        let names = names(50);
        let (used, start) = (used(&names), Instant::now());
        let mut found = Deleted::default();
        found.record(&answered(&names, ErrorKind::NotFound), Some(&[]), &used, start);
        let mut asked = BTreeSet::new();
        for round in 1..=3 {
            let now = start + round * Duration::from_secs(300);
            let left_out = found.not_asked(schedule(), now);
            assert_eq!(left_out.len(), 30);
            let ask: Vec<_> = names.iter().filter(|id| !left_out.contains(*id)).cloned().collect();
            found.record(&answered(&ask, ErrorKind::NotFound), Some(&[]), &used, now);
            asked.extend(ask);
        }
        assert_eq!(asked.len(), 50, "each has its turn");
        assert!(found.not_asked(schedule(), start + 24 * HOUR).is_empty());
    }

    #[test]
    fn one_that_is_needed_is_asked_for_more_and_more_rarely() {
        let names = names(1);
        let (used, start) = (used(&names), Instant::now());
        let mut found = Deleted::default();
        let mut now = start;
        found.record(&answered(&names, ErrorKind::NotFound), Some(&[]), &used, now);
        now += 24 * HOUR;
        let mut rests = Vec::new();
        for tries in 0..6 {
            found.record(&answered(&names, ErrorKind::NotFound), Some(&[]), &used, now);
            assert_eq!(found.leaving(schedule(), now), names, "it may leave again");
            assert_eq!(found.needed(&names[0], schedule(), now), tries == 0);
            assert_eq!(found.times(&names[0], schedule()), Some((start, None)));
            let second = Duration::from_secs(1);
            let rest = (1..).find(|n| found.not_asked(schedule(), now + *n * second).is_empty());
            rests.push(rest.expect("a rest"));
            now += rests[tries] * second;
        }
        assert_eq!(rests, [600, 1200, 2400, 3600, 3600, 3600]);
    }
}

use super::*;
use crate::error::{Error, ErrorKind};
use crate::load::fetch::Unread;
use crate::load::plan::{Choice, Plan, Selection};
use crate::load::required::Verdict;
use crate::secret::Fetched;

fn plan() -> Plan {
    Choice::new(Selection::Prefix { prefix: "p".into(), only: None }).plan().expect("a plan")
}

fn used(version: &str) -> Secrets {
    [("p/a".to_owned(), Fetched::text("p/a", version, "x"))].into_iter().collect()
}

fn hint(secret: &str, version: Option<&str>) -> Hint {
    Hint { secret: secret.to_owned(), version: version.map(str::to_owned), changed_at: None }
}

fn answer(id: &str, version: Option<&str>) -> FetchResult {
    let missing = || Unread {
        error: Error::new(ErrorKind::NotFound, format!("secret `{id}` does not exist")),
        verdict: Verdict::Failure,
    };
    let outcome = version.map(|version| Fetched::text(id, version, "x")).ok_or_else(missing);
    FetchResult { outcomes: [(id.to_owned(), outcome)].into(), ..FetchResult::default() }
}

fn hear(hints: &mut Hints, hint: &Hint, used: &Secrets) -> Vec<String> {
    let plan = plan();
    hints.hear(hint, &Selector::new(&plan, used.ids()), used)
}

#[test]
fn a_hint_is_read_unless_its_version_is_live_or_its_secret_is_not_selected() {
    let used = used("v1");
    for (hint, read) in [
        (hint("p/a", None), true),
        (hint("p/a", Some("v2")), true),
        // A rollback names a version that was live once.
        (hint("p/a", Some("v0")), true),
        (hint("p/a", Some("v1")), false),
        (hint("q/a", Some("v2")), false),
        (hint("", None), false),
    ] {
        let mut hints = Hints::default();
        assert_eq!(!hear(&mut hints, &hint, &used).is_empty(), read, "{hint:?}");
        assert_eq!(!hints.0.is_empty(), read, "{hint:?}");
    }
}

#[test]
fn a_read_that_shows_only_what_was_live_is_repeated_after_half_a_second_one_and_two() {
    let now = Instant::now();
    let used = used("v1");
    for (versions, answers, tries) in [
        // No version: whatever is found is enough.
        (&[None][..], &[Some("v1")][..], 0),
        (&[Some("v2")], &[Some("v2")], 0),
        (&[Some("v2")], &[Some("v3")], 0),
        (&[Some("v2"), Some("v3")], &[Some("v3")], 0),
        (&[Some("v2")], &[Some("v1"), Some("v2")], 1),
        (&[Some("v2")], &[None, Some("v1"), Some("v2")], 2),
        (&[Some("v2")], &[Some("v1"), None, Some("v1"), Some("v3")], 3),
        (&[Some("v2")], &[Some("v1"); 9], 3),
    ] {
        let mut hints = Hints::default();
        for version in versions {
            hear(&mut hints, &hint("p/a", *version), &used);
        }
        let mut waits = Vec::new();
        let mut at = now;
        for version in answers {
            assert!(hints.take_due(at).is_empty(), "the read is under way");
            let given_up = hints.found(&answer("p/a", *version), &used, at).given_up;
            let Some(due) = hints.due() else {
                assert_eq!(given_up.is_empty(), answers.len() <= LAGS.len() + 1, "{answers:?}");
                break;
            };
            waits.push(due - at);
            assert!(hints.take_due(due - Duration::from_millis(1)).is_empty());
            assert_eq!(hints.take_due(due), ["p/a".to_owned()].into());
            at = due;
        }
        assert_eq!(waits, LAGS[..tries], "{versions:?} {answers:?}");
        assert!(hints.0.is_empty(), "{versions:?} {answers:?}");
    }
}

/// The store's replicas may be at different versions.
#[test]
fn an_older_version_does_not_end_the_search_for_a_newer_one() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let timed =
        |version: &str, seconds| Hint { changed_at: at(seconds), ..hint("p/a", Some(version)) };
    let used_before = used("v1");
    let mut now = Instant::now();
    for order in [[("v2", 20), ("v3", 30)], [("v3", 30), ("v2", 20)]] {
        let mut hints = Hints::default();
        for (version, seconds) in order {
            hear(&mut hints, &timed(version, seconds), &used_before);
        }
        let found = hints.found(&answer("p/a", Some("v2")), &used_before, now);
        assert_eq!((found.changed_at, found.given_up.len()), (at(20), 0), "of the version found");
        now = hints.due().expect("the newer one is looked for");
        hints.take_due(now);
        let found = hints.found(&answer("p/a", Some("v2")), &used("v2"), now);
        assert_eq!(found.changed_at, None, "nothing new");
        now = hints.due().expect("again");
        hints.take_due(now);
        let found = hints.found(&answer("p/a", Some("v3")), &used("v2"), now);
        assert_eq!(found.changed_at, at(30));
        assert!(hints.0.is_empty());

        for (version, seconds) in order {
            hear(&mut hints, &timed(version, seconds), &used_before);
        }
        let found = hints.found(&answer("p/a", Some("v3")), &used_before, now);
        assert_eq!(found.changed_at, at(30));
        assert!(hints.0.is_empty(), "the older one is over");
    }
}

#[test]
fn a_repeated_hint_does_not_lengthen_the_search() {
    let used = used("v1");
    for hint in [hint("p/a", Some("v2")), hint("p/b", None)] {
        let mut hints = Hints::default();
        let mut now = Instant::now();
        let mut reads = 0;
        hear(&mut hints, &hint, &used);
        while !hints.0.is_empty() && reads < 100 {
            reads += 1;
            hints.found(&answer(&hint.secret, hint.version.as_ref().map(|_| "v1")), &used, now);
            let due = hints.due();
            if due.is_some() {
                assert_eq!(hear(&mut hints, &hint, &used).len(), 1, "read now");
                assert_eq!(hints.due(), due, "and again when it was to be");
            }
            now = due.unwrap_or(now);
            hints.take_due(now);
        }
        assert_eq!(reads, LAGS.len() + 1);
    }
}

#[test]
fn a_hint_is_not_lost_in_an_outage() {
    let used = used("v1");
    let outage = || {
        let error = Error::new(ErrorKind::Unavailable, "no answer");
        let unread = Unread { error, verdict: Verdict::Failure };
        FetchResult { outcomes: [("p/a".to_owned(), Err(unread))].into(), ..FetchResult::default() }
    };
    for version in [None, Some("v2")] {
        let mut hints = Hints::default();
        hear(&mut hints, &hint("p/a", version), &used);
        let begun = Instant::now();
        let mut at = begun;
        while at - begun < Duration::from_secs(300) {
            assert!(hints.found(&outage(), &used, at).given_up.is_empty(), "{version:?}");
            let due = hints.due().expect("it is read again");
            assert!(due - at <= MAX_WAIT);
            at = due;
            hints.take_due(at);
        }
        hints.found(&answer("p/a", Some("v2")), &used, at);
        assert!(hints.0.is_empty(), "{version:?}");

        hear(&mut hints, &hint("p/a", version), &used);
        let mut reads = 0;
        while !hints.0.is_empty() {
            reads += 1;
            hints.found(&outage(), &used, at);
            at = hints.due().unwrap_or(at);
            hints.take_due(at);
        }
        assert_eq!(reads, MAX_TRIES + 1, "it ends");
    }
}

#[test]
fn a_hint_that_another_read_did_not_cover_is_not_lost() {
    let (now, used) = (Instant::now(), used("v1"));
    let mut hints = Hints::default();
    hear(&mut hints, &hint("p/b", None), &used);
    hints.found(&answer("p/a", Some("v1")), &used, now);
    assert_eq!(hints.due(), Some(now + LAGS[0]));
    // A read that covers it meanwhile is as good.
    hints.found(&answer("p/b", Some("v1")), &used, now);
    assert_eq!(hints.due(), None);
}

#[test]
fn what_hints_cause_is_bounded() {
    let used: Secrets = (0..2 * MAX_WANTED)
        .map(|n| (format!("p/{n:04}"), Fetched::text(format!("p/{n:04}"), "v1", "x")))
        .collect();
    let mut hints = Hints::default();
    let read = (0..100).filter(|n| {
        let hint = hint(&format!("p/made-up-{n}"), Some("v2"));
        !hear(&mut hints, &hint, &used).is_empty()
    });
    assert_eq!(read.count(), MAX_UNKNOWN);
    for n in 0..1000 {
        hear(&mut hints, &hint("p/0000", Some(&format!("v{n}-"))), &used);
    }
    assert_eq!(hints.0["p/0000"].versions.len(), MAX_VERSIONS);
    let plan = plan();
    let selector = Selector::new(&plan, used.ids());
    let read = used.ids().filter(|id| !hints.hear(&hint(id, None), &selector, &used).is_empty());
    assert_eq!(read.count(), MAX_WANTED - MAX_UNKNOWN);
    assert_eq!(hints.0.len(), MAX_WANTED);
}

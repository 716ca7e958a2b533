//! The search for newer settings, for callers whose credentials were refused.
//!
//! The search needs no runtime, so each test is a list of events and the answers that follow.

use std::time::Duration;

use super::*;
use crate::load::retry::answer::{Answer, Reply};

/// A waiting caller, and the receiver of its answer.
fn waiting(seen: u64, path: &str) -> (Waiting, Answer) {
    let (reply, answer) = Reply::channel();
    (Waiting { seen, path: path.to_owned(), reply }, answer)
}

/// The last change of each path, if these keys changed with this generation.
fn changed(generation: u64, keys: &'static [&'static str]) -> impl Fn(&str) -> u64 + Copy {
    move |path| {
        let concerns = path.is_empty() || keys.iter().any(|key| key.starts_with(path));
        if concerns { generation } else { 1 }
    }
}

fn generation(answer: &mut Answer) -> Option<Result<u64, ErrorKind>> {
    let answer = answer.try_recv().ok()?;
    Some(answer.map(|refreshed| refreshed.generation()).map_err(|error| error.kind()))
}

#[test]
fn a_caller_that_has_seen_an_older_generation_is_answered_at_once() {
    let mut search = Search::new("settings", Budget::default());
    let (asked, mut answer) = waiting(1, "");
    search.ask(asked, 2, changed(2, &["a"]), Instant::now());
    assert_eq!(generation(&mut answer), Some(Ok(2)));
    assert_eq!(search.due(), None, "nothing to search for");
}

#[test]
fn one_search_serves_all_callers_and_ends_with_a_newer_generation() {
    let now = Instant::now();
    let mut search = Search::new("settings", Budget::default());
    let old = changed(1, &[]);
    let mut answers: Vec<_> = (0..1000)
        .map(|_| {
            let (asked, answer) = waiting(1, "");
            search.ask(asked, 1, old, now);
            answer
        })
        .collect();
    assert_eq!(search.due(), Some(now), "the first try is at once");
    search.refreshed(1, old);
    search.tried(1, None, now, 0.0);
    assert_eq!(search.due(), Some(now + Duration::from_secs(2)));
    search.refreshed(2, changed(2, &["a"]));
    assert!(answers.iter_mut().all(|answer| generation(answer) == Some(Ok(2))));
    assert_eq!(search.due(), None);
}

#[test]
fn a_change_of_another_key_does_not_end_a_search_below_a_path() {
    let now = Instant::now();
    let mut search = Search::new("settings", Budget::default());
    let (asked, mut answer) = waiting(1, "database");
    search.ask(asked, 1, changed(1, &[]), now);
    search.refreshed(2, changed(2, &["jwt_secret"]));
    assert_eq!(generation(&mut answer), None);
    search.refreshed(2, changed(2, &["database.password"]));
    assert_eq!(generation(&mut answer), Some(Ok(2)));
}

#[test]
fn a_failed_search_ends_with_its_budget_and_pauses() {
    let start = Instant::now();
    let mut search = Search::new("settings", Budget::default());
    let old = changed(1, &[]);
    let (asked, mut answer) = waiting(1, "");
    search.ask(asked, 1, old, start);
    let mut tries = 0;
    let mut now = start;
    while let Some(due) = search.due() {
        now = due;
        search.refreshed(1, old);
        search.tried(1, None, now, 0.0);
        tries += 1;
    }
    assert_eq!((tries, now - start), (5, Duration::from_secs(30)));
    assert_eq!(generation(&mut answer), Some(Err(ErrorKind::Unavailable)));

    let (asked, mut answer) = waiting(1, "");
    search.ask(asked, 1, old, now + Duration::from_secs(29));
    assert_eq!(
        generation(&mut answer),
        Some(Err(ErrorKind::Unavailable)),
        "answered at once during the pause"
    );
    let (asked, mut answer) = waiting(2, "");
    search.ask(asked, 2, changed(2, &["a"]), now + Duration::from_secs(29));
    assert_eq!(generation(&mut answer), None, "another generation is searched past at once");
    assert!(search.due().is_some());
}

#[test]
fn after_the_pause_a_new_search_begins() {
    let start = Instant::now();
    let mut search = Search::new("settings", Budget { tries: 1, within: Duration::from_secs(30) });
    let old = changed(1, &[]);
    let (asked, mut answer) = waiting(1, "");
    search.ask(asked, 1, old, start);
    search.tried(1, Some(&Error::new(ErrorKind::Throttled, "too fast")), start, 0.0);
    let error = answer.try_recv().expect("an answer").expect_err("no newer settings");
    let kinds: Vec<_> = error.errors().iter().map(Error::kind).collect();
    assert!(kinds.contains(&ErrorKind::Throttled), "the error of the fetch is missing: {kinds:?}");

    let (asked, mut answer) = waiting(1, "");
    search.ask(asked, 1, old, start + Duration::from_secs(30));
    assert_eq!(generation(&mut answer), None);
    assert_eq!(search.due(), Some(start + Duration::from_secs(30)));
}

#[test]
fn a_search_without_callers_pauses_until_the_next_caller() {
    let start = Instant::now();
    let mut search = Search::new("settings", Budget::default());
    let old = changed(1, &[]);
    let mut tries = 0;
    // For a minute, each caller gives up before its try ends, and the next one asks at once.
    for ms in (0..60_000).step_by(100) {
        let now = start + Duration::from_millis(ms);
        let (asked, answer) = waiting(1, "");
        search.ask(asked, 1, old, now);
        let due = search.due().is_some_and(|due| due <= now);
        drop(answer);
        search.refreshed(1, old);
        assert_eq!(search.due(), None, "no caller waits");
        if due {
            tries += 1;
            search.tried(1, None, now, 0.0);
        }
    }
    assert!((5..=10).contains(&tries), "{tries} tries in a minute");
}

#[test]
fn a_search_is_forgotten_after_its_time_or_with_a_newer_generation() {
    let start = Instant::now();
    for (generation, later, tries_left) in [(1, 29, 4), (1, 30, 5), (2, 1, 5)] {
        let mut search = Search::new("settings", Budget::default());
        let old = changed(1, &[]);
        let (asked, answer) = waiting(1, "");
        search.ask(asked, 1, old, start);
        drop(answer);
        search.refreshed(1, old);
        search.tried(1, None, start, 0.0);
        let now = start + Duration::from_secs(later);
        let (asked, _answer) = waiting(generation, "");
        search.ask(asked, generation, old, now);
        let mut tries = 0;
        while search.due().is_some() {
            search.tried(generation, None, now, 0.0);
            tries += 1;
        }
        assert_eq!(tries, tries_left, "{generation}, {later} s later");
    }
}

#[test]
fn a_caller_that_has_already_gone_starts_no_search() {
    let mut search = Search::new("settings", Budget::default());
    let (asked, answer) = waiting(1, "");
    drop(answer);
    search.ask(asked, 1, changed(1, &[]), Instant::now());
    assert_eq!(search.due(), None);
}

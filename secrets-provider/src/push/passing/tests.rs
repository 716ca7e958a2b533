//! When a hint is passed on; the clock is paused.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, advance};

use super::{MAX_IN_ROUND, MAX_WAITING, Notice, Passing};
use crate::engine::hints::Hint;
use crate::observe::status::PeersProgress;

fn hint(secret: &str, version: Option<&str>) -> Hint {
    Hint { secret: secret.to_owned(), version: version.map(str::to_owned), changed_at: None }
}

fn notice(secret: &str, version: Option<&str>) -> Notice {
    (secret.to_owned(), version.map(str::to_owned))
}

fn progress() -> PeersProgress {
    PeersProgress::new("app.svc:8081".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_repeated_version_goes_once_a_minute() {
    let (mut passing, progress) = (Passing::default(), progress());
    let mut passed = 0;
    for _ in 0..180 {
        passing.add(hint("app", Some("2")), &progress);
        passed += passing.take_due().len();
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(passed, 3);
}

#[tokio::test(start_paused = true)]
async fn versions_in_turn_and_a_version_with_a_new_time_are_no_repeats() {
    let (mut passing, progress) = (Passing::default(), progress());
    for version in ["1", "2", "1", "2"] {
        passing.add(hint("app", Some(version)), &progress);
        assert_eq!(passing.take_due(), [notice("app", Some(version))]);
    }
    let later = Hint { changed_at: Some(SystemTime::now()), ..hint("app", Some("2")) };
    passing.add(later.clone(), &progress);
    assert_eq!(passing.take_due().len(), 1, "the label came back to it");
    passing.add(later, &progress);
    assert!(passing.take_due().is_empty());
}

#[tokio::test(start_paused = true)]
async fn hints_without_a_version_go_once_a_second_and_the_last_one_goes_too() {
    let (mut passing, progress) = (Passing::default(), progress());
    passing.add(hint("app", None), &progress);
    assert_eq!(passing.take_due(), [notice("app", None)], "the first one at once");
    for _ in 0..9 {
        advance(Duration::from_millis(100)).await;
        passing.add(hint("app", None), &progress);
        assert!(passing.take_due().is_empty());
    }
    assert_eq!(passing.due(), Some(Instant::now() + Duration::from_millis(100)));
    advance(Duration::from_millis(100)).await;
    assert_eq!(passing.take_due(), [notice("app", None)]);
    assert_eq!(passing.due(), None, "they were merged");
    // One of another secret does not wait for it.
    passing.add(hint("app", None), &progress);
    passing.add(hint("other", None), &progress);
    assert_eq!(passing.take_due(), [notice("other", None)]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_is_remembered_is_bounded() {
    let (mut passing, progress) = (Passing::default(), progress());
    for n in 0..3 * MAX_WAITING {
        passing.add(hint(&format!("app/{n}"), Some("1")), &progress);
    }
    assert_eq!(passing.waiting.len(), MAX_WAITING);
    assert_eq!(progress.status().failed(), 2 * MAX_WAITING as u64, "they are counted");
    // One that waits already takes no more room.
    passing.add(hint("app/0", Some("1")), &progress);
    assert_eq!(progress.status().failed(), 2 * MAX_WAITING as u64);
    for n in 0..3 * MAX_WAITING {
        let of_round = passing.take_due();
        assert!(of_round.len() <= MAX_IN_ROUND);
        passing.add(hint(&format!("app/more/{n}"), Some("1")), &progress);
        assert!(passing.last.len() <= MAX_WAITING && passing.waiting.len() <= MAX_WAITING);
    }
}

//! Health and readiness as functions of time, on tokio's paused clock.
//!
//! What each failure of a store leads to is in the suite of `end-to-end`.

use super::*;
use crate::error::{Error, ErrorKind};

#[tokio::test(start_paused = true)]
async fn health_worsens_with_the_age_of_the_last_success() {
    let outage = Error::new(ErrorKind::Unavailable, "no answer");
    let interval = Duration::from_secs(300);
    let default =
        [(600, Health::Fresh), (601, Health::Stale), (900, Health::Stale), (901, Health::Failing)];
    let shorter = [(400, Health::Fresh), (401, Health::Failing), (901, Health::Failing)];
    let longer = [
        (600, Health::Fresh),
        (901, Health::Stale),
        (3600, Health::Stale),
        (3601, Health::Failing),
    ];
    for (bound, ages) in [(None, &default[..]), (Some(400), &shorter), (Some(3600), &longer)] {
        let bound = bound.map(Duration::from_secs);
        let mut ended =
            Status::of_sources(vec![SourceStatus::started("app".into(), interval, bound)], bound);
        let mut failing = ended.clone();
        failing.record_source(0, |source| source.record_failure(&outage));
        assert_eq!((ended.health(), failing.health()), (Health::Fresh, Health::Stale));
        let begun = Instant::now();
        for &(age, health) in ages {
            tokio::time::advance(begun + Duration::from_secs(age) - Instant::now()).await;
            assert_eq!(ended.health(), health, "{age} s, {bound:?}");
            // A failure changes only the first step.
            let expected = if health == Health::Fresh { Health::Stale } else { health };
            assert_eq!(failing.health(), expected, "{age} s, {bound:?}, failing");
            let ready = health != Health::Failing;
            assert_eq!(
                (ended.is_ready(), failing.is_ready()),
                (ready, ready),
                "{age} s, {bound:?}"
            );
        }
        ended.record_source(0, |source| source.record_success());
        failing.record_source(0, |source| source.record_success());
        assert_eq!((ended.health(), failing.health()), (Health::Fresh, Health::Fresh));
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_checks_and_fallback_does_not_hide_age() {
    let outage = Error::new(ErrorKind::Unavailable, "no answer");
    let mut status = Status::of_sources(
        vec![SourceStatus::started("app".into(), Duration::from_secs(300), None)],
        None,
    );
    // A definite answer for each secret counts as a check, but not as a success.
    tokio::time::advance(Duration::from_secs(901)).await;
    status.record_source(0, |source| source.record_failure(&outage));
    status.record_source(0, |source| source.record_check());
    assert_eq!((status.health(), status.is_ready()), (Health::Failing, true));
    status.record_source(0, |source| source.set_fallback(true));
    assert_eq!((status.health(), status.is_ready()), (Health::Fallback, true));
    tokio::time::advance(Duration::from_secs(901)).await;
    assert_eq!(
        (status.health(), status.is_ready()),
        (Health::Failing, false),
        "fallback does not hide it"
    );
    status.record_source(0, |source| source.record_check());
    assert_eq!(serde_json::to_value(&status).expect("a status")["health"], "fallback");
    status.record_source(0, |source| source.set_fallback(false));
    status.record_source(0, |source| source.record_success());
    assert_eq!(status.health(), Health::Fresh);

    let constant = Status::started(None, None);
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert_eq!(constant.health(), Health::Fresh);
}

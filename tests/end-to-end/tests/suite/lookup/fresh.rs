//! Operations whose credentials were refused, as a rotation refuses them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[derive(Debug, PartialEq)]
enum Failed {
    Refused,
    Lookup(ErrorKind),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Lookup(error.kind())
    }
}

fn refused(error: &Failed) -> bool {
    *error == Failed::Refused
}

/// Logs in while the database accepts this password only.
async fn log_in(secrets: &Lookup, accepted: &str, tries: &AtomicUsize) -> Result<(), Failed> {
    let operation = |password: Arc<String>| async move {
        tries.fetch_add(1, Ordering::Relaxed);
        if *password == accepted { Ok(()) } else { Err(Failed::Refused) }
    };
    secrets.get("database-url").with_fresh(operation, refused).await
}

#[tokio::test(start_paused = true)]
async fn a_refused_operation_runs_again_with_the_next_version() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    let tries = AtomicUsize::new(0);
    log_in(&secrets, "postgres://one", &tries).await.unwrap();
    assert_eq!((tries.load(Ordering::Relaxed), reads(&fake)), (1, 1));

    fake.put("app/database-url", "postgres://two");
    let all = join_all((0..100).map(|_| log_in(&secrets, "postgres://two", &tries))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(reads(&fake), 2, "all of them share one read");
}

/// The database is ahead of its secret for some seconds.
#[tokio::test(start_paused = true)]
async fn a_newer_version_is_searched_for_within_a_budget() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    let tries = AtomicUsize::new(0);
    text(&secrets, "database-url").await.unwrap();
    let searching = log_in(&secrets, "postgres://two", &tries);
    let rotating = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        fake.put("app/database-url", "postgres://two");
    };
    futures_util::future::join(searching, rotating).await.0.unwrap();
    assert_eq!(tries.load(Ordering::Relaxed), 2);

    fake.reset_calls();
    let begun = tokio::time::Instant::now();
    let error = log_in(&secrets, "postgres://three", &tries).await.unwrap_err();
    assert_eq!(error, Failed::Refused, "the operation's own error");
    assert!((20..=31).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(reads(&fake), 5);
    for _ in 0..100 {
        log_in(&secrets, "postgres://three", &tries).await.unwrap_err();
    }
    assert_eq!(reads(&fake), 5, "a search that found nothing is followed by a rest");
    tokio::time::sleep(Duration::from_secs(31)).await;
    fake.put("app/database-url", "postgres://three");
    log_in(&secrets, "postgres://three", &tries).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_fails_is_the_error_of_the_operation() {
    let secrets = manager(&fake()).lookup();
    let never = |_: Arc<String>| async { Err::<(), _>(Failed::Refused) };
    let missing = secrets.get("missing").with_fresh(never, refused).await;
    assert_eq!(missing, Err(Failed::Lookup(ErrorKind::NotFound)));
    let outside = secrets.get("../other").with_fresh(never, refused).await;
    assert_eq!(outside, Err(Failed::Lookup(ErrorKind::Invalid)));
}

/// Where variables have the values, a search finds nothing newer as long as they stay.
#[tokio::test(start_paused = true)]
async fn an_operation_runs_once_with_variables_that_do_not_change() {
    let fake = fake();
    fake.inject(Fault::unavailable());
    let secrets = manager(&fake).fallback_to_env().lookup();
    let secrets = secrets.environment_from([("DATABASE_URL", "local")]);
    let tries = AtomicUsize::new(0);
    assert_eq!(log_in(&secrets, "another", &tries).await, Err(Failed::Refused));
    assert_eq!(tries.load(Ordering::Relaxed), 1, "they are kept while the store fails");
    let operation = |_: Arc<String>| {
        tries.fetch_add(1, Ordering::Relaxed);
        // They are read again then.
        secrets.clear();
        async { Err::<(), _>(Failed::Refused) }
    };
    let outcome = secrets.get("database-url").with_fresh(operation, refused).await;
    assert_eq!((outcome, tries.load(Ordering::Relaxed)), (Err(Failed::Refused), 2), "the same");
}

/// A version that was forgotten, and is read again, is not a newer one.
#[tokio::test(start_paused = true)]
async fn a_version_that_was_forgotten_is_not_tried_again() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    let tries = AtomicUsize::new(0);
    let operation = |_: Arc<String>| {
        tries.fetch_add(1, Ordering::Relaxed);
        secrets.clear();
        async { Err::<(), _>(Failed::Refused) }
    };
    let outcome = secrets.get("database-url").with_fresh(operation, refused).await;
    assert_eq!((outcome, tries.load(Ordering::Relaxed)), (Err(Failed::Refused), 1));
}

/// Only the first run gets a value past the cache, and what is cached is not counted for it.
#[tokio::test(start_paused = true)]
async fn a_refreshed_operation_reads_once_past_the_cache() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    let tries = AtomicUsize::new(0);
    let operation = |_: Arc<String>| {
        let run = tries.fetch_add(1, Ordering::Relaxed);
        async move { if run == 2 { Ok(()) } else { Err(Failed::Refused) } }
    };
    let again = |_: &Failed| secrets_provider::Retry::Now;
    secrets.get("database-url").refresh().with_fresh(operation, again).await.unwrap();
    assert_eq!((tries.load(Ordering::Relaxed), reads(&fake)), (3, 2));
    let stats = secrets.stats();
    assert_eq!((stats.hits(), stats.misses()), (2, 2), "two runs take what is cached");
}

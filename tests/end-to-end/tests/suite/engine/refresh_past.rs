//! What callers do when a server refuses their credentials: `refresh_past` and `with_fresh`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake_secrets_manager::Fault;
use futures_util::future::join_all;
use secrets_provider::{ErrorKind, Health, Live, Retry};
use tokio::time::Instant;

use super::{Settings, fake, put_password, quiet, start};

fn password(settings: &Settings) -> &str {
    &settings.database.password
}

#[tokio::test(start_paused = true)]
async fn newer_settings_already_loaded_are_returned_without_a_call() {
    let fake = fake();
    let settings = start(&fake).await;
    let seen = settings.current();
    put_password(&fake, 2);
    settings.refresh().await.unwrap();
    fake.reset_calls();
    let newer = settings.refresh_past(&seen).await.unwrap();
    assert_eq!(password(&newer), "password-2");
    assert_eq!(fake.total_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_fetch_without_a_listing() {
    let fake = fake();
    let settings = start(&fake).await;
    let seen = settings.current();
    put_password(&fake, 2);
    fake.reset_calls();
    let newer = join_all((0..1000).map(|_| settings.refresh_past(&seen))).await;
    assert!(newer.iter().all(|newer| password(newer.as_ref().unwrap()) == "password-2"));
    assert_eq!(
        (fake.calls("BatchGetSecretValue"), fake.total_calls()),
        (1, 1),
        "nothing is listed"
    );
}

/// The database has the new password before AWSCURRENT moves to it.
#[tokio::test(start_paused = true)]
async fn refresh_past_waits_for_the_new_value() {
    let fake = fake();
    let settings = start(&fake).await;
    let seen = settings.current();
    let begun = Instant::now();
    // Between the second fetch and the third, which comes 4.8 to 6 s after the first.
    let rotation = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        put_password(&fake, 2);
    };
    let (newer, ()) = tokio::join!(settings.refresh_past(&seen), rotation);
    assert_eq!(password(&newer.unwrap()), "password-2");
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_search_makes_five_fetches_and_then_none_for_a_while() {
    let fake = fake();
    let settings = start(&fake).await;
    let seen = settings.current();
    fake.reset_calls();
    let begun = Instant::now();
    let errors = join_all((0..100).map(|_| settings.refresh_past(&seen))).await;
    assert!(
        errors.iter().all(|result| result.as_ref().unwrap_err().kind() == ErrorKind::Unavailable)
    );
    assert_eq!(fake.calls("BatchGetSecretValue"), 5);
    let took = begun.elapsed();
    assert!((Duration::from_secs(20)..=Duration::from_secs(31)).contains(&took), "{took:?}");

    let begun = Instant::now();
    settings.refresh_past(&seen).await.unwrap_err();
    assert_eq!(
        (fake.total_calls(), begun.elapsed()),
        (5, Duration::ZERO),
        "it fails at once, without a call"
    );
    tokio::time::sleep(Duration::from_secs(31)).await;
    put_password(&fake, 2);
    assert_eq!(password(&settings.refresh_past(&seen).await.unwrap()), "password-2");
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_fetches_and_time_can_be_chosen() {
    let fake = fake();
    let settings = quiet::<Settings>(&fake)
        .refresh_past_budget(3, Duration::from_secs(3))
        .start()
        .await
        .unwrap();
    fake.reset_calls();
    let begun = Instant::now();
    settings.refresh_past(&settings.current()).await.unwrap_err();
    assert_eq!(fake.calls("BatchGetSecretValue"), 3);
    assert!(begun.elapsed() <= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_during_the_search_is_named_in_its_error() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.inject(Fault::drop_connection());
    let error = settings.refresh_past(&settings.current()).await.unwrap_err();
    assert!(error.errors().len() > 1, "{error}");
    assert!(error.is_transient(), "{error}");
}

/// The budget also limits the time: no caller waits longer for a store that never answers.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_delays_no_caller_beyond_the_budget() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.inject(Fault::hang());
    let begun = Instant::now();
    let error = settings.refresh_past(&settings.current()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_leaves_the_settings_fresh() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.inject(Fault::drop_connection().times(6));
    let rotation = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        put_password(&fake, 2);
    };
    let seen = settings.current();
    let (newer, ()) = tokio::join!(settings.refresh_past(&seen), rotation);
    assert_eq!(password(&newer.unwrap()), "password-2");
    let status = settings.status();
    assert_eq!(status.health(), Health::Fresh);
    assert!(status.last_error().is_some(), "the error is reported all the same");
}

#[tokio::test(start_paused = true)]
async fn any_refresh_with_newer_settings_ends_a_search() {
    let fake = fake();
    let settings = start(&fake).await;
    let seen = settings.current();
    let asking = tokio::spawn({
        let settings = settings.clone();
        async move { settings.refresh_past(&seen).await }
    });
    // The first fetch finds nothing new.
    tokio::time::sleep(Duration::from_millis(100)).await;
    put_password(&fake, 2);
    settings.refresh().await.unwrap();
    let begun = Instant::now();
    asking.await.unwrap().unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn refresh_past_fails_for_constants_and_after_a_shutdown() {
    let constant = Live::constant(1);
    let error = constant.refresh_past(&constant.current()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let fake = fake();
    let settings = start(&fake).await;
    settings.shutdown().await;
    let error = settings.refresh_past(&settings.current()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// A database that accepts one password, and counts the logins with another one.
struct Database {
    password: &'static str,
    refused: AtomicUsize,
}

impl Database {
    async fn query(&self, settings: Arc<Settings>) -> Result<&'static str, &'static str> {
        if password(&settings) == self.password {
            return Ok("row");
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err("28P01")
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_runs_again_with_newer_credentials() {
    let fake = fake();
    let settings = start(&fake).await;
    put_password(&fake, 2);
    let database = Database { password: "password-2", refused: AtomicUsize::new(0) };
    let row =
        settings.with_fresh(|settings| database.query(settings), |error| *error == "28P01").await;
    assert_eq!(row, Ok("row"));
    assert_eq!(database.refused.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn other_errors_of_an_operation_are_not_retried() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.reset_calls();
    let runs = AtomicUsize::new(0);
    let failing = |_| {
        runs.fetch_add(1, Ordering::Relaxed);
        async { Err::<(), _>("syntax error") }
    };
    assert_eq!(settings.with_fresh(failing, |error| *error == "28P01").await, Err("syntax error"));
    assert_eq!((runs.load(Ordering::Relaxed), fake.total_calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn retry_now_runs_an_operation_five_times_at_most() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.reset_calls();
    let begun = Instant::now();
    let runs = AtomicUsize::new(0);
    let lost = |_| {
        runs.fetch_add(1, Ordering::Relaxed);
        async { Err::<(), _>("connection lost") }
    };
    settings.with_fresh(lost, |_| Retry::Now).await.unwrap_err();
    assert_eq!(
        (runs.load(Ordering::Relaxed), fake.total_calls(), begun.elapsed()),
        (5, 0, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn an_operation_returns_its_own_error_if_no_newer_settings_come() {
    let fake = fake();
    let settings = start(&fake).await;
    let database = Database { password: "another", refused: AtomicUsize::new(0) };
    let result =
        settings.with_fresh(|settings| database.query(settings), |error| *error == "28P01").await;
    assert_eq!(result, Err("28P01"));
    assert_eq!(
        database.refused.load(Ordering::Relaxed),
        1,
        "a refused password is not tried again"
    );
}

/// A search reads only the secrets in use, so its success does not make the settings fresh.
#[tokio::test(start_paused = true)]
async fn a_search_that_succeeds_hides_no_other_failure() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.deny_action("secretsmanager:ListSecrets");
    settings.refresh().await.unwrap_err();
    let age = settings.status().last_success_age();
    tokio::time::advance(Duration::from_secs(10)).await;
    put_password(&fake, 2);
    settings.refresh_past(&settings.current()).await.unwrap();
    assert_eq!(password(&settings.load()), "password-2");
    let status = settings.status();
    assert_eq!(status.health(), Health::Stale);
    assert!(status.last_success_age() > age);
}

/// The deadline of each caller is shorter than one fetch, and the next caller asks at once.
#[tokio::test(start_paused = true)]
async fn callers_that_give_up_early_cause_no_more_fetches_than_patient_ones() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.inject(Fault::slow(Duration::from_millis(100)));
    fake.reset_calls();
    let seen = settings.current();
    for _ in 0..2_500 {
        let asked = tokio::time::timeout(Duration::from_millis(10), settings.refresh_past(&seen));
        asked.await.unwrap_err();
    }
    assert!((3..=5).contains(&fake.total_calls()), "{} fetches in 25 s", fake.total_calls());
}

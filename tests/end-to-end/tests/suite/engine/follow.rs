//! `on_change` and `restart_on`, and what `explain` shows of those who follow a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use end_to_end::Log;
use fake_secrets_manager::FakeSecretsManager;
use futures_util::FutureExt as _;
use secrets_provider::{Live, Memory, SecretsManager};
use tokio::sync::mpsc;

use super::{fake, put_password, start};
use crate::fixtures::Settings;

/// Runs what is ready.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn refresh(settings: &Live<Settings>) {
    settings.refresh().await.unwrap();
    settle().await;
}

async fn rotate(fake: &FakeSecretsManager, settings: &Live<Settings>, n: u32) {
    put_password(fake, n);
    refresh(settings).await;
}

/// The passwords that a closure was called with.
fn passwords(settings: &Live<Settings>, path: &str) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    settings.on_change(path, move |settings| {
        sender.send(settings.database.password.clone()).unwrap();
    });
    receiver
}

fn all(receiver: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_called_with_the_new_settings_when_a_key_at_or_below_its_path_changes() {
    let fake = fake();
    let settings = start(&fake).await;
    let mut of = [
        ("database", 2),
        ("database.password", 2),
        ("Database.PASSWORD", 2),
        ("database.username", 0),
        ("jwt_secret", 1),
        ("", 3),
    ]
    .map(|(path, calls)| (path, calls, passwords(&settings, path)));
    settle().await;
    assert!(of.iter_mut().all(|(.., called)| all(called).is_empty()), "called for what is there");

    rotate(&fake, &settings, 2).await;
    // The same values again are no change.
    refresh(&settings).await;
    fake.put("app/jwt-secret", "jwt-2");
    refresh(&settings).await;
    rotate(&fake, &settings, 3).await;
    for (path, calls, called) in &mut of {
        let called = all(called);
        assert_eq!(called.len(), *calls, "{path}: {called:?}");
        if path.to_lowercase().starts_with("database") && *calls > 0 {
            assert_eq!(called, ["password-2", "password-3"], "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_during_a_call_are_one_more_call_and_delay_nothing() {
    let fake = fake();
    let settings = start(&fake).await;
    let mut called = passwords(&settings, "database");
    // Nothing of this runtime runs in between.
    for n in 2..=4 {
        put_password(&fake, n);
        settings.refresh().await.unwrap();
    }
    settle().await;
    let called = all(&mut called);
    assert_eq!(called.last().unwrap(), "password-4", "{called:?}");
    assert!(called.len() <= 3, "{called:?}");
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_is_logged_once_and_called_again() {
    let (log, _logging) = Log::start();
    let fake = fake();
    let settings = start(&fake).await;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    settings.on_change("database", move |settings| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        assert!(call == 2, "{}", settings.database.password);
    });
    let mut other = passwords(&settings, "database");
    for (n, logged) in [(2, 1), (3, 1), (4, 1), (5, 2)] {
        rotate(&fake, &settings, n).await;
        assert_eq!(log.text().matches("on_change_panicked").count(), logged, "password-{n}");
    }
    assert!(log.text().contains(r#"on_change_panicked path="database""#));
    assert_eq!((calls.load(Ordering::Relaxed), all(&mut other).len()), (4, 4));
    assert!(!log.text().contains("password-2"), "{}", log.text());
    assert!(settings.refresh().await.is_ok(), "the refresher has ended");
}

#[tokio::test(start_paused = true)]
async fn a_closure_lives_as_long_as_the_settings_are_refreshed() {
    let fake = fake();
    for shut_down in [false, true] {
        let settings = start(&fake).await;
        let clone = settings.clone();
        let mut called = passwords(&settings, "database");
        drop(settings);
        rotate(&fake, &clone, if shut_down { 8 } else { 9 }).await;
        assert_eq!(all(&mut called).len(), 1, "it ends with the handle that it was given to");
        if shut_down {
            clone.shutdown().await;
        } else {
            drop(clone);
        }
        settle().await;
        assert!(called.is_closed(), "the closure is still there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_derived_value_calls_a_closure_when_it_is_rebuilt() {
    let fake = fake();
    let settings = start(&fake).await;
    let build = async |settings: Arc<Settings>| Ok(settings.database.password.clone());
    let derived = settings.derive("database", build).await.unwrap();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    derived.on_change("", move |derived| sender.send(String::clone(&derived)).unwrap());
    put_password(&fake, 2);
    derived.refresh().await.unwrap();
    settle().await;
    assert_eq!(all(&mut receiver), ["password-2"]);
}

#[test]
fn a_constant_needs_no_runtime_and_never_changes() {
    let constant = Live::constant(7_u16);
    constant.on_change("", |_| unreachable!());
    assert!(constant.restart_on(["a"]).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn there_is_a_bound_of_closures() {
    let (log, _logging) = Log::start();
    let fake = fake();
    let settings = start(&fake).await;
    let calls = Arc::new(AtomicU32::new(0));
    for _ in 0..1002 {
        let calls = calls.clone();
        settings.on_change("database", move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(log.text().matches("on_change_refused").count(), 2);
    put_password(&fake, 2);
    settings.refresh().await.unwrap();
    while calls.load(Ordering::Relaxed) < 1000 {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(calls.load(Ordering::Relaxed), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_requested_when_one_of_the_keys_changes() {
    let (log, _logging) = Log::start();
    let fake = fake();
    let settings = start(&fake).await;
    let mut restart = settings.restart_on(["database.password", "database.username"]);
    fake.put("app/jwt-secret", "jwt-2");
    refresh(&settings).await;
    assert!((&mut restart).now_or_never().is_none(), "another key has changed");

    // It counts although the future is polled only afterwards, and although it has the last handle.
    let late = settings.restart_on(["database"]);
    put_password(&fake, 2);
    drop(settings);
    restart.await;
    late.await;
    assert!(log.text().contains(r#"restart_requested path="database.password" generation=3"#));
}

#[tokio::test(start_paused = true)]
async fn no_restart_is_requested_for_what_changed_before_or_by_a_shutdown() {
    let fake = fake();
    let settings = start(&fake).await;
    rotate(&fake, &settings, 2).await;
    let restart = settings.restart_on(["database"]);
    settings.shutdown().await;
    assert!(tokio::time::timeout(Duration::from_secs(3600), restart).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_path_without_a_key_is_warned_of() {
    let (log, _logging) = Log::start();
    let fake = fake();
    let settings = start(&fake).await;
    settings.on_change("databse", |_| {});
    drop(settings.restart_on(["application.hmac_secret", "database", "DATABASE.Password"]));
    let text = log.text();
    assert_eq!(text.matches("followed_path_unknown").count(), 2, "{text}");
    for line in [
        r#"followed_path_unknown by="on_change" path="databse""#,
        r#"followed_path_unknown by="restart_on" path="application.hmac_secret""#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_explanation_has_who_follows_each_key_as_long_as_they_do() {
    let secrets = Memory::new();
    secrets.put("app/database", r#"{"url": "u", "pool": 4}"#);
    secrets.put("app/hmac", "h");
    secrets.put("app/session-key", "s");
    let manager = SecretsManager::prefix("app").backend(secrets);
    let settings: Live<serde_json::Value> = Live::builder(manager)
        .layers(|secrets| secrets_provider::Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap();
    let plain = settings.explain();
    assert!(!plain.to_string().contains("followed by"), "{plain}");

    let ok = async |_: Arc<serde_json::Value>| Ok(());
    let readers = settings.derive_named("readers", "database", ok).await.unwrap();
    let urls = settings.derive("database.url", ok).await.unwrap();
    settings.on_change("database.*", |_| {});
    settings.on_change("database", |_| {});
    settings.on_change("database", |_| {});
    let restart = settings.restart_on(["hmac"]);
    let by = |key: &str| settings.explain().key(key).unwrap().followed_by().to_vec();
    // `Value` has no fields, so the keys below `database` are shown as one.
    assert_eq!(by("hmac"), ["restart_on hmac"]);
    assert!(by("session_key").is_empty());
    let database = by("database.*");
    assert!(database.contains(&"derive readers".to_owned()), "{database:?}");
    assert_eq!(database.iter().filter(|by| *by == "on_change database").count(), 1);
    let table = readers.explain().to_string();
    let row = |key: &str| table.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(row("key").ends_with("followed by"), "{table}");
    assert!(row("hmac").ends_with("restart_on hmac"), "{table}");
    assert!(row("session_key").ends_with(" -"), "{table}");
    let json = serde_json::to_value(settings.explain()).unwrap();
    assert_eq!(json["keys"][1]["followed_by"], serde_json::json!(["restart_on hmac"]));
    assert!(json["keys"][2].get("followed_by").is_none(), "{json}");

    let changes = settings.changes();
    assert_eq!(by("session_key"), ["changes"]);
    drop((changes, restart, readers));
    urls.shutdown().await;
    settle().await;
    assert!(by("session_key").is_empty() && by("hmac").is_empty());
    assert_eq!(by("database.*"), ["on_change database", "on_change database.*"]);
}

//! Values that are built from settings, and rebuilt when the settings change: `derive` and `map`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secrets_provider::{ErrorKind, Health, Live, Rejected, View};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{Database, Settings, fake, put_password, quiet, start};

/// A pool that sends its password when it is dropped.
struct Pool {
    password: String,
    dropped: mpsc::UnboundedSender<String>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.dropped.send(self.password.clone());
    }
}

/// A pool with the current password, and the passwords of the pools that were dropped.
async fn pool(settings: &Live<Settings>) -> (Live<Pool>, mpsc::UnboundedReceiver<String>) {
    let (dropped, drops) = mpsc::unbounded_channel();
    let build = move |settings: Arc<Settings>| {
        let pool = Pool { password: settings.database.password.clone(), dropped: dropped.clone() };
        async move { Ok(pool) }
    };
    (settings.derive("database", build).await.unwrap(), drops)
}

#[tokio::test(start_paused = true)]
async fn a_derived_value_is_rebuilt_only_when_a_key_below_its_path_changes() {
    let fake = fake();
    let settings = start(&fake).await;
    let (pool, mut drops) = pool(&settings).await;
    let first = pool.current();
    let mut changes = pool.changes();

    fake.put("app/jwt-secret", "jwt-2");
    pool.refresh().await.unwrap();
    assert_eq!(settings.status().generation(), 2);
    assert!(Arc::ptr_eq(&first, &pool.current()), "another key changed");

    put_password(&fake, 2);
    let refreshed = pool.refresh().await.unwrap();
    assert_eq!(
        (refreshed.changed(), refreshed.generation()),
        (true, 2),
        "it counts its own generations"
    );
    assert_eq!(pool.load().password, "password-2");
    assert_eq!(changes.next().await.unwrap().keys(), ["database"]);

    drop(first);
    assert_eq!(drops.recv().await.unwrap(), "password-1", "dropped with its last user");
}

#[tokio::test(start_paused = true)]
async fn a_derived_value_follows_refreshes_of_its_settings() {
    let fake = fake();
    let settings = start(&fake).await;
    let (pool, _drops) = pool(&settings).await;
    let mut changes = pool.changes();
    for n in 2..5 {
        put_password(&fake, n);
        settings.refresh().await.unwrap();
        changes.next().await.unwrap();
        assert_eq!(pool.load().password, format!("password-{n}"));
    }
}

/// Two generations arrive during a build. The second changes nothing below the path, and must not
/// hide the first.
#[tokio::test(start_paused = true)]
async fn no_change_is_lost_during_a_build() {
    let fake = fake();
    let settings = start(&fake).await;
    let (building, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (building.clone(), go.clone());
    let derived = settings
        .derive("database", move |settings: Arc<Settings>| {
            let (tell, wait) = (tell.clone(), wait.clone());
            async move {
                if settings.database.password == "password-2" {
                    tell.notify_one();
                    wait.notified().await;
                }
                Ok(settings.database.password.clone())
            }
        })
        .await
        .unwrap();
    put_password(&fake, 2);
    settings.refresh().await.unwrap();
    building.notified().await;
    assert_eq!(*derived.load(), "password-1", "the old one until the new one is ready");
    put_password(&fake, 3);
    settings.refresh().await.unwrap();
    fake.put("app/jwt-secret", "jwt-2");
    settings.refresh().await.unwrap();
    let mut changes = derived.changes();
    go.notify_one();
    while *derived.load() != "password-3" {
        changes.next().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn failed_builds_are_reported_and_retried() {
    let fake = fake();
    let settings = start(&fake).await;
    let builds = Arc::new(AtomicU32::new(0));
    let counted = builds.clone();
    let derived = settings
        .derive("database", move |settings: Arc<Settings>| {
            let n = counted.fetch_add(1, Ordering::Relaxed);
            let password = settings.database.password.clone();
            assert!(n != 1, "the closure panics");
            async move {
                match n {
                    2 => panic!("its future panics"),
                    3 => std::future::pending().await,
                    4 => Err(Rejected::new("no connection")),
                    _ => Ok(password),
                }
            }
        })
        .await
        .unwrap();
    let mut changes = derived.changes();
    put_password(&fake, 2);
    let error = derived.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(*derived.load(), "password-1");
    assert_eq!(settings.status().health(), Health::Fresh, "the settings themselves are fresh");
    assert_eq!(derived.status().health(), Health::Stale);
    let status = settings.status();
    let [derived_status] = status.derived() else { panic!("one is derived") };
    assert_eq!(
        (derived_status.path(), derived_status.generation(), derived_status.failures()),
        ("database", 1, 1)
    );
    assert!(derived_status.last_error().is_some());

    let begun = Instant::now();
    assert_eq!(changes.next().await.unwrap().generation(), 2);
    assert!(begun.elapsed() < Duration::from_secs(60 + 1 + 2 + 4 + 8), "{:?}", begun.elapsed());
    assert_eq!((builds.load(Ordering::Relaxed), derived.load().as_str()), (6, "password-2"));
    let status = settings.status();
    assert_eq!((status.derived()[0].generation(), status.derived()[0].failures()), (2, 0));
    assert_eq!(status.derived()[0].last_error().unwrap().message(), "build failed: no connection");
    assert_eq!(derived.status().health(), Health::Fresh);
}

/// One rotation sets a wrong password, which no probe rejects; the next one sets a right password.
#[tokio::test(start_paused = true)]
async fn refresh_past_looks_past_settings_whose_build_failed() {
    let fake = fake();
    let settings = start(&fake).await;
    let derived = settings
        .derive("database", |settings: Arc<Settings>| async move {
            match settings.database.password.as_str() {
                "password-2" => Err(Rejected::new("28P01")),
                password => Ok(password.to_owned()),
            }
        })
        .await
        .unwrap();
    let seen = derived.current();
    put_password(&fake, 2);
    derived.refresh().await.unwrap_err();
    while settings.status().derived()[0].failures() < 8 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let begun = Instant::now();
    let rotation = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        put_password(&fake, 3);
    };
    let (newer, ()) = tokio::join!(derived.refresh_past(&seen), rotation);
    assert_eq!(*newer.unwrap(), "password-3");
    assert!(
        begun.elapsed() <= Duration::from_secs(2),
        "it was not built at once: {:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn refresh_past_ends_if_every_build_fails() {
    let fake = fake();
    let settings = start(&fake).await;
    let derived = settings
        .derive("database", |settings: Arc<Settings>| async move {
            match settings.database.password.as_str() {
                "password-1" => Ok(()),
                _ => Err(Rejected::new("28P01")),
            }
        })
        .await
        .unwrap();
    let seen = derived.current();
    put_password(&fake, 2);
    derived.refresh().await.unwrap_err();
    let begun = Instant::now();
    let error = derived.refresh_past(&seen).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "there are no newer settings: {error}");
    assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());

    put_password(&fake, 3);
    settings.refresh().await.unwrap();
    put_password(&fake, 4);
    let error = derived.refresh_past(&seen).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Rejected,
        "there are newer ones, but their build failed: {error}"
    );
    assert!(
        begun.elapsed() <= Duration::from_secs(31 + 1 + 2 + 4 + 8 + 16),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn derive_returns_the_error_of_its_first_build() {
    let fake = fake();
    let settings = start(&fake).await;
    let refuse = |_: Arc<Settings>| async { Err::<(), _>(Rejected::new("no connection")) };
    let error = settings.derive("database", refuse).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().contains("no connection")),
        (ErrorKind::Rejected, true)
    );
    assert!(settings.status().derived().is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_fresh_on_a_pool_waits_for_newer_settings() {
    let fake = fake();
    let settings = start(&fake).await;
    let (pool, _drops) = pool(&settings).await;
    let log_in = |pool: Arc<Pool>| async move {
        if pool.password == "password-2" { Ok(()) } else { Err("28P01") }
    };
    let rotation = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Another change comes first. It does not end the search.
        fake.put("app/jwt-secret", "jwt-2");
        settings.refresh().await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        put_password(&fake, 2);
    };
    let (result, ()) = tokio::join!(pool.with_fresh(log_in, |error| *error == "28P01"), rotation);
    assert_eq!(result, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_derived_value_keeps_its_settings_alive_and_stops_with_its_last_handle() {
    let fake = fake();
    let settings = start(&fake).await;
    let (pool, mut drops) = pool(&settings).await;
    let changes = settings.changes();
    drop(settings);
    put_password(&fake, 2);
    pool.refresh().await.unwrap();
    assert_eq!(pool.load().password, "password-2");
    assert_eq!(drops.recv().await.unwrap(), "password-1");

    let mut of_pool = pool.changes();
    drop(pool);
    assert_eq!(of_pool.next().await, None);
    assert_eq!(drops.recv().await.unwrap(), "password-2");
    let mut changes = changes;
    while changes.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_derived_values_but_not_the_settings_below_them() {
    let fake = fake();
    let settings = start(&fake).await;
    let (first, _drops) = pool(&settings).await;
    let (second, _drops) = pool(&settings).await;
    first.shutdown().await;
    assert!(first.refresh().await.is_err());
    assert_eq!((first.status().health(), second.status().health()), (Health::Fresh, Health::Fresh));
    put_password(&fake, 2);
    second.refresh().await.unwrap();
    assert_eq!(
        (first.load().password.as_str(), second.load().password.as_str()),
        ("password-1", "password-2")
    );
    let bound = first.status().max_staleness().unwrap();
    tokio::time::sleep(bound.mul_f64(0.9)).await;
    settings.refresh().await.unwrap();
    assert_eq!((first.status().health(), second.status().health()), (Health::Stale, Health::Fresh));
    tokio::time::sleep(bound.mul_f64(0.2)).await;
    assert_eq!(
        (first.status().health(), second.status().health()),
        (Health::Failing, Health::Fresh)
    );
    assert!(first.status().is_ready(), "its settings are still read");

    settings.shutdown().await;
    assert!(second.refresh().await.is_err());
    assert_eq!(second.load().password, "password-2");
}

/// The settings keep changing while the pool derived from them cannot be built.
#[tokio::test(start_paused = true)]
async fn a_derived_value_that_lags_behind_becomes_stale_and_then_failing() {
    let fake = fake();
    let settings: Live<Settings> =
        quiet(&fake).refresh_every(Duration::from_secs(60)).start().await.unwrap();
    let derived = settings
        .derive("database", |settings: Arc<Settings>| {
            let password = settings.database.password.clone();
            async move {
                if password == "password-2" {
                    Err(Rejected::new("no connection"))
                } else {
                    Ok(password)
                }
            }
        })
        .await
        .unwrap();
    let upper = derived
        .derive("", |password: Arc<String>| async move { Ok(password.len()) })
        .await
        .unwrap();
    put_password(&fake, 2);
    settings.refresh().await.unwrap();
    derived.refresh().await.unwrap_err();
    let healths =
        || [settings.status().health(), derived.status().health(), upper.status().health()];
    let since = settings.status().derived()[0].failing_since().unwrap();
    let failing_since =
        serde_json::to_value(settings.status()).unwrap()["derived"][0]["failing_since"].clone();
    assert!(failing_since.as_u64().is_some(), "{failing_since}");
    assert_eq!(healths(), [Health::Fresh, Health::Stale, Health::Stale]);
    tokio::time::sleep(Duration::from_secs(170)).await;
    assert_eq!(healths(), [Health::Fresh, Health::Stale, Health::Stale]);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(healths(), [Health::Fresh, Health::Failing, Health::Failing]);
    assert!(derived.status().is_ready());
    assert!(
        derived.status().last_success_age() <= Duration::from_secs(66),
        "the success of its settings counts"
    );
    let still = settings.status().derived()[0].failing_since().unwrap();
    assert!(
        still.duration_since(since).unwrap_or_default() < Duration::from_secs(100),
        "the time of the first failure"
    );

    put_password(&fake, 3);
    upper.refresh().await.unwrap();
    assert_eq!(healths(), [Health::Fresh; 3]);
    assert_eq!(settings.status().derived()[0].failing_since(), None);
}

#[tokio::test(start_paused = true)]
async fn a_derived_value_can_be_derived_from() {
    let fake = fake();
    let settings = start(&fake).await;
    let (pool, _drops) = pool(&settings).await;
    let length =
        pool.derive("", |pool: Arc<Pool>| async move { Ok(pool.password.len()) }).await.unwrap();
    assert_eq!(*length.load(), 10);
    put_password(&fake, 1000);
    length.refresh().await.unwrap();
    assert_eq!(*length.load(), 13);
    assert_eq!(pool.status().derived()[0].built_from(), 2);
}

#[tokio::test]
async fn a_value_derived_from_a_constant_is_built_once() {
    let word = Live::constant("four".to_owned());
    let length = word.derive("", |word: Arc<String>| async move { Ok(word.len()) }).await.unwrap();
    assert_eq!(*length.load(), 4);
    assert!(!length.refresh().await.unwrap().changed());
    assert!(length.refresh_past(&length.current()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_view_of_a_part_follows_the_settings() {
    let fake = fake();
    let settings = quiet::<Settings>(&fake).start().await.unwrap();
    let database: View<Settings, Database> = settings.map(|settings| &settings.database);
    let password = database.map(|database| database.password.as_str());
    let held = database.current();
    drop(settings);
    put_password(&fake, 2);
    database.live().refresh().await.unwrap();
    assert_eq!((&*database.load().password, &*password.load()), ("password-2", "password-2"));
    assert_eq!(
        (&*held.password, &*held.username),
        ("password-1", "app"),
        "a held part does not change"
    );
}

/// Code of the user that runs when an unfinished build is dropped.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        panic!("a panic of the user's guard");
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_that_panics_on_drop_is_retried_at_once_on_request() {
    let fake = fake();
    let settings = start(&fake).await;
    let hangs = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hanging = hangs.clone();
    let derived = settings
        .derive("database", move |settings: Arc<Settings>| {
            let (password, hangs) =
                (settings.database.password.clone(), hanging.load(Ordering::Relaxed));
            async move {
                if hangs {
                    let _guard = Guard;
                    std::future::pending::<()>().await;
                }
                Ok::<_, Rejected>(password)
            }
        })
        .await
        .unwrap();
    hangs.store(true, Ordering::Relaxed);
    put_password(&fake, 2);
    assert_eq!(derived.refresh().await.unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!((derived.load().as_str(), derived.status().health()), ("password-1", Health::Stale));

    hangs.store(false, Ordering::Relaxed);
    let begun = Instant::now();
    derived.refresh().await.unwrap();
    assert_eq!((derived.load().as_str(), begun.elapsed()), ("password-2", Duration::ZERO));
    assert_eq!(derived.status().health(), Health::Fresh);
}

/// Two pools of one path: log and status say which of them fails.
#[tokio::test(start_paused = true)]
async fn a_label_tells_values_of_one_path_apart() {
    let (log, _logging) = end_to_end::Log::start();
    let fake = fake();
    let settings = start(&fake).await;
    let ok = async |_: Arc<Settings>| Ok(());
    let readers = settings.derive_named("readers", "database", ok).await.unwrap();
    let built = AtomicU32::default();
    let fails_later = move |_: Arc<Settings>| {
        let first = built.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { Ok(()) } else { Err(Rejected::new("no connection")) } }
    };
    let writer = settings.derive_named("writer", "database", fails_later).await.unwrap();
    let plain = settings.derive("database", ok).await.unwrap();
    let nowhere = settings.derive_named("nowhere", "databse", ok).await.unwrap();
    put_password(&fake, 2);
    readers.refresh().await.unwrap();
    plain.refresh().await.unwrap();
    writer.refresh().await.unwrap_err();

    let status = settings.status();
    let of = |label: &str| status.derived().iter().find(|derived| derived.label() == label);
    assert_eq!((of("readers").unwrap().failures(), of("readers").unwrap().path()), (0, "database"));
    assert!(of("writer").unwrap().failures() > 0);
    assert_eq!(of("database").unwrap().failures(), 0, "without a name, the path is the label");
    assert_eq!(serde_json::to_value(of("writer")).unwrap()["label"], "writer");
    let text = log.text();
    for line in [
        r#"derived_rebuilt label="readers" path="database""#,
        r#"derived_rebuilt label="database" path="database""#,
        r#"derived_build_failed label="writer" path="database""#,
        r#"derive_matches_nothing label="nowhere" path="databse""#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    drop(nowhere);
}

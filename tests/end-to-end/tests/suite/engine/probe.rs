//! The checks that new settings pass before they are served: `validate` and `probe` (R1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use secrets_provider::{ErrorKind, Health, Rejected};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Settings, fake, put_password, quiet};

#[tokio::test(start_paused = true)]
async fn settings_that_a_probe_rejects_are_never_served_and_are_retried() {
    let fake = fake();
    let probes = Arc::new(AtomicU32::new(0));
    let counted = probes.clone();
    let settings = quiet::<Settings>(&fake)
        .probe(move |settings| {
            let n = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match settings.database.password.as_str() {
                    "password-2" if n < 3 => {
                        Err(Rejected::new("the database refuses the password"))
                    }
                    _ => Ok(()),
                }
            }
        })
        .start()
        .await
        .unwrap();
    assert_eq!(probes.load(Ordering::Relaxed), 1, "the start probes too");
    put_password(&fake, 2);
    for _ in 0..2 {
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.to_string().contains("the database refuses the password"), "{error}");
        assert_eq!(settings.load().database.password, "password-1");
        assert_eq!(settings.status().health(), Health::Stale);
    }
    // A rejection is retried soon, however long the interval is.
    let begun = Instant::now();
    assert_eq!(settings.changes().next().await.unwrap().generation(), 2);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_eq!(settings.load().database.password, "password-2");
}

#[tokio::test(start_paused = true)]
async fn a_start_fails_if_its_probe_rejects_the_settings() {
    let fake = fake();
    let refuse = |_: Arc<Settings>| async { Err(Rejected::new("no route to the database")) };
    let error = quiet(&fake).probe(refuse).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[tokio::test(start_paused = true)]
async fn probes_that_hang_or_panic_count_as_rejections() {
    let fake = fake();
    let settings = quiet::<Settings>(&fake)
        .probe_timeout(Duration::from_secs(7))
        .probe(|settings| {
            let password = settings.database.password.clone();
            assert!(password != "password-2", "the closure itself panics");
            async move {
                match password.as_str() {
                    "password-3" => panic!("its future panics"),
                    "password-4" => std::future::pending().await,
                    _ => Ok(()),
                }
            }
        })
        .start()
        .await
        .unwrap();
    for n in 2..=4 {
        put_password(&fake, n);
        let begun = Instant::now();
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert_eq!(begun.elapsed().as_secs(), if n == 4 { 7 } else { 0 });
        assert_eq!(settings.load().database.password, "password-1");
    }
    put_password(&fake, 5);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().database.password, "password-5");
}

#[tokio::test(start_paused = true)]
async fn readers_see_the_old_settings_while_a_probe_runs() {
    let fake = fake();
    let (begun, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (begun.clone(), done.clone());
    let settings = quiet::<Settings>(&fake)
        .probe(move |settings| {
            let (tell, wait) = (tell.clone(), wait.clone());
            async move {
                if settings.database.password == "password-2" {
                    tell.notify_one();
                    wait.notified().await;
                }
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    put_password(&fake, 2);
    let refreshing = tokio::spawn({
        let settings = settings.clone();
        async move { settings.refresh().await }
    });
    begun.notified().await;
    assert_eq!(settings.load().database.password, "password-1");
    assert_eq!(settings.current().database.password, "password-1");
    assert_eq!(settings.status().generation(), 1);
    done.notify_one();
    assert!(refreshing.await.unwrap().unwrap().changed());
    assert_eq!(settings.load().database.password, "password-2");
}

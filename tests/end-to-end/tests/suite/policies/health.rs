//! Health and readiness through outages, fallback and a shutdown.

use std::time::Duration;

use fake_secrets_manager::Fault;
use secrets_provider::{Health, Live};

use super::{INTERVAL, LOCAL, Settings, fake, live, times};
use crate::fixtures::{manager, secrets_only};

#[tokio::test(start_paused = true)]
async fn health_follows_the_refreshes() {
    let fake = fake();
    let settings = live(manager(&fake), &[]).await.unwrap();
    assert_eq!(settings.status().health(), Health::Fresh);
    tokio::time::sleep(INTERVAL * 20).await;
    assert_eq!(settings.status().health(), Health::Fresh);
    let outage = fake.inject(Fault::internal_error());
    settings.refresh().await.unwrap_err();
    assert_eq!((settings.status().health(), settings.status().is_ready()), (Health::Stale, true));
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(
        (settings.status().health(), settings.status().is_ready()),
        (Health::Failing, false)
    );
    fake.remove_fault(outage);
    settings.refresh().await.unwrap();
    assert_eq!((settings.status().health(), settings.status().is_ready()), (Health::Fresh, true));
    let json = serde_json::to_value(settings.status()).unwrap();
    assert_eq!(
        (&json["health"], &json["secrets"][0]["state"]),
        (&"fresh".into(), &"current".into())
    );
    // After a shutdown there is no refresh.
    settings.shutdown().await;
    for (health, ready) in [(Health::Fresh, true), (Health::Stale, true), (Health::Failing, false)]
    {
        tokio::time::sleep(INTERVAL + Duration::from_secs(1)).await;
        assert_eq!((settings.status().health(), settings.status().is_ready()), (health, ready));
    }
}

#[tokio::test(start_paused = true)]
async fn max_staleness_bounds_health_and_readiness() {
    let (log, _guard) = end_to_end::Log::start();
    for (minutes, warnings) in [(5, 1), (50, 1)] {
        let fake = fake();
        let bound = Duration::from_secs(60 * minutes);
        let settings: Live<Settings> =
            secrets_only(manager(&fake)).max_staleness(bound).start().await.unwrap();
        assert_eq!(
            times(&log, "max_staleness_too_short"),
            warnings,
            "two refreshes may be 330 s apart"
        );
        assert_eq!(settings.status().max_staleness(), Some(bound));
        fake.inject(Fault::drop_connection());
        settings.refresh().await.unwrap_err();
        let age = settings.status().last_success_age();
        tokio::time::sleep(bound - age - Duration::from_secs(1)).await;
        assert_eq!(
            (settings.status().health(), settings.status().is_ready()),
            (Health::Stale, true),
            "{minutes}"
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(
            (settings.status().health(), settings.status().is_ready()),
            (Health::Failing, false),
            "{minutes}"
        );
    }
}

/// One secret has a fallback; the other is read until the outage or the shutdown.
#[tokio::test(start_paused = true)]
async fn fallback_hides_neither_a_later_outage_nor_a_shutdown() {
    for ends in [false, true] {
        let fake = fake();
        fake.deny_secret("app/sentry-dsn");
        let settings = live(manager(&fake).fallback_to_env(), LOCAL).await.unwrap();
        tokio::time::sleep(INTERVAL * 10).await;
        assert_eq!(
            (settings.status().health(), settings.status().is_ready()),
            (Health::Fallback, true)
        );
        if ends {
            settings.shutdown().await;
        } else {
            fake.inject(Fault::drop_connection());
        }
        tokio::time::sleep(INTERVAL * 5).await;
        assert_eq!(
            (settings.status().health(), settings.status().is_ready()),
            (Health::Failing, false),
            "{ends}"
        );
    }
}

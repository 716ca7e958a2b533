//! Optional secrets that appear, disappear or stay denied.

use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Health, SecretState, SecretsManager};

use super::{Break, INTERVAL, LOCAL, fake, live, only};
use crate::fixtures::manager;

#[tokio::test(start_paused = true)]
async fn an_optional_secret_is_picked_up_when_it_appears_and_kept_when_it_goes() {
    for select in [manager, only] {
        let fake = fake();
        fake.remove("app/sentry-dsn");
        let settings = live(select(&fake).optional(["sentry-dsn"]), &[]).await.unwrap();
        assert_eq!(settings.load().both(), ("db-1", None));
        assert!(!settings.refresh().await.unwrap().changed());

        let mut changes = settings.changes();
        fake.put("app/sentry-dsn", "dsn-2");
        let change = changes.next().await.unwrap();
        assert_eq!(change.keys(), ["sentry_dsn"]);
        assert_eq!(settings.load().both(), ("db-1", Some("dsn-2")));
        tokio::task::yield_now().await;
        assert_eq!(settings.status().health(), Health::Fresh);

        for break_it in [(|fake| fake.deny_secret("app/sentry-dsn")) as Break, |fake| {
            fake.remove("app/sentry-dsn")
        }] {
            break_it(&fake);
            assert!(!settings.refresh().await.unwrap().changed(), "no error");
            assert_eq!(settings.load().both(), ("db-1", Some("dsn-2")), "the last good value");
            let status = settings.status();
            assert_eq!(status.health(), Health::Fresh);
            assert_eq!(status.secrets()[1].state(), SecretState::LastGood);
            assert!(!status.secrets()[1].version_id().is_empty());
            fake.allow_secret("app/sentry-dsn");
        }
    }
}

/// Each try is a denied call in CloudTrail.
#[tokio::test(start_paused = true)]
async fn a_denied_optional_secret_is_retried_about_hourly_and_on_request() {
    for select in [manager, only] {
        let fake = fake();
        fake.deny_secret("app/sentry-dsn");
        let manager = select(&fake).optional(["sentry-dsn"]).batch(false);
        let settings = live(manager, &[]).await.unwrap();
        fake.reset_calls();
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        // One secret is read every 300 s, within a tenth; the denied one about once an hour.
        let calls = fake.calls("GetSecretValue");
        let cycles = 24 * 3600 / INTERVAL.as_secs() as usize;
        assert!(
            (cycles * 9 / 10..cycles * 11 / 10 + 40).contains(&calls),
            "{calls} calls in {cycles} refreshes"
        );
        assert_eq!(
            settings.status().secrets()[1].state(),
            SecretState::Absent,
            "it stays in the status between two tries"
        );
        assert_eq!(settings.status().health(), Health::Fresh);

        fake.reset_calls();
        settings.refresh().await.unwrap();
        assert_eq!(fake.calls("GetSecretValue"), 2);
        fake.allow_secret("app/sentry-dsn");
        assert!(settings.refresh().await.unwrap().changed());
    }
    // The settings stay fresh if the denied secret is the only one.
    let fake = FakeSecretsManager::new();
    fake.deny_secret("app/sentry-dsn");
    let manager =
        SecretsManager::prefix("app").only([""; 0]).optional(["sentry-dsn"]).client(fake.client());
    let settings = live(manager, LOCAL).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(
        (settings.status().health(), settings.status().last_error().is_none()),
        (Health::Fresh, true)
    );
}

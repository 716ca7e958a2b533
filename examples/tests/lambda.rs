//! The recipe for Lambda, on the paused clock: the time passes while the sandbox is frozen, and no
//! task runs then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use examples::lambda::refresh_if_due;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Layers, Live, SecretsManager};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Settings {
    token: String,
}

const INTERVAL: Duration = Duration::from_secs(300);

async fn live(fake: &FakeSecretsManager) -> Live<Settings> {
    let manager =
        SecretsManager::names(["app/token"]).rename("app/token", "token").client(fake.client());
    let only_secrets = |secrets: &_| Layers::new().secrets(secrets);
    Live::builder(manager).layers(only_secrets).refresh_every(INTERVAL).start().await.unwrap()
}

/// The clock goes on without any task: as in a sandbox that is frozen, and thaws in this call.
async fn frozen(time: Duration) {
    tokio::task::unconstrained(tokio::time::advance(time)).await;
}

#[tokio::test(start_paused = true)]
async fn an_invocation_after_the_interval_has_the_new_value() {
    let fake = FakeSecretsManager::new();
    fake.put("app/token", "old");
    let settings = live(&fake).await;
    fake.put("app/token", "new");

    frozen(2 * INTERVAL).await;
    refresh_if_due(&settings).await;
    assert_eq!(settings.load().token, "new");

    // The first of them may come any time within the interval, the others a tenth of it apart.
    fake.reset_calls();
    refresh_if_due(&settings).await;
    refresh_if_due(&settings).await;
    assert_eq!(fake.calls("GetSecretValue"), 0, "within the interval, nothing is read");
}

#[tokio::test(start_paused = true)]
async fn an_invocation_during_an_outage_has_the_last_value_and_does_not_wait_each_time() {
    let fake = FakeSecretsManager::new();
    fake.put("app/token", "old");
    let settings = live(&fake).await;
    fake.inject(Fault::unavailable());

    frozen(2 * INTERVAL).await;
    refresh_if_due(&settings).await;
    assert_eq!(settings.load().token, "old");
    assert!(settings.status().last_error().is_some());

    fake.reset_calls();
    refresh_if_due(&settings).await;
    assert_eq!(fake.calls("GetSecretValue"), 0, "not before the next attempt is due");
}

//! Changes that AWS announces through a queue: `LiveBuilder::push`. The fake sends the events and
//! answers for the queue; the clock is paused, so that waits are exact.

use std::time::Duration;

use end_to_end::{Log, NEVER};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Health, Live, LiveBuilder, Push, PushState, SecretsManager};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Settings, fake, put_password};
use crate::fixtures::secrets_only;

const SPREAD: Duration = Duration::from_millis(1500);

/// Live settings that only a push refreshes.
fn pushed<T>(fake: &FakeSecretsManager, push: Push) -> LiveBuilder<T> {
    let manager = SecretsManager::prefix("app").aws_config(&fake.sdk_config());
    secrets_only(manager).refresh_every(NEVER).push(push)
}

/// The same, once its queue answers.
async fn connected<T>(fake: &FakeSecretsManager, spread: Duration) -> Live<T>
where
    T: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let queue = fake.queue("changes", "app/");
    let settings = pushed(fake, Push::queue(queue).spread(spread)).start().await.unwrap();
    // The first poll is short.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(settings.status().push().unwrap().state(), PushState::Connected);
    fake.reset_calls();
    settings
}

/// The calls for secrets: those for the queue are not counted here.
fn reads(fake: &FakeSecretsManager) -> [usize; 3] {
    ["GetSecretValue", "BatchGetSecretValue", "ListSecrets"].map(|operation| fake.calls(operation))
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_live_within_the_spread_by_one_call() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, SPREAD).await;
    let mut changes = settings.changes();
    let mut lags = Vec::new();
    for n in 2..102 {
        fake.reset_calls();
        let begun = Instant::now();
        put_password(&fake, n);
        assert_eq!(changes.next().await.unwrap().keys(), ["database.password"]);
        lags.push(begun.elapsed());
        assert_eq!(settings.load().database.password, format!("password-{n}"));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(reads(&fake), [1, 0, 0]);
    }
    lags.sort();
    assert!(*lags.last().unwrap() <= SPREAD + Duration::from_millis(20), "{lags:?}");
    assert!(lags[0] < SPREAD / 4 && lags[99] > SPREAD * 3 / 4, "they are spread: {lags:?}");
    assert_eq!(fake.messages("changes"), Some(0), "deleted");
    let push = settings.status().push().unwrap();
    assert_eq!((push.hints(), push.unknown()), (100, 0));
    assert!(push.lag().unwrap() <= SPREAD + Duration::from_secs(1), "{push:?}");
    assert!(push.last_hint().is_some() && push.last_error().is_none(), "{push:?}");
}

/// Lambda's way: AWSPENDING first, and AWSCURRENT last.
#[tokio::test(start_paused = true)]
async fn a_rotation_by_labels_causes_one_read_when_current_moves_and_so_does_a_rollback() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, Duration::ZERO).await;
    let client = fake.client();
    let described = client.describe_secret().secret_id("app/database").send().await.unwrap();
    let before = described.version_ids_to_stages.unwrap().into_keys().next().unwrap();
    let put = client.put_secret_value().secret_id("app/database");
    let put = put.secret_string(r#"{"username": "app", "password": "password-2"}"#);
    let pending = put.version_stages("AWSPENDING").send().await.unwrap().version_id.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(reads(&fake), [0, 0, 0], "a pending version is no reason to read");

    for (from, to, password) in
        [(&before, &pending, "password-2"), (&pending, &before, "password-1")]
    {
        fake.reset_calls();
        let update = client.update_secret_version_stage().secret_id("app/database");
        let update = update.version_stage("AWSCURRENT").remove_from_version_id(from);
        update.move_to_version_id(to).send().await.unwrap();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(settings.load().database.password, password);
        assert_eq!(reads(&fake), [1, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn two_secrets_that_rotate_together_are_one_generation() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, SPREAD).await;
    put_password(&fake, 2);
    fake.put("app/jwt-secret", "jwt-2");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(settings.status().generation(), 2);
    assert_eq!(settings.load().all(), ["app", "password-2", "jwt-2"]);
    assert_eq!(reads(&fake), [2, 0, 0]);
}

/// Duplicates, messages out of order, garbage, events of other secrets and labels, all at once.
#[tokio::test(start_paused = true)]
async fn what_is_no_news_causes_no_call_and_everything_is_deleted() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, Duration::ZERO).await;
    let version = settings.status().secrets()[0].version_id().to_owned();
    let (log, _guard) = Log::start();
    let event = |name: &str, label: &str, version: &str| {
        json!({
            "detail-type": "Secret Label Updated",
            "detail": {"name": name, "labelUpdated": label, "versionId": version},
        })
        .to_string()
    };
    for n in 0..1000 {
        fake.send_message("changes", event("app/database", "AWSCURRENT", &version));
        fake.send_message("changes", event("application/database", "AWSCURRENT", "v"));
        fake.send_message("changes", event("app/database", "blue", "v"));
        fake.send_message("changes", format!("garbage {n} canary-in-a-body"));
    }
    sleep(Duration::from_secs(120)).await;
    assert_eq!(reads(&fake), [0, 0, 0]);
    assert_eq!(fake.messages("changes"), Some(0));
    let status = settings.status();
    assert_eq!((status.generation(), status.health()), (1, Health::Fresh));
    assert_eq!(status.push().unwrap().unknown(), 1000);
    let text = log.text();
    let warnings = text.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "garbage is warned of once");
    // The SDK logs bodies at TRACE, which hold names and no values.
    let ours = text.lines().filter(|line| line.contains(" secrets_provider: "));
    assert!(ours.clone().count() > 1000, "garbage is counted at DEBUG");
    assert!(!ours.into_iter().any(|line| line.contains("canary")), "a body is logged");

    // A message that comes late names an older version: what is current is read and stays.
    put_password(&fake, 2);
    put_password(&fake, 3);
    sleep(Duration::from_secs(10)).await;
    fake.send_message("changes", event("app/database", "AWSCURRENT", &version));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(settings.load().database.password, "password-3");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_while_the_program_starts_is_not_lost() {
    let fake = fake();
    let queue = fake.queue("changes", "app/");
    // The values have been read when the probe runs.
    let probe = async |_| {
        sleep(Duration::from_secs(5)).await;
        Ok(())
    };
    let push = Push::queue(queue).spread(Duration::ZERO);
    let starting = pushed::<Settings>(&fake, push).probe(probe).start();
    let rotating = async {
        fake.wait_for_calls("BatchGetSecretValue", 1).await;
        sleep(Duration::from_secs(2)).await;
        put_password(&fake, 2);
    };
    let (settings, ()) = tokio::join!(starting, rotating);
    let settings = settings.unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(settings.load().database.password, "password-2");
}

#[tokio::test(start_paused = true)]
async fn while_the_queue_fails_the_interval_is_in_charge_and_the_status_says_why() {
    for (fault, kind, state) in [
        (
            Fault::error("AccessDeniedException", 403, "canary: not authorized"),
            ErrorKind::AccessDenied,
            PushState::Denied,
        ),
        (
            Fault::error("RequestThrottled", 403, "canary"),
            ErrorKind::Throttled,
            PushState::Retrying,
        ),
        (Fault::drop_connection(), ErrorKind::Unavailable, PushState::Retrying),
        (Fault::hang(), ErrorKind::Unavailable, PushState::Retrying),
        (Fault::malformed_body(), ErrorKind::Unavailable, PushState::Retrying),
        (Fault::html(502), ErrorKind::Unavailable, PushState::Retrying),
    ] {
        let fake = fake();
        let queue = fake.queue("changes", "app/");
        let fault = fake.inject(fault.on("ReceiveMessage"));
        let settings: Live<Settings> = pushed(&fake, Push::queue(queue))
            .refresh_every(Duration::from_secs(300))
            .start()
            .await
            .unwrap();
        put_password(&fake, 2);
        sleep(Duration::from_secs(340)).await;
        assert_eq!(settings.load().database.password, "password-2", "{kind}");
        let status = settings.status();
        let push = status.push().unwrap();
        assert_eq!((push.state(), status.health()), (state, Health::Fresh), "{kind}");
        let error = push.last_error().unwrap();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains("123456789012/changes"), "{error:?}");
        assert!(!error.message().contains("canary"), "a server's text is shown: {error:?}");

        fake.remove_fault(fault);
        sleep(Duration::from_secs(120)).await;
        assert_eq!(settings.status().push().unwrap().state(), PushState::Connected, "{kind}");
        put_password(&fake, 3);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(settings.load().database.password, "password-3", "{kind}");
    }
}

/// A deletion that hangs or is denied delays no hint, and is in the status.
#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_deleted_are_served_at_once_and_reported() {
    for fault in [Fault::hang(), Fault::error("AccessDenied", 403, "canary")] {
        let fake = fake();
        let settings = connected::<Settings>(&fake, Duration::ZERO).await;
        fake.inject(fault.on("DeleteMessageBatch"));
        put_password(&fake, 2);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(settings.load().database.password, "password-2");
        sleep(Duration::from_secs(60)).await;
        let push = settings.status().push().unwrap();
        assert_eq!(push.state(), PushState::Connected, "{push:?}");
        let message = push.last_error().expect("what failed").message().to_owned();
        assert!(!message.contains("canary"), "{message}");
        assert_eq!(settings.status().generation(), 2, "a message that comes again is no news");
    }
}

/// A hint is not lost because its secret cannot be read when it comes.
#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_announced_in_an_outage_is_served_after_it() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, Duration::ZERO).await;
    let outage = fake.inject(Fault::unavailable().on("GetSecretValue"));
    put_password(&fake, 2);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(settings.load().database.password, "password-1");
    fake.remove_fault(outage);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(settings.load().database.password, "password-2");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_deleted_and_made_again_is_received_again() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, Duration::ZERO).await;
    fake.delete_queue("changes");
    sleep(Duration::from_secs(10)).await;
    let push = settings.status().push().unwrap();
    assert_eq!(push.state(), PushState::Denied);
    assert_eq!(push.last_error().unwrap().kind(), ErrorKind::NotFound);
    fake.queue("changes", "app/");
    sleep(Duration::from_secs(90)).await;
    put_password(&fake, 2);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(settings.load().database.password, "password-2");
    assert_eq!(settings.status().push().unwrap().state(), PushState::Connected);
}

/// The wait is not cut by the limit of a fetch, and receiving stops with the settings.
#[tokio::test(start_paused = true)]
async fn one_receive_is_in_flight_and_waits_twenty_seconds() {
    let fake = fake();
    let queue = fake.queue("changes", "app/");
    let manager = SecretsManager::prefix("app").aws_config(&fake.sdk_config());
    let manager = manager.timeout(Duration::from_secs(3));
    let settings: Live<Settings> =
        secrets_only(manager).push(Push::queue(queue)).start().await.unwrap();
    sleep(Duration::from_secs(200)).await;
    let receives = fake.calls("ReceiveMessage");
    assert!((10..=11).contains(&receives), "{receives}");
    assert!(settings.status().push().unwrap().last_error().is_none());
    settings.shutdown().await;
    sleep(Duration::from_secs(60)).await;
    assert!(fake.calls("ReceiveMessage") <= receives + 1, "it goes on after the shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_slip_in_the_description_fails_the_start_or_shows_in_the_status() {
    let fake = fake();
    let started = pushed::<Value>(&fake, Push::queue("secret-changes")).start().await;
    let error = started.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`secret-changes`") && error.hint().is_some(), "{error}");

    // A client of Secrets Manager is no configuration for SQS.
    let manager = SecretsManager::prefix("app").client(fake.client());
    let push = Push::queue(fake.queue("changes", "app/"));
    let settings: Live<Value> = secrets_only(manager).push(push).start().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let push = settings.status().push().unwrap();
    assert_eq!(push.state(), PushState::Denied);
    assert!(push.last_error().unwrap().message().contains("Push::client"), "{push:?}");
}

#[tokio::test(start_paused = true)]
async fn the_status_serializes_the_state_of_the_queue() {
    let fake = fake();
    let settings = connected::<Settings>(&fake, Duration::ZERO).await;
    put_password(&fake, 2);
    sleep(Duration::from_secs(2)).await;
    let status = serde_json::to_value(settings.status()).unwrap();
    let push = &status["push"];
    assert_eq!(push["state"], "connected");
    assert_eq!(push["hints"], 1);
    assert!(push["last_hint"].is_u64() && push["lag"].is_number(), "{push}");
    assert!(push["queue"].as_str().unwrap().ends_with("/123456789012/changes"), "{push}");
    let constant = serde_json::to_value(Live::constant(1).status()).unwrap();
    assert_eq!(constant["push"], Value::Null);
}

//! Live settings through rotations, outages and rejections (rules R1 to R3, R5), on tokio's paused
//! clock.
//!
//! A generation is whole or not at all; a secret that cannot be read keeps its last good value.
//! What the files below this one share is here, too.

mod lifetime;
mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrecy::SecretString;
use secrets_provider::{Change, ErrorKind, Live, LiveBuilder, Rejected, Rotating, SecretsManager};
use serde::Deserialize;

use crate::fixtures::{Settings, manager, secrets_only};

fn rotate(fake: &FakeSecretsManager, n: usize) {
    put_database(fake, n);
    fake.put("app/jwt-secret", format!("jwt-{n}"));
}

fn put_database(fake: &FakeSecretsManager, n: usize) {
    let json = format!(r#"{{"username": "user-{n}", "password": "password-{n}"}}"#);
    fake.put("app/database", json);
}

fn generation(n: usize) -> [String; 3] {
    [format!("user-{n}"), format!("password-{n}"), format!("jwt-{n}")]
}

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    rotate(&fake, 1);
    fake
}

fn builder(fake: &FakeSecretsManager) -> LiveBuilder<Settings> {
    secrets_only(manager(fake))
}

async fn start(fake: &FakeSecretsManager) -> Live<Settings> {
    builder(fake).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rotation_of_two_secrets_is_one_generation() {
    let fake = fake();
    let settings = start(&fake).await;
    let mut changes = settings.changes();
    let held = settings.current();
    assert_eq!(settings.status().generation(), 1);

    rotate(&fake, 2);
    // The refresh at the interval brings it.
    let change = changes.next().await.unwrap();
    assert_eq!(change.generation(), 2);
    assert_eq!(change.keys(), ["database.password", "database.username", "jwt_secret"]);
    assert_eq!(settings.load().all(), generation(2));
    assert_eq!(held.all(), generation(1), "a held generation does not change");
    let status = settings.status();
    assert_eq!(status.generation(), 2);
    assert!(
        !settings.refresh().await.unwrap().changed(),
        "the new generation is compared from now on"
    );
    let secrets: Vec<_> =
        status.secrets().iter().map(|secret| (secret.name(), secret.key_path())).collect();
    assert_eq!(secrets, [("app/database", "database"), ("app/jwt-secret", "jwt_secret")]);
}

#[tokio::test(start_paused = true)]
async fn unchanged_secrets_are_neither_extracted_nor_swapped_nor_announced() {
    let extractions = Arc::new(AtomicUsize::new(0));
    let fake = fake();
    let counted = extractions.clone();
    let settings = builder(&fake)
        .refresh_every(Duration::from_secs(60))
        .validate(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let mut changes = settings.changes();
    let before = settings.current();
    fake.reset_calls();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(fake.calls("BatchGetSecretValue") >= 8, "the secrets were read");
    assert_eq!(extractions.load(Ordering::Relaxed), 1);
    // A refresh that is asked for reads the layers below again, and finds them unchanged.
    for _ in 0..5 {
        let refreshed = settings.refresh().await.unwrap();
        assert_eq!((refreshed.changed(), refreshed.generation()), (false, 1));
    }
    assert!(Arc::ptr_eq(&before, &settings.current()));
    let announced = tokio::time::timeout(Duration::from_secs(3600), changes.next()).await;
    assert!(announced.is_err(), "a change was announced within an hour");
}

#[tokio::test(start_paused = true)]
async fn a_new_version_with_the_old_content_changes_no_key() {
    let fake = fake();
    let settings = start(&fake).await;
    let mut changes = settings.changes();
    rotate(&fake, 1);
    assert!(settings.refresh().await.unwrap().changed());
    let change: Change = changes.next().await.unwrap();
    assert_eq!((change.generation(), change.keys().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn rejected_settings_are_never_served_and_are_retried() {
    let fake = fake();
    let settings = builder(&fake)
        .validate(|settings| match settings.database.username.as_str() {
            "user-2" => Err(Rejected::new("that user may not")),
            _ => Ok(()),
        })
        .start()
        .await
        .unwrap();
    rotate(&fake, 2);
    for _ in 0..2 {
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert_eq!(error.to_string(), "settings rejected: that user may not");
        assert_eq!(settings.load().all(), generation(1));
    }
    assert_eq!(settings.status().last_error().unwrap().kind(), ErrorKind::Rejected);
    assert_eq!(settings.status().generation(), 1);
    // The next version is good.
    rotate(&fake, 3);
    assert!(settings.refresh().await.unwrap().changed());
    assert_eq!(settings.load().all(), generation(3));
}

#[tokio::test(start_paused = true)]
async fn values_that_do_not_fit_leave_the_last_good_settings_in_place() {
    let fake = fake();
    let settings = start(&fake).await;
    for broken in ["hunter2-plain", r#"{"username": "u"}"#] {
        fake.put("app/database", broken);
        fake.put("app/jwt-secret", "jwt-2");
        let error = settings.refresh().await.unwrap_err();
        assert!(error.to_string().contains("database"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!(settings.load().all(), generation(1), "all new values or none");
    }
    rotate(&fake, 2);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(2));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_keeps_its_value_while_others_change() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.deny_secret("app/database");
    rotate(&fake, 2);
    let error = settings.refresh().await.unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::AccessDenied, Some("app/database")));
    assert_eq!(settings.load().all(), ["user-1", "password-1", "jwt-2"]);
    let errors: Vec<_> = settings.status().secrets().iter().map(|secret| secret.error()).collect();
    assert_eq!(errors, [Some(ErrorKind::AccessDenied), None]);
    assert_eq!(settings.status().generation(), 2);

    fake.allow_secret("app/database");
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(2));
    assert!(settings.status().secrets().iter().all(|secret| secret.error().is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_keeps_its_value_and_a_new_one_is_found() {
    let fake = fake();
    let settings: Live<serde_json::Value> = secrets_only(manager(&fake)).start().await.unwrap();
    fake.remove("app/jwt-secret");
    fake.put("app/new", "n");
    settings.refresh().await.unwrap_err();
    assert_eq!(settings.load()["jwt_secret"], "jwt-1");
    assert_eq!(settings.load()["new"], "n");
    let status = settings.status();
    let jwt = status.secrets().iter().find(|secret| secret.key_path() == "jwt_secret").unwrap();
    assert_eq!(jwt.error(), Some(ErrorKind::NotFound));
}

/// ListSecrets may lag by five minutes. A new value is read even if the listing shows the old
/// version.
#[tokio::test(start_paused = true)]
async fn a_lagging_listing_hides_no_new_value_and_loses_no_known_secret() {
    let fake = fake();
    tokio::time::advance(Duration::from_secs(600)).await;
    let settings = start(&fake).await;
    fake.delay_listing(Duration::from_secs(300));
    rotate(&fake, 2);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(2));
    // The listing is empty.
    fake.delay_listing(Duration::from_secs(100_000));
    rotate(&fake, 3);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(3));
}

#[tokio::test(start_paused = true)]
async fn the_last_good_settings_survive_an_outage() {
    let fake = fake();
    let settings = start(&fake).await;
    let outage = fake.inject(Fault::drop_connection());
    rotate(&fake, 2);
    let error = settings.refresh().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    assert_eq!(settings.load().all(), generation(1));
    let status = settings.status();
    assert_eq!(status.last_error().unwrap().kind(), ErrorKind::Unavailable);
    assert!(
        status.last_success_age() >= Duration::from_secs(3 * 3600),
        "the age is measured on tokio's clock"
    );

    fake.remove_fault(outage);
    let mut changes = settings.changes();
    assert_eq!(changes.next().await.unwrap().generation(), 2);
    assert_eq!(settings.load().all(), generation(2));
}

#[tokio::test]
async fn the_last_good_settings_survive_an_endpoint_that_is_down() {
    let fake = FakeSecretsManager::start().await.unwrap();
    rotate(&fake, 1);
    let manager = SecretsManager::prefix("app").client(end_to_end::client(&fake));
    let settings: Live<Settings> = secrets_only(manager).start().await.unwrap();
    fake.stop().await;
    assert_eq!(settings.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(settings.load().all(), generation(1));
    fake.serve_again().await.unwrap();
    rotate(&fake, 2);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(2));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_validate_stops_nothing() {
    let fake = fake();
    let settings = builder(&fake)
        .validate(|settings| {
            assert_ne!(settings.database.username, "user-2", "password-2 must not be repeated");
            Ok(())
        })
        .start()
        .await
        .unwrap();
    rotate(&fake, 2);
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(!format!("{error} {error:?}").contains("password"), "{error}");
    assert_eq!(settings.load().all(), generation(1));
    rotate(&fake, 3);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(3));
}

/// The current and the previous value come in one generation, by the labels that AWS moves.
#[tokio::test(start_paused = true)]
async fn a_rotating_field_follows_the_staging_labels() {
    #[derive(Deserialize)]
    struct Rotated {
        jwt_secret: Rotating<String>,
    }
    let seen = |settings: &Live<Rotated>| {
        let settings = settings.load();
        (settings.jwt_secret.current.clone(), settings.jwt_secret.previous.clone())
    };
    let fake = fake();
    let manager = manager(&fake).with_previous(["jwt-secret"]);
    let settings: Live<Rotated> = secrets_only(manager).start().await.unwrap();
    assert_eq!(seen(&settings), ("jwt-1".into(), None));

    let second = fake.put("app/jwt-secret", "jwt-2");
    settings.refresh().await.unwrap();
    assert_eq!(seen(&settings), ("jwt-2".into(), Some("jwt-1".into())));
    assert!(!settings.refresh().await.unwrap().changed());

    // If the previous version cannot be read, the new current one is not served either.
    let refused = Fault::error("AccessDeniedException", 400, "no").on("GetSecretValue");
    let refused = fake.inject(refused);
    fake.put("app/jwt-secret", "jwt-3");
    settings.refresh().await.unwrap_err();
    assert_eq!(seen(&settings), ("jwt-2".into(), Some("jwt-1".into())));
    fake.remove_fault(refused);
    settings.refresh().await.unwrap();
    assert_eq!(seen(&settings), ("jwt-3".into(), Some("jwt-2".into())));

    // A rollback moves AWSCURRENT to the version before, and AWSPREVIOUS to the other.
    let client = fake.client();
    let current = client.get_secret_value().secret_id("app/jwt-secret").send().await.unwrap();
    client
        .update_secret_version_stage()
        .secret_id("app/jwt-secret")
        .version_stage("AWSCURRENT")
        .remove_from_version_id(current.version_id.unwrap())
        .move_to_version_id(second)
        .send()
        .await
        .unwrap();
    settings.refresh().await.unwrap();
    assert_eq!(seen(&settings), ("jwt-2".into(), Some("jwt-3".into())));
}

/// The log is at TRACE with every target, through a start, a rotation, a rejection, an outage and
/// the status.
#[tokio::test(start_paused = true)]
async fn no_value_reaches_log_status_or_debug() {
    let (log, _guard) = end_to_end::Log::start();
    let fake = fake();
    let settings: Live<Settings<SecretString>> =
        secrets_only(manager(&fake)).start().await.unwrap();
    rotate(&fake, 2);
    settings.refresh().await.unwrap();
    fake.put("app/database", "password-3");
    let error = settings.refresh().await.unwrap_err();
    fake.inject(Fault::drop_connection());
    let outage = settings.refresh().await.unwrap_err();
    let shown = format!(
        "{settings:?} {:?} {} {error} {error:?} {outage:?} {:?} {}",
        settings.load(),
        serde_json::to_string(&settings.status()).unwrap(),
        settings.changes(),
        log.text(),
    );
    for secret in ["password-", "jwt-1", "jwt-2"] {
        assert!(!shown.contains(secret), "{secret} in {}", shown.len());
    }
    for event in ["secret_fetched", "settings_changed", "settings_rejected", "refresh_failed"] {
        assert!(shown.contains(event), "no {event}");
    }
}

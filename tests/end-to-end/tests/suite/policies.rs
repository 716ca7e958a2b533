//! Secrets that may be missing, fallback to lower layers, and the variables that switch AWS off.

mod health;
mod optional;
mod switches;

use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use figment::Figment;
use secrets_provider::{ErrorKind, Health, Layers, Live, SecretState, SecretsManager, Status};
use serde::Deserialize;

use crate::fixtures::manager;

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/k";
const INTERVAL: Duration = Duration::from_secs(300);

#[derive(Debug, Deserialize)]
struct Settings {
    database: String,
    sentry_dsn: Option<String>,
}

impl Settings {
    fn both(&self) -> (&str, Option<&str>) {
        (&self.database, self.sentry_dsn.as_deref())
    }
}

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put("app/database", "db-1");
    fake.put("app/sentry-dsn", "dsn-1");
    fake
}

/// Both secrets by name, so that nothing is listed.
fn only(fake: &FakeSecretsManager) -> SecretsManager {
    manager(fake).only(["database", "sentry-dsn"])
}

/// Live settings over this environment, not that of the process.
async fn live(
    manager: SecretsManager,
    environment: &'static [(&'static str, &'static str)],
) -> Result<Live<Settings>, secrets_provider::Error> {
    Live::builder(manager)
        .layers(move |secrets| {
            Layers::new().environment_from(environment.iter().copied()).secrets(secrets)
        })
        .start()
        .await
}

const LOCAL: &[(&str, &str)] = &[("DATABASE", "db-env"), ("SENTRY_DSN", "dsn-env")];

fn states(status: &Status) -> Vec<(&str, SecretState, Option<ErrorKind>)> {
    status.secrets().iter().map(|secret| (secret.name(), secret.state(), secret.error())).collect()
}

fn times(log: &end_to_end::Log, event: &str) -> usize {
    log.text().lines().filter(|line| line.contains(event)).count()
}

/// Makes `app/sentry-dsn` unreadable.
type Break = fn(&FakeSecretsManager);

fn broken() -> Vec<(ErrorKind, Break)> {
    const NAME: &str = "app/sentry-dsn";
    vec![
        (ErrorKind::NotFound, |fake| fake.remove(NAME)),
        (ErrorKind::AccessDenied, |fake| fake.deny_secret(NAME)),
        (ErrorKind::Kms, |fake| {
            fake.use_kms_key(NAME, KEY);
            fake.disable_kms_key(KEY);
        }),
        // The test deletes the secret itself.
        (ErrorKind::PendingDeletion, |_| {}),
        (ErrorKind::Throttled, |fake| {
            fake.inject(Fault::throttled().for_secret(NAME));
        }),
        (ErrorKind::Unavailable, |fake| {
            fake.inject(Fault::drop_connection().for_secret(NAME));
        }),
        (ErrorKind::Malformed, |fake| {
            fake.put(NAME, r#"{"a": 1, "a": 2}"#);
        }),
        (ErrorKind::Conflict, |fake| {
            // Another secret of the same key gives `x` too.
            fake.put(NAME, r#"{"x": 1}"#);
            fake.put("app/sentry_dsn", r#"{"x": 2}"#);
        }),
    ]
}

/// What the manager says about a secret that cannot be read, and what follows from it.
struct Policy {
    name: &'static str,
    apply: fn(SecretsManager) -> SecretsManager,
    starts: bool,
    /// The state of the broken secret, and the health of the settings, where they start.
    state: SecretState,
    health: Health,
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_failure_has_its_policy() {
    use ErrorKind as K;
    for (kind, break_it) in broken() {
        let missing = matches!(kind, K::NotFound | K::AccessDenied | K::Kms | K::PendingDeletion);
        let outage = matches!(kind, K::Throttled | K::Unavailable);
        let policies = [
            Policy {
                name: "required",
                apply: |manager| manager,
                starts: false,
                state: SecretState::Unread,
                health: Health::Fresh,
            },
            Policy {
                name: "optional",
                apply: |manager| manager.optional(["sentry-dsn"]),
                starts: missing,
                state: SecretState::Absent,
                health: Health::Fresh,
            },
            Policy {
                name: "fallback",
                apply: |manager| manager.fallback_to_env(),
                starts: missing || outage,
                state: SecretState::Fallback,
                health: Health::Fallback,
            },
            Policy {
                name: "optional with fallback",
                apply: |manager| manager.fallback_to_env().optional(["sentry-dsn"]),
                starts: missing || outage,
                state: if missing { SecretState::Absent } else { SecretState::Fallback },
                health: if missing { Health::Fresh } else { Health::Fallback },
            },
        ];
        for Policy { name, apply, starts, state, health } in policies {
            let case = format!("{kind}, {name}");
            let fake = fake();
            break_it(&fake);
            if kind == K::PendingDeletion {
                fake.client().delete_secret().secret_id("app/sentry-dsn").send().await.unwrap();
            }
            let selected = ["database", "sentry-dsn", "sentry_dsn"];
            let selected = if kind == K::Conflict { &selected[..] } else { &selected[..2] };
            let manager = apply(manager(&fake).only(selected.to_vec()).batch(false));
            let fetched = manager.fetch().await;
            let started = live(manager, LOCAL).await;
            if !starts {
                for error in [fetched.unwrap_err(), started.unwrap_err()] {
                    assert_eq!(error.kind(), kind, "{case}: {error}");
                    assert_eq!(error.secret(), Some("app/sentry-dsn"), "{case}");
                }
                continue;
            }
            let names: Vec<_> =
                fetched.unwrap().secrets().iter().map(|secret| secret.name().to_owned()).collect();
            assert_eq!(names, ["app/database"], "{case}");
            let settings = started.unwrap();
            assert_eq!(settings.load().both(), ("db-1", Some("dsn-env")), "{case}");
            let status = settings.status();
            assert_eq!(status.health(), health, "{case}");
            assert_eq!(
                states(&status),
                [
                    ("app/database", SecretState::Current, None),
                    ("app/sentry-dsn", state, Some(kind))
                ],
                "{case}"
            );
            assert_eq!(status.secrets()[1].key_path(), "sentry_dsn");
            assert_eq!(status.secrets()[1].version_id(), "");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_error_lists_every_required_secret_and_no_optional_one() {
    let fake = fake();
    fake.deny_secret("app/database");
    fake.remove("app/sentry-dsn");
    let manager = only(&fake).only(["jwt"]).optional(["sentry-dsn"]);
    let error = live(manager, LOCAL).await.unwrap_err();
    let failures: Vec<_> =
        error.errors().iter().map(|error| (error.kind(), error.secret().unwrap())).collect();
    assert_eq!(
        failures,
        [(ErrorKind::AccessDenied, "app/database"), (ErrorKind::NotFound, "app/jwt")]
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_start_in_an_outage_the_secrets_arrive_as_one_generation() {
    for select in [manager, only] {
        let (log, _guard) = end_to_end::Log::start();
        let fake = fake();
        let outage = fake.inject(Fault::drop_connection());
        let settings = live(select(&fake).fallback_to_env(), LOCAL).await.unwrap();
        let mut changes = settings.changes();
        assert_eq!(settings.load().both(), ("db-env", Some("dsn-env")));
        let status = settings.status();
        assert_eq!((status.generation(), status.health()), (1, Health::Fallback));
        assert_eq!(status.last_error().unwrap().kind(), ErrorKind::Unavailable);

        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        assert_eq!(settings.status().health(), Health::Fallback);
        assert!(settings.refresh().await.unwrap_err().is_transient());
        fake.remove_fault(outage);
        // The next refresh comes by itself.
        let change = changes.next().await.unwrap();
        assert_eq!(
            (change.generation(), change.keys()),
            (2, &["database".into(), "sentry_dsn".into()][..])
        );
        assert_eq!(settings.load().both(), ("db-1", Some("dsn-1")));
        tokio::task::yield_now().await;
        assert_eq!(settings.status().health(), Health::Fresh);
        assert_eq!(times(&log, "aws_unavailable_using_env_fallback"), 1);
        assert_eq!(times(&log, "refresh_recovered"), 1);
        let warning = log.text();
        let warning = warning.lines().find(|line| line.contains("aws_unavailable")).unwrap();
        assert!(warning.contains("WARN"), "{warning}");
        for secret in if status.secrets().is_empty() {
            &["app/*"][..]
        } else {
            &["app/database", "app/sentry-dsn"]
        } {
            assert!(warning.contains(secret), "{warning}");
        }

        // In a later outage the last good values stay, so there is no fallback.
        fake.inject(Fault::drop_connection());
        settings.refresh().await.unwrap_err();
        assert_eq!(settings.load().both(), ("db-1", Some("dsn-1")));
        assert_eq!(settings.status().health(), Health::Stale);
        assert_eq!(times(&log, "aws_unavailable_using_env_fallback"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_on_fallback_is_retried_within_a_second() {
    let fake = fake();
    fake.deny_secret("app/database");
    let settings = live(only(&fake).fallback_to_env(), LOCAL).await.unwrap();
    let start = tokio::time::Instant::now();
    fake.allow_secret("app/database");
    settings.changes().next().await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn fallback_ends_key_by_key_and_only_with_good_values() {
    let fake = fake();
    fake.deny_secret("app/database");
    fake.deny_secret("app/sentry-dsn");
    let settings = live(manager(&fake).fallback_to_env(), LOCAL).await.unwrap();

    fake.allow_secret("app/sentry-dsn");
    let error = settings.refresh().await.unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::AccessDenied, Some("app/database")));
    assert_eq!(settings.load().both(), ("db-env", Some("dsn-1")));
    assert_eq!(settings.status().health(), Health::Fallback);

    fake.allow_secret("app/database");
    fake.put("app/database", r#"{"a": 1, "a": 2}"#);
    assert_eq!(settings.refresh().await.unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(settings.load().both(), ("db-env", Some("dsn-1")));
    assert_eq!(settings.status().health(), Health::Fallback, "the fallback goes on");

    fake.put("app/database", "db-2");
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().both(), ("db-2", Some("dsn-1")));
    assert_eq!((settings.status().health(), settings.status().generation()), (Health::Fresh, 3));
}

#[tokio::test(start_paused = true)]
async fn fallback_ends_when_its_secret_is_no_longer_listed() {
    let fake = fake();
    fake.deny_secret("app/sentry-dsn");
    let settings = live(manager(&fake).fallback_to_env(), LOCAL).await.unwrap();
    assert_eq!(settings.status().health(), Health::Fallback);
    fake.remove("app/sentry-dsn");
    settings.refresh().await.unwrap();
    assert_eq!(settings.status().health(), Health::Fresh);
    assert_eq!(settings.status().secrets().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_prefix_and_a_denied_listing_fall_back_too() {
    for listing_is_denied in [false, true] {
        let fake = FakeSecretsManager::new();
        if listing_is_denied {
            fake.put("app/database", "db-1");
            fake.deny_action("ListSecrets");
        }
        live(manager(&fake), LOCAL).await.unwrap_err();
        let settings = live(manager(&fake).fallback_to_env(), LOCAL).await.unwrap();
        assert_eq!(settings.load().database, "db-env");
        assert_eq!(settings.status().health(), Health::Fallback);
        fake.put("app/database", "db-1");
        fake.allow_everything();
        settings.refresh().await.unwrap();
        assert_eq!(settings.load().database, "db-1");
        assert_eq!(settings.status().health(), Health::Fresh);
    }
}

/// The error names the secret too, so that no one searches the environment for a key that only the
/// secret gives.
#[tokio::test(start_paused = true)]
async fn an_incomplete_fallback_reports_the_missing_key_and_the_failed_secret() {
    let fake = fake();
    fake.deny_secret("app/database");
    let manager = only(&fake).fallback_to_env();
    let snapshot = manager.fetch().await.unwrap();
    let errors = [
        live(manager, &[("SENTRY_DSN", "x")]).await.unwrap_err(),
        snapshot.extract::<Settings>().unwrap_err(),
        Layers::new().secrets(&snapshot).extract::<Settings>().unwrap_err(),
    ];
    for error in errors {
        let failures: Vec<_> = error
            .errors()
            .iter()
            .map(|error| (error.kind(), error.key(), error.secret()))
            .collect();
        assert_eq!(
            failures,
            [
                (ErrorKind::Invalid, Some("database"), None),
                (ErrorKind::AccessDenied, None, Some("app/database"))
            ]
        );
    }
}

#[tokio::test]
async fn repeated_fetches_warn_of_the_fallback_once() {
    let (log, _guard) = end_to_end::Log::start();
    let fake = fake();
    let manager = manager(&fake).only(["database", "jwt"]).fallback_to_env();
    for _ in 0..3 {
        manager.fetch().await.unwrap();
    }
    let defaults = serde_json::json!({"jwt": "env", "database": "env"});
    let figment =
        Figment::new().merge(figment::providers::Serialized::defaults(defaults)).merge(&manager);
    let value: serde_json::Value = figment.extract().unwrap();
    assert_eq!(value, serde_json::json!({"jwt": "env", "database": "db-1"}));
    // A clone warns no more; a manager with another setting does.
    manager.clone().fetch().await.unwrap();
    assert_eq!(times(&log, "aws_unavailable_using_env_fallback"), 1);
    manager.rename("jwt", "token").fetch().await.unwrap();
    assert_eq!(times(&log, "aws_unavailable_using_env_fallback"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_secret_added_later_is_reported() {
    let fake = fake();
    let settings = live(manager(&fake), &[]).await.unwrap();
    fake.put("app/new", "n");
    fake.deny_secret("app/new");
    settings.refresh().await.unwrap_err();
    let status = settings.status();
    assert_eq!(states(&status)[1], ("app/new", SecretState::Unread, Some(ErrorKind::AccessDenied)));
    assert_eq!(status.health(), Health::Stale);
}

#[tokio::test(start_paused = true)]
async fn a_rename_that_matches_nothing_warns_once() {
    let (log, _guard) = end_to_end::Log::start();
    let fake = fake();
    let renaming = manager(&fake)
        .optional(["cache"])
        .rename("sentry-dsn", "sentry_dsn")
        .rename("data{x}", "data{x}")
        // Optional and missing: the rename applies once the secret exists.
        .rename("cache", "redis")
        .rename("databse", "database")
        .rename("keys/v{n}", "keys.{n}");
    let settings = live(renaming, &[]).await.unwrap();
    for _ in 0..3 {
        settings.refresh().await.unwrap();
    }
    assert_eq!(times(&log, "rename_matches_nothing"), 2, "{}", log.text());
    for rename in ["`databse` to `database`", "`keys/v{n}` to `keys.{n}`"] {
        assert_eq!(times(&log, rename), 1);
    }
    // A rename of an unreadable secret matches, and no rename is judged without a listing.
    fake.deny_secret("app/database");
    let unread = only(&fake).fallback_to_env().rename("database", "db");
    unread.fetch().await.unwrap();
    fake.deny_action("ListSecrets");
    manager(&fake).fallback_to_env().rename("database", "db").fetch().await.unwrap();
    let arn = fake.arn("app/database");
    let by_arn = SecretsManager::names([arn]).client(fake.client()).fallback_to_env();
    by_arn.rename("app/database", "db").fetch().await.unwrap();
    assert_eq!(times(&log, "rename_matches_nothing"), 2, "{}", log.text());
}

//! Gaara store, on axum: plain strings below `gaara-store/{environment}`, `.env` in development.

use axum::{Json, Router, routing};
use fake_secrets_manager::Step;
use secrecy::SecretString;
use secrets_provider::{Error, Layers, Live, SecretsManager};
use secrets_provider_axum::Current;
use serde::Deserialize;
use serde_json::{Value, json};

use super::program::Setup;
use super::{Shown, assert_steady, fingerprint, rotated, shown, shown_if_any, with_statements_of};
use crate::store::{Store, over};

// The code of the system.

#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    database: Database,
    jwt_secret: SecretString,
    // Only the production of the store has these.
    secret_key: Option<SecretString>,
    encryption_key: Option<SecretString>,
    // Optional.
    redis_url: Option<SecretString>,
    redis_password: Option<SecretString>,
    mail_password: Option<SecretString>,
    sentry_dsn: Option<SecretString>,
}

#[derive(Debug, Deserialize)]
struct Database {
    /// In `.env`, `DATABASE_URL`.
    url: SecretString,
}

pub(super) async fn settings() -> Result<(SecretsManager, Live<Settings>), Error> {
    let manager = selected(over(SecretsManager::from_env_or_prefix("gaara-store/{env}")?));
    let settings = Live::builder(manager.clone());
    let settings = settings.layers(|secrets| named(Layers::standard(secrets))).start().await?;
    Ok((manager, settings))
}

/// The secrets that the policy allows to read, by name: it does not allow listings.
fn selected(manager: SecretsManager) -> SecretsManager {
    manager
        .only(["database-url", "jwt-secret", "secret-key", "encryption-key"])
        .optional(["redis-url", "redis-password", "mail-password", "sentry-dsn"])
        .rename("database-url", "database.url")
}

/// `.env` files also call it `JWT_SECRET_KEY`.
fn named(layers: Layers) -> Layers {
    layers.variable("JWT_SECRET_KEY", "jwt_secret")
}

/// The settings of the older design: `SECRETS_MANAGER_PREFIX=gaara/prod`, where `database` is JSON.
pub(super) async fn settings_of_the_design() -> Result<(SecretsManager, Live<Settings>), Error> {
    let manager = selected_by_the_design(over(SecretsManager::from_env()?));
    let settings = Live::builder(manager.clone());
    let settings = settings.layers(|secrets| named(Layers::standard(secrets))).start().await?;
    Ok((manager, settings))
}

fn selected_by_the_design(manager: SecretsManager) -> SecretsManager {
    manager.only(["database", "jwt-secret"])
}

// The program that the tests run.

pub(super) async fn serve(
    settings: Result<(SecretsManager, Live<Settings>), Error>,
) -> Result<(), Error> {
    let (manager, settings) = settings?;
    // The guide's `rotate_secret(name)`.
    let rotate = move |name: String| {
        let manager = manager.clone();
        async move { Json(rotated(manager.rotate(&name).await)) }
    };
    let routes = Router::new().route("/", routing::get(index));
    super::serve(settings, routes.route("/rotate_secret", routing::post(rotate))).await;
    Ok(())
}

async fn index(Current(s): Current<Settings>) -> Json<Shown> {
    Json(Shown::from([
        ("database.url", shown(&s.database.url)),
        ("jwt_secret", shown(&s.jwt_secret)),
        ("secret_key", shown_if_any(s.secret_key.as_ref())),
        ("encryption_key", shown_if_any(s.encryption_key.as_ref())),
        ("redis_url", shown_if_any(s.redis_url.as_ref())),
        ("redis_password", shown_if_any(s.redis_password.as_ref())),
        ("mail_password", shown_if_any(s.mail_password.as_ref())),
        ("sentry_dsn", shown_if_any(s.sentry_dsn.as_ref())),
    ]))
}

// The files of the guides, word for word.

const SETUP: &str = include_str!("../../systems/gaara/setup.env");
const USAGE: &str = include_str!("../../systems/gaara/usage.env");
const STAGING: &str = include_str!("../../systems/gaara/staging.sh");
const POLICY: &str = include_str!("../../systems/gaara/usage-policy.json");
const DESIGN: &str = include_str!("../../systems/gaara/design.env");
const DESIGN_POLICY: &str = include_str!("../../systems/gaara/design-policy.json");
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/abc-123";

/// Name, key and value of each secret that the setup guide creates.
const SECRETS: [(&str, &str, &str); 7] = [
    (
        "secret-key",
        "secret_key",
        "e15085f24c5d7dd1f60b95d26310022350105c26dd3af48a1130c347e32cfa3a",
    ),
    (
        "jwt-secret",
        "jwt_secret",
        "849c4a304f1d276f5a09549baa2b92e76ed575d4388afd30f60c6ae3eea1f9a5",
    ),
    (
        "encryption-key",
        "encryption_key",
        "ce8525174c4af33fcac6a79b5a9a1378c961f8ff1498a2f8a988a03428630207",
    ),
    ("database-url", "database.url", "postgresql://user:pass@host:5432/gaara_store"),
    ("redis-password", "redis_password", "bwvFrj93A"),
    ("mail-password", "mail_password", "HaRrMa123!@#"),
    ("sentry-dsn", "sentry_dsn", "https://..."),
];
const OPTIONAL: [&str; 3] = ["redis_password", "mail_password", "sentry_dsn"];

/// The setup guide's secrets, each as `stored`, under the usage guide's policy.
pub(super) async fn fill(store: &Store, environment: &str, stored: fn(&str) -> String) {
    for (name, _, value) in SECRETS {
        let name = format!("gaara-store/{environment}/{name}");
        store.put(&name, stored(value)).await;
        store.use_kms_key(&name, KEY);
    }
    store.enforce(POLICY).await;
}

/// The older design's secrets, under its policy.
pub(super) async fn fill_by_the_design(store: &Store) {
    for (name, value) in [
        ("gaara/prod/database", json!({"url": "postgresql://..."})),
        ("gaara/prod/jwt-secret", json!({"value": "jwt"})),
    ] {
        store.put(name, value.to_string()).await;
        store.use_kms_key(name, KEY);
    }
    store.enforce(DESIGN_POLICY).await;
}

/// The answer of `/` if only these keys have values.
fn expected<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let keys = SECRETS.iter().map(|(_, key, _)| *key).chain(["redis_url"]);
    let mut expected: serde_json::Map<_, _> =
        keys.map(|key| (key.to_owned(), Value::Null)).collect();
    expected.extend(values.into_iter().map(|(key, value)| (key.to_owned(), fingerprint(value))));
    expected.into()
}

/// The keys and values of the setup guide's secrets, without these keys.
fn all_but<'a>(without: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let kept = SECRETS.iter().filter(|(_, key, _)| !without.contains(key));
    kept.map(|(_, key, value)| (*key, *value))
}

fn production(store: &Store) -> Setup<'static> {
    Setup::new("gaara", store).dotenv(SETUP)
}

#[tokio::test]
async fn production_reads_the_secrets_however_they_were_created() {
    let by_console = |value: &str| json!({"value": value}).to_string();
    for stored in [str::to_owned, by_console] {
        let store = Store::start().await;
        fill(&store, "production", stored).await;
        let gaara = production(&store).start().await;
        assert_eq!(gaara.get("/").await, expected(all_but(&[])));
        for _ in 0..5 {
            assert_eq!(gaara.refresh().await, Ok(false));
        }
        assert_eq!(gaara.health().await, "fresh");
        // Each refresh asks for `redis-url` too. It is missing, which is not a denial.
        assert!(store.reads() >= 6 * (SECRETS.len() + 1));
        assert_eq!(store.batches(), Store::DENIED_BATCHES, "once in the life of the process");
        assert_eq!((store.denied(), store.lists()), (Store::DENIED_BATCHES, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_is_denied_in_steady_state() {
    let store = Store::in_process().await;
    fill(&store, "production", str::to_owned).await;
    assert_steady::<Settings>(
        &store,
        selected(SecretsManager::prefix("gaara-store/production")),
        named,
    )
    .await;
    fill_by_the_design(&store).await;
    assert_steady::<Settings>(
        &store,
        selected_by_the_design(SecretsManager::prefix("gaara/prod")),
        named,
    )
    .await;
}

/// The `.env` file of development is still in the folder.
#[tokio::test]
async fn the_secrets_of_staging_override_dotenv() {
    let store = Store::start().await;
    fill(&store, "staging", str::to_owned).await;
    store.put("gaara-store/staging/redis-url", "redis://localhost:6379/0").await;
    store.use_kms_key("gaara-store/staging/redis-url", KEY);
    let setup =
        Setup::new("gaara", &store).dotenv(USAGE).dotenv("JWT_SECRET_KEY=old\nDATABASE_URL=old\n");
    let gaara = setup.exports(STAGING).start().await;
    let redis = [("redis_url", "redis://localhost:6379/0")];
    assert_eq!(gaara.get("/").await, expected(all_but(&[]).chain(redis)));
}

#[tokio::test]
async fn optional_secrets_may_be_absent_or_denied_and_arrive_later() {
    for denied in [false, true] {
        let store = Store::start().await;
        fill(&store, "production", str::to_owned).await;
        for name in ["redis-password", "mail-password", "sentry-dsn"] {
            let name = format!("gaara-store/production/{name}");
            if denied { store.deny(&name).await } else { store.remove(&name).await }
        }
        let gaara = production(&store).start().await;
        assert_eq!(gaara.get("/").await, expected(all_but(&OPTIONAL)));
        assert_eq!(gaara.refresh().await, Ok(false), "no error");
        assert_eq!(gaara.health().await, "fresh");

        store.allow_everything().await;
        fill(&store, "production", str::to_owned).await;
        assert_eq!(gaara.refresh().await, Ok(true));
        assert_eq!(gaara.get("/").await, expected(all_but(&[])));
    }
}

#[tokio::test]
async fn every_required_secret_that_cannot_be_read_is_in_one_error() {
    let store = Store::start().await;
    fill(&store, "production", str::to_owned).await;
    store.remove("gaara-store/production/database-url").await;
    store.remove("gaara-store/production/sentry-dsn").await;
    store.deny("gaara-store/production/jwt-secret").await;
    let log = production(&store).refusal().await;
    let (_, error) = log.split_once("cannot start: ").unwrap();
    assert!(error.starts_with("2 failures:"), "{error}");
    assert!(error.contains("database-url") && error.contains("jwt-secret"), "{error}");
    assert!(error.contains(Store::READ_PERMISSION), "the statement to add: {error}");
    assert!(!error.contains("sentry-dsn"), "{error}");
}

/// `SECRET_CACHE_TTL` is the interval. The file sets it to 300.
#[tokio::test]
async fn a_rotation_is_seen_at_the_interval() {
    let store = Store::start().await;
    fill(&store, "production", str::to_owned).await;
    let gaara = production(&store).variable("SECRET_CACHE_TTL", "1").start().await;
    store
        .put(
            "gaara-store/production/database-url",
            "postgresql://user:rotated@host:5432/gaara_store",
        )
        .await;
    gaara.logged("settings_changed").await;
    let rotated = [("database.url", "postgresql://user:rotated@host:5432/gaara_store")];
    assert_eq!(gaara.get("/").await, expected(all_but(&[]).chain(rotated)));
    assert!(!gaara.log().contains("rotated@"), "a value is in the log");
}

#[tokio::test]
async fn development_reads_dotenv_and_makes_no_call() {
    let store = Store::start().await;
    fill(&store, "development", str::to_owned).await;
    // One guide has `JWT_SECRET` in the file, the other `JWT_SECRET_KEY`.
    for jwt in ["JWT_SECRET", "JWT_SECRET_KEY"] {
        let least = format!("DATABASE_URL=postgresql://localhost/gaara_store\n{jwt}=of-dotenv\n");
        let also = "SECRET_KEY=s\nENCRYPTION_KEY=e\nREDIS_URL=redis://localhost:6379/0\nREDIS_PASSWORD=r\n\
                    MAIL_PASSWORD=HaRrMa123!@#\nSENTRY_DSN=https://...\n";
        let read =
            [("database.url", "postgresql://localhost/gaara_store"), ("jwt_secret", "of-dotenv")];
        let also_read = [
            ("secret_key", "s"),
            ("encryption_key", "e"),
            ("redis_url", "redis://localhost:6379/0"),
            ("redis_password", "r"),
            ("mail_password", "HaRrMa123!@#"),
            ("sentry_dsn", "https://..."),
        ];
        let gaara = Setup::new("gaara", &store).dotenv(USAGE).dotenv(&least).start().await;
        assert_eq!(gaara.get("/").await, expected(read));
        let gaara =
            Setup::new("gaara", &store).dotenv(USAGE).dotenv(&least).dotenv(also).start().await;
        assert_eq!(gaara.get("/").await, expected(read.into_iter().chain(also_read)));
        assert_eq!(gaara.refresh().await, Ok(false));
        assert_eq!(gaara.health().await, "fresh");
    }
    assert_eq!((store.calls(), store.connections()), (0, 0));
}

#[tokio::test]
async fn the_older_design_reads_another_prefix_and_a_json_database() {
    let store = Store::start().await;
    fill_by_the_design(&store).await;
    let gaara = Setup::new("gaara by its design", &store).dotenv(DESIGN).start().await;
    let read = [("database.url", "postgresql://..."), ("jwt_secret", "jwt")];
    assert_eq!(gaara.get("/").await, expected(read));

    store.put("gaara/prod/database", json!({"url": "postgresql://rotated"}).to_string()).await;
    assert_eq!(gaara.refresh().await, Ok(true));
    let rotated = [("database.url", "postgresql://rotated"), ("jwt_secret", "jwt")];
    assert_eq!(gaara.get("/").await, expected(rotated));
    assert_eq!((store.denied(), store.batches()), (Store::DENIED_BATCHES, Store::DENIED_BATCHES));
}

/// The right to rotate, which no guide gives to a service.
const MAY_ROTATE: &str = r#"{"Statement": [{
    "Effect": "Allow",
    "Action": ["secretsmanager:RotateSecret", "secretsmanager:DescribeSecret"],
    "Resource": "*"
}]}"#;

/// The guide's function starts a rotation and returns; here, it waits for the end.
#[tokio::test]
async fn its_rotate_secret_tells_how_it_ended_and_the_service_has_the_new_value_at_once() {
    let store = Store::start().await;
    fill(&store, "production", str::to_owned).await;
    let gaara = production(&store).start().await;
    let answer = gaara.post("/rotate_secret", "database-url").await;
    // Vault has no functions that rotate its key-value secrets.
    let Some(aws) = store.aws() else {
        assert!(answer.contains("where nothing is rotated"), "{answer}");
        return;
    };
    assert!(answer.contains("RotateSecret"), "the policy of the guide denies it: {answer}");

    store.enforce(&with_statements_of(POLICY, MAY_ROTATE)).await;
    let answer = gaara.post("/rotate_secret", "database-url").await;
    assert!(answer.contains("no rotation is set up"), "{answer}");
    let new = "postgresql://user:by-its-lambda@host:5432/gaara_store";
    aws.on_rotation("gaara-store/production/database-url", move |step| async move {
        let (client, id) = (step.client(), step.secret_id());
        if step.step() == Step::FinishSecret {
            let put = client.put_secret_value().secret_id(id).secret_string(new);
            let put = put.client_request_token(step.client_request_token());
            put.version_stages("AWSCURRENT").send().await.map_err(|_| "PutSecretValue failed")?;
        }
        Ok(())
    });
    let answer = gaara.post("/rotate_secret", "database-url").await;
    assert!(answer.contains("version_id"), "{answer}");
    assert_eq!(gaara.get("/").await, expected(all_but(&[]).chain([("database.url", new)])));
    assert!(!gaara.log().contains("by-its-lambda"), "a value is in the log");
}

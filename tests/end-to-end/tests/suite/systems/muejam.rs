//! MueJam, on axum: JSON at `{environment}/{category}/{name}`, and variables if Secrets Manager is
//! off or unavailable.

use std::sync::Mutex;

use axum::{Json, Router, routing};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, Layers, Live, Rejected, Rotation, RotationChange, SecretsManager};
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
    api_keys: ApiKeys,
}

/// `DATABASE_URL` is the only variable for the database.
#[derive(Debug, Deserialize)]
struct Database {
    connection_string: SecretString,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
    rotated_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ApiKeys {
    clerk: Clerk,
    aws: Option<Aws>,
    resend: Option<Resend>,
    google: Option<Google>,
}

#[derive(Debug, Deserialize)]
struct Clerk {
    secret_key: SecretString,
    publishable_key: String,
    rotated_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Aws {
    access_key_id: String,
    secret_access_key: SecretString,
    rotated_at: String,
}

#[derive(Debug, Deserialize)]
struct Resend {
    api_key: SecretString,
    rotated_at: String,
}

#[derive(Debug, Deserialize)]
struct Google {
    safe_browsing_api_key: SecretString,
    recaptcha_secret_key: SecretString,
    rotated_at: String,
}

pub(super) async fn settings() -> Result<(SecretsManager, Live<Settings>), Error> {
    let manager = selected(over(SecretsManager::from_env_or_prefix("{env}")?));
    let settings = Live::builder(manager.clone());
    let settings = settings.layers(|secrets| named(Layers::standard(secrets))).start().await?;
    Ok((manager, settings))
}

/// The guide's `rotate_database_password('primary')`.
fn database_rotation(manager: &SecretsManager, name: &str) -> Rotation {
    manager
        .rotation(format!("database/{name}"))
        .password("password")
        .stamp("rotated_at")
        .also("connection_string", |login: &Login| {
            let Login { username, password, host, port, database } = login;
            let password = password.expose_secret();
            format!("postgresql://{username}:{password}@{host}:{port}/{database}")
        })
        .set(alter_role)
        .test(log_in)
}

/// The guide's `rotate_api_key('resend')`.
fn api_key_rotation(manager: &SecretsManager, name: &str) -> Rotation {
    let create_key = || async { Ok::<_, Rejected>("re_created_by_the_provider") };
    manager
        .rotation(format!("api-keys/{name}"))
        .generate("api_key", create_key)
        .stamp("rotated_at")
        .checked_by::<Keys>()
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: SecretString,
    host: String,
    port: u16,
    database: String,
}

/// What a key that is not of the provider's form must not replace.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Keys {
    api_keys: ApiKeys,
}

/// What stands for the database: the password that it takes, if it was ever set.
static DATABASE: Mutex<Option<String>> = Mutex::new(None);

async fn alter_role(change: RotationChange<Login>) -> Result<(), Rejected> {
    *DATABASE.lock().unwrap() = Some(change.pending().password.expose_secret().to_owned());
    Ok(())
}

async fn log_in(login: Login) -> Result<(), Rejected> {
    match DATABASE.lock().unwrap().as_deref() == Some(login.password.expose_secret()) {
        true => Ok(()),
        false => Err(Rejected::new("the database refuses the login")),
    }
}

fn selected(manager: SecretsManager) -> SecretsManager {
    manager
        .only([
            "database/primary",
            "api-keys/clerk",
            "api-keys/aws",
            "api-keys/resend",
            "api-keys/google",
        ])
        .rename("database/primary", "database")
        .fallback_to_env()
}

fn named(layers: Layers) -> Layers {
    layers
        .variable("DATABASE_URL", "database.connection_string")
        .variable("CLERK_SECRET_KEY", "api_keys.clerk.secret_key")
        .variable("CLERK_PUBLISHABLE_KEY", "api_keys.clerk.publishable_key")
}

// The program that the tests run.

pub(super) async fn serve(
    settings: Result<(SecretsManager, Live<Settings>), Error>,
) -> Result<(), Error> {
    let (manager, settings) = settings?;
    type Describe = fn(&SecretsManager, &str) -> Rotation;
    let rotate = |describe: Describe| {
        let manager = manager.clone();
        routing::post(move |name: String| {
            let rotation = describe(&manager, &name);
            async move { Json(rotated(rotation.run().await)) }
        })
    };
    let routes = Router::new()
        .route("/", routing::get(index))
        .route("/rotate_database_password", rotate(database_rotation))
        .route("/rotate_api_key", rotate(api_key_rotation));
    super::serve(settings, routes).await;
    Ok(())
}

async fn index(Current(s): Current<Settings>) -> Json<Shown> {
    let (database, keys) = (&s.database, &s.api_keys);
    let (aws, resend, google) = (keys.aws.as_ref(), keys.resend.as_ref(), keys.google.as_ref());
    Json(Shown::from([
        ("database.connection_string", shown(&database.connection_string)),
        ("database.host", json!(database.host)),
        ("database.port", json!(database.port)),
        ("database.database", json!(database.database)),
        ("database.username", json!(database.username)),
        ("database.password", shown_if_any(database.password.as_ref())),
        ("database.rotated_at", json!(database.rotated_at)),
        ("clerk.secret_key", shown(&keys.clerk.secret_key)),
        ("clerk.publishable_key", json!(keys.clerk.publishable_key)),
        ("clerk.rotated_at", json!(keys.clerk.rotated_at)),
        ("aws.access_key_id", json!(aws.map(|aws| &aws.access_key_id))),
        ("aws.secret_access_key", shown_if_any(aws.map(|aws| &aws.secret_access_key))),
        ("aws.rotated_at", json!(aws.map(|aws| &aws.rotated_at))),
        ("resend.api_key", shown_if_any(resend.map(|resend| &resend.api_key))),
        ("resend.rotated_at", json!(resend.map(|resend| &resend.rotated_at))),
        (
            "google.safe_browsing_api_key",
            shown_if_any(google.map(|google| &google.safe_browsing_api_key)),
        ),
        (
            "google.recaptcha_secret_key",
            shown_if_any(google.map(|google| &google.recaptcha_secret_key)),
        ),
        ("google.rotated_at", json!(google.map(|google| &google.rotated_at))),
    ]))
}

// The files of the guide, word for word.

const ENABLE: &str = include_str!("../../systems/muejam/enable.env");
const PRODUCTION: &str = include_str!("../../systems/muejam/production.env");
const DEVELOPMENT: &str = include_str!("../../systems/muejam/development.env");
const FALLBACK: &str = include_str!("../../systems/muejam/fallback.env");
const CACHE: &str = include_str!("../../systems/muejam/cache.env");
const POLICY: &str = include_str!("../../systems/muejam/policy.json");

const SECRETS: [(&str, &str); 5] = [
    ("production/database/primary", include_str!("../../systems/muejam/database-primary.json")),
    ("production/api-keys/clerk", include_str!("../../systems/muejam/api-keys-clerk.json")),
    ("production/api-keys/aws", include_str!("../../systems/muejam/api-keys-aws.json")),
    ("production/api-keys/resend", include_str!("../../systems/muejam/api-keys-resend.json")),
    ("production/api-keys/google", include_str!("../../systems/muejam/api-keys-google.json")),
];

pub(super) async fn fill(store: &Store) {
    for (name, json) in SECRETS {
        store.put(name, json).await;
    }
    store.enforce(POLICY).await;
}

/// A line that `.env` needs too, and that the guide leaves out.
const OTHERS: &str = "CLERK_PUBLISHABLE_KEY=pk_live_xxxxxxxxxxxxx\n";

/// The answer of `/` in production.
fn production() -> Value {
    json!({
        "database.connection_string": fingerprint("postgresql://username:password@host:5432/database"),
        "database.host": "your-db-host.rds.amazonaws.com",
        "database.port": 5432,
        "database.database": "muejam",
        "database.username": "muejam_user",
        "database.password": fingerprint("your-secure-password"),
        "database.rotated_at": "2024-01-01T00:00:00Z",
        "clerk.secret_key": fingerprint("sk_live_xxxxxxxxxxxxx"),
        "clerk.publishable_key": "pk_live_xxxxxxxxxxxxx",
        "clerk.rotated_at": "2024-01-01T00:00:00Z",
        "aws.access_key_id": "AKIAXXXXXXXXXXXXX",
        "aws.secret_access_key": fingerprint("your-secret-access-key"),
        "aws.rotated_at": "2024-01-01T00:00:00Z",
        "resend.api_key": fingerprint("re_xxxxxxxxxxxxx"),
        "resend.rotated_at": "2024-01-01T00:00:00Z",
        "google.safe_browsing_api_key": fingerprint("AIzaSyXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
        "google.recaptcha_secret_key": fingerprint("6LeXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
        "google.rotated_at": "2024-01-01T00:00:00Z",
    })
}

/// The answer in production with these other values, and without the keys that start with one of
/// `without`.
fn changed(without: &[&str], others: Value) -> Value {
    let mut answer = production();
    for (key, value) in answer.as_object_mut().unwrap() {
        if without.iter().any(|start| key.starts_with(start)) {
            *value = Value::Null;
        }
    }
    let others = others.as_object().unwrap().clone();
    answer.as_object_mut().unwrap().extend(others);
    answer
}

/// The answer of `/` with the values of variables.
fn of_variables(clerk: &str, publishable: &str) -> Value {
    let without = ["database.", "clerk.", "aws.", "resend.", "google."];
    let others = json!({
        "database.connection_string": fingerprint("postgresql://user:password@localhost:5432/muejam"),
        "clerk.secret_key": fingerprint(clerk),
        "clerk.publishable_key": publishable,
    });
    changed(&without, others)
}

#[tokio::test]
async fn production_reads_every_category() {
    for dotenv in [ENABLE, PRODUCTION] {
        let store = Store::start().await;
        fill(&store).await;
        let setup = Setup::new("muejam", &store).dotenv(dotenv).dotenv(CACHE);
        // Old variables must not override the secrets.
        let muejam =
            setup.variable("DATABASE_URL", "old").variable("CLERK_SECRET_KEY", "old").start().await;
        assert_eq!(muejam.get("/").await, production());
        for _ in 0..5 {
            assert_eq!(muejam.refresh().await, Ok(false));
        }
        assert_eq!(muejam.health().await, "fresh");
        assert!(store.reads() >= 6 * SECRETS.len());
        assert_eq!(store.batches(), Store::DENIED_BATCHES, "once in the life of the process");
        assert_eq!((store.denied(), store.lists()), (Store::DENIED_BATCHES, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_is_denied_in_steady_state() {
    let store = Store::in_process().await;
    fill(&store).await;
    assert_steady::<Settings>(&store, selected(SecretsManager::prefix("production")), named).await;
}

/// Its rotation puts a new value and the time. `SECRETS_CACHE_TTL` is the interval.
#[tokio::test]
async fn a_rotation_is_seen_at_the_interval() {
    let store = Store::start().await;
    fill(&store).await;
    let setup = Setup::new("muejam", &store).dotenv(PRODUCTION).dotenv(CACHE);
    let muejam = setup.variable("SECRETS_CACHE_TTL", "1").start().await;
    let rotated = json!({"api_key": "re_rotated", "rotated_at": "2024-04-01T00:00:00Z"});
    store.put("production/api-keys/resend", rotated.to_string()).await;
    muejam.logged("settings_changed").await;
    let others = json!({"resend.api_key": fingerprint("re_rotated"), "resend.rotated_at": "2024-04-01T00:00:00Z"});
    assert_eq!(muejam.get("/").await, changed(&[], others));
    assert!(!muejam.log().contains("re_rotated"), "a value is in the log");
}

#[tokio::test]
async fn development_reads_variables_and_makes_no_call() {
    let store = Store::start().await;
    fill(&store).await;
    let muejam = Setup::new("muejam", &store).dotenv(DEVELOPMENT).start().await;
    assert_eq!(
        muejam.get("/").await,
        of_variables("sk_test_xxxxxxxxxxxxx", "pk_test_xxxxxxxxxxxxx")
    );
    // Switched off in the environment of production.
    let setup = Setup::new("muejam", &store).dotenv(PRODUCTION).dotenv(FALLBACK).dotenv(OTHERS);
    let muejam = setup.variable("USE_SECRETS_MANAGER", "False").start().await;
    assert_eq!(
        muejam.get("/").await,
        of_variables("sk_live_xxxxxxxxxxxxx", "pk_live_xxxxxxxxxxxxx")
    );
    assert_eq!(muejam.refresh().await, Ok(false));
    assert_eq!(muejam.health().await, "fresh", "nothing is missing");
    assert_eq!((store.calls(), store.connections()), (0, 0));
}

#[tokio::test]
async fn variables_serve_while_secrets_manager_is_unavailable() {
    let store = Store::start().await;
    fill(&store).await;
    store.drop_connections();
    let setup = Setup::new("muejam", &store).dotenv(PRODUCTION).dotenv(FALLBACK).dotenv(OTHERS);
    let muejam = setup.start().await;
    assert_eq!(
        muejam.get("/").await,
        of_variables("sk_live_xxxxxxxxxxxxx", "pk_live_xxxxxxxxxxxxx")
    );
    assert_eq!(muejam.health().await, "fallback");
    let log = muejam.log();
    let warning =
        log.lines().find(|line| line.contains("aws_unavailable_using_env_fallback")).unwrap();
    for (name, _) in SECRETS {
        assert!(warning.contains(name), "{warning}");
    }

    store.mend();
    muejam.logged("refresh_recovered").await;
    assert_eq!(muejam.get("/").await, production());
    assert_eq!(muejam.health().await, "fresh");
    assert_eq!(muejam.log().matches("aws_unavailable_using_env_fallback").count(), 1);
}

/// The other secrets are still used.
#[tokio::test]
async fn variables_serve_for_the_one_secret_that_cannot_be_read() {
    let store = Store::start().await;
    fill(&store).await;
    store.deny("production/api-keys/clerk").await;
    store.remove("production/api-keys/google").await;
    let setup = Setup::new("muejam", &store).dotenv(PRODUCTION).dotenv(FALLBACK).dotenv(OTHERS);
    let muejam = setup.start().await;
    let clerk = json!({
        "clerk.secret_key": fingerprint("sk_live_xxxxxxxxxxxxx"),
        "clerk.publishable_key": "pk_live_xxxxxxxxxxxxx",
    });
    assert_eq!(muejam.get("/").await, changed(&["clerk.", "google."], clerk));
    assert_eq!(muejam.health().await, "fallback");
}

/// The guide's lines for the fallback leave out `CLERK_PUBLISHABLE_KEY`.
#[tokio::test]
async fn a_key_missing_from_the_variables_is_named_with_the_denied_secret() {
    let store = Store::start().await;
    fill(&store).await;
    store.deny("production/api-keys/clerk").await;
    let setup = Setup::new("muejam", &store).dotenv(PRODUCTION).dotenv(FALLBACK);
    let log = setup.refusal().await;
    let (_, error) = log.split_once("cannot start: ").unwrap();
    assert!(error.starts_with("2 failures:"), "{error}");
    assert!(error.contains("key `api_keys.clerk.publishable_key` is missing"), "{error}");
    assert!(error.contains("production/api-keys/clerk"), "{error}");
}

/// The guide's functions return the new values; here, the service has them, and no one else.
#[tokio::test]
async fn its_rotation_functions_change_one_secret_and_the_service_has_it_at_once() {
    let store = Store::start().await;
    fill(&store).await;
    // A rotation needs staging labels, and Vault's versions have none.
    let Some(aws) = store.aws() else {
        let muejam = Setup::new("muejam", &store).dotenv(PRODUCTION).start().await;
        for (path, name) in
            [("/rotate_database_password", "primary"), ("/rotate_api_key", "resend")]
        {
            let answer = muejam.post(path, name).await;
            assert!(answer.contains("where nothing is rotated"), "{answer}");
        }
        assert_eq!(muejam.get("/").await, production());
        return;
    };
    let manager = store.of(SecretsManager::prefix("production"));
    let policy = with_statements_of(POLICY, &database_rotation(&manager, "primary").iam_policy());
    let policy = with_statements_of(&policy, &api_key_rotation(&manager, "resend").iam_policy());
    store.enforce(&policy).await;
    let muejam = Setup::new("muejam", &store).dotenv(PRODUCTION).dotenv(CACHE).start().await;
    let text = async |name: &str| {
        let secret = aws.client().get_secret_value().secret_id(name).send().await.unwrap();
        secret.secret_string.unwrap()
    };

    let answer = muejam.post("/rotate_database_password", "primary").await;
    assert!(answer.contains("version_id"), "{answer}");
    let now: Value = muejam.get("/").await;
    let stored: Value = serde_json::from_str(&text(SECRETS[0].0).await).unwrap();
    let (password, stamp) = (stored["password"].as_str().unwrap(), &stored["rotated_at"]);
    assert_ne!(stamp, "2024-01-01T00:00:00Z");
    let url = "your-db-host.rds.amazonaws.com:5432/muejam";
    let others = json!({
        "database.password": fingerprint(password),
        "database.connection_string":
            fingerprint(&format!("postgresql://muejam_user:{password}@{url}")),
        "database.rotated_at": stamp,
    });
    assert_eq!(now, changed(&[], others));
    let answer = muejam.post("/rotate_database_password", "none").await;
    assert!(answer.contains("error") && answer.contains("production/database/none"), "{answer}");

    let answer = muejam.post("/rotate_api_key", "resend").await;
    assert!(answer.contains("version_id"), "{answer}");
    let now: Value = muejam.get("/").await;
    assert_eq!(now["resend.api_key"], fingerprint("re_created_by_the_provider"));
    let log = muejam.log();
    assert!(!log.contains(password) && !log.contains("re_created"), "a value is in the log");
    assert_eq!(log.matches("secret_rotated").count(), 2);
}

//! PazPaz, on actix-web: one key, named by `SECRETS_MANAGER_KEY_NAME`, with a variable as its
//! fallback; and a ring of keys.

mod cipher;

use std::collections::BTreeMap;

use actix_web::{App, HttpServer, web};
use secrets_provider::{Error, Key, Layers, Live, SecretsManager};
use secrets_provider_actix::Current;
use serde::Deserialize;
use serde_json::Value;

use super::assert_steady;
use super::program::{Program, Setup};
use crate::store::{Store, over};

// The code of the system.

#[derive(Debug, Deserialize)]
pub(super) struct Settings {
    encryption_key: Key<32>,
}

pub(super) async fn settings() -> Result<Live<Settings>, Error> {
    let manager = placed(over(SecretsManager::from_env()?));
    Live::builder(manager).layers(|secrets| named(Layers::standard(secrets))).start().await
}

/// The named secret is the key.
fn placed(manager: SecretsManager) -> SecretsManager {
    manager.rename("pazpaz/{name}", "encryption_key").fallback_to_env()
}

fn named(layers: Layers) -> Layers {
    layers.variable("ENCRYPTION_MASTER_KEY", "encryption_key")
}

async fn encrypt(Current(s): Current<Settings>, plaintext: String) -> String {
    cipher::encrypt(&s.encryption_key, &plaintext)
}

async fn decrypt(Current(s): Current<Settings>, ciphertext: String) -> Option<String> {
    cipher::decrypt(&s.encryption_key, &ciphertext)
}

/// Several versions of the key: the newest encrypts, and all decrypt.
#[derive(Debug, Deserialize)]
pub(super) struct Ring {
    encryption_keys: BTreeMap<u32, Key<32>>,
}

pub(super) async fn ring() -> Result<Live<Ring>, Error> {
    let manager = selected(over(SecretsManager::from_env_or_prefix("pazpaz")?));
    Live::builder(manager)
        .layers(|secrets| named_in_the_ring(Layers::standard(secrets)))
        .start()
        .await
}

/// The second version may be created later.
fn selected(manager: SecretsManager) -> SecretsManager {
    manager
        .only(["encryption-key-v1"])
        .optional(["encryption-key-v2"])
        .rename("encryption-key-v{n}", "encryption_keys.{n}")
        .fallback_to_env()
}

fn named_in_the_ring(layers: Layers) -> Layers {
    layers.variable("ENCRYPTION_MASTER_KEY", "encryption_keys.1")
}

async fn encrypt_by_ring(Current(s): Current<Ring>, plaintext: String) -> Option<String> {
    let (version, key) = s.encryption_keys.last_key_value()?;
    Some(format!("v{version}:{}", cipher::encrypt(key, &plaintext)))
}

async fn decrypt_by_ring(Current(s): Current<Ring>, text: String) -> Option<String> {
    let (version, ciphertext) = text.strip_prefix('v')?.split_once(':')?;
    cipher::decrypt(s.encryption_keys.get(&version.parse().ok()?)?, ciphertext)
}

// The program that the tests run.

pub(super) async fn serve(settings: Result<Live<Settings>, Error>) -> Result<(), Error> {
    serve_with(settings?, |app| {
        app.route("/encrypt", web::post().to(encrypt)).route("/decrypt", web::post().to(decrypt));
    })
    .await;
    Ok(())
}

pub(super) async fn serve_ring(settings: Result<Live<Ring>, Error>) -> Result<(), Error> {
    serve_with(settings?, |app| {
        app.route("/encrypt", web::post().to(encrypt_by_ring))
            .route("/decrypt", web::post().to(decrypt_by_ring));
    })
    .await;
    Ok(())
}

async fn serve_with<T: Send + Sync + 'static>(
    settings: Live<T>,
    routes: fn(&mut web::ServiceConfig),
) {
    async fn refresh<T: Send + Sync + 'static>(settings: web::Data<Live<T>>) -> web::Json<Value> {
        web::Json(super::refreshed(&settings).await)
    }
    async fn status<T: 'static>(settings: web::Data<Live<T>>) -> web::Json<Value> {
        web::Json(serde_json::json!(settings.status()))
    }
    let settings = web::Data::new(settings);
    let app = move || {
        App::new()
            .app_data(settings.clone())
            .configure(routes)
            .route("/refresh", web::post().to(refresh::<T>))
            .route("/status", web::get().to(status::<T>))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen(super::listen()).unwrap();
    server.run().await.unwrap();
}

// The files of the guide, word for word.

const TASK: &str = include_str!("../../systems/pazpaz/task-definition.json");
const STAGING: &str = include_str!("../../systems/pazpaz/staging.env");
const LOCAL: &str = include_str!("../../systems/pazpaz/local.env");
const FALLBACK: &str = include_str!("../../systems/pazpaz/fallback.sh");
const POLICY: &str = include_str!("../../systems/pazpaz/policy.json");
const KMS_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012";

pub(super) const NAME: &str = "pazpaz/encryption-key-v1";
/// The example key of the guide, which is also in its `.env`.
pub(super) const MASTER: &str = "rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY=";
/// Another key: the secret holds this one where the variable holds `MASTER`.
pub(super) const OF_AWS: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// 24 bytes.
const SHORT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const PLAINTEXT: &str = "Patient has diabetes";
const EVENT: &str = "aws_unavailable_using_env_fallback";

pub(super) async fn fill(store: &Store, name: &str, key: &str) {
    store.put(name, key).await;
    store.use_kms_key(name, KMS_KEY);
    store.enforce(POLICY).await;
}

async fn serving(key: &str) -> Store {
    let store = Store::start().await;
    fill(&store, NAME, key).await;
    store
}

/// Started with the environment of the task definition.
fn production<'a>(system: &'a str, store: &Store) -> Setup<'a> {
    let task: Value = serde_json::from_str(TASK).unwrap();
    let variables = task["containerDefinitions"][0]["environment"].as_array().unwrap();
    variables.iter().fold(Setup::new(system, store), |setup, variable| {
        setup.variable(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap())
    })
}

fn staging(store: &Store) -> Setup<'static> {
    Setup::new("pazpaz", store).dotenv(STAGING)
}

/// Runs a system that must not start, and returns its error. No part of a key may be in the log.
async fn refused(setup: Setup<'_>) -> String {
    let log = setup.refusal().await;
    for key in [MASTER, OF_AWS, SHORT, "your-fallback-key-here"] {
        assert!(!log.contains(&key[..8]), "a key is in the log");
    }
    assert!(!log.contains(EVENT), "the fallback is used");
    log.split_once("cannot start: ").unwrap().1.to_owned()
}

/// Whether this is the key in use: each side decrypts what the other encrypts.
async fn uses(program: &Program, key: &str) -> bool {
    let key = cipher::key(key);
    let written = cipher::decrypt(&key, &program.post("/encrypt", PLAINTEXT).await);
    written.as_deref() == Some(PLAINTEXT)
        && program.post("/decrypt", &cipher::encrypt(&key, PLAINTEXT)).await == PLAINTEXT
}

#[tokio::test]
async fn production_takes_the_key_from_the_secret() {
    let store = serving(MASTER).await;
    let pazpaz = production("pazpaz", &store).start().await;
    assert!(uses(&pazpaz, MASTER).await);
    for _ in 0..5 {
        assert_eq!(pazpaz.refresh().await, Ok(false));
    }
    assert_eq!(pazpaz.health().await, "fresh");
    assert!(store.reads() >= 6);
    assert_eq!(store.denied(), 0, "one secret needs no batch");

    store.put(NAME, OF_AWS).await;
    assert_eq!(pazpaz.refresh().await, Ok(true));
    assert!(uses(&pazpaz, OF_AWS).await);
    assert!(!pazpaz.log().contains(EVENT));
}

#[tokio::test(start_paused = true)]
async fn no_call_is_denied_in_steady_state() {
    let store = Store::in_process().await;
    fill(&store, NAME, MASTER).await;
    assert_steady::<Settings>(&store, placed(SecretsManager::names([NAME])), named).await;
    // The second key of the ring is missing, which is not a denial.
    let ring = selected(SecretsManager::prefix("pazpaz"));
    assert_steady::<Ring>(&store, ring, named_in_the_ring).await;
}

#[tokio::test]
async fn locally_the_variable_is_the_key_and_no_call_is_made() {
    let store = serving(OF_AWS).await;
    for system in ["pazpaz", "pazpaz with a ring"] {
        let pazpaz = Setup::new(system, &store).dotenv(LOCAL).start().await;
        assert_eq!(pazpaz.health().await, "fresh");
        if system == "pazpaz" {
            assert!(uses(&pazpaz, MASTER).await);
        } else {
            let ciphertext = pazpaz.post("/encrypt", PLAINTEXT).await;
            assert!(ciphertext.starts_with("v1:"), "the variable's is the first version");
            assert_eq!(pazpaz.post("/decrypt", &ciphertext).await, PLAINTEXT);
        }
    }
    assert_eq!((store.calls(), store.connections()), (0, 0));
}

/// The fallback in `.env` of staging is a placeholder.
#[tokio::test]
async fn an_invalid_fallback_matters_only_when_it_is_needed() {
    let store = serving(OF_AWS).await;
    let pazpaz = staging(&store).start().await;
    assert!(uses(&pazpaz, OF_AWS).await);
    assert_eq!(pazpaz.health().await, "fresh");
    assert!(!pazpaz.log().contains(EVENT));

    store.remove(NAME).await;
    let error = refused(staging(&store)).await;
    assert!(error.starts_with("2 failures:"), "{error}");
    let expected = "invalid value for key `encryption_key`: must be 32 bytes as base64 or hex text, and the text \
                    is neither (variable `ENCRYPTION_MASTER_KEY` of `.env`)";
    assert!(error.contains(expected), "{error}");
    assert!(
        error.contains(&format!("secret `{NAME}`: {}", Store::ABSENT)),
        "why it is needed: {error}"
    );
}

/// Test 3 of the guide, in both environments that have secrets. Under its policy, the missing name
/// of that test is denied.
#[tokio::test]
async fn the_variable_is_the_key_while_the_secret_cannot_be_read() {
    for kind in ["not_found", "access_denied", "unavailable"] {
        let store = serving(OF_AWS).await;
        match kind {
            "not_found" => store.remove(NAME).await,
            "access_denied" => store.deny(NAME).await,
            _ => store.drop_connections(),
        }
        for setup in [production("pazpaz", &store), staging(&store)] {
            let pazpaz = setup.variable("ENCRYPTION_MASTER_KEY", MASTER).start().await;
            assert!(uses(&pazpaz, MASTER).await, "{kind}");
            assert_eq!(pazpaz.health().await, "fallback", "{kind}");
            let log = pazpaz.log();
            let event = log.lines().find(|line| line.contains(EVENT)).unwrap();
            assert!(event.contains("WARN") && event.contains(NAME), "{event}");
            assert!(event.contains(&format!("error.kind={kind}")), "{event}");
        }
    }

    let store = serving(OF_AWS).await;
    for setup in [production("pazpaz", &store), staging(&store)] {
        let pazpaz = setup.exports(FALLBACK).start().await;
        assert!(uses(&pazpaz, MASTER).await);
        assert!(pazpaz.log().contains(EVENT));
    }
}

/// The system starts before its endpoint can be reached.
#[tokio::test]
async fn the_secret_takes_over_when_its_endpoint_can_be_reached() {
    let store = serving(OF_AWS).await;
    store.stop().await;
    let pazpaz =
        production("pazpaz", &store).variable("ENCRYPTION_MASTER_KEY", MASTER).start().await;
    assert!(uses(&pazpaz, MASTER).await);
    assert!(pazpaz.log().contains(EVENT));
    store.serve_again().await;
    pazpaz.logged("refresh_recovered").await;
    assert!(uses(&pazpaz, OF_AWS).await);
    assert_eq!(pazpaz.health().await, "fresh");
}

#[tokio::test]
async fn a_key_of_the_wrong_length_is_rejected_without_a_fallback() {
    let store = serving(SHORT).await;
    for setup in [production("pazpaz", &store), staging(&store)] {
        let error = refused(setup.variable("ENCRYPTION_MASTER_KEY", MASTER)).await;
        assert!(
            error.contains(
                "key `encryption_key`: must be 32 bytes, got 24 (secret `pazpaz/encryption-key-v1`"
            ),
            "{error}"
        );
    }
    // A running system keeps the last good key.
    fill(&store, NAME, OF_AWS).await;
    let pazpaz =
        production("pazpaz", &store).variable("ENCRYPTION_MASTER_KEY", MASTER).start().await;
    store.put(NAME, SHORT).await;
    let error = pazpaz.refresh().await.unwrap_err();
    assert!(error.contains("must be 32 bytes, got 24"), "{error}");
    assert!(uses(&pazpaz, OF_AWS).await);
    pazpaz.logged("settings_rejected").await;
}

#[tokio::test]
async fn the_newest_key_of_a_ring_encrypts_and_every_key_decrypts() {
    let store = serving(MASTER).await;
    let environment = [("ENVIRONMENT", "production"), ("AWS_REGION", "us-east-1")];
    let setup = Setup::new("pazpaz with a ring", &store);
    let setup =
        environment.into_iter().fold(setup, |setup, (name, value)| setup.variable(name, value));
    let pazpaz = setup.start().await;
    let old = pazpaz.post("/encrypt", PLAINTEXT).await;
    let by_version_1 = cipher::decrypt(&cipher::key(MASTER), old.strip_prefix("v1:").unwrap());
    assert_eq!(by_version_1.as_deref(), Some(PLAINTEXT));

    fill(&store, "pazpaz/encryption-key-v2", OF_AWS).await;
    assert_eq!(pazpaz.refresh().await, Ok(true));
    let new = pazpaz.post("/encrypt", PLAINTEXT).await;
    let by_version_2 = cipher::decrypt(&cipher::key(OF_AWS), new.strip_prefix("v2:").unwrap());
    assert_eq!(by_version_2.as_deref(), Some(PLAINTEXT));
    for ciphertext in [old, new] {
        assert_eq!(pazpaz.post("/decrypt", &ciphertext).await, PLAINTEXT);
    }
    assert_eq!((store.denied(), store.batches()), (Store::DENIED_BATCHES, Store::DENIED_BATCHES));
}

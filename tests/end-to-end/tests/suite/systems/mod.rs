//! The systems that the guides describe, moved to this crate by changing only the code around their
//! settings.
//!
//! Each has its own settings, and the `.env`, environment, secrets and IAM policy of its guide,
//! word for word (`tests/systems`; only placeholders such as `ACCOUNT_ID` are filled in). It runs
//! as a program of its own, and the tests talk to it over HTTP.
//!
//! The store is a parameter, `crate::store`: the binary `suite` runs them on the fake of AWS, and
//! the binary `vault` on OpenBao.

mod gaara;
mod lookup;
mod muejam;
mod pazpaz;
mod program;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::extract::State;
use axum::{Json, Router, routing};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, Health, Layers, Live, Rotated, SecretsManager};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::store::Store;

/// The program is this test binary, run with one test. That test does nothing without the variable
/// below.
const CHILD: &str = "systems::child";
const SYSTEM: &str = "SECRETS_PROVIDER_TEST_SYSTEM";

/// Runs one of the systems until it is killed. If it cannot start, it writes why to stderr.
#[tokio::test]
#[allow(clippy::print_stderr, reason = "the parent process reads it")]
async fn child() {
    let Ok(system) = std::env::var(SYSTEM) else { return };
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let ended = match system.as_str() {
        "gaara" => gaara::serve(gaara::settings().await).await,
        "gaara by its design" => gaara::serve(gaara::settings_of_the_design().await).await,
        "pazpaz" => pazpaz::serve(pazpaz::settings().await).await,
        "pazpaz with a ring" => pazpaz::serve_ring(pazpaz::ring().await).await,
        "muejam" => muejam::serve(muejam::settings().await).await,
        other => panic!("no system is named {other}"),
    };
    if let Err(error) = ended {
        eprintln!("cannot start: {error}");
    }
}

/// A listener on a free port, which it prints for the parent process.
#[allow(clippy::print_stdout, reason = "the parent process reads it")]
fn listen() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    listener
}

/// Serves the routes of a system, and two more for the tests.
async fn serve<T: Send + Sync + 'static>(settings: Live<T>, routes: Router<Live<T>>) {
    async fn refresh<T: Send + Sync + 'static>(State(settings): State<Live<T>>) -> Json<Value> {
        Json(refreshed(&settings).await)
    }
    async fn status<T>(State(settings): State<Live<T>>) -> Json<Value> {
        Json(json!(settings.status()))
    }
    let app = routes
        .route("/refresh", routing::post(refresh::<T>))
        .route("/status", routing::get(status::<T>))
        .with_state(settings);
    let listener = listen();
    listener.set_nonblocking(true).unwrap();
    axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
}

async fn refreshed<T: Send + Sync + 'static>(settings: &Live<T>) -> Value {
    match settings.refresh().await {
        Ok(refreshed) => json!({"changed": refreshed.changed()}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// The outcome of a rotation: versions or the error, never a value.
fn rotated(outcome: Result<Rotated, Error>) -> Value {
    match outcome {
        Ok(rotated) => json!(rotated),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// A policy with the statements of another one.
fn with_statements_of(policy: &str, other: &str) -> String {
    let [mut policy, other]: [Value; 2] =
        [policy, other].map(|text| serde_json::from_str(text).unwrap());
    let others = other["Statement"].as_array().unwrap();
    policy["Statement"].as_array_mut().unwrap().extend(others.iter().cloned());
    policy.to_string()
}

/// Values to compare. Secrets are fingerprints, so that a failed test prints none.
type Shown = BTreeMap<&'static str, Value>;

fn fingerprint(value: &str) -> Value {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("fingerprint {:016x}", hasher.finish()).into()
}

fn shown(secret: &SecretString) -> Value {
    fingerprint(secret.expose_secret())
}

fn shown_if_any(secret: Option<&SecretString>) -> Value {
    secret.map_or(Value::Null, shown)
}

/// Asserts that twenty refreshes under a guide's policy, which does not allow
/// `BatchGetSecretValue`, make no denied call but one batch, and none if batches are off or there is
/// one secret.
async fn assert_steady<T: DeserializeOwned + Send + Sync + 'static>(
    store: &Store,
    manager: SecretsManager,
    placed: fn(Layers) -> Layers,
) {
    for batch in [true, false] {
        let (log, _guard) = end_to_end::Log::start();
        store.reset_calls();
        let manager = store.of(manager.clone().batch(batch));
        let settings: Live<T> = Live::builder(manager)
            .layers(move |secrets| placed(Layers::new().secrets(secrets)))
            .start()
            .await
            .unwrap();
        let start = store.reads();
        let batch = batch && settings.status().secrets().len() > 1;
        let batches = usize::from(batch) * Store::DENIED_BATCHES;
        store.twenty_refreshes(&settings).await;
        assert!(store.reads() > 15 * start, "each refresh reads the secrets");
        assert_eq!(store.batches(), batches);
        assert_eq!(store.denied(), batches);
        assert_eq!(store.calls(), store.reads() + batches);
        assert_eq!(settings.status().health(), Health::Fresh);
        assert!(
            !log.text().contains("secret_access_denied"),
            "a denied batch logs no denied secret"
        );
    }
}

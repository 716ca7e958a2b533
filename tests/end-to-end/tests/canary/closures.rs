//! The user's own code: its rejections and its panics.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;

use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, ErrorKind, Fetched, Layers, Live, Memory, Outcome,
    Rejected, SecretsManager,
};
use serde::{Deserialize, Deserializer};

use crate::canaries::Canaries;
use crate::fixtures::{Token, secrets_only};
use crate::log::Log;
use crate::shown;

/// The places where the user's code panics. The text of the secret names the place, and the panic
/// shows all of it.
const PLACES: [&str; 7] =
    ["deserialize", "deserialize-any", "layers", "validate", "validate-any", "probe", "probe-any"];

/// A payload of a panic that is not text.
#[derive(Debug)]
#[allow(dead_code, reason = "only `Debug` reads it")]
struct Payload(String);

fn panic_at(place: &str, token: &str) {
    if token.split_once(':').is_some_and(|(at, _)| at == place) {
        panic!("{token} is no good");
    }
    if token.split_once(':').is_some_and(|(at, _)| at.strip_suffix("-any") == Some(place)) {
        panic_any(Payload(token.to_owned()));
    }
}

#[derive(Debug)]
struct TouchyToken(String);

impl<'de> Deserialize<'de> for TouchyToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        panic_at("deserialize", &text);
        Ok(Self(text))
    }
}

impl Drop for TouchyToken {
    fn drop(&mut self) {
        panic_at("drop", &self.0);
    }
}

#[derive(Debug, Deserialize)]
struct Settings {
    token: TouchyToken,
}

async fn start(memory: &Memory) -> Result<Live<Settings>, Error> {
    Live::builder(SecretsManager::prefix("app").backend(memory.clone()))
        .layers(|secrets| {
            let plain: Token = secrets.extract().unwrap();
            panic_at("layers", &plain.token);
            Layers::new().secrets(secrets)
        })
        .validate(|settings: &Settings| {
            panic_at("validate", &settings.token.0);
            match settings.token.0.starts_with("reject:") {
                true => Err(Rejected::new("the token is of the wrong kind")),
                false => Ok(()),
            }
        })
        .probe(async |settings: Arc<Settings>| {
            panic_at("probe", &settings.token.0);
            Ok(())
        })
        .start()
        .await
}

#[tokio::test]
async fn panics_and_rejections_are_reported_without_their_payload() {
    let log = Log::start();
    let mut canaries = Canaries::of("closures");
    for place in PLACES.into_iter().chain(["reject"]) {
        let memory = Memory::new();
        memory.put(
            "app/token",
            format!("{place}:{}", canaries.awkward(&format!("at the start, {place}"))),
        );
        let error = start(&memory).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        canaries.assert_absent(&format!("a start, {place}"), shown::error(&error));

        memory.put("app/token", canaries.plain(&format!("before, {place}")));
        let live = start(&memory).await.unwrap();
        memory.put(
            "app/token",
            format!("{place}:{}", canaries.plain(&format!("at a refresh, {place}"))),
        );
        for _ in 0..2 {
            let error = live.refresh().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected);
            canaries.assert_absent(
                &format!("a refresh, {place}"),
                shown::error(&error) + &shown::live(&live),
            );
        }
        live.shutdown().await;
    }
    log.assert_silent(&canaries, &["secrets_provider"]);
}

#[tokio::test]
async fn failed_builds_and_failed_searches_show_no_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("derived");
    for place in ["derive", "derive-any", "refuse"] {
        let memory = Memory::new();
        let build = async |settings: Arc<Settings>| {
            panic_at("derive", &settings.token.0);
            match settings.token.0.starts_with("refuse:") {
                true => Err(Rejected::new("no connection")),
                false => Ok(settings.token.0.clone()),
            }
        };
        memory.put(
            "app/token",
            format!("{place}:{}", canaries.awkward(&format!("at first, {place}"))),
        );
        let live = start(&memory).await.unwrap();
        let error = live.derive("token", build).await.unwrap_err();
        canaries.assert_absent(&format!("a first build, {place}"), shown::error(&error));

        memory.put("app/token", canaries.plain(&format!("before, {place}")));
        live.refresh().await.unwrap();
        let derived = live.derive("token", build).await.unwrap();
        memory
            .put("app/token", format!("{place}:{}", canaries.plain(&format!("rebuilt, {place}"))));
        let error = derived.refresh().await.unwrap_err();
        let shown = shown::error(&error) + &shown::live(&live) + &shown::live(&derived);
        canaries.assert_absent(&format!("a further build, {place}"), shown);
        derived.shutdown().await;
        live.shutdown().await;
        let error = live.refresh_past(&live.current()).await.unwrap_err();
        canaries.assert_absent("a search", shown::error(&error));
    }
    log.assert_silent(&canaries, &["secrets_provider"]);
}

#[tokio::test]
async fn a_panic_while_dropping_old_settings_shows_no_value() {
    let log = Log::start();
    let mut canaries = Canaries::of("drops");
    for place in ["drop", "drop-any"] {
        let memory = Memory::new();
        memory.put("app/token", format!("{place}:{}", canaries.plain(place)));
        let live = start(&memory).await.unwrap();
        memory.put("app/token", canaries.plain(&format!("after {place}")));
        assert!(live.refresh().await.unwrap().changed());
        canaries.assert_absent("a live value", shown::live(&live));
        // This value is refused and dropped. Two panics at once would end the process.
        memory
            .put("app/token", format!("{place}:{}", canaries.plain(&format!("refused, {place}"))));
        live.refresh().await.unwrap();
        live.shutdown().await;
        canaries.assert_absent("a live value", shown::live(&live));
        // The owner drops the last value, and gets its panic.
        assert!(catch_unwind(AssertUnwindSafe(|| drop(live))).is_err());
    }
    log.assert_silent(&canaries, &["secrets_provider"]);
}

/// A store that panics, and shows its content, once a secret has a second version.
#[derive(Debug)]
struct Panicking(Memory);

impl Backend for Panicking {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.0.list(prefix)
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        use futures_util::StreamExt as _;
        let panicking = |(id, outcome): Outcome| {
            let secret: Fetched = outcome.unwrap();
            assert_eq!(secret.version_id(), "v1", "{}", Self::held());
            (id, Ok(secret))
        };
        Box::pin(self.0.fetch(ids).map(panicking))
    }
}

impl Panicking {
    fn held() -> String {
        Canaries::of("backend").plain("held")
    }
}

#[tokio::test]
async fn a_panic_of_a_backend_is_reported_without_its_payload() {
    let log = Log::start();
    let mut canaries = Canaries::of("backend");
    let memory = Memory::new();
    memory.put("app/token", canaries.plain("held"));
    let manager = SecretsManager::prefix("app").backend(Panicking(memory.clone()));
    let live: Live<Token> = secrets_only(manager).start().await.unwrap();
    memory.put("app/token", canaries.plain("next"));
    let error = live.refresh().await.unwrap_err();
    canaries.assert_absent("a refresh", shown::error(&error) + &shown::live(&live));
    assert_eq!(live.load().token, Panicking::held());
    live.shutdown().await;
    log.assert_silent(&canaries, &["secrets_provider"]);
}

//! Lookups by name: what they cache, refuse and log.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Error, Key, Lookup, SecretsManager};
use serde::{Deserialize, Deserializer};

use crate::canaries::Canaries;
use crate::fixtures::manager;
use crate::log::Log;
use crate::shown;

/// A type whose error and panic show what it was given.
#[derive(Debug)]
struct Talkative;

impl<'de> Deserialize<'de> for Talkative {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("{text} is no good")))
    }
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Login {
    username: u8,
    password: u8,
}

fn lookup(secrets: &Lookup) -> String {
    let stats = secrets.stats();
    shown::debug(secrets) + &shown::debug(&stats) + &shown::json(&stats)
}

/// Looks a secret up in every way, and returns all that is shown.
async fn looked_up<T>(secrets: &Lookup, name: &str, key: Option<&str>) -> String
where
    T: serde::de::DeserializeOwned + Debug + Send + Sync + 'static,
{
    let get = || {
        let get = secrets.get::<T>(name);
        key.into_iter().fold(get, secrets_provider::Get::key)
    };
    let mut all = shown::debug(&get()) + &shown::debug(&get().into_future());
    let results: [Option<Error>; 5] = [
        get().await.err(),
        get().refresh().await.err(),
        get().optional().await.err(),
        get().shared().await.err(),
        get().blocking().err(),
    ];
    for error in results.into_iter().flatten() {
        all += &shown::error(&error);
    }
    all + &lookup(secrets)
}

#[tokio::test]
async fn no_lookup_shows_a_value_in_an_error_or_the_log() {
    let log = Log::start();
    let mut canaries = Canaries::of("lookups");
    let fake = FakeSecretsManager::new();
    fake.put("app/text", canaries.awkward("a text"));
    fake.put("app/number", canaries.number("a number"));
    fake.put_binary("app/binary", canaries.bytes("binary", 24));
    let login = serde_json::json!({
        "username": canaries.awkward("a username"), "password": canaries.plain("a password"),
        "tokens": {canaries.plain("a key of a map"): canaries.plain("its value")},
    });
    fake.put("app/login", login.to_string());
    let twice = canaries.plain("a key that comes twice");
    fake.put("app/malformed", format!(r#"{{"{twice}": 1, "{twice}": 2}}"#));
    let secrets = manager(&fake).lookup();
    for name in ["text", "number", "binary", "login", "malformed", "missing", "../text", "te xt"] {
        for key in [None, Some("password"), Some("tokens"), Some("missing")] {
            let place = format!("{name}, {key:?}");
            let shown = [
                looked_up::<u8>(&secrets, name, key).await,
                looked_up::<Login>(&secrets, name, key).await,
                looked_up::<Talkative>(&secrets, name, key).await,
                looked_up::<Key<32>>(&secrets, name, key).await,
                looked_up::<std::collections::BTreeMap<String, u8>>(&secrets, name, key).await,
            ];
            canaries.assert_absent(&place, shown.concat());
        }
    }
    log.assert_silent(&canaries, &["aws_smithy_runtime", "secrets_provider"]);
}

#[tokio::test(start_paused = true)]
async fn no_outage_shows_the_value_that_is_served_through_it() {
    let log = Log::start();
    let mut canaries = Canaries::of("outages");
    let fake = FakeSecretsManager::new();
    fake.put("app/token", canaries.awkward("served"));
    let secrets = manager(&fake).lookup().ttl(Duration::from_secs(1));
    secrets.get::<String>("token").await.unwrap();
    for fault in [
        Fault::truncated_body(),
        Fault::error("AccessDeniedException", 400, "denied"),
        Fault::answer(200, canaries.plain("an answer that is no JSON")),
    ] {
        fake.inject(fault);
        tokio::time::sleep(Duration::from_secs(10)).await;
        secrets.get::<String>("token").await.unwrap();
        canaries.assert_absent("an outage", looked_up::<u8>(&secrets, "token", None).await);
        fake.clear_faults();
    }
    // A search for a newer version, with an operation that shows its password.
    let operation = async |token: Arc<String>| {
        let length = token.len();
        Err::<(), Error>(secrets.get::<u8>("token").await.unwrap_err()).inspect_err(|_| {
            assert!(length > 0);
        })
    };
    let error = secrets.get("token").with_fresh(operation, |_: &Error| true).await.unwrap_err();
    canaries.assert_absent("a search", shown::error(&error) + &lookup(&secrets));
    assert!(log.ours().contains("stale_secret_served"));
    log.assert_silent(&canaries, &["aws_smithy_runtime", "secrets_provider"]);
}

#[tokio::test]
async fn no_variable_is_shown_where_aws_fails() {
    let log = Log::start();
    let mut canaries = Canaries::of("variables of lookups");
    let fake = FakeSecretsManager::new();
    fake.inject(Fault::unavailable());
    let variables = [
        ("TOKEN", canaries.awkward("a variable")),
        ("LOGIN_USERNAME", canaries.plain("a variable of a member")),
        ("LOGIN_PASSWORD", canaries.plain("another one")),
        ("UNRELATED", canaries.plain("an unrelated variable")),
    ];
    let manager: SecretsManager = manager(&fake).fallback_to_env();
    let secrets = manager.lookup().environment_from(variables).variable("UNRELATED", "other");
    for name in ["token", "login", "other", "missing"] {
        for key in [None, Some("password"), Some("missing")] {
            let shown = [
                looked_up::<u8>(&secrets, name, key).await,
                looked_up::<Login>(&secrets, name, key).await,
                looked_up::<Talkative>(&secrets, name, key).await,
            ];
            canaries.assert_absent(&format!("{name}, {key:?}"), shown.concat());
        }
    }
    log.assert_silent(&canaries, &["aws_smithy_runtime", "secrets_provider"]);
}

//! Keys that are content: maps from a token to its owner, from an e-mail to a key. Such keys show
//! nowhere.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use fake_secrets_manager::FakeSecretsManager;
use figment::Figment;
use figment::providers::{Format as _, Toml};
use secrets_provider::{
    Error, FigmentExt as _, Layers, Live, Memory, Rejected, SecretsManager, StatusPage, endpoints,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::canaries::Canaries;
use crate::log::Log;
use crate::shown;

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct Owner {
    owner: String,
    level: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct Plain {
    tokens: HashMap<String, Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct Nested {
    tokens: BTreeMap<String, BTreeMap<String, Owner>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only serde reads it")]
struct Strict {
    tokens: Option<Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only serde reads it")]
struct StrictBelow {
    tokens: StrictOwner,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only serde reads it")]
struct StrictOwner {
    owner: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct Flat {
    known: Option<u8>,
    #[serde(flatten)]
    others: BTreeMap<String, HashMap<String, Owner>>,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct FlatBelow {
    tokens: FlatOwners,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct FlatOwners {
    known: String,
    #[serde(flatten)]
    owners: BTreeMap<String, Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "only serde reads it")]
enum Untagged {
    Many { tokens: BTreeMap<String, u8> },
    One { token: u8 },
}

#[derive(Debug, Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[allow(dead_code, reason = "only serde reads it")]
enum Kind {
    Reader,
    Writer,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct ByKind {
    tokens: BTreeMap<Kind, Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct ByNumber {
    tokens: BTreeMap<u64, Owner>,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
struct Chosen {
    tokens: Choice,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
enum Choice {
    First(Owner),
}

/// What an extraction from every source says, and how often it was refused.
fn extracted<T: DeserializeOwned>(json: &str) -> Vec<Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    fs::write(&file, format!("TOKENS='{json}'\n")).unwrap();
    let below = format!("{{\"tokens\": {json}}}");
    let results: [Option<Error>; 5] = [
        {
            let memory = Memory::new();
            memory.put("app/tokens", json);
            snapshot(memory).extract::<T>().err()
        },
        {
            let memory = Memory::new();
            memory.put("app", &*below);
            let layers = Layers::new().environment_from([("OTHER", "x")]);
            layers.secrets(&snapshot(memory)).extract::<T>().err()
        },
        Layers::new().environment_from([("TOKENS", json)]).extract::<T>().err(),
        Layers::new().dotenv(&file).extract::<T>().err(),
        {
            let memory = Memory::new();
            memory.put("app", &*below);
            Figment::from(snapshot(memory)).settings::<T>().err()
        },
    ];
    results.into_iter().flatten().collect()
}

fn snapshot(memory: Memory) -> secrets_provider::Snapshot {
    SecretsManager::prefix("app").backend(memory).fetch_blocking().unwrap()
}

#[test]
fn no_error_shows_a_key_of_a_map() {
    let mut canaries = Canaries::of("keys in errors");
    let owner = |level: &str| json!({ "owner": "o", "level": level });
    let mut payloads = Vec::new();
    for (place, key) in [
        ("plain", canaries.plain("a key")),
        ("line", canaries.line("a key in one line")),
        ("dotted", canaries.plain("a key, before a dot")),
        ("number", canaries.number("a number as a key")),
        ("awkward", canaries.awkward("an awkward key")),
    ] {
        let key = if place == "dotted" { format!("{key}.{key}") } else { key };
        payloads.push(json!({ &*key: owner("no number") }));
        payloads.push(json!({ &*key: { "owner": "o" } }));
        payloads.push(json!({ &*key: { &*key: owner("no number") } }));
        payloads.push(json!({ &*key: { &*key: "text" } }));
        payloads.push(json!({ &*key: [owner("no number"), { &*key: 1 }] }));
        payloads.push(json!({ "Reader": { &*key: 1 } }));
        payloads.push(json!({ "First": { &*key: 1 } }));
        payloads.push(json!({ "owner": "o", "level": 1, &*key: 1 }));
    }
    let mut refusals = 0;
    for payload in &payloads {
        let json = payload.to_string();
        for errors in [
            extracted::<Plain>(&json),
            extracted::<Nested>(&json),
            extracted::<Strict>(&json),
            extracted::<StrictBelow>(&json),
            extracted::<Flat>(&json),
            extracted::<Untagged>(&json),
            extracted::<ByKind>(&json),
            extracted::<ByNumber>(&json),
            extracted::<Chosen>(&json),
        ] {
            refusals += errors.len();
            for error in errors {
                canaries.assert_absent("an error", shown::error(&error));
            }
        }
    }
    assert!(refusals > 800, "{refusals}");
}

#[test]
fn no_error_of_a_secret_without_a_place_shows_its_keys() {
    let mut canaries = Canaries::of("keys without a place");
    let key = canaries.plain("a key");
    for secrets in [
        [("app", format!(r#"{{"a": {{"{key}": 1, "{key}": 2}}}}"#)), ("app/b", "x".to_owned())],
        [("app", format!(r#"{{"{key}": 1, "{key}": 2}}"#)), ("app/b", "x".to_owned())],
        [("app", format!(r#"{{"b": {{"{key}": 1}}}}"#)), ("app/b", format!(r#"{{"{key}": 1}}"#))],
    ] {
        let memory = Memory::new();
        secrets.iter().for_each(|(name, text)| {
            memory.put(name, &**text);
        });
        let manager = SecretsManager::prefix("app").backend(memory);
        let error = manager.fetch_blocking().unwrap_err();
        canaries.assert_absent("a secret without a place", shown::error(&error));
    }
}

#[tokio::test]
async fn nothing_that_a_live_value_says_shows_a_key_of_a_map() {
    let log = Log::start();
    let mut canaries = Canaries::of("keys of a live value");
    let fake = FakeSecretsManager::new();
    let [first, second, third] =
        ["first", "second", "third"].map(|place| canaries.plain(&format!("the {place} token")));
    let unread = canaries.plain("a key that no field reads");
    let tokens = |keys: &[&str], level: &str| {
        let owners = keys.iter().map(|key| {
            ((*key).to_owned(), json!({ "owner": "o", "level": level, &*unread: { &*unread: 1 } }))
        });
        serde_json::Value::Object(owners.collect()).to_string()
    };
    fake.put("app/tokens", tokens(&[&first], "1"));
    fake.put("app/unread", json!({ &*unread: "x" }).to_string());
    let live: Live<Plain> = Live::builder(SecretsManager::prefix("app").client(fake.client()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .validate(|settings: &Plain| match settings.tokens.len() {
            0 => Err(Rejected::new("there is no token")),
            _ => Ok(()),
        })
        .start()
        .await
        .unwrap();
    let derived = live.derive("tokens", async |settings| Ok(settings.tokens.len())).await.unwrap();
    let mut changes = live.changes();
    let mut said = shown::live(&live);

    fake.put("app/tokens", tokens(&[&second, &third], "2"));
    live.refresh().await.unwrap();
    let change = changes.next().await.unwrap();
    assert!(change.keys().iter().any(|key| key.contains(&second)), "for code, keys are exact");
    assert!(change.to_string().contains("tokens.*.owner (3 keys)"), "{change}");
    said += &(shown::debug(&change) + &change.to_string() + &shown::json(&change));
    said += &shown::live(&live);
    fake.put("app/tokens", tokens(&[&first, &third], "no number"));
    let error = live.refresh().await.unwrap_err();
    assert!(error.to_string().contains("key `tokens.*.level`"), "the field is shown");
    assert!(error.to_string().contains("(2 keys)"), "with a count");
    said += &shown::error(&error);
    fake.put("app/tokens", "{}");
    said += &shown::error(&live.refresh().await.unwrap_err());
    said += &(shown::live(&live) + &shown::live(&derived));
    let explanation = live.explain();
    assert!(explanation.to_string().contains("tokens.*.owner (2 keys)"), "{explanation}");
    said += &explanation.all().to_string();
    said += &StatusPage::of(&live).to_string();
    for accept in [None, Some("text/html")] {
        said += &endpoints::status(&live, accept, None).into_body();
    }
    canaries.assert_absent("a live value", said);
    log.assert_silent(&canaries, &["secrets_provider"]);
    assert!(log.ours().contains("tokens.*.owner (3 keys)"), "the event names the field");
}

#[tokio::test]
async fn beside_flatten_only_the_fields_of_the_struct_itself_are_shown() {
    let mut canaries = Canaries::of("keys beside flatten");
    let key = canaries.plain("a key");
    let memory = Memory::new();
    let owners = json!({ "known": "k", &*key: { "owner": "o", "level": 1 } }).to_string();
    memory.put("app/tokens", owners);
    let live: Live<FlatBelow> = Live::builder(SecretsManager::prefix("app").backend(memory))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap();
    let explanation = live.explain().to_string();
    assert!(explanation.contains("tokens.known") && explanation.contains("tokens.*"));
    canaries.assert_absent("a struct with flatten", shown::live(&live));
}

#[tokio::test]
async fn no_layer_shows_the_keys_of_its_maps() {
    let mut canaries = Canaries::of("keys of layers");
    let key = canaries.plain("a key");
    let owners = json!({ "tokens": { &*key: { "owner": "o", "level": 1 } } }).to_string();
    let memory = Memory::new();
    memory.put("app", &*owners);
    let explanation = Layers::new().secrets(&snapshot(memory.clone())).explain().unwrap();
    canaries.assert_absent(
        "an explanation without a type",
        format!("{explanation}{explanation:?}") + &shown::json(&explanation),
    );
    let file = format!("[tokens.{key}]\nowner = 'o'\nlevel = 1\n");
    let parsed = format!("tokens={{{key}={{owner=\"o\",level=1}}}}");
    for level in ["1", "'no number'"] {
        let file = file.replace("level = 1", &format!("level = {level}"));
        let manager = SecretsManager::prefix("other").backend({
            let memory = Memory::new();
            memory.put("other/x", "y");
            memory
        });
        let live = Live::<Plain>::builder(manager)
            .layers(move |secrets| Figment::from(Toml::string(&file)).merge(secrets.clone()))
            .start()
            .await;
        canaries.assert_absent(
            "a file",
            match &live {
                Ok(live) => shown::live(live) + &live.explain().all().to_string(),
                Err(error) => shown::error(error),
            },
        );
    }
    let (name, value) = parsed.split_once('=').unwrap();
    let dotenv = tempfile::NamedTempFile::new().unwrap();
    fs::write(dotenv.path(), format!("{}='{value}'\n", name.to_uppercase())).unwrap();
    let figment = Figment::from(secrets_provider::Dotenv::file(dotenv.path()));
    let live = Live::<Plain>::builder(SecretsManager::prefix("app").backend(memory))
        .layers(move |secrets| figment.clone().join(secrets.clone()))
        .start()
        .await;
    canaries.assert_absent(
        "a table in a variable",
        match &live {
            Ok(live) => shown::live(live) + &live.explain().all().to_string(),
            Err(error) => shown::error(error),
        },
    );
}

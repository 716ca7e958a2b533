//! Values that do not fit their fields: every sort of value, for every sort of type, from every
//! layer.

mod types;

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use config::Config;
use figment::Figment;
use figment::providers::Serialized;
use secrets_provider::{
    Dotenv, Error, FigmentExt as _, Layers, Live, Memory, Rotating, SecretsManager, Snapshot,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::canaries::Canaries;
use crate::fixtures::secrets_only;
use crate::log::Log;
use crate::shown;

/// Settings with one field of the type under test.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Settings<T> {
    x: T,
}

enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

/// Payloads for a field, each with a name.
fn payloads(canaries: &mut Canaries) -> Vec<(&'static str, Payload)> {
    let [plain, other, third] =
        ["text", "a member", "another member"].map(|place| canaries.plain(place));
    let [awkward, inner] =
        ["awkward text", "an awkward member"].map(|place| canaries.awkward(place));
    let quoted = serde_json::Value::from(inner.as_str());
    let [number, digits] = ["a number", "digits"].map(|place| canaries.number(place));
    let [key, binary] = ["key material", "binary"].map(|place| canaries.bytes(place, 24));
    let base64 = canaries.plant_text("key material in base64", BASE64_STANDARD.encode(&key));
    let hex: String = binary.iter().map(|byte| format!("{byte:02x}")).collect();
    let deep =
        |levels: usize| format!("{}\"{other}\"{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let mut payloads: Vec<(&'static str, String)> = vec![
        ("text", plain.clone()),
        ("awkward text", awkward),
        ("digits", digits.clone()),
        ("base64", base64),
        ("hex", hex),
        ("a broken time", format!("10 {plain}")),
        ("a broken address", format!("127.0.0.1:{digits}")),
        ("a broken URL", format!("postgres://me:{plain}@[{other}/db")),
        ("a URL with a broken port", format!("postgres://me:{plain}@host:{other}/db")),
        ("a member", format!(r#"{{"a": "{plain}", "b": {quoted}}}"#)),
        ("a number as a member", format!(r#"{{"a": {number}, "b": -{number}}}"#)),
        ("a float as a member", format!(r#"{{"a": 0.{number}, "b": {number}e9}}"#)),
        ("a bool as a member", r#"{"a": true, "b": null}"#.to_owned()),
        ("nested members", format!(r#"{{"a": {{"a": {{"a": "{third}"}}}}, "b": [[{number}]]}}"#)),
        ("a list of members", format!(r#"{{"a": ["{plain}", {quoted}, {number}]}}"#)),
        ("a value", format!(r#"{{"value": "{plain}"}}"#)),
        ("a number as a value", format!(r#"{{"value": {number}}}"#)),
        ("a table as a value", format!(r#"{{"value": {{"a": "{plain}"}}}}"#)),
        ("a list", format!(r#"["{plain}", {quoted}, {number}]"#)),
        ("a tag", format!(r#"{{"type": "{plain}", "content": "{other}"}}"#)),
        (
            "the content of a tag",
            format!(r#"{{"type": "A", "content": "{other}", "a": {quoted}}}"#),
        ),
        ("the content of a variant", format!(r#"{{"A": "{other}"}}"#)),
        ("the members of a variant", format!(r#"{{"B": {{"a": "{other}", "b": {quoted}}}}}"#)),
        ("keys that are no numbers", format!(r#"{{"first": "{plain}", "1": "{other}"}}"#)),
        ("JSON in a member", format!(r#"{{"a": "{{\"a\": \"{plain}\"}}", "b": "[\"{other}\"]"}}"#)),
        ("broken JSON in a member", format!(r#"{{"a": "{{\"a\": {plain}}}", "b": "[{other}"}}"#)),
        ("JSON cut off", format!(r#"{{"a": "{plain}", "b": "{other}"#)),
        ("JSON without quotes", format!("{{\"a\": {plain}}}")),
        ("JSON with more behind it", format!(r#"{{"a": "{plain}"}} {other}"#)),
        ("JSON with a bad escape", format!(r#"{{"a": "{plain}\q{other}"}}"#)),
        ("JSON with half a character", format!(r#"{{"a": "{plain}\ud800{other}"}}"#)),
        ("a list cut off", format!(r#"["{plain}", "{other}"#)),
        ("a key twice", format!(r#"{{"a": "{plain}", "a": "{other}"}}"#)),
        ("a key twice further in", format!(r#"{{"a": {{"A": {quoted}, "a": {number}}}}}"#)),
        ("many levels", deep(20)),
        ("too many levels", deep(70)),
    ];
    let payloads = payloads.drain(..).map(|(about, text)| (about, Payload::Text(text)));
    payloads
        .chain([("binary", Payload::Binary(binary)), ("binary of a key", Payload::Binary(key))])
        .collect()
}

/// The errors of one type for one payload, through each way from a layer into settings.
async fn errors<T>(payload: &Payload, file: &Path) -> Vec<Error>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let memory = Memory::new();
    match payload {
        Payload::Text(text) => memory.put("app/x", text),
        Payload::Binary(bytes) => memory.put_binary("app/x", bytes.clone()),
    };
    let secrets = || SecretsManager::prefix("app").backend(memory.clone());
    let mut errors = Vec::new();
    match secrets().fetch().await {
        Ok(snapshot) => errors.extend(of_snapshot::<T>(&snapshot)),
        Err(error) => errors.push(error),
    }
    // A second version, so that the previous one is read too.
    match payload {
        Payload::Text(text) => memory.put("app/x", text),
        Payload::Binary(bytes) => memory.put_binary("app/x", bytes.clone()),
    };
    let rotating = secrets_only::<Settings<Rotating<T>>>(secrets().with_previous(["x"]));
    errors.extend(rotating.start().await.err());
    let configured = Live::<Settings<T>>::builder(secrets())
        .layers(|secrets| Config::builder().add_source(secrets.clone()).build());
    errors.extend(configured.start().await.err());

    if let Payload::Text(text) = payload {
        let mut layers = vec![Layers::new().environment_from([("X", text)])];
        if !text.contains('\'') {
            std::fs::write(file, format!("X='{text}'\n")).unwrap();
            errors.extend(Figment::from(Dotenv::file(file)).settings::<Settings<T>>().err());
            layers.push(Layers::new().dotenv(file));
        }
        errors.extend(layers.iter().filter_map(|layers| layers.extract::<Settings<T>>().err()));
        errors
            .extend(Figment::from(Serialized::default("x", text)).settings::<Settings<T>>().err());
        let config = Config::builder().set_default("x", text.as_str()).unwrap().build().unwrap();
        let nothing = SecretsManager::prefix("app").backend(Memory::new()).fallback_to_env();
        let configured = Live::<Settings<T>>::builder(nothing).layers(move |_| config.clone());
        errors.extend(configured.start().await.err());
    }
    errors
}

fn of_snapshot<T: DeserializeOwned>(snapshot: &Snapshot) -> Vec<Error> {
    let layers = Layers::new().secrets(snapshot);
    let figment = Figment::from(snapshot.clone());
    let all = [snapshot.extract::<Settings<T>>(), layers.extract(), figment.settings()];
    all.into_iter().filter_map(Result::err).collect()
}

/// How many of the payloads a type refused.
async fn refusals<T>(name: &str, canaries: &Canaries, payloads: &[(&'static str, Payload)]) -> usize
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let mut refusals = 0;
    for (about, payload) in payloads {
        for error in errors::<T>(payload, &folder.path().join(".env")).await {
            canaries.assert_absent(&format!("{name} from {about}"), shown::error(&error));
            refusals += 1;
        }
    }
    refusals
}

macro_rules! no_type_shows_the_value_that_it_rejects {
    ($($test:ident: $($type:ty),+;)+) => {$(
        #[tokio::test]
        async fn $test() {
            let log = Log::start();
            let mut canaries = Canaries::of(stringify!($test));
            let payloads = payloads(&mut canaries);
            $(
                let name = stringify!($type);
                assert!(refusals::<$type>(name, &canaries, &payloads).await > 0, "{name} takes anything");
            )+
            log.assert_silent(&canaries, &["secrets_provider"]);
        }
    )+};
}

mod no_type_shows_the_value_that_it_rejects {
    use std::collections::{BTreeMap, HashMap};
    use std::net::{IpAddr, SocketAddr};
    use std::num::NonZeroU16;
    use std::path::PathBuf;

    use secrecy::SecretString;
    use secrets_provider::Key;
    use url::Url;

    use super::types::*;
    use super::*;

    no_type_shows_the_value_that_it_rejects! {
        numbers: u8, i64, u64, i128, f32, f64, NonZeroU16, Option<u16>, Bounded;
        scalars: bool, char, (), String, SecretString, PathBuf, IpAddr, SocketAddr, Url, Timeout, Option<Url>;
        bytes: Key<32>, Key<1>, Option<Key<32>>, Raw, Vec<u8>;
        collections: Vec<bool>, (u8, bool), [IpAddr; 2], BTreeMap<u32, Key<32>>, BTreeMap<String, bool>,
            HashMap<Unit, u8>, Vec<BTreeMap<String, Url>>, Option<Vec<u64>>;
        structs: Plain, Strict, Newtype, Tuple, Flat, FlatStrict, Nested;
        enums: Unit, External, Internal, Adjacent, Untagged, Vec<External>, BTreeMap<String, Internal>;
        types_that_quote: Chatty, Quoting<Custom>, Quoting<InvalidValue>, Quoting<UnknownField>,
            Quoting<UnknownVariant>, Quoting<InvalidType>, Option<Quoting<UnknownField>>, Vec<Chatty>, QuotingFields;
    }
}

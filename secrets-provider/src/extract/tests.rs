use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::*;
use crate::backend::Fetched;
use crate::mapping::{Mapping, assemble};
use crate::tree::Origin;

/// The tree of one secret `app/x`, version `v1`, at key `x`.
fn secret(payload: &str) -> Table {
    let mapping = Mapping { prefix: Some("app".into()), ..Mapping::default() };
    assemble(&[Fetched::text("app/x", "v1", payload)], &mapping).expect("a tree")
}

#[derive(Debug, Deserialize, PartialEq)]
struct X<T> {
    x: T,
}

fn read<T: DeserializeOwned>(payload: &str) -> Result<T, Error> {
    extract::<X<T>>(&secret(payload)).map(|x| x.x)
}

fn ok<T: DeserializeOwned>(payload: &str) -> T {
    read(payload).unwrap_or_else(|error| panic!("{error}"))
}

fn refused<T: DeserializeOwned>(payload: &str) -> String {
    match read::<T>(payload) {
        Ok(_) => panic!("no error"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn text_fills_the_scalar_that_the_field_asks_for() {
    assert_eq!(ok::<u16>("5432"), 5432);
    assert_eq!(ok::<u16>(" 5432\n"), 5432);
    assert_eq!(ok::<i8>("-7"), -7);
    assert_eq!(ok::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(ok::<i128>("-170141183460469231731687303715884105728"), i128::MIN);
    assert!((ok::<f64>("0.5") - 0.5).abs() < f64::EPSILON);
    for (text, value) in [("true", true), ("True", true), ("FALSE", false), (" false ", false)] {
        assert_eq!(ok::<bool>(text), value, "{text}");
    }
    assert_eq!(ok::<char>("x"), 'x');
    assert_eq!(ok::<String>(" 007 \n"), " 007 \n");
    assert_eq!(ok::<IpAddr>("127.0.0.1"), IpAddr::from([127, 0, 0, 1]));
}

#[test]
fn json_scalars_fill_text_by_their_source_text() {
    let json: BTreeMap<String, String> =
        ok(r#"{"a": 1.50, "b": 12345678901234567890123, "c": true, "d": "t", "e": -0}"#);
    let values: Vec<_> = json.values().map(String::as_str).collect();
    assert_eq!(values, ["1.50", "12345678901234567890123", "true", "t", "-0"]);
    let secret: BTreeMap<String, SecretString> = ok(r#"{"a": 12345678, "b": true, "c": "t"}"#);
    assert_eq!(secret["a"].expose_secret(), "12345678");
}

#[test]
fn a_whole_json_secret_is_text_by_its_original_and_a_value_object_is_its_value() {
    assert_eq!(ok::<String>("{\"a\":  1}\n"), "{\"a\":  1}\n");
    assert_eq!(ok::<String>(r#"{"value": "v"}"#), "v");
    assert_eq!(ok::<u16>(r#"{"value": "5432"}"#), 5432);
    assert!(ok::<bool>(r#"{"value": true}"#));
    assert_eq!(ok::<String>(r#"{"value": "v", "more": 1}"#), r#"{"value": "v", "more": 1}"#);
    assert!(refused::<u16>(r#"{"value": 1, "more": 1}"#).contains("expected u16, found a table"));
}

#[test]
fn empty_text_is_none_for_an_option_of_what_is_no_text() {
    assert_eq!(ok::<Option<u16>>(""), None);
    assert_eq!(ok::<Option<IpAddr>>(""), None);
    assert_eq!(ok::<Option<bool>>(" "), None);
    assert_eq!(ok::<Option<String>>(""), Some(String::new()));
    assert_eq!(ok::<Option<u16>>("1"), Some(1));
    assert!(refused::<u16>("").contains("expected u16"));
    assert!(refused::<Option<u16>>("x").contains("expected u16"));
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Level {
    Debug,
    Info,
    Custom(u8),
}

#[test]
fn enums_sequences_maps_and_tuples() {
    assert_eq!(ok::<Level>("info"), Level::Info);
    assert_eq!(ok::<Level>(r#"{"custom": "3"}"#), Level::Custom(3));
    assert_eq!(ok::<Vec<u8>>("[1, \"2\"]"), [1, 2]);
    assert_eq!(ok::<(String, bool)>(r#"["a", "True"]"#), ("a".into(), true));
    assert_eq!(
        ok::<BTreeMap<u32, String>>(r#"{"1": "a", "20": "b"}"#),
        [(1, "a".into()), (20, "b".into())].into()
    );
    assert_eq!(refused::<Level>("hunter2-loud"), {
        "invalid value for key `x`: expected one of `debug`, `info`, `custom` (secret `app/x`, version `v1`)"
    });
}

#[test]
fn json_text_of_a_variable_fills_a_table() {
    let layers = crate::Layers::new().environment_from([("X", r#"{"a": "1", "b": [2]}"#)]);
    let x: X<BTreeMap<String, serde_json::Value>> = layers.extract().expect("a table");
    assert_eq!(x.x["b"], serde_json::json!([2]));
    let layers = crate::Layers::new().environment_from([("X", "{\"a\": hunter2}")]);
    let error = layers.extract::<X<BTreeMap<String, String>>>().expect_err("broken JSON");
    assert!(error.to_string().contains("line 1, column 7"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by serde alone")]
struct Strict {
    host: String,
    port: u16,
    #[serde(default)]
    proxy: Option<IpAddr>,
}

#[test]
fn an_error_names_key_type_secret_and_version_and_never_the_value() {
    // (payload of a `Strict`, the whole message)
    let place = "(secret `app/x`, version `v1`)";
    for (payload, message) in [
        (
            r#"{"host": "h", "port": "hunter2"}"#,
            format!("invalid value for key `x.port`: expected u16, which the text there is not {place}"),
        ),
        (
            r#"{"host": "h", "port": 70000}"#,
            format!("invalid value for key `x.port`: expected u16, which the number there is not {place}"),
        ),
        (
            r#"{"host": ["hunter2"], "port": 1}"#,
            format!("invalid value for key `x.host`: expected text, found an array {place}"),
        ),
        (
            r#"{"host": "h", "port": 1, "proxy": "hunter2"}"#,
            format!(
                "invalid value for key `x.proxy`: expected IpAddr, which refuses the value there {place}"
            ),
        ),
        (
            r#"{"host": "h", "port": 1, "hunter": 2}"#,
            format!("invalid value for key `x.hunter`: no field of this name is known {place}"),
        ),
        (
            r#"{"host": "h"}"#,
            "key `x.port` is missing; not there either, needed or not: `proxy`\n\
             hint: no layer gives it: add it to a secret, or set the variable `X__PORT` in the environment or the `.env` file"
                .to_owned(),
        ),
        (
            "hunter2",
            format!("invalid value for key `x`: expected a table, which the text there is not {place}"),
        ),
        (
            "{\"host\": \n hunter2}",
            format!(
                "invalid value for key `x`: expected a table, but the text there is not JSON from line 2, column 2 on \
                 {place}"
            ),
        ),
    ] {
        let error = read::<Strict>(payload).expect_err("an error");
        assert_eq!(error.to_string(), message);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let error = read::<Strict>(r#"{"host": "h", "port": "hunter2"}"#).expect_err("an error");
    assert_eq!((error.key(), error.secret()), (Some("x.port"), Some("app/x")));
}

#[test]
fn every_wrong_value_is_reported_at_once_and_each_once() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Many {
        a: u8,
        b: Option<bool>,
        c: Nested,
        z: u8,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Nested {
        d: IpAddr,
        e: i8,
        f: String,
    }
    let payload = r#"{"a": "x", "b": "y", "c": {"d": "hunter2", "e": 1000}, "z": -1}"#;
    let error = read::<Many>(payload).expect_err("errors");
    let mut keys: Vec<_> = error.errors().iter().filter_map(Error::key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["x.a", "x.b", "x.c.d", "x.c.e", "x.z"]);
}

#[test]
fn what_a_types_own_deserialize_says_is_not_repeated() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Chatty;
    impl TryFrom<String> for Chatty {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("cannot use {text}"))
        }
    }
    assert_eq!(
        refused::<Chatty>("hunter2"),
        "invalid value for key `x`: expected Chatty, which refuses the value there (secret `app/x`, version `v1`)"
    );
}

#[test]
fn a_value_that_a_type_takes_for_a_field_is_not_repeated() {
    #[derive(Debug, Deserialize)]
    #[serde(field_identifier, rename_all = "snake_case")]
    enum Field {
        Known,
    }
    assert!(matches!(ok::<Field>("known"), Field::Known));
    assert_eq!(
        refused::<Field>("hunter2-secret"),
        "invalid value for key `x`: expected Field, which refuses the value there (secret `app/x`, version `v1`)"
    );
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind", deny_unknown_fields)]
    #[allow(dead_code, reason = "read by serde alone")]
    enum Tagged {
        Port { port: u16 },
    }
    let message = refused::<Tagged>(r#"{"kind": "Port", "port": 1, "extra": "hunter2"}"#);
    assert!(message.contains("key `extra` is not one of its fields"), "{message}");
}

#[test]
fn unknown_variables_of_the_environment_are_nobodys_mistake() {
    let variables = [("X__HOST", "h"), ("X__PORT", "1"), ("X__HUNTER", "2"), ("PATH", "/bin")];
    let layers = crate::Layers::new().environment_from(variables);
    let x: X<Strict> = layers.extract().expect("a struct");
    assert_eq!(x.x.port, 1);
}

#[test]
fn binary_is_bytes_raw_and_text_in_base64() {
    #[derive(Debug, PartialEq)]
    struct Bytes(Vec<u8>);
    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Raw;
            impl Visitor<'_> for Raw {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }
            }
            deserializer.deserialize_bytes(Raw)
        }
    }
    let origin = Arc::new(Origin::Secret { name: "s".into(), version_id: "v".into() });
    let value = Value::Bytes(Arc::new(vec![0, 255, 254, 1].into()));
    let table = Table { entries: [("x".to_owned(), Node::new(value, origin))].into(), source_text: None };
    assert_eq!(extract::<X<Bytes>>(&table).expect("bytes").x, Bytes(vec![0, 255, 254, 1]));
    assert_eq!(extract::<X<String>>(&table).expect("text").x, "AP/+AQ==");
    for text in ["AP/+AQ==", "AP/+AQ", "AP_-AQ==", "AP_-AQ", " AP/+AQ==\n"] {
        assert_eq!(ok::<Bytes>(text), Bytes(vec![0, 255, 254, 1]), "{text}");
    }
    assert!(refused::<Bytes>("hunter2 !").contains("expected bytes"));
}

#[test]
fn wrong_values_are_found_in_several_tables_too() {
    type Tables = BTreeMap<String, BTreeMap<String, u8>>;
    let error = read::<Tables>(r#"{"a": {"b": "x", "c": "x"}, "d": {"e": "x", "f": "x", "g": 1}}"#);
    let error = error.expect_err("errors");
    let mut keys: Vec<_> = error.errors().iter().filter_map(Error::key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["x.a.b", "x.a.c", "x.d.e", "x.d.f"]);
}

/// Layers of secrets `app/x`, an environment and a `.env` file, as `(secret, environment, dotenv)`.
fn layered<T: DeserializeOwned>(secret: &str, env: &[(&str, &str)], dotenv: &str) -> Result<T, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    std::fs::write(&file, dotenv).expect("a file");
    let memory = crate::Memory::new();
    memory.put("app", secret);
    let snapshot = crate::SecretsManager::prefix("app").backend(memory).fetch_blocking().expect("a snapshot");
    crate::Layers::new().dotenv(&file).environment_from(env.iter().copied()).secrets(&snapshot).extract()
}

#[derive(Debug, Deserialize, PartialEq)]
struct Url {
    database_url: String,
}

#[test]
fn names_match_exactly_or_relaxed_and_the_higher_layer_wins() {
    for (secret, env, dotenv, url) in [
        (r#"{"database_url": "s"}"#, &[][..], "", "s"),
        (r#"{"DATABASE_URL": "s"}"#, &[], "", "s"),
        (r#"{"database-url": "s"}"#, &[], "", "s"),
        (r#"{"databaseUrl": "s"}"#, &[], "", "s"),
        // Higher, however it is spelled.
        (r#"{"databaseUrl": "s"}"#, &[("DATABASE_URL", "e")], "DATABASE_URL=d", "s"),
        ("{}", &[("DATABASEURL", "e")], "DATABASE_URL=d", "e"),
        ("{}", &[], "DATABASE_URL=d", "d"),
        // Exactness breaks a tie within one layer.
        (r#"{"databaseUrl": "relaxed", "database_url": "exact"}"#, &[], "", "exact"),
    ] {
        let read = layered::<Url>(secret, env, dotenv).unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read.database_url, url, "{secret}");
    }
}

#[test]
fn two_relaxed_names_in_one_layer_are_an_error_that_names_both() {
    let error = layered::<Url>(r#"{"databaseUrl": "a", "database-url": "b"}"#, &[], "").expect_err("a tie");
    assert_eq!(
        error.to_string(),
        "key `database_url` is given twice in one layer: as `database-url` and `databaseUrl`\nhint: remove one of them"
    );
}

#[test]
fn two_fields_of_relaxed_equal_names_each_get_their_own() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Both {
        api_key: String,
        apikey: String,
    }
    let both = layered::<Both>(r#"{"api_key": "1", "apikey": "2"}"#, &[], "").expect("both");
    assert_eq!(both, Both { api_key: "1".into(), apikey: "2".into() });
}

#[test]
fn tables_of_one_field_merge_however_they_are_spelled() {
    #[derive(Debug, Deserialize)]
    struct Keys {
        api_keys: BTreeMap<String, String>,
    }
    let keys: Keys =
        layered(r#"{"apiKeys": {"a": "s"}}"#, &[("API_KEYS__A", "e"), ("API_KEYS__B", "e")], "").expect("ok");
    assert_eq!(keys.api_keys, [("a".into(), "s".into()), ("b".into(), "e".into())].into());
}

#[derive(Debug, Deserialize, PartialEq)]
struct Aliased {
    #[serde(alias = "url", alias = "dsn")]
    database_url: String,
}

#[test]
fn of_aliases_the_higher_layer_wins_and_none_is_a_duplicate() {
    for (secret, env, dotenv, url) in [
        (r#"{"url": "s"}"#, &[("DATABASE_URL", "e")][..], "DSN=d", "s"),
        ("{}", &[("URL", "e")], "DATABASE_URL=d\nDSN=d", "e"),
        (r#"{"dsn": "s"}"#, &[("URL", "e"), ("DATABASE_URL", "e2")], "", "s"),
        // The field's own name within one layer.
        (r#"{"url": "alias", "database_url": "own", "dsn": "alias"}"#, &[], "", "own"),
    ] {
        let read = layered::<Aliased>(secret, env, dotenv).unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read.database_url, url, "{secret}");
    }
    let error = layered::<Aliased>(r#"{"url": "a", "dsn": "b"}"#, &[], "").expect_err("a tie");
    assert!(error.to_string().contains("given twice in one layer: as `dsn` and `url`"), "{error}");
}

#[derive(Debug, Deserialize, PartialEq)]
struct Nested {
    database: Database,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Database {
    url: String,
    #[serde(default)]
    pool: Option<u16>,
    #[serde(default)]
    port: u16,
}

#[test]
fn a_missing_required_nested_field_is_looked_for_as_a_variable_and_nothing_else_is() {
    let url = |url: &str| Nested { database: Database { url: url.into(), pool: None, port: 0 } };
    for (secret, env, dotenv, expected) in [
        (r#"{"database": {}}"#, &[("DATABASE_URL", "e")][..], "", url("e")),
        // No table at all.
        ("{}", &[("DATABASE_URL", "e")], "", url("e")),
        ("{}", &[("DATABASE_URL", "e")], "DATABASE_URL=d", url("e")),
        ("{}", &[], "DATABASE_URL=d", url("d")),
        (r#"{"database": {"url": "s"}}"#, &[("DATABASE_URL", "e")], "", url("s")),
        ("{}", &[("DATABASE__URL", "nested"), ("DATABASE_URL", "flat")], "", url("nested")),
        // An option or a default stays as it is.
        (
            "{}",
            &[("DATABASE_URL", "e"), ("DATABASE_POOL", "5"), ("DATABASE_PORT", "tcp://10.0.0.1:5432")],
            "",
            url("e"),
        ),
    ] {
        let read = layered::<Nested>(secret, env, dotenv).unwrap_or_else(|error| panic!("{secret} {error}"));
        assert_eq!(read, expected, "{secret} {env:?}");
    }
    // A secret is no variable.
    let error = layered::<Nested>(r#"{"database_url": "s"}"#, &[], "").expect_err("missing");
    assert_eq!(error.key(), Some("database"));
}

#[test]
fn kubernetes_variables_fill_nothing_by_guess() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Settings {
        redis: Option<BTreeMap<String, String>>,
        #[serde(default)]
        postgres: BTreeMap<String, String>,
    }
    let env = [("REDIS_PORT", "tcp://10.0.0.1:6379"), ("POSTGRES_SERVICE_HOST", "10.0.0.2")];
    let read: Settings = layered("{}", &env, "").expect("defaults");
    assert_eq!(read, Settings { redis: None, postgres: BTreeMap::new() });

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Required {
        redis: BTreeMap<String, String>,
        jwt: String,
    }
    let env = [("REDIS_PORT", "tcp://10.0.0.1:6379"), ("JWT_ISSUER", "x")];
    let error = layered::<Required>("{}", &env, "").expect_err("missing");
    assert_eq!(
        error.to_string().lines().next(),
        Some("key `redis` is missing; not there either, needed or not: `jwt`"),
        "the first missing field, and what else is absent"
    );
}

#[test]
fn a_missing_field_and_wrong_values_elsewhere_come_together() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "read by serde alone")]
    struct Outer {
        a: Strict,
        b: Strict,
        c: u8,
        d: String,
    }
    let error =
        layered::<Outer>(r#"{"a": {"host": "h"}, "b": {"port": 1, "proxy": "x"}, "c": "x"}"#, &[], "");
    let error = error.expect_err("errors");
    let mut keys: Vec<_> = error.errors().iter().filter_map(Error::key).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["a.port", "b.proxy", "c"], "{error}");
}

/// What serde's buffering makes impossible, and that the error says so.
#[test]
fn below_flatten_untagged_and_internal_tags_text_stays_text() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Flat {
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        port: u16,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Untagged {
        Port { port: u16 },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind")]
    enum Tagged {
        Port { port: u16 },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        Port { port: u16 },
    }
    assert_eq!(ok::<Flat>(r#"{"port": 1}"#), Flat { inner: Inner { port: 1 } });
    assert_eq!(ok::<Untagged>(r#"{"port": 1}"#), Untagged::Port { port: 1 });
    assert_eq!(ok::<Tagged>(r#"{"kind": "Port", "port": 1}"#), Tagged::Port { port: 1 });
    assert_eq!(ok::<Adjacent>(r#"{"t": "Port", "c": {"port": 1}}"#), Adjacent::Port { port: 1 });
    // Adjacent content is typed once its tag is known: `c` comes before `t` in a table, so it is buffered.
    for message in [
        refused::<Flat>(r#"{"port": "1"}"#),
        refused::<Untagged>(r#"{"port": "1"}"#),
        refused::<Tagged>(r#"{"kind": "Port", "port": "1"}"#),
    ] {
        assert!(message.contains("text stays text"), "{message}");
        assert!(message.contains("key `x`") && message.contains("secret `app/x`"), "{message}");
    }
}

#[test]
fn wide_numbers_durations_newtypes_and_defaults() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Wrapped(u64);
    #[derive(Debug, Deserialize, PartialEq)]
    struct Renamed {
        #[serde(rename = "maxConnections", default)]
        max: u32,
        #[serde(with = "humantime_serde")]
        timeout: std::time::Duration,
        wide: Wrapped,
        pair: (u8, String),
    }
    let read: Renamed = ok(
        r#"{"max_connections": "7", "timeout": "1m 30s", "wide": 18446744073709551615, "pair": ["1", 2]}"#,
    );
    assert_eq!(read.max, 7);
    assert_eq!(read.timeout.as_secs(), 90);
    assert_eq!((read.wide, read.pair), (Wrapped(u64::MAX), (1, "2".to_owned())));
    assert_eq!(ok::<url::Url>("https://key@sentry.example/1").host_str(), Some("sentry.example"));
    assert!(refused::<url::Url>("hunter2").contains("expected Url, which refuses the value there"));
}

mod versions {
    use super::*;
    use crate::{Key, Memory, Rotating, SecretsManager};

    fn rotated<T: DeserializeOwned>(versions: &[&str]) -> Result<T, Error> {
        let memory = Memory::new();
        for version in versions {
            memory.put("app/x", *version);
        }
        let manager = SecretsManager::prefix("app").with_previous(["x"]).backend(memory);
        manager.fetch_blocking().expect("a snapshot").extract::<X<T>>().map(|x| x.x)
    }

    fn pair<T>(rotating: Rotating<T>) -> (T, Option<T>) {
        (rotating.current, rotating.previous)
    }

    #[test]
    fn a_rotating_field_has_the_version_before_at_any_depth() {
        let read = |versions: &[&str]| pair(rotated::<Rotating<String>>(versions).expect("a value"));
        assert_eq!(read(&["1"]), ("1".into(), None));
        assert_eq!(read(&["1", "2"]), ("2".into(), Some("1".into())));
        assert_eq!(read(&["1", "2", "3"]), ("3".into(), Some("2".into())));

        type Table = BTreeMap<String, Rotating<u16>>;
        let table: Table = rotated(&[r#"{"a": "1", "b": 1}"#, r#"{"a": 2, "c": 2}"#]).expect("a table");
        let table: Vec<_> = table.into_iter().map(|(name, value)| (name, pair(value))).collect();
        assert_eq!(table, [("a".to_owned(), (2, Some(1))), ("c".to_owned(), (2, None))]);

        let whole: Rotating<Strict> =
            rotated(&[r#"{"host": "a", "port": 1}"#, r#"{"host": "b", "port": 2}"#]).expect("a struct");
        assert_eq!((whole.current.port, whole.previous.map(|strict| strict.port)), (2, Some(1)));
    }

    #[test]
    fn what_lower_layers_give_was_there_before_too() {
        let memory = Memory::new();
        memory.put("app/x", r#"{"host": "old"}"#);
        memory.put("app/x", r#"{"host": "new"}"#);
        let manager = SecretsManager::prefix("app").with_previous(["x"]).backend(memory);
        let snapshot = manager.fetch_blocking().expect("a snapshot");
        let layers = crate::Layers::new().environment_from([("X__PORT", "7")]).secrets(&snapshot);
        let read = layers.extract::<X<Rotating<Strict>>>().expect("settings").x;
        let previous = read.previous.expect("the version before");
        assert_eq!((read.current.host.as_str(), read.current.port), ("new", 7));
        assert_eq!((previous.host.as_str(), previous.port), ("old", 7));
    }

    #[test]
    fn a_version_before_that_does_not_fit_is_none_and_a_current_one_is_an_error() {
        assert_eq!(pair(rotated::<Rotating<u16>>(&["x", "2"]).expect("a value")), (2, None));
        let error = rotated::<Rotating<u16>>(&["1", "hunter2"]).map(pair).expect_err("no number");
        assert_eq!(
            error.to_string(),
            "invalid value for key `x`: expected u16, which the text there is not (secret `app/x`, version `v2`)"
        );
        assert_eq!(pair(rotated::<Rotating<String>>(&["{\"a\":1,\"a\":2}", "2"]).expect("a value")).1, None);
    }

    #[test]
    fn keys_named_current_and_previous_are_keys() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Pair {
            current: String,
            previous: String,
        }
        let json = r#"{"current": "c", "previous": "p"}"#;
        let expected = || Pair { current: "c".into(), previous: "p".into() };
        assert_eq!(rotated::<Pair>(&["{}", json]).expect("a pair"), expected());
        assert_eq!(pair(rotated::<Rotating<Pair>>(&["{}", json]).expect("a pair")), (expected(), None));
        let text = pair(rotated::<Rotating<String>>(&[json]).expect("text"));
        assert_eq!(text, (json.to_owned(), None));
    }

    #[test]
    fn a_key_of_the_wrong_length_says_so_and_from_any_form() {
        let thirty_two = "rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY=";
        assert_eq!(ok::<Key<32>>(thirty_two).as_bytes()[0], 0xad);
        assert_eq!(ok::<Option<Key<32>>>(""), None);
        let ring: BTreeMap<u32, Key<2>> = ok(r#"{"1": "0102", "2": "AwQ="}"#);
        assert_eq!(ring[&2].as_bytes(), &[3, 4]);
        assert_eq!(
            refused::<Key<32>>("AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"),
            "invalid value for key `x`: must be 32 bytes, got 24 (secret `app/x`, version `v1`)"
        );
        assert!(refused::<Key<32>>("hunter2-hunter2!").contains("and the text there is neither"));
        assert!(refused::<Key<32>>("[1]").contains("must be 32 bytes"));
        assert!(refused::<Key<32>>(r#"{"a": 1}"#).contains("expected a key"));
    }
}

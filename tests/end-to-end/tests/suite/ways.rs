//! One table of values, read in three ways: by our layers, by `settings` of a Figment, and over a
//! `Config` as the layers of a `Live`. What a type gets must not depend on the way (rules T2, T3).
//!
//! A row is what a secret, or a variable of the same name, holds, the type that reads it, and what
//! that gives: the value's `Debug`, or a part of the error. No error may show the value.

use std::collections::BTreeMap;
use std::fmt::Debug;

use config::{Config, Environment, Map};
use figment::Figment;
use figment::providers::Serialized;
use secrets_provider::{
    Dotenv, FigmentExt as _, Key, Layers, Live, Memory, SecretsManager, Snapshot,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use serde_json::Value;

/// What the key `x` holds, and where.
#[derive(Debug, Clone, Copy)]
enum X {
    Secret(&'static str),
    Binary(&'static [u8]),
    Variable(&'static str),
}

#[derive(Debug, Clone, Deserialize)]
struct Settings<T> {
    x: T,
}

type Outcomes = Vec<(&'static str, Result<String, String>)>;

fn outcome<T: Debug>(
    result: Result<Settings<T>, secrets_provider::Error>,
) -> Result<String, String> {
    match result {
        Ok(settings) => Ok(format!("{:?}", settings.x)),
        Err(error) => Err(format!("{error}")),
    }
}

async fn read<T: DeserializeOwned + Debug + Clone + Send + Sync + 'static>(x: X) -> Outcomes {
    let memory = Memory::new();
    memory.put("app/other", "o");
    let mut variables = Vec::new();
    match x {
        X::Secret(text) => _ = memory.put("app/x", text),
        X::Binary(bytes) => _ = memory.put_binary("app/x", bytes),
        X::Variable(value) => variables.push(("X".to_owned(), value.to_owned())),
    }
    let manager = SecretsManager::prefix("app").backend(memory);
    let snapshot = manager.fetch().await.unwrap();
    let native = Layers::new().environment_from(variables.clone()).secrets(&snapshot);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let quoted: String =
        variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
    std::fs::write(&file, quoted).unwrap();
    let figment =
        Figment::from(Serialized::default("unused", 1)).merge(Dotenv::file(&file)).merge(snapshot);
    let layers = move |secrets: &Snapshot| {
        let source = Some(Map::from_iter(variables.clone()));
        Config::builder()
            .add_source(Environment::default().source(source))
            .add_source(secrets.clone())
            .build()
    };
    let live = Live::<Settings<T>>::builder(manager).layers(layers).start().await;
    vec![
        ("layers", outcome(native.extract::<Settings<T>>())),
        ("figment", outcome(figment.settings::<Settings<T>>())),
        ("config", outcome(live.map(|live| (*live.current()).clone()))),
    ]
}

struct Row {
    x: X,
    reads: fn(X) -> std::pin::Pin<Box<dyn Future<Output = Outcomes>>>,
    expected: Result<&'static str, &'static str>,
}

macro_rules! row {
    ($x:expr, $type:ty, $expected:expr) => {
        Row { x: $x, reads: |x| Box::pin(read::<$type>(x)), expected: $expected }
    };
}

/// Anything but a number is 1.
#[derive(Debug, Clone, PartialEq)]
struct Lenient(u16);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(u16::deserialize(deserializer).unwrap_or(1)))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "its Debug is compared")]
struct Pool {
    #[serde(default, deserialize_with = "or_default")]
    size: u8,
    #[serde(default, deserialize_with = "or_default")]
    hosts: Vec<String>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(deserializer).unwrap_or_default())
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "its Debug is compared")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
    Other(IgnoredAny),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(dead_code, reason = "its Debug is compared")]
enum Method {
    ApiToken(String),
    None,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code, reason = "its Debug is compared")]
struct Account {
    id: u64,
    key: String,
    extra: Option<Value>,
}

type Texts = BTreeMap<String, String>;

fn rows() -> Vec<Row> {
    use X::{Binary, Secret, Variable};
    vec![
        row!(Binary(br#"{"API_TOKEN": "t"}"#), Method, Ok(r#"ApiToken("t")"#)),
        row!(Binary(b"none"), Method, Err("expected one of `API_TOKEN`")),
        row!(Binary(b"[1, 2]"), Vec<u16>, Ok("[91, 49, 44, 32, 50, 93]")),
        row!(Binary(b"[\"a\"]"), Vec<String>, Err("the bytes are JSON: store them as text")),
        row!(Binary(b"5432"), u16, Err("expected u16, found binary")),
        row!(Binary(b"hello"), String, Ok(r#""aGVsbG8=""#)),
        row!(
            Binary(br#"{"id": 1, "key": "k"}"#),
            Option<Account>,
            Ok(r#"Some(Account { id: 1, key: "k", extra: None })"#)
        ),
        row!(Binary(br#"{"a": "1"}"#), Texts, Ok(r#"{"a": "1"}"#)),
        row!(Secret(r#"{"value": {"value": 1}}"#), u8, Err("expected u8, found a table")),
        row!(Secret(r#"{"value": "x"}"#), Texts, Ok(r#"{"value": "x"}"#)),
        row!(Secret(r#"{"value": [1, 2]}"#), Vec<u8>, Err("expected a sequence, found a table")),
        row!(Secret(r#"{"VALUE": "1"}"#), u8, Ok("1")),
        row!(Secret("null"), Option<u8>, Err("expected u8")),
        row!(Secret("null"), Option<String>, Ok(r#"Some("null")"#)),
        row!(Secret(" "), Option<u8>, Ok("None")),
        row!(Secret(" "), Option<String>, Ok(r#"Some(" ")"#)),
        row!(Secret(" "), Option<Account>, Ok("None")),
        row!(Variable(""), Option<Account>, Ok("None")),
        row!(Variable("x"), Option<Account>, Ok("None")),
        row!(Secret("x"), Option<Account>, Err("expected a table, found text")),
        row!(Secret(r#"{"a": 5}"#), BTreeMap<String, char>, Ok(r#"{"a": '5'}"#)),
        row!(Secret(r#"{"1": "a", "2": "b"}"#), BTreeMap<u16, String>, Ok(r#"{1: "a", 2: "b"}"#)),
        row!(Secret(r#"{"true": 1}"#), BTreeMap<bool, u8>, Ok("{true: 1}")),
        row!(Secret(r#"{"-1": 1, "x": 2}"#), BTreeMap<i8, u8>, Err("key `x.*`: its name is not valid here")),
        row!(Secret(r#"{"a": 5}"#), BTreeMap<String, Vec<u8>>, Err("expected a sequence, found a number")),
        row!(Secret(r#"{"a": true}"#), Texts, Ok(r#"{"a": "true"}"#)),
        row!(Secret(r#"{"a": null}"#), Texts, Ok("{}")),
        row!(Secret(r#"{"a": [null]}"#), BTreeMap<String, Vec<Option<u8>>>, Ok(r#"{"a": [None]}"#)),
        row!(Variable("5"), Vec<u8>, Ok("[5]")),
        row!(Variable("true"), Vec<bool>, Ok("[true]")),
        row!(Variable("[true, 2]"), Vec<String>, Ok(r#"["true", "2"]"#)),
        row!(Variable("[1.50, 007]"), Vec<String>, Ok(r#"["1.50", "007"]"#)),
        row!(Variable("['a', 'b']"), Vec<String>, Ok(r#"["a", "b"]"#)),
        row!(Variable("[a"), Vec<String>, Err("not valid JSON")),
        row!(Variable("a;b"), Vec<String>, Ok(r#"["a;b"]"#)),
        row!(
            Variable(r#"[{"id": 1, "key": "k"}]"#),
            Vec<Account>,
            Ok(r#"[Account { id: 1, key: "k", extra: None }]"#)
        ),
        row!(Variable("{a=1, b=\"x\"}"), String, Ok(r#""{a=1, b=\"x\"}""#)),
        row!(Variable("[[1,2],[3]]"), Vec<Vec<u8>>, Ok("[[1, 2], [3]]")),
        row!(Variable("1,2"), (u8, u8), Ok("(1, 2)")),
        row!(Variable("1,2,3"), (u8, u8), Err("expected a sequence of 2, but there are 3")),
        row!(Variable("a=1,b=2"), Texts, Err("a table is written as a JSON object")),
        row!(Secret("-0"), u8, Err("expected u8")),
        row!(Secret("-0"), i8, Ok("0")),
        row!(Secret(r#"{"value": -0}"#), u8, Err("expected u8, found a number that does not fit")),
        row!(Secret(r#"{"value": 1.0}"#), u8, Err("expected u8, found a number that does not fit")),
        row!(Variable("+5"), u8, Ok("5")),
        row!(Secret("5\r\n"), u8, Ok("5")),
        row!(Secret(" true\n"), bool, Ok("true")),
        row!(Secret(".5"), f64, Ok("0.5")),
        row!(
            Secret("0"),
            std::num::NonZeroU8,
            Err("expected a number other than 0, which rejects the value")
        ),
        row!(Secret("1"), bool, Err("expected bool")),
        row!(
            Secret(r#"{"value": 1}"#),
            bool,
            Err("expected bool (`true` or `false`), found a number")
        ),
        row!(Variable("1"), bool, Err("expected bool")),
        row!(Secret(r#"{"a": 123456789012345678901234567890}"#), BTreeMap<String, i128>, Ok(r#"{"a": 123456789012345678901234567890}"#)),
        row!(
            Variable("340282366920938463463374607431768211455"),
            u128,
            Ok("340282366920938463463374607431768211455")
        ),
        row!(
            Variable("340282366920938463463374607431768211455"),
            String,
            Ok(r#""340282366920938463463374607431768211455""#)
        ),
        row!(Variable("1e5"), String, Ok(r#""1e5""#)),
        row!(Variable("True"), String, Ok(r#""True""#)),
        row!(Variable("\"a\""), String, Ok(r#""\"a\"""#)),
        row!(
            Variable(r#"{"size": 4711, "hosts": {"a": 1}}"#),
            Pool,
            Ok("Pool { size: 0, hosts: [] }")
        ),
        row!(Variable("a"), OneOrMany, Ok(r#"One("a")"#)),
        row!(Variable("x"), Lenient, Ok("Lenient(1)")),
        row!(Variable("\"5\""), u8, Err("expected u8")),
        row!(Secret("\"5\""), u8, Err("the text has quotes around it")),
        row!(Secret("\u{feff}5"), u8, Err("byte order mark")),
        row!(
            Secret("\u{feff}{\"id\": 1, \"key\": \"k\"}"),
            Account,
            Ok(r#"Account { id: 1, key: "k", extra: None }"#)
        ),
        row!(Variable("api-token"), Method, Err("rejects the value")),
        row!(Secret("hunter2"), Lenient, Ok("Lenient(1)")),
        row!(Secret(r#"["hunter2"]"#), Lenient, Ok("Lenient(1)")),
        row!(Secret(r#"{"a": 1}"#), Lenient, Ok("Lenient(1)")),
        row!(Variable("7"), Lenient, Ok("Lenient(7)")),
        row!(Binary(b"\xff"), Lenient, Ok("Lenient(1)")),
        row!(
            Secret(r#"{"size": 4711, "hosts": "a, b"}"#),
            Pool,
            Ok(r#"Pool { size: 0, hosts: ["a", "b"] }"#)
        ),
        row!(
            Secret(r#"{"size": "5", "hosts": {"a": 1}}"#),
            Pool,
            Ok("Pool { size: 5, hosts: [] }")
        ),
        row!(Secret(r#"{"size": {"a": [1]}}"#), Pool, Ok("Pool { size: 0, hosts: [] }")),
        row!(
            Secret(r#"{"hosts": ["a", {"b": 1}]}"#),
            Pool,
            Ok(r#"Pool { size: 0, hosts: ["a", "{\"b\": 1}"] }"#)
        ),
        row!(Secret("a"), OneOrMany, Ok(r#"One("a")"#)),
        row!(Secret(r#"{"x": 1}"#), OneOrMany, Ok("Other(IgnoredAny)")),
        row!(
            Secret(r#"{"a": {"b": [1, "x"]}, "c": [ 2 ], "d": 1.50}"#),
            Texts,
            Ok(r#"{"a": "{\"b\": [1, \"x\"]}", "c": "[ 2 ]", "d": "1.50"}"#)
        ),
        row!(Secret(r#"[{"a": 1}, [2]]"#), Vec<String>, Ok(r#"["{\"a\": 1}", "[2]"]"#)),
        row!(
            Secret(r#"{"id": "123456789012345678", "key": {"kid": "k"}}"#),
            Account,
            Ok(r#"Account { id: 123456789012345678, key: "{\"kid\": \"k\"}", extra: None }"#)
        ),
        row!(
            Binary(br#"{"id": 1, "key": "k", "extra": {"A": 1}}"#),
            Account,
            Ok(r#"Account { id: 1, key: "k", extra: Some(Object {"A": Number(1)}) }"#)
        ),
        row!(
            Secret(r#""{\"id\": 1, \"key\": \"k\"}""#),
            Account,
            Ok(r#"Account { id: 1, key: "k", extra: None }"#)
        ),
        row!(
            Secret(r#"{"id": 1, "key": "k", "extra": "{\"A\": 1}"}"#),
            Account,
            Ok(r#"Account { id: 1, key: "k", extra: Some(String("{\"A\": 1}")) }"#)
        ),
        row!(
            Variable(r#"{"id": "1", "key": [1, 2]}"#),
            Account,
            Ok(r#"Account { id: 1, key: "[1, 2]", extra: None }"#)
        ),
        row!(Secret(r#"{"id": 1, "key": "hunter2""#), Account, Err("not valid JSON")),
        row!(
            Binary(b"\xef\xbb\xbf{\"id\": 1, \"key\": \"k\"}"),
            Account,
            Ok(r#"Account { id: 1, key: "k", extra: None }"#)
        ),
        row!(Binary(b"\xff\xfe{\0}\0"), Account, Err("UTF-16")),
        row!(Secret("id: 1\nkey: hunter2"), Account, Err("looks like YAML")),
        row!(Binary(b"\x1f\x8bhunter2"), Texts, Err("gzip")),
        row!(Secret("c2VjcmV0"), Vec<u8>, Err("Key<N>")),
        row!(Binary(b"c2VjcmV0"), Vec<u8>, Ok("[99, 50, 86, 106, 99, 109, 86, 48]")),
        row!(Binary(b"abc"), [u8; 3], Ok("[97, 98, 99]")),
        row!(Binary(b"abc"), [u8; 4], Err("store exactly 4")),
        row!(Binary(b"\xff\xfe"), String, Ok(r#""//4=""#)),
        row!(Secret("[1, 2, 3]"), [u8; 3], Ok("[1, 2, 3]")),
        row!(Secret("00ff10"), Key<3>, Ok("Key<3>([redacted])")),
        row!(Secret("AP8Q"), Key<3>, Ok("Key<3>([redacted])")),
        row!(Secret("AP8QAA"), Key<3>, Err("must be 3 bytes")),
        row!(Binary(b"\x00\xff"), Key<3>, Err("must be 3 bytes, got 2")),
        row!(Variable("a,b , c"), Vec<String>, Ok(r#"["a", "b", "c"]"#)),
        row!(Variable(r#"["a","b",]"#), Vec<String>, Ok(r#"["a", "b"]"#)),
        row!(Secret(r#"{"0": "a", "1": "b"}"#), Vec<String>, Ok(r#"["a", "b"]"#)),
        row!(Secret(r#"{"1": "a", "2": "b"}"#), Vec<String>, Err("number the keys from 0")),
        row!(Secret("\u{feff}[1]"), Vec<u8>, Ok("[1]")),
        row!(Secret("1,hunter2"), Vec<u8>, Err("`x.1`")),
        row!(Secret("a\nb"), Vec<String>, Ok(r#"["a\nb"]"#)),
        row!(Variable(""), Option<Vec<u8>>, Ok("None")),
        row!(Secret("1e400"), f64, Err("expected f64")),
        row!(Secret(r#"{"value": -1e400}"#), f64, Err("expected f64")),
        row!(Secret("1e39"), f32, Err("expected f32")),
        row!(Secret("NaN"), f64, Err("expected f64")),
        row!(Variable("infinity"), f64, Err("expected f64")),
        row!(Secret(" 1e3 "), f64, Ok("1000.0")),
        row!(Secret("1e3"), u64, Err("expected u64")),
        row!(Secret(r#"{"value": 18446744073709551616}"#), u64, Err("expected u64")),
        row!(Secret(r#"{"value": 18446744073709551616}"#), u128, Ok("18446744073709551616")),
        row!(Secret(r#"{"value": 18446744073709551616}"#), String, Ok(r#""18446744073709551616""#)),
        row!(Secret("-129"), i8, Err("expected i8")),
        row!(Secret("0x10"), u8, Err("expected u8")),
        row!(Secret("1_000"), u16, Err("expected u16")),
        row!(Variable("007"), u8, Ok("7")),
        row!(Variable("007"), String, Ok(r#""007""#)),
        row!(Variable("1.10"), String, Ok(r#""1.10""#)),
        row!(Secret("٣"), u8, Err("expected u8")),
        row!(Secret("yes"), bool, Err("expected bool")),
        row!(Variable("TRUE"), bool, Ok("true")),
        row!(Secret(r#"{"a": 1e999}"#), Value, Err("")),
        row!(Secret("none"), Method, Ok("None")),
        row!(Variable("None"), Method, Ok("None")),
        row!(Secret(r#"{"apiToken": "t"}"#), Method, Ok(r#"ApiToken("t")"#)),
        row!(Variable(r#"{"API_TOKEN": "t"}"#), Method, Ok(r#"ApiToken("t")"#)),
        row!(Secret(r#"{"API_TOKEN": "t"}"#), Method, Ok(r#"ApiToken("t")"#)),
        row!(Secret(r#"{"ACME": "1", "acme": "2"}"#), Texts, Ok(r#"{"ACME": "1", "acme": "2"}"#)),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_value_is_the_same_in_each_way() {
    let mut wrong = Vec::new();
    for (number, Row { x, reads, expected }) in rows().into_iter().enumerate() {
        for (way, outcome) in reads(x).await {
            let fits = match (&outcome, expected) {
                (Ok(value), Ok(expected)) => value == expected,
                (Err(error), Err(part)) => error.contains(part) && !error.contains("hunter2"),
                _ => false,
            };
            if !fits {
                wrong.push(format!("{number} {x:?}, {way}: {outcome:?}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

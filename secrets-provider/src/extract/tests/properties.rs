//! Properties: the output of serde_json reads back, every wrong value is found, and no bytes cause
//! a panic.
//!
//! `rich` makes the settings; `PROPTEST_CASES` sets the number of cases.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::rich::{Rich, float, key, long, rich, text};
use super::*;
use crate::secret::Payload;
use crate::tree::payload;
use crate::{Layers, Memory, SecretsManager};

/// Fewer cases than proptest's default of 256, to save time. `PROPTEST_CASES` overrides it.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(64),
    }
}

/// JSON as the tree of a secret holds it: members that are `null` are absent.
fn as_read(json: Json) -> Json {
    match json {
        Json::Object(members) => Json::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, as_read(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(as_read).collect()),
        other => other,
    }
}

fn json() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        long().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        float().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Json::from),
            btree_map(
                prop_oneof![key(), "[A-Z][A-Z0-9_]{0,3}", "[AB]__[AB]", "[aAbB]"],
                inner,
                0..5
            )
            .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Bytes that are mostly JSON: random bytes would be plain text from the first byte on.
fn nearly_json() -> BoxedStrategy<String> {
    let token = proptest::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"a\"",
            "\"A\"",
            "\"value\"",
            "\"scalars\"",
            "\"\\ud800\"",
            "\\u0000",
            "null",
            "true",
            "1",
            "-",
            "1e999",
            "18446744073709551616",
            " ",
            "\n",
            "x",
        ][..],
    );
    prop_oneof![
        vec(token, 0..60).prop_map(|tokens| tokens.concat()),
        (json(), any::<proptest::sample::Index>(), any::<char>()).prop_map(|(json, at, char)| {
            let mut text: Vec<char> = format!("{{\"a\": {json}}}").chars().collect();
            let at = at.index(text.len());
            text[at] = char;
            text.into_iter().collect()
        }),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_output_of_serde_json_reads_back(rich in rich()) {
        let json = serde_json::to_string(&rich).expect("JSON");
        match read::<Rich>(&json) {
            Ok(back) => prop_assert_eq!(&back, &rich),
            Err(error) => prop_assert!(false, "{}", error),
        }
        // The object is the secret at the root, loaded as a program loads it.
        let memory = Memory::new();
        memory.put("app", serde_json::to_string_pretty(&rich).expect("JSON"));
        let snapshot = SecretsManager::prefix("app").backend(memory).fetch_blocking().expect("a snapshot");
        prop_assert_eq!(snapshot.extract::<Rich>().expect("settings"), rich);
    }

    #[test]
    fn any_json_object_reads_back_except_nulls(json in json()) {
        let secret = serde_json::json!({ "a": json });
        match read::<Json>(&secret.to_string()) {
            Ok(back) => prop_assert_eq!(back, as_read(secret.clone())),
            // `A` and `a` in one object, or `A__B` and a `b` in `a`.
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Malformed),
        }
        // The same JSON as the text of a variable.
        if let Ok(back) = Layers::new().environment_from([("X", secret.to_string())]).extract::<X<BTreeMap<String, Json>>>() {
            let back: Json = back.x.into_iter().collect();
            prop_assert_eq!(back, as_read(secret));
        }
    }

    #[test]
    fn text_that_is_not_an_object_is_kept(text in text()) {
        if !text.trim_start().starts_with('{') {
            prop_assert_eq!(ok::<String>(&text), text.clone());
            let secret = ok::<SecretString>(&text);
            prop_assert_eq!(secret.expose_secret(), &text);
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..400), nearly in nearly_json()) {
        let origin = Arc::new(Origin::Secret { name: "s".into(), version_id: "v".into(), source: None });
        for payload in [Payload::text(String::from_utf8_lossy(&bytes)), Payload::binary(&*bytes), Payload::text(&nearly)] {
            let _ = payload::parse_root(&payload, &origin);
            if let Ok(node) = payload::parse(&payload, &origin) {
                let tree = Table { entries: [("x".to_owned(), node)].into(), source_text: None };
                let _ = extract::<X<Rich>>(&tree);
                let _ = extract::<X<BTreeMap<String, Vec<Option<u8>>>>>(&tree);
                let _ = extract::<X<Json>>(&tree);
                let _ = extract::<X<Strict>>(&tree);
            }
        }
        let _ = Layers::new().environment_from([("X", nearly)]).extract::<X<Vec<Rich>>>();
    }

    #[test]
    fn every_wrong_value_is_reported_and_no_right_one(rows in btree_map("[a-c]{1,2}", row(), 0..8), tuple in row()) {
        let mut expected = BTreeSet::new();
        let mut members: Vec<String> = rows.iter().map(|(name, row)| {
            expected.extend(row.wrong(&format!("x.rows.{name}")));
            format!("\"{name}\": {}", row.json())
        }).collect();
        expected.extend(tuple.wrong("x.tuple.1"));
        members.sort_by_key(|member| std::cmp::Reverse(member.len()));
        let payload = format!("{{\"tuple\": [1, {}, \"7\"], \"rows\": {{{}}}}}", tuple.json(), members.join(","));
        let found = match read::<Rows>(&payload) {
            Ok(_) => BTreeSet::new(),
            Err(error) => error.errors().iter().filter_map(|e| e.key().map(str::to_owned)).collect(),
        };
        prop_assert_eq!(found, expected, "{}", payload);
    }

    #[test]
    fn explaining_never_panics(
        env in vec(("[A-C_a]{0,6}|\\PC{0,4}", text()), 0..6),
        placed in "[A-C]{1,2}",
        path in "[a-c.]{0,5}",
        json in json(),
        prefix in "|A_|é",
    ) {
        let memory = Memory::new();
        memory.put("app", serde_json::json!({ "b": json }).to_string());
        let layers = Layers::new().environment_prefixed(&prefix).environment_from(env).variable(placed, &path);
        let secrets = SecretsManager::prefix("app").backend(memory).fetch_blocking();
        let layers = match &secrets {
            Ok(secrets) => layers.secrets(secrets),
            Err(_) => layers,
        };
        if let Ok(explanation) = layers.explain() {
            let shown = format!("{explanation} {explanation:?}");
            prop_assert!(!shown.is_empty());
            prop_assert!(serde_json::to_string(&explanation).is_ok());
            prop_assert!(explanation.clone().all().keys().len() >= explanation.keys().len());
        }
    }
}

/// Nesting beyond the bound is an error, and the largest value of AWS can be read.
#[test]
fn nesting_and_size_have_bounds() {
    let most = 65_536;
    for (opening, closing) in [("{\"a\":", "}"), ("[", "]"), ("{\"a\":[", "]}")] {
        let each = closing.len();
        for (levels, fits) in
            [(63 / each, true), (65, false), (most / (opening.len() + each), false)]
        {
            let text = format!("{}1{}", opening.repeat(levels), closing.repeat(levels));
            let secret = format!("{{\"k\": {text}}}");
            assert_eq!(read::<Json>(&secret).is_ok(), fits, "{levels} levels of {opening}");
            let layers = Layers::new().environment_from([("X", secret.as_str())]);
            assert_eq!(
                layers.extract::<X<BTreeMap<String, Json>>>().is_ok(),
                fits,
                "{levels} of {opening}"
            );
            let unclosed = &secret[..secret.len() - 1];
            assert_eq!(ok::<String>(unclosed), unclosed);
        }
    }
    let wide = |member: &str| {
        let members: Vec<_> =
            (0..most / (member.len() + 9)).map(|n| format!("\"{n:05}\":{member}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(ok::<BTreeMap<String, String>>(&wide("1")).len() > 6_000);
    assert_eq!(ok::<BTreeMap<String, Option<u8>>>(&wide("\"\"")).values().flatten().count(), 0);
    assert_eq!(ok::<String>(&"x".repeat(most)).len(), most);
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Rows {
    tuple: (u8, RowOf, u8),
    rows: BTreeMap<String, RowOf>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct RowOf {
    number: u8,
    address: IpAddr,
    list: Vec<(bool, url::Url)>,
    maybe: Option<u8>,
    level: Level,
}

/// For each value of a row, and each item of its list, whether it is given and right.
#[derive(Debug, Clone)]
struct Row {
    number: Option<bool>,
    address: Option<bool>,
    list: Vec<(bool, bool)>,
    maybe: Option<bool>,
    level: Option<bool>,
}

fn row() -> BoxedStrategy<Row> {
    let given = || option::weighted(0.8, proptest::bool::weighted(0.7));
    let item = (proptest::bool::weighted(0.7), proptest::bool::weighted(0.7));
    (given(), given(), vec(item, 0..3), given(), given())
        .prop_map(|(number, address, list, maybe, level)| Row {
            number,
            address,
            list,
            maybe,
            level,
        })
        .boxed()
}

impl Row {
    fn json(&self) -> String {
        let scalar = |name: &str, right: &str, given: Option<bool>| {
            given.map(|is_right| {
                format!("\"{name}\": \"{}\"", if is_right { right } else { "hunter2" })
            })
        };
        let item = |(yes, url): &(bool, bool)| {
            let url = if *url { "\"http://host\"" } else { "[]" };
            format!("[{}, {url}]", if *yes { "\"True\"" } else { "{}" })
        };
        let list: Vec<_> = self.list.iter().map(item).collect();
        let members = [
            Some(format!("\"list\": [{}]", list.join(","))),
            scalar("number", "1", self.number),
            scalar("address", "::1", self.address),
            scalar("maybe", "1", self.maybe),
            scalar("level", "info", self.level),
        ];
        format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))
    }

    /// The keys of the wrong values and of the first missing one.
    fn wrong(&self, at: &str) -> Vec<String> {
        let scalars = [("number", self.number), ("address", self.address), ("level", self.level)];
        let missing = scalars.iter().find(|(_, given)| given.is_none()).map(|(name, _)| *name);
        let wrong =
            scalars.iter().filter(|(_, given)| *given == Some(false)).map(|(name, _)| *name);
        let maybe = (self.maybe == Some(false)).then_some("maybe");
        let items = self.list.iter().enumerate().flat_map(|(index, (yes, url))| {
            let part =
                |right: &bool, part: u8| (!right).then(|| format!("{at}.list.{index}.{part}"));
            [part(yes, 0), part(url, 1)].into_iter().flatten()
        });
        wrong.chain(missing).chain(maybe).map(|name| format!("{at}.{name}")).chain(items).collect()
    }
}

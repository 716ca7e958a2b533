//! T2: the target type decides how a value is read.
//!
//! Each conversion has a table of what fits and of what is refused, so that a new leniency shows up
//! as a changed row.

use super::*;

#[test]
fn text_is_parsed_as_the_scalar_of_its_field() {
    assert_eq!(ok::<u16>("5432"), 5432);
    assert_eq!(ok::<u16>(" 5432\n"), 5432);
    assert_eq!(ok::<i8>("-7"), -7);
    assert_eq!(ok::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(ok::<i128>("-170141183460469231731687303715884105728"), i128::MIN);
    assert!((ok::<f64>("0.5") - 0.5).abs() < f64::EPSILON);
    for (text, value) in [("true", true), ("True", true), ("FALSE", false), (" false ", false)] {
        assert_eq!(ok::<bool>(text), value, "{text}");
    }
    for text in ["1", "yes", "on", "", "truee"] {
        assert!(refused::<bool>(text).contains("expected bool (`true` or `false`)"), "{text}");
    }
    for (text, value) in [
        ("256", None),
        ("-1", None),
        ("1.0", None),
        ("0x10", None),
        ("1 2", None),
        ("255", Some(255)),
    ] {
        assert_eq!(read::<u8>(text).ok(), value, "{text}");
    }
    assert_eq!(ok::<char>("x"), 'x');
    assert_eq!(ok::<String>(" 007 \n"), " 007 \n");
    assert_eq!(ok::<IpAddr>("127.0.0.1"), IpAddr::from([127, 0, 0, 1]));
}

#[test]
fn json_scalars_fill_text_with_their_source() {
    let json: BTreeMap<String, String> =
        ok(r#"{"a": 1.50, "b": 12345678901234567890123, "c": true, "d": "t", "e": -0}"#);
    let values: Vec<_> = json.values().map(String::as_str).collect();
    assert_eq!(values, ["1.50", "12345678901234567890123", "true", "t", "-0"]);
    let secret: BTreeMap<String, SecretString> = ok(r#"{"a": 12345678, "b": true, "c": "t"}"#);
    assert_eq!(secret["a"].expose_secret(), "12345678");
}

#[test]
fn a_json_secret_fills_text_with_its_source_and_a_value_object_with_its_value() {
    assert_eq!(ok::<String>("{\"a\":  1}\n"), "{\"a\":  1}\n");
    assert_eq!(ok::<String>(r#"{"value": "v"}"#), "v");
    assert_eq!(ok::<u16>(r#"{"value": "5432"}"#), 5432);
    assert!(ok::<bool>(r#"{"value": true}"#));
    assert_eq!(ok::<String>(r#"{"value": "v", "more": 1}"#), r#"{"value": "v", "more": 1}"#);
    assert!(refused::<u16>(r#"{"value": 1, "more": 1}"#).contains("expected u16, found a table"));
}

#[test]
fn empty_text_is_none_for_an_option_of_another_type_than_text() {
    assert_eq!(ok::<Option<u16>>(""), None);
    assert_eq!(ok::<Option<IpAddr>>(""), None);
    assert_eq!(ok::<Option<bool>>(" "), None);
    assert_eq!(ok::<Option<String>>(""), Some(String::new()));
    assert_eq!(ok::<Option<u16>>("1"), Some(1));
    assert_eq!(ok::<Option<u16>>(r#"{"value": ""}"#), None);
    assert_eq!(ok::<Option<String>>(r#"{"value": ""}"#), Some(String::new()));
    assert_eq!(ok::<Option<url::Url>>(""), None);
    assert_eq!(ok::<Option<Vec<u8>>>(""), None);
    assert_eq!(ok::<Option<BTreeMap<String, u8>>>(""), None);
    assert_eq!(ok::<Vec<Option<u8>>>("[\"\", null, 1]"), [None, None, Some(1)]);
    assert_eq!(ok::<Option<SecretString>>("").map(|text| text.expose_secret().len()), Some(0));
    assert!(refused::<u16>("").contains("expected u16"));
    assert!(refused::<Option<u16>>("x").contains("expected u16"));
}

#[test]
fn enums_sequences_maps_and_tuples_are_read() {
    assert_eq!(ok::<Level>("info"), Level::Info);
    assert_eq!(ok::<Level>(r#"{"custom": "3"}"#), Level::Custom(3));
    assert_eq!(ok::<Vec<u8>>("[1, \"2\"]"), [1, 2]);
    assert_eq!(ok::<(String, bool)>(r#"["a", "True"]"#), ("a".into(), true));
    assert_eq!(ok::<[u8; 2]>("[1, 2]"), [1, 2]);
    for text in ["[1]", "[1, 2, 3]", "[]"] {
        assert!(
            refused::<[u8; 2]>(text).contains("expected a sequence of 2, but there "),
            "{text}"
        );
    }
    assert!(
        refused::<Vec<u8>>("hunter2").contains("`x.0`: expected u8, found text that does not fit")
    );
    assert!(
        refused::<Vec<u8>>("[hunter2")
            .contains("expected a sequence, but the text is not valid JSON at line 1")
    );
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

#[test]
fn bytes_come_raw_from_binary_and_text_is_its_own_bytes() {
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
    let origin =
        Arc::new(Origin::Secret { name: "s".into(), version_id: "v".into(), source: None });
    let value = Value::Bytes(Arc::new(vec![0, 255, 254, 1].into()));
    let table =
        Table { entries: [("x".to_owned(), Node::new(value, origin))].into(), source_text: None };
    assert_eq!(extract::<X<Bytes>>(&table).expect("bytes").x, Bytes(vec![0, 255, 254, 1]));
    assert_eq!(extract::<X<String>>(&table).expect("text").x, "AP/+AQ==");
    assert_eq!(extract::<X<Vec<u8>>>(&table).expect("bytes").x, [0, 255, 254, 1]);
    assert_eq!(extract::<X<[u8; 4]>>(&table).expect("bytes").x, [0, 255, 254, 1]);
    let error = extract::<X<[u8; 3]>>(&table).expect_err("another length").to_string();
    assert!(error.contains("expected a sequence of 3, but there are 4 bytes"), "{error}");
    for text in ["AP/+AQ==", "password", " padded \n", "hunter2 !", "{\"a\": 1}", "12"] {
        assert_eq!(ok::<Bytes>(text), Bytes(text.into()), "{text}");
    }
    assert_eq!(ok::<BTreeMap<String, Bytes>>(r#"{"n": 1.50}"#)["n"], Bytes("1.50".into()));
}

#[test]
fn binary_that_is_a_json_object_fills_a_table() {
    let read = |bytes: &[u8]| {
        let origin =
            Arc::new(Origin::Secret { name: "s".into(), version_id: "v".into(), source: None });
        let node = Node::new(Value::Bytes(Arc::new(bytes.to_vec().into())), origin);
        let table = Table { entries: [("x".to_owned(), node)].into(), source_text: None };
        extract::<X<Strict>>(&table).map(|x| (x.x.host, x.x.port))
    };
    assert_eq!(read(br#" {"host": "h", "PORT": "1"}"#).expect("a table"), ("h".into(), 1));
    for bytes in [&b"\xff"[..], b"{\xff}", b"[1]", b"", b"{"] {
        let error = read(bytes).expect_err("no table").to_string();
        assert!(error.contains("`x`"), "{error}");
    }
}

#[test]
fn json_at_any_depth_is_text_by_its_source() {
    let payload =
        r#"{"account": {"n":1e2, "list": [1, {"a":  2}]}, "keys": [ "a",[] ], "empty": [[]]}"#;
    let texts: BTreeMap<String, String> = ok(payload);
    assert_eq!(texts["account"], r#"{"n":1e2, "list": [1, {"a":  2}]}"#);
    assert_eq!((texts["keys"].as_str(), texts["empty"].as_str()), (r#"[ "a",[] ]"#, "[[]]"));
    assert_eq!(
        ok::<BTreeMap<String, Vec<String>>>(r#"{"a": [{"b": 1}, [2]]}"#)["a"],
        [r#"{"b": 1}"#, "[2]"]
    );
    // JSON in JSON text, and back.
    let nested: BTreeMap<String, BTreeMap<String, String>> = ok(r#"{"a": "{\"b\": [1, 2]}"}"#);
    assert_eq!(nested["a"]["b"], "[1, 2]");
}

#[test]
fn an_infinity_is_no_number() {
    for text in ["NaN", "inf", "-inf", "infinity", "1e400", "-1e400"] {
        assert!(refused::<f64>(text).contains("expected f64"), "{text}");
        assert!(refused::<f32>(text).contains("expected f32"), "{text}");
    }
    assert!(refused::<f32>("1e39").contains("expected f32"));
    assert!((ok::<f64>("1e39") - 1e39).abs() < 1e30);
    let numbers = r#"{"a": 1e400}"#;
    assert!(refused::<BTreeMap<String, f64>>(numbers).contains("`x.a`"));
    assert!(refused::<BTreeMap<String, serde_json::Value>>(numbers).contains("`x.a`"));
    assert_eq!(ok::<BTreeMap<String, String>>(numbers)["a"], "1e400");
}

#[test]
fn enums_are_read_in_all_four_representations() {
    #[derive(Debug, Deserialize, PartialEq)]
    enum External {
        Off,
        Port(u16),
        Pair(u16, bool),
        Host { name: String, port: u16 },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind")]
    enum Internal {
        Off,
        Host { name: String, port: u16 },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind", content = "content")]
    enum Adjacent {
        Off,
        Port(u16),
        Host { name: String, port: u16 },
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Untagged {
        Port(u16),
        Host { name: String, port: u16 },
        Text(String),
    }
    for (text, value) in [
        ("Off", External::Off),
        (" Off\n", External::Off),
        (r#"{"value": "Off"}"#, External::Off),
        (r#"{"Off": null, "Port": "1"}"#, External::Port(1)),
        (r#"{"Pair": ["1", "True"]}"#, External::Pair(1, true)),
        (r#"{"Host": {"name": 7, "port": "1"}}"#, External::Host { name: "7".into(), port: 1 }),
    ] {
        assert_eq!(ok::<External>(text), value, "{text}");
    }
    for (text, value) in [
        (r#"{"kind": "Off"}"#, Internal::Off),
        (
            r#"{"kind": "Host", "name": "n", "port": 1}"#,
            Internal::Host { name: "n".into(), port: 1 },
        ),
    ] {
        assert_eq!(ok::<Internal>(text), value, "{text}");
    }
    // The tag is read first, in any position, so that the type of the content is known.
    for (text, value) in [
        (r#"{"kind": "Off"}"#, Adjacent::Off),
        (r#"{"content": "1", "kind": "Port"}"#, Adjacent::Port(1)),
        (
            r#"{"content": {"name": 7, "port": "1"}, "kind": "Host"}"#,
            Adjacent::Host { name: "7".into(), port: 1 },
        ),
    ] {
        assert_eq!(ok::<Adjacent>(text), value, "{text}");
    }
    for (text, value) in [
        ("[1]", Untagged::Text("[1]".into())),
        ("1", Untagged::Text("1".into())),
        (r#"{"name": "n", "port": 1}"#, Untagged::Host { name: "n".into(), port: 1 }),
    ] {
        assert_eq!(ok::<Untagged>(text), value, "{text}");
    }
    assert_eq!(ok::<Vec<Untagged>>("[1]"), [Untagged::Port(1)]);
    for message in [refused::<External>("hunter2"), refused::<Adjacent>(r#"{"kind": "hunter2"}"#)] {
        assert!(message.contains("expected one of `Off`, `Port`"), "{message}");
    }
}

#[test]
fn nothing_is_rounded_and_nothing_wraps() {
    let max =
        r#"{"a": 18446744073709551615, "b": "18446744073709551615", "c": 18446744073709551615}"#;
    let read: BTreeMap<String, u64> = ok(max);
    assert!(read.values().all(|number| *number == u64::MAX));
    let any: BTreeMap<String, serde_json::Value> = ok(max);
    assert_eq!(any["a"].as_u64(), Some(u64::MAX));
    assert_eq!(ok::<Vec<Option<u64>>>("[18446744073709551615]"), [Some(u64::MAX)]);
    assert_eq!(ok::<Vec<i64>>("[-9223372036854775808]"), [i64::MIN]);
    for number in ["18446744073709551616", "-1", "1e3", "1.0"] {
        assert!(refused::<Vec<u64>>(&format!("[{number}]")).contains("expected u64"), "{number}");
    }
}

/// Conversions that the buffering of serde makes impossible, and the hint in their errors.
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
    for message in [
        refused::<Flat>(r#"{"port": "1"}"#),
        refused::<Untagged>(r#"{"port": "1"}"#),
        refused::<Tagged>(r#"{"kind": "Port", "port": "1"}"#),
        // A value that is not buffered has a type. A whole secret is not text if any type is
        // accepted.
        refused::<Untagged>("1"),
    ] {
        assert!(message.contains("text stays text"), "{message}");
        assert!(message.contains("key `x") && message.contains("secret `app/x`"), "{message}");
    }
}

#[test]
fn wide_numbers_durations_newtypes_and_defaults_are_read() {
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
    assert!(refused::<url::Url>("hunter2").contains("expected Url, which rejects the value"));
}

#[test]
fn json_text_is_a_variant_with_its_content() {
    assert_eq!(ok::<Level>(r#"{"custom": 3}"#), Level::Custom(3));
    let read: X<Level> = layered("{}", &[("X", r#"{"custom": 3}"#)], "").expect("settings");
    assert_eq!(read.x, Level::Custom(3));
    let read: X<Level> = layered("{}", &[], "X=info").expect("settings");
    assert_eq!(read.x, Level::Info);
    let error = layered::<X<Level>>("{}", &[("X", r#"{"custom": s3cret}"#)], "")
        .expect_err("no JSON")
        .to_string();
    assert!(error.contains("expected a variant, but ") && !error.contains("s3cret"), "{error}");
}

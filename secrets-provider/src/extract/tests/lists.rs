//! Lists, and JSON that was encoded twice or begins with a byte order mark (rule T2).

use std::collections::BTreeSet;

use super::*;

fn words(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn a_list_is_filled_however_it_is_written() {
    for (about, env, expected) in [
        ("JSON", &[("X", r#"["a","b"]"#)][..], &["a", "b"][..]),
        ("commas", &[("X", "a, b")], &["a", "b"]),
        ("URLs", &[("X", "https://a,https://b")], &["https://a", "https://b"]),
        ("one item", &[("X", "a")], &["a"]),
        ("figment's brackets", &[("X", "[a,b]")], &["a", "b"]),
        ("quotes", &[("X", r#"["a", b, 'c, d']"#)], &["a", "b", "c, d"]),
        ("a comma at the end", &[("X", "a,b,")], &["a", "b"]),
        ("nothing", &[("X", "")], &[]),
        ("white space", &[("X", "  ")], &[]),
        ("numbered variables", &[("X__0", "a"), ("X__1", "b")], &["a", "b"]),
        ("a JSON object with numbers", &[("X", r#"{"1": "b", "0": "a"}"#)], &["a", "b"]),
        ("JSON encoded twice", &[("X", r#""[\"a\",\"b\"]""#)], &["a", "b"]),
        ("a byte order mark", &[("X", "\u{feff}[\"a\"]")], &["a"]),
    ] {
        let read: X<Vec<String>> =
            layered("{}", env, "").unwrap_or_else(|e| panic!("{about}: {e}"));
        assert_eq!(read.x, words(expected), "{about}");
    }
    let eleven: Vec<_> = (0..11).map(|n| (format!("X__{n}"), n.to_string())).collect();
    let env: Vec<_> = eleven.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        layered::<X<Vec<u8>>>("{}", &env, "").expect("eleven").x,
        (0..11).collect::<Vec<_>>()
    );

    assert_eq!(ok::<Vec<u16>>("80, 443"), [80, 443], "a secret's text");
    assert_eq!(ok::<Vec<bool>>("true,False"), [true, false]);
    assert_eq!(ok::<Vec<Level>>("debug, info"), [Level::Debug, Level::Info]);
    assert_eq!(ok::<(String, u16)>("localhost, 80"), ("localhost".to_owned(), 80));
    assert_eq!(ok::<[u8; 3]>("1,2,3"), [1, 2, 3]);
    assert_eq!(ok::<BTreeSet<String>>("b,a,b"), words(&["a", "b"]).into_iter().collect());
    assert_eq!(ok::<Vec<Vec<u8>>>("[[1],[2]]"), [[1], [2]]);
    assert_eq!(ok::<Option<Vec<u8>>>(""), None, "T2: empty text for an `Option` of no text");
    assert_eq!(ok::<Option<Vec<u8>>>("1"), Some(vec![1]));
    let read: X<Vec<Strict>> =
        layered("{}", &[("X__0__HOST", "h"), ("X__0__PORT", "1")], "").expect("tables");
    assert_eq!(read.x[0].port, 1);
}

#[test]
fn what_is_no_list_says_how_one_is_written() {
    for (env, message) in [
        (&[("X", "[\"a\"")][..], "not valid JSON at line 1, column 4"),
        (&[("X", "{\"a\": 1}")], "expected a sequence, found a table"),
        (&[("X", "1,two")], "`x.1`: expected u16, found text that does not fit"),
        (&[("X", "1,,2")], "`x.1`: expected u16, found empty text"),
        (&[("X__A", "1")], "expected a sequence, found a table"),
    ] {
        let error = layered::<X<Vec<u16>>>("{}", env, "").expect_err("no list");
        assert!(error.to_string().contains(message), "{env:?}: {error}");
        assert_eq!(error.hint(), Some(super::super::lists::HOW), "{env:?}: {error}");
        assert!(error.to_string().contains("variable `X"), "{env:?}: {error}");
    }
    for env in [
        &[("X__1", "1"), ("X__2", "2")][..],
        &[("X__0", "1"), ("X__2", "2")],
        &[("X__01", "1")],
        &[("X__1__HOST", "h"), ("X__1__PORT", "1")],
    ] {
        let error = layered::<X<Vec<Strict>>>("{}", env, "").expect_err("no list");
        assert!(error.to_string().contains("is not there; items are numbered from 0"), "{error}");
        let hint = "number the variables from 0 without a gap, after two underscores: `X__0`, \
                    `X__1`, …";
        assert_eq!(error.hint(), Some(hint), "{env:?}");
    }
    let error = refused::<Vec<u8>>(r#"{"1": 1, "2": 2}"#);
    assert!(error.contains("number the keys from 0 without a gap; a list is"), "{error}");
    let error = refused::<(u8, u8)>("1,2,3");
    assert!(error.contains("expected a sequence of 2, but there are 3"), "{error}");
    let error = refused::<(u8, u8)>("");
    assert!(error.contains("expected a sequence of 2, but there are 0"), "{error}");
}

#[test]
fn json_that_was_encoded_twice_is_read_once_more_and_no_further() {
    let twice = r#" "{\"host\": \"h\", \"port\": 1}" "#;
    assert_eq!(ok::<Strict>(twice).port, 1);
    assert_eq!(ok::<BTreeMap<String, String>>(twice)["host"], "h");
    assert_eq!(ok::<String>(twice), twice, "text stays text");
    assert_eq!(ok::<Strict>("\u{feff}{\"host\": \"h\", \"port\": 1}").port, 1);
    assert_eq!(ok::<String>("\u{feff}{}"), "\u{feff}{}");
    let thrice = serde_json::to_string(twice.trim()).expect("JSON");
    let error = refused::<Strict>(&thrice);
    assert!(error.contains("the text is JSON that was encoded more than twice"), "{error}");
    let broken = refused::<Strict>(r#""{\"host\": ""#);
    assert!(broken.contains("not valid JSON"), "{broken}");
}

#[test]
fn numbers_after_one_underscore_are_named_with_how_items_are_numbered() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the error is read")]
    struct Nested {
        x: Lists,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "the error is read")]
    struct Lists {
        hosts: Vec<String>,
    }
    let two = "number the variables from 0 without a gap, after two underscores";
    for (about, secret, env, mentions) in [
        (
            "the variables",
            "{}",
            &[("X__HOSTS_0", "a"), ("X__HOSTS_1", "b")][..],
            &["environment variable `X__HOSTS_0` is no item of `x.hosts`", two, "`X__HOSTS__0`"][..],
        ),
        (
            "one underscore everywhere",
            "{}",
            &[("X_HOSTS_0", "a"), ("X_HOSTS_1", "b")],
            &["environment variable `X_HOSTS_0` is no item of", two, "`X__HOSTS__0`"],
        ),
        ("from one", "{}", &[("X_HOSTS_1", "a")], &["`X_HOSTS_1` is no item of", two]),
        (
            "a secret's keys",
            r#"{"x": {"hosts_0": "hunter2", "hosts_1": "b"}}"#,
            &[],
            &["version `v1` has numbered keys that are no items of `x.hosts`", "as JSON"],
        ),
    ] {
        let error = layered::<Nested>(secret, env, "").expect_err(about);
        let hint = error.hint().unwrap_or_default();
        for mention in mentions {
            assert!(hint.contains(mention), "{about}: {error}");
        }
        assert!(!error.to_string().contains("hunter2"), "{about}: {error}");
    }
    let error = layered::<X<Vec<String>>>("{}", &[("X_0", "a"), ("X_1", "b")], "");
    let error = error.expect_err("missing").to_string();
    assert!(error.contains("`X_0` is no item of `x`") && error.contains("`X__0`"), "{error}");
    // For a field that is no list, a number says nothing.
    let error = layered::<X<String>>("{}", &[("X_0", "a")], "").expect_err("missing").to_string();
    assert!(!error.contains("X_0") && error.contains("variable `X`"), "{error}");
}

/// The advice is about what is there: bytes, or one text.
#[test]
fn bytes_that_do_not_fit_say_how_bytes_are_stored() {
    let binary = |bytes: &[u8]| {
        let mapping = Mapping { prefix: Some("app".into()), ..Mapping::default() };
        assemble(&[Fetched::binary("app/x", "v1", bytes)], &mapping).expect("a tree")
    };
    fn hint<T: DeserializeOwned>(tree: &Table) -> (String, String) {
        let Err(error) = extract::<X<T>>(tree) else { panic!("no error") };
        (error.to_string(), error.hint().expect("advice").to_owned())
    }
    let (error, advice) = hint::<[u8; 4]>(&binary(b"abc"));
    assert!(error.contains("expected a sequence of 4, but there are 3 bytes"), "{error}");
    assert!(advice.contains("store exactly 4 as SecretBinary"), "{advice}");
    assert!(advice.contains("`Key<4>`") && !advice.contains("a list"), "{advice}");
    let (error, advice) = hint::<Vec<String>>(&binary(b"abc"));
    assert!(error.contains("expected a sequence, but the bytes do not fit its items"), "{error}");
    assert!(advice.contains("store a list as text"), "{advice}");
    let (_, advice) = hint::<Vec<String>>(&binary(b"[\"a\"]"));
    assert!(advice.contains("the bytes are JSON: store them as text"), "{advice}");
    let text = |text: &str| secret(text).expect("a tree");
    let (error, advice) = hint::<[u8; 4]>(&text("aHVudGVyMg=="));
    assert!(error.contains("expected a sequence of 4, but there is 1"), "{error}");
    assert!(advice.contains("`Key<4>`") && advice.contains("a list is written"), "{advice}");
    let (error, advice) = hint::<Vec<u8>>(&text("aHVudGVyMg=="));
    assert!(error.contains("`x.0`: expected u8, found text that does not fit"), "{error}");
    assert!(advice.contains("SecretBinary") && advice.contains("`Key<N>`"), "{advice}");
    assert!(!error.contains("aHVu"), "{error}");
}

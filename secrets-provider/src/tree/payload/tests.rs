//! What a payload becomes, and why it may have no place in a tree.

use super::*;

fn origin() -> Arc<Origin> {
    Arc::new(Origin::Secret { name: "s".into(), version_id: "v".into(), source: None })
}

fn problem(text: &str) -> Option<PayloadError> {
    parse(&Payload::text(text), &origin()).err()
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[test]
fn only_a_whole_json_object_is_expanded() {
    for (text, table) in [
        ("{}", true),
        (" \n{\"a\": 1}\n ", true),
        ("{\"a\": 1} x", false),
        ("{\"a\": 01}", false),
        ("{a: 1}", false),
        ("{", false),
        ("[{}]", false),
        ("", false),
        ("\u{a0}{}", false),
        ("\u{feff} {\"a\": 1}", true),
        ("\u{feff}\u{feff}{}", false),
        (r#""{\"a\": 1}""#, false),
    ] {
        let Ok(node) = parse(&Payload::text(text), &origin()) else { panic!("{text:?}") };
        assert_eq!(matches!(node.value, Value::Table(_)), table, "{text:?}");
    }
}

#[test]
fn a_key_twice_is_found_at_any_depth_and_after_lowercasing() {
    for (text, key) in [
        (r#"{"a": 1, "a": 1}"#, "a"),
        (r#"{"a": null, "a": 1}"#, "a"),
        (r#"{"API_KEY": 1, "API_KEY": 1}"#, "api_key"),
        (r#"{"API_KEY": 1, "api_key": 1, "API_KEY": 1}"#, "API_KEY"),
        (r#"{"A__B": 1, "a": {"b": 1}}"#, "a.b"),
        (r#"{"x": {"y": {"b": 1, "\u0062": 2}}}"#, "x.y.b"),
        (r#"{"x": [{"b": 1, "b": 2}]}"#, "x.b"),
    ] {
        assert_eq!(problem(text), Some(PayloadError::DuplicateKey(key.into())), "{text}");
    }
    assert_eq!(problem(r#"{"a": {"b": 1}, "b": 1}"#), None);
}

#[test]
fn nesting_is_bounded_at_64_levels_for_objects_and_arrays() {
    assert_eq!(problem(&nested(64)), None);
    assert_eq!(problem(&nested(65)), Some(PayloadError::TooDeep));
    let arrays = |n| format!("{{\"a\": {}{}}}", "[".repeat(n), "]".repeat(n));
    assert_eq!(problem(&arrays(63)), None);
    assert_eq!(problem(&arrays(64)), Some(PayloadError::TooDeep));
    assert_eq!(problem(&arrays(30_000)), Some(PayloadError::TooDeep));
}

#[test]
fn a_lone_surrogate_is_a_problem_and_not_a_panic() {
    assert_eq!(problem(r#"{"a": "\ud800"}"#), Some(PayloadError::NotUnicode));
    assert_eq!(problem(r#"{"\ud800": 1}"#), Some(PayloadError::NotUnicode));
}

#[test]
fn numbers_keep_their_source_text() {
    let node =
        parse(&Payload::text(r#"{"n": 1.50, "big": 123456789012345678901234567890}"#), &origin());
    let Ok(Node { value: Value::Table(table), .. }) = node else { panic!("a table") };
    for (key, text) in [("n", "1.50"), ("big", "123456789012345678901234567890")] {
        let Some(Value::Number(number)) = table.find(&[key]).map(|node| &node.value) else {
            panic!("{key}")
        };
        assert_eq!(number.as_str(), text);
    }
}

#[test]
fn a_root_secret_says_where_it_stops_being_json_without_showing_it() {
    let root = |payload| parse_root(&payload, &origin()).err().map(|problem| problem.to_string());
    assert_eq!(
        root(Payload::text("hunter2")).as_deref(),
        Some("expected a JSON object, found text")
    );
    assert_eq!(
        root(Payload::text("{\"a\": 1,\n hunter2}")).as_deref(),
        Some("expected a JSON object, found invalid JSON at line 2, column 2")
    );
    assert_eq!(
        root(Payload::binary(*b"{\xff}")).as_deref(),
        Some("expected a JSON object, found binary")
    );
    assert_eq!(root(Payload::binary(*b" {\"a\": 1}")), None, "a JSON object in UTF-8");
    assert_eq!(root(Payload::binary(*b"\xef\xbb\xbf{\"a\": 1}")), None, "with a mark");
    assert_eq!(root(Payload::text("{}")), None);
    for encoded in [r#""{\"a\": 1}""#, r#" "\"{\\\"a\\\": 1}\"" "#, r#""[1]""#] {
        let problem = root(Payload::text(encoded)).expect("a problem");
        assert!(problem.ends_with("it was encoded twice"), "{encoded}: {problem}");
    }
}

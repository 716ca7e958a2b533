use proptest::prelude::*;

use super::*;

fn content(text: &str) -> Content {
    Content::new(&Payload::text(text))
}

fn edited(text: &str, edits: &[(&str, &str)]) -> Result<String, EditError> {
    let values: Vec<NewValue> = edits.iter().map(|(_, value)| (*value).into()).collect();
    let edits: Vec<_> =
        edits.iter().zip(&values).map(|((name, _), value)| (*name, value)).collect();
    let new = content(text).edited(&edits)?;
    match new.payload() {
        Payload::Text(text) => Ok(text.as_str().to_owned()),
        Payload::Binary(_) => panic!("text stays text"),
    }
}

#[test]
fn only_the_named_members_change() {
    for (text, edits, expected) in [
        (r#"{"a":1,"b":2}"#, &[("a", "x")][..], r#"{"a":"x","b":2}"#),
        (
            "{ \"b\" : 1.50e+1 ,\n\t\"a\":\"\\u0041\" }\n",
            &[("a", "x")],
            "{ \"b\" : 1.50e+1 ,\n\t\"a\":\"x\" }\n",
        ),
        (r#"{"b":null,"a":true}"#, &[("b", "y"), ("a", "\"\\\n")], r#"{"b":"y","a":"\"\\\n"}"#),
        (
            r#"{"a":"1","b":"2"}"#,
            &[("b", "long enough"), ("a", "")],
            r#"{"a":"","b":"long enough"}"#,
        ),
        (r#"{"x":{"a":{"p":"1"}},"p":"2"}"#, &[("x.a.p", "n")], r#"{"x":{"a":{"p":"n"}},"p":"2"}"#),
        (r#"{"x.p":"1","y":2}"#, &[("x.p", "n")], r#"{"x.p":"n","y":2}"#),
        (r#"{"\u0061":"1"}"#, &[("a", "n")], r#"{"\u0061":"n"}"#),
        ("old text", &[("", "new")], "new"),
        ("{no json", &[("password", "new")], "new"),
        ("[1]", &[("", "new")], "new"),
    ] {
        assert_eq!(edited(text, edits).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_replaced_says_why() {
    for (text, edits, expected) in [
        (r#"{"a":1}"#, &[("b", "x")][..], EditError::Missing),
        (r#"{"a":1}"#, &[("", "x")], EditError::Object),
        (r#"{"a":1,"a":2}"#, &[("a", "x")], EditError::Twice),
        (r#"{"a.b":1,"a":{"b":2}}"#, &[("a.b", "x")], EditError::Twice),
        (r#"{"a":1}"#, &[("a", "x"), ("a", "y")], EditError::Twice),
        (r#"{"a":{"b":1}}"#, &[("a", "x")], EditError::NoScalar),
        (r#"{"a":[]}"#, &[("a", "x")], EditError::NoScalar),
        (r#"{"a":[{"b":1}]}"#, &[("a.b", "x")], EditError::Missing),
        ("text", &[("a", "x"), ("b", "y")], EditError::SecondWhole),
    ] {
        assert_eq!(edited(text, edits), Err(expected), "{text}");
    }
}

#[test]
fn binary_stays_binary() {
    let key = NewValue::from(*b"\x00\xff");
    let whole = Content::new(&Payload::binary([1, 2, 3]));
    let new = whole.edited(&[("", &key)]).expect("a whole secret");
    assert!(matches!(new.payload(), Payload::Binary(bytes) if ***bytes == *b"\x00\xff"));

    let object = Content::new(&Payload::binary(*br#"{"key": "AAA=", "n": 1}"#));
    let new = object.edited(&[("key", &key)]).expect("a member");
    let Payload::Binary(bytes) = new.payload() else { panic!("binary") };
    assert_eq!(std::str::from_utf8(bytes), Ok(r#"{"key": "AP8=", "n": 1}"#));
}

#[test]
fn values_are_read_as_they_are_meant() {
    let object = content(r#"{"t": "\u00e9", "n": 1.50, "b": true, "z": null, "o": {}}"#);
    let text = |member: &str| match object.value(member) {
        Ok(Some(Payload::Text(text))) => Some(text.as_str().to_owned()),
        _ => None,
    };
    assert_eq!(text("t").as_deref(), Some("é"));
    assert_eq!(text("n").as_deref(), Some("1.50"));
    assert_eq!(text("b").as_deref(), Some("true"));
    assert!(matches!(object.value("z"), Ok(None)));
    assert!(matches!(object.value("o"), Err(EditError::NoScalar)));
    assert!(matches!(object.value("x"), Err(EditError::Missing)));
}

/// JSON with any white space and any spelling of numbers and strings.
fn json() -> impl Strategy<Value = String> {
    let space = prop_oneof![Just(""), Just(" "), Just("\n\t"), Just("\r\n  ")];
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.50e+01".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\u0041\/""#.to_owned()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("JSON")),
    ];
    scalar.prop_recursive(3, 12, 4, move |inner| {
        let space = space.clone();
        let key = "[a-z]{1,3}".prop_map(|key| format!("\"{key}\""));
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), space.clone()).prop_map(
                |(items, space)| format!("[{}]", items.join(&format!("{space},{space}")))
            ),
            (prop::collection::vec((key, inner), 0..4), space).prop_map(|(members, space)| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("{space}{key}{space}:{value}"))
                    .collect();
                format!("{{{}{space}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_other_byte_stays(
        before in prop::collection::vec(json(), 0..3),
        old in any::<String>(),
        new in any::<String>(),
        after in prop::collection::vec(json(), 0..3),
        space in "[ \n\t]{0,3}",
    ) {
        let others = |values: &[String], name: &str| -> Vec<String> {
            let members = values.iter().enumerate();
            members.map(|(n, value)| format!("\"{name}{n}\":{space}{value}")).collect()
        };
        let with = |value: &str| {
            let json = serde_json::to_string(value).expect("JSON");
            let member = format!("\"PASSWORD\"{space}:{space}{json}{space}");
            let members =
                [others(&before, "B"), vec![member], others(&after, "A")].concat();
            format!("{space}{{{}}}{space}", members.join(","))
        };
        let expected = with(&new);
        let found = edited(&with(&old), &[("PASSWORD", &new)]);
        prop_assert_eq!(found.as_deref(), Ok(expected.as_str()));
        prop_assert!(content(&expected).means(&content(&expected)));
        let longer = with(&[new.as_str(), "x"].concat());
        prop_assert!(!content(&longer).means(&content(&expected)));
    }

    #[test]
    fn no_secret_is_too_strange(text in any::<String>(), member in "[a-z.]{0,5}") {
        let content = content(&text);
        let _ = content.value(&member);
        let _ = content.edited(&[(&member, &NewValue::from("x"))]);
        content.texts(&mut |_| {});
        prop_assert!(content.means(&content));
    }

    #[test]
    fn no_json_is_too_strange(text in json(), member in "[a-z.]{0,5}") {
        let content = content(&text);
        let _ = content.value(&member);
        let _ = content.edited(&[(&member, &NewValue::from("x"))]);
        content.texts(&mut |_| {});
        prop_assert!(content.means(&content));
    }
}

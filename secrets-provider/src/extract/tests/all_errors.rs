//! T4: all wrong values are reported together, and the first missing field names the other absent
//! ones.
//!
//! Each value is reported once, wherever it is: in tables, sequences, tuples, maps and enums.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU16;
use std::time::Duration;

use serde::de::MapAccess as _;

use super::*;
use crate::{Key, Rotating};

/// The keys of all failures, in their order.
fn failures<T>(read: Result<T, Error>) -> Vec<String> {
    let Err(error) = read else { panic!("no error") };
    let mut keys: Vec<_> =
        error.errors().iter().map(|e| e.key().unwrap_or_default().to_owned()).collect();
    keys.sort_unstable();
    keys
}

fn wrong<T: DeserializeOwned>(payload: &str) -> Vec<String> {
    failures(read::<T>(payload))
}

#[test]
fn every_wrong_value_is_reported_at_once_and_each_once() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Many {
        a: u8,
        b: Option<bool>,
        c: Nested,
        z: u8,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Nested {
        d: IpAddr,
        e: i8,
        f: String,
    }
    let payload = r#"{"a": "x", "b": "y", "c": {"d": "hunter2", "e": 1000, "f": "f"}, "z": -1}"#;
    assert_eq!(wrong::<Many>(payload), ["x.a", "x.b", "x.c.d", "x.c.e", "x.z"]);
}

#[test]
fn every_wrong_item_of_a_sequence_a_tuple_or_a_map_is_reported() {
    let items = "[\"a\", 1, \"b\", 2, 300]";
    for keys in [
        wrong::<Vec<u8>>(items),
        wrong::<VecDeque<u8>>(items),
        wrong::<BTreeSet<u8>>(items),
        wrong::<[u8; 5]>(items),
        wrong::<(u8, u8, u8, u8, u8)>(items),
        wrong::<Box<[u8]>>(items),
        wrong::<Vec<Rotating<u8>>>(items),
    ] {
        assert_eq!(keys, ["x.0", "x.2", "x.4"]);
    }
    let map = r#"{"a": "x", "b": 1, "c": [], "d": {"e": 1}}"#;
    assert_eq!(wrong::<BTreeMap<String, u8>>(map), ["x.a", "x.c", "x.d"]);
    assert_eq!(wrong::<HashMap<String, u8>>(map), ["x.a", "x.c", "x.d"]);
    // Wrong keys, and wrong values beside them.
    assert_eq!(
        wrong::<BTreeMap<u8, u8>>(r#"{"a": 1, "1": "x", "b": 1, "2": 2}"#),
        ["x.1", "x.a", "x.b"]
    );
    // The array as JSON text.
    assert_eq!(
        failures(
            crate::Layers::new()
                .environment_from([("X", "[\"a\", \"b\"]")])
                .extract::<X<Vec<u8>>>()
        ),
        ["x.0", "x.1"]
    );
    // One inside the other.
    assert_eq!(
        wrong::<BTreeMap<String, Vec<(u8, bool)>>>(
            r#"{"a": [[1, "x"], ["x", "x"]], "b": [[1, true], [1, 1]]}"#
        ),
        ["x.a.0.1", "x.a.1.0", "x.a.1.1", "x.b.1.1"]
    );
}

#[test]
fn wrong_values_are_found_in_several_tables_too() {
    type Tables = BTreeMap<String, BTreeMap<String, u8>>;
    assert_eq!(
        wrong::<Tables>(r#"{"a": {"b": "x", "c": "x"}, "d": {"e": "x", "f": "x", "g": 1}}"#),
        ["x.a.b", "x.a.c", "x.d.e", "x.d.f"]
    );
}

#[test]
fn a_type_that_accepts_only_certain_text_hides_no_later_error() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Duration_(#[serde(with = "humantime_serde")] Duration);
    #[derive(Deserialize)]
    enum Level {
        Low,
    }
    #[derive(Deserialize)]
    struct Wrapped(#[allow(dead_code, reason = "only serde uses it")] NonZeroU16);
    /// The keys of the errors of a tuple: a wrong value of the type, and a wrong number after it.
    fn pair<T: DeserializeOwned>() -> Vec<String> {
        wrong::<(T, u8)>(r#"["hunter2", "x"]"#)
    }
    for keys in [
        pair::<IpAddr>(),
        pair::<std::net::SocketAddr>(),
        pair::<url::Url>(),
        pair::<Duration_>(),
        pair::<Level>(),
        pair::<Wrapped>(),
        pair::<char>(),
        pair::<Key<32>>(),
        pair::<BTreeMap<String, IpAddr>>(),
        pair::<(IpAddr, url::Url)>(),
    ] {
        assert_eq!(keys, ["x.0", "x.1"]);
    }
}

#[test]
fn every_wrong_value_inside_an_enum_is_reported() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    enum Holds {
        New(u8),
        Tuple(u8, u8),
        Struct { a: u8, b: u8 },
    }
    #[derive(Debug, Deserialize)]
    #[serde(tag = "t", content = "c")]
    #[allow(dead_code, reason = "only serde uses it")]
    enum Adjacent {
        Struct { a: u8, b: u8 },
    }
    assert_eq!(
        wrong::<Vec<Holds>>(
            r#"[{"New": "x"}, {"Tuple": ["x", "x"]}, {"Struct": {"a": "x", "b": "x"}}, "Loud", {"New": 1}]"#
        ),
        ["x.0.New", "x.1.Tuple.0", "x.1.Tuple.1", "x.2.Struct.a", "x.2.Struct.b", "x.3"]
    );
    assert_eq!(
        wrong::<Adjacent>(r#"{"c": {"a": "x", "b": "x"}, "t": "Struct"}"#),
        ["x.c.a", "x.c.b"]
    );
}

#[test]
fn a_missing_field_and_wrong_values_elsewhere_are_reported_together() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Outer {
        a: Strict,
        b: Strict,
        c: u8,
        d: String,
        e: Vec<Strict>,
    }
    let payload = r#"{"a": {"host": "h"}, "b": {"port": 1, "proxy": "x"}, "c": "x", "e": [{"port": "x"}, {"port": 1}]}"#;
    let error = read::<Outer>(payload);
    let messages = error.as_ref().expect_err("errors").to_string();
    assert_eq!(
        failures(error),
        [
            "x.a.port",
            "x.b.host",
            "x.b.proxy",
            "x.c",
            "x.d",
            "x.e.0.host",
            "x.e.0.port",
            "x.e.1.host"
        ]
    );
    assert!(
        messages.contains("key `x.a.port` is missing (also absent, required or not: `proxy`)"),
        "{messages}"
    );
}

#[test]
fn the_first_missing_field_of_a_table_names_its_other_absent_fields() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Settings {
        given: u8,
        first: u8,
        second: IpAddr,
        third: Option<u8>,
    }
    let message = refused::<Settings>(r#"{"given": 1}"#);
    assert_eq!(
        message.lines().next(),
        Some("key `x.first` is missing (also absent, required or not: `second`, `third`)")
    );
    // A field with a wrong value is not absent.
    assert_eq!(
        wrong::<Settings>(r#"{"given": "x", "second": "x"}"#),
        ["x.first", "x.given", "x.second"]
    );
}

#[test]
fn a_wrong_value_in_a_nested_type_is_reported_only_there() {
    #[derive(Deserialize)]
    struct Raw {
        min: u8,
        max: u8,
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Raw")]
    struct Range;
    impl TryFrom<Raw> for Range {
        type Error = &'static str;
        fn try_from(raw: Raw) -> Result<Self, &'static str> {
            if raw.min < raw.max { Ok(Self) } else { Err("min is not below max") }
        }
    }
    assert!(read::<Range>(r#"{"min": 1, "max": 2}"#).is_ok());
    assert_eq!(wrong::<Range>(r#"{"min": 1, "max": "x"}"#), ["x.max"]);
    assert_eq!(wrong::<Range>(r#"{"min": 1}"#), ["x.max"]);
    assert_eq!(wrong::<Range>(r#"{"min": 2, "max": 1}"#), ["x"]);
    assert_eq!(
        wrong::<BTreeMap<String, Range>>(
            r#"{"a": {"min": 2, "max": 1}, "b": {"min": 1, "max": "x"}, "c": 1}"#
        ),
        ["x.a", "x.b.max", "x.c"]
    );
}

#[test]
fn a_recursive_type_terminates() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    enum List {
        More(Box<(u8, List)>),
        End,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Endless {
        next: Box<Endless>,
    }
    assert_eq!(wrong::<(List, u8)>(r#"[{"More": [1, {"More": ["x", "hunter2"]}]}, "x"]"#), {
        ["x.0.More.1.More.0", "x.0.More.1.More.1", "x.1"]
    });
    assert_eq!(
        wrong::<Vec<Endless>>(r#"["x", {"next": "x"}, {}]"#),
        ["x.0", "x.1.next", "x.2.next"]
    );
}

/// If serde buffers, or a type accepts no placeholder, the other errors appear after this one is
/// fixed.
#[test]
fn some_errors_are_reported_only_after_others_are_fixed() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Flat {
        own: u8,
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Inner {
        a: u8,
        b: u8,
    }
    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind")]
    #[allow(dead_code, reason = "only serde uses it")]
    enum Tagged {
        Both { a: u8, b: u8 },
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Beside {
        flat: Flat,
        tagged: Tagged,
        number: u8,
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Stubborn;
    impl TryFrom<String> for Stubborn {
        type Error = &'static str;
        fn try_from(text: String) -> Result<Self, &'static str> {
            if text == "open sesame" { Ok(Self) } else { Err("closed") }
        }
    }
    // In a buffer only the table is known, and one problem of it.
    assert_eq!(wrong::<Flat>(r#"{"own": 1, "a": "x", "b": "x"}"#), ["x"]);
    assert_eq!(wrong::<Flat>(r#"{"own": "x", "a": "x", "b": "x"}"#), ["x.own"]);
    assert_eq!(wrong::<Flat>(r#"{"own": "x", "b": 1}"#), ["x.a", "x.own"]);
    assert_eq!(wrong::<Tagged>(r#"{"kind": "Both", "a": "x", "b": "x"}"#), ["x"]);
    // Errors beside such a table are all reported.
    assert_eq!(
        wrong::<Beside>(
            r#"{"flat": {"own": "x"}, "tagged": {"kind": "Both", "b": 1}, "number": "x"}"#
        ),
        ["x.flat.a", "x.flat.own", "x.number", "x.tagged.a"]
    );
    assert_eq!(
        wrong::<Vec<Tagged>>(r#"["x", {"kind": "None"}, {"kind": "Both", "a": 1, "b": "x"}]"#),
        { ["x.0", "x.1.kind", "x.2.*"] }
    );
    assert_eq!(wrong::<Vec<Stubborn>>(r#"["x", "open sesame", "x"]"#), ["x.0", "x.2"]);
    assert_eq!(wrong::<BTreeMap<String, Stubborn>>(r#"{"a": "x", "b": "x"}"#), ["x.a", "x.b"]);
    // A tuple has no placeholder for the value, so what else is missing there is not reported.
    assert_eq!(wrong::<(Stubborn, u8)>(r#"["x", "x"]"#), ["x.0"]);
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Lacks {
        #[serde(alias = "sesame")]
        stubborn: Stubborn,
        missing: u8,
        wrong: u8,
    }
    assert_eq!(wrong::<Lacks>(r#"{"sesame": "x", "wrong": "x"}"#), ["x.sesame", "x.wrong"]);
}

#[test]
fn at_most_a_hundred_wrong_values_are_reported() {
    let payload = format!("[{}1]", "\"x\",".repeat(2_000));
    assert_eq!(read::<Vec<u8>>(&payload).err().map(|error| error.errors().len()), Some(100));
    let empty = format!("[{}1]", "\"\",".repeat(2_000));
    assert_eq!(ok::<Vec<Option<u8>>>(&empty).iter().flatten().count(), 1);
}

/// A type that contains itself twice in each of its variants but the last one, and 15 of them, so
/// that a placeholder bounded only by depth would have millions of values.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
enum Rule {
    A(Box<Rule>, Box<Rule>),
    B(Box<Rule>, Box<Rule>),
    C { left: Box<Rule>, right: Box<Rule> },
    D(Box<Other>, Box<Other>),
    E(Box<Rule>, Box<Rule>),
    F(Box<Rule>, Box<Rule>),
    G(Box<Rule>, Box<Rule>),
    H(Box<Rule>, Box<Rule>),
    I(Box<Rule>, Box<Rule>),
    J(Box<Rule>, Box<Rule>),
    K(Box<Rule>, Box<Rule>),
    L(Box<Rule>, Box<Rule>),
    M(Box<Rule>, Box<Rule>),
    N(Box<Rule>, Box<Rule>),
    Number(u8),
}

/// Contains [`Rule`], which contains it.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde reads it")]
enum Other {
    Rules(Box<Rule>, Box<Rule>),
    Others(Box<Other>, Box<Other>),
    Text(String),
}

#[test]
fn a_placeholder_of_a_type_that_contains_itself_is_small() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Rules {
        rule: Rule,
        others: Vec<Other>,
        port: u16,
    }
    let start = std::time::Instant::now();
    let payload = r#"{"rule": {"A": 1}, "others": [{"Rules": 1}, {"Others": 1}], "port": "x"}"#;
    assert_eq!(
        wrong::<Rules>(payload),
        ["x.others.0.Rules", "x.others.1.Others", "x.port", "x.rule.A"]
    );
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_placeholder_of_a_type_with_billions_of_values_is_given_up() {
    /// `2^N` numbers.
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Twice<T>(Box<T>, Box<T>);
    type Four<T> = Twice<Twice<T>>;
    type Large = Four<Four<Four<Four<Four<Four<Four<u8>>>>>>>;
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Settings {
        large: Large,
        port: u16,
    }
    assert_eq!(wrong::<Settings>(r#"{"large": 1, "port": "x"}"#), ["x.large", "x.port"]);
}

/// With a scan of the fields for each member, this takes minutes.
#[test]
fn fields_are_found_by_look_up() {
    let names: &'static [&'static str] =
        (0..20_000).map(|n| &*format!("field_{n}").leak()).collect::<Vec<_>>().leak();
    let members: Vec<_> = names.iter().map(|name| format!("\"{name}\": 1")).collect();
    let tree = secret(&format!("{{{}}}", members.join(","))).expect("a tree");
    let Some(Value::Table(table)) = tree.find(&["x"]).map(|node| &node.value) else {
        panic!("a table")
    };
    let start = std::time::Instant::now();
    let context = Context::new(table, Default::default());
    let members = super::super::access::Members::of_struct(table, names, "", &context);
    assert_eq!(members.size_hint(), Some(names.len()));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

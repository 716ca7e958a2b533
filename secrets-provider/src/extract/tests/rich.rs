//! Random settings with values of every sort.
//!
//! For `properties`: structs, options, enums in all four representations, maps, sequences, tuples.
//! What serde cannot read back from its own output is left out.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;

use super::*;

/// One value of every sort that settings may hold. Left out are the values that our rules read
/// differently: `null` members (absent, so no `()` and no `None` in a map), `SCREAMING_CASE` keys
/// (lowercased), a variant named `value` with a scalar in it (`{"value": x}` is the scalar),
/// integers over 64 bits where serde buffers, and values that JSON lacks (NaN, infinity).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rich {
    scalars: Scalars,
    optional: Optional,
    #[serde(rename = "camelCase")]
    sequences: Vec<(Option<u8>, char, Vec<String>)>,
    by_text: BTreeMap<String, Wrapped>,
    by_number: BTreeMap<i64, BTreeSet<String>>,
    by_variant: BTreeMap<Plain, [f32; 2]>,
    external: Vec<External>,
    internal: Option<Internal>,
    adjacent: Vec<Adjacent>,
    untagged: Vec<Untagged>,
    flat: Flat,
    #[serde(with = "humantime_serde")]
    wait: Duration,
    took: Duration,
    whole: Option<Box<Rich>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scalars {
    text: String,
    yes: bool,
    byte: u8,
    long: u64,
    longest: u128,
    signed: i64,
    lowest: i128,
    float: f64,
    address: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Optional {
    text: Option<String>,
    long: Option<u64>,
    float: Option<f64>,
    plain: Option<Plain>,
    wrapped: Option<Wrapped>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    items: Vec<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wrapped(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Plain {
    One,
    TwoThree,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum External {
    Unit,
    New(f64),
    Text(String),
    Pair(u64, Option<bool>),
    Named { value: String, other: Option<u8> },
    Deep(Box<External>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Named { text: String, long: u64, signed: i64, float: f64, many: Vec<Option<bool>> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    New(u128),
    Pair(String, i8),
    Named { a: Option<u8>, b: Wrapped },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Bool(bool),
    Long(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Many(Vec<u8>),
    Named { name: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u64,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    text: String,
    maybe: Option<u64>,
}

/// Text of any characters, and text that looks like another type.
pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => any::<String>(),
        1 => proptest::sample::select(&["", " ", "null", "true", "007", "{}", "[1]", "{\"a\": 1}", "\u{0}", "a.b"][..])
            .prop_map(str::to_owned),
    ]
        .boxed()
}

pub(super) fn key() -> BoxedStrategy<String> {
    text().prop_filter("lowercased", |key| !is_screaming(key)).boxed()
}

pub(super) fn is_screaming(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_uppercase())
        && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Finite numbers, as JSON has no others; the limits as often as the numbers between them.
pub(super) fn float() -> BoxedStrategy<f64> {
    let finite = any::<f64>().prop_filter("JSON", |float| float.is_finite());
    prop_oneof![4 => finite, 1 => proptest::sample::select(&[0.0, -0.0, 1.0, f64::MAX, f64::MIN_POSITIVE][..])]
        .boxed()
}

pub(super) fn long() -> BoxedStrategy<u64> {
    prop_oneof![any::<u64>(), Just(u64::MAX), Just(0)].boxed()
}

fn plain() -> BoxedStrategy<Plain> {
    prop_oneof![Just(Plain::One), Just(Plain::TwoThree)].boxed()
}

fn scalars() -> BoxedStrategy<Scalars> {
    let numbers = (any::<u8>(), long(), any::<u128>(), any::<i64>(), any::<i128>(), float());
    (text(), any::<bool>(), numbers, any::<IpAddr>())
        .prop_map(|(text, yes, (byte, long, longest, signed, lowest, float), address)| Scalars {
            text,
            yes,
            byte,
            long,
            longest,
            signed,
            lowest,
            float,
            address,
        })
        .boxed()
}

fn optional() -> BoxedStrategy<Optional> {
    let parts = (
        option::of(text()),
        option::of(long()),
        option::of(float()),
        option::of(plain()),
        option::of(text()),
        vec(any::<bool>(), 0..3),
    );
    parts
        .prop_map(|(text, long, float, plain, wrapped, items)| Optional {
            text,
            long,
            float,
            plain,
            wrapped: wrapped.map(Wrapped),
            items,
        })
        .boxed()
}

fn external() -> BoxedStrategy<External> {
    let leaf = prop_oneof![
        Just(External::Unit),
        float().prop_map(External::New),
        text().prop_map(External::Text),
        (long(), option::of(any::<bool>())).prop_map(|(long, maybe)| External::Pair(long, maybe)),
        (text(), option::of(any::<u8>()))
            .prop_map(|(value, other)| External::Named { value, other }),
    ];
    leaf.prop_recursive(3, 4, 1, |inner| inner.prop_map(|inner| External::Deep(Box::new(inner))))
        .boxed()
}

fn internal() -> BoxedStrategy<Internal> {
    let many = vec(option::of(any::<bool>()), 0..3);
    let named = (text(), long(), any::<i64>(), float(), many);
    prop_oneof![
        Just(Internal::Unit),
        named.prop_map(|(text, long, signed, float, many)| Internal::Named {
            text,
            long,
            signed,
            float,
            many
        }),
    ]
    .boxed()
}

fn adjacent() -> BoxedStrategy<Adjacent> {
    prop_oneof![
        Just(Adjacent::Unit),
        any::<u128>().prop_map(Adjacent::New),
        (text(), any::<i8>()).prop_map(|(text, number)| Adjacent::Pair(text, number)),
        (option::of(any::<u8>()), text()).prop_map(|(a, b)| Adjacent::Named { a, b: Wrapped(b) }),
    ]
    .boxed()
}

fn untagged() -> BoxedStrategy<Untagged> {
    prop_oneof![
        any::<bool>().prop_map(Untagged::Bool),
        long().prop_map(Untagged::Long),
        (i64::MIN..0).prop_map(Untagged::Signed),
        float().prop_map(Untagged::Float),
        text().prop_map(Untagged::Text),
        vec(any::<u8>(), 0..3).prop_map(Untagged::Many),
        text().prop_map(|name| Untagged::Named { name }),
    ]
    .boxed()
}

fn flat() -> BoxedStrategy<Flat> {
    let free =
        key().prop_filter("a field", |key| !["own", "text", "maybe"].contains(&key.as_str()));
    (long(), text(), option::of(long()), btree_map(free, any::<bool>(), 0..3))
        .prop_map(|(own, text, maybe, rest)| Flat { own, inner: Inner { text, maybe }, rest })
        .boxed()
}

pub(super) fn rich() -> BoxedStrategy<Rich> {
    let sequences = vec((option::of(any::<u8>()), any::<char>(), vec(text(), 0..3)), 0..3);
    let maps = (
        btree_map(key(), text().prop_map(Wrapped), 0..4),
        btree_map(any::<i64>(), btree_set(text(), 0..3), 0..3),
        btree_map(plain(), [any::<f32>(), any::<f32>()].prop_map(|pair| pair.map(finite)), 0..3),
    );
    let enums = (
        vec(external(), 0..3),
        option::of(internal()),
        vec(adjacent(), 0..3),
        vec(untagged(), 0..4),
    );
    let waits = (0..u64::from(u32::MAX), 0..1_000_000_000_u32, any::<u64>());
    let parts = (scalars(), optional(), sequences, maps, enums, flat(), waits);
    let one =
        parts.prop_map(|(scalars, optional, sequences, maps, enums, flat, (secs, nanos, took))| {
            Rich {
                scalars,
                optional,
                sequences,
                by_text: maps.0,
                by_number: maps.1,
                by_variant: maps.2,
                external: enums.0,
                internal: enums.1,
                adjacent: enums.2,
                untagged: enums.3,
                flat,
                wait: Duration::new(secs, nanos),
                took: Duration::new(took, nanos),
                whole: None,
            }
        });
    let one = one.boxed();
    (one.clone(), option::of(one))
        .prop_map(|(one, whole)| Rich { whole: whole.map(Box::new), ..one })
        .boxed()
}

fn finite(float: f32) -> f32 {
    if float.is_finite() { float } else { 0.5 }
}

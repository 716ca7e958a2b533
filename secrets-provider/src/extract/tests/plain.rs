//! The walk without books (`plain`) gives what the full walk gives, or nothing.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

use super::*;
use crate::extract::plain;
use crate::secret::Payload;
use crate::tree::payload;

#[derive(Debug, Clone, Deserialize, PartialEq)]
struct Login {
    username: String,
    #[serde(default)]
    port: u16,
    #[serde(alias = "pass")]
    password: Option<String>,
    tls: Option<Box<Tls>>,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Tls {
    ca_file: String,
    is_on: bool,
    hosts: Vec<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca_file: "none".to_owned(), is_on: true, hosts: Vec::new() }
    }
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Strict {
    username: String,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Flat {
    port: u16,
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Number(u16),
    Login(Login),
    Text(String),
}

/// Fields that are named as keys are stored.
#[derive(Debug, Deserialize, PartialEq)]
struct Stored {
    username: Option<String>,
    #[serde(rename = "USERNAME")]
    upper: Option<String>,
    tls_ca_file: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Newtype(f64);

/// Recovers from any error of its value, as `#[serde(deserialize_with)]` may.
#[derive(Debug, PartialEq)]
struct Recovers(u16);

impl<'de> Deserialize<'de> for Recovers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(u16::deserialize(deserializer).unwrap_or(1)))
    }
}

/// The same for a member of a table, and for one that the type itself objects to.
#[derive(Debug, Deserialize, PartialEq)]
struct Lenient {
    #[serde(default = "one")]
    port: Recovers,
    #[serde(default, deserialize_with = "positive")]
    number: u8,
}

fn one() -> Recovers {
    Recovers(1)
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    Ok(std::num::NonZeroU8::deserialize(deserializer).map_or(9, Into::into))
}

/// Notes the members in the order in which they come.
#[derive(Debug, PartialEq)]
struct Order(Vec<String>);

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Order;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("members")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Order, A::Error> {
                let mut names = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    map.next_value::<IgnoredAny>()?;
                    names.push(name);
                }
                Ok(Order(names))
            }
        }
        deserializer.deserialize_struct("Order", &["username", "port", "a"], Names)
    }
}

struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(name.to_owned()))
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

fn node(text: &str, origin: Origin) -> Option<Node> {
    payload::parse(&Payload::text(text), &Arc::new(origin)).ok()
}

/// Compares both ways; `true` if the short one was taken.
fn both<T: DeserializeOwned + PartialEq + std::fmt::Debug>(node: &Node) -> bool {
    let Some(value) = plain::read::<T>(node) else { return false };
    let whole = extract_one::<T>(node, "a", Names::of_paths(["a"]));
    assert_eq!(whole.ok().as_ref(), Some(&value), "{}", std::any::type_name::<T>());
    true
}

/// How many types took the short way.
fn all(node: &Node) -> usize {
    macro_rules! of {
        ($($type:ty),* $(,)?) => { [$(both::<$type>(node)),*] };
    }
    let short = of![
        String, u8, u16, i64, u128, f64, bool, char, (), Option<String>, Option<u16>, Vec<String>,
        Vec<u16>, Vec<Login>, (u16, String), [u8; 2], BTreeMap<String, String>, Login, Tls, Strict,
        Flat, Untagged, Level, Newtype, Recovers, Lenient, Order, Stored, Option<Login>, Json, IpAddr,
        std::num::NonZeroU16, serde_bytes_like::Bytes,
    ];
    short.into_iter().filter(|short| *short).count()
}

/// A type that takes bytes or text.
mod serde_bytes_like {
    use super::*;

    #[derive(Debug, PartialEq)]
    pub(super) struct Bytes(Vec<u8>);

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Any;
            impl Visitor<'_> for Any {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }
            }
            deserializer.deserialize_bytes(Any)
        }
    }
}

const NAMES: [&str; 16] = [
    "username",
    "userName",
    "USERNAME",
    "user-name",
    "port",
    "PORT",
    "Port",
    "password",
    "pass",
    "tls",
    "TLS__CA_FILE",
    "caFile",
    "ca_file",
    "is_on",
    "value",
    "number",
];

fn leaf() -> BoxedStrategy<Json> {
    const TEXTS: [&str; 12] =
        ["", " ", "5432", " 7 ", "true", "TRUE", "x", "[1, 2]", "a, b", "debug", "{}", "0"];
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u16>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        prop::sample::select(&TEXTS[..]).prop_map(Json::from),
        Just(Json::from(r#"{"username": "u", "port": 1}"#)),
        "[a-z0-9 ]{0,6}".prop_map(Json::from),
    ]
    .boxed()
}

fn json() -> BoxedStrategy<Json> {
    let names =
        prop_oneof![prop::sample::select(&NAMES[..]), prop::sample::select(&["z", "a"][..])];
    leaf()
        .prop_recursive(3, 24, 5, move |inner| {
            let members = btree_map(names.clone().prop_map(str::to_owned), inner.clone(), 0..5);
            prop_oneof![
                vec(inner, 0..4).prop_map(Json::from),
                members.prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
        .boxed()
}

proptest! {
    #[test]
    fn the_short_way_gives_what_the_full_walk_gives(json in json(), is_variable: bool) {
        let origin = match is_variable {
            true => Origin::Environment { variable: "A".to_owned() },
            false => Origin::Secret { name: "app/a".to_owned(), version_id: "v1".to_owned(), source: None },
        };
        // Text that is no JSON is a payload, too.
        let texts = [Some(json.to_string()), json.as_str().map(str::to_owned)];
        for node in texts.iter().flatten().filter_map(|text| node(text, origin.clone())) {
            all(&node);
        }
    }
}

#[test]
fn what_fits_takes_the_short_way() {
    let secret =
        || Origin::Secret { name: "app/a".to_owned(), version_id: "v1".to_owned(), source: None };
    let read = |text| node(text, secret()).expect("a payload");
    let rds = r#"{"engine": "postgres", "username": "u", "port": "5432", "tls": {"caFile": "f"}}"#;
    assert!(both::<Login>(&read(rds)));
    assert!(both::<Login>(&read(r#"{"username": "u", "password": "p"}"#)));
    assert!(both::<Order>(&read(r#"{"b": 1, "username": "u", "a": 2, "port": 3, "c": 4}"#)));
    assert!(both::<Tls>(&read(r#"{"hosts": ["a", "b"], "isOn": false}"#)));
    assert!(both::<u16>(&read("5432")) && both::<String>(&read("5432")));
    assert!(both::<u16>(&read(r#"{"value": 5432}"#)) && both::<String>(&read(rds)));
    assert!(both::<Login>(&read(r#"{"USERNAME": "u"}"#)), "by its name in the tree");
    assert!(both::<SecretLike>(&read("s")) && both::<Strict>(&read(r#"{"username": "u"}"#)));
    // Only the full walk knows these.
    for text in [
        r#"{"userName": "u"}"#,
        r#"{"username": "u", "UserName": "v"}"#,
        r#"{"username": "u", "port": "x"}"#,
        r#"{"username": "u", "tls": "{}"}"#,
        r#"{"username": "u", "TLS__CAFILE": "c"}"#,
        "u",
    ] {
        assert!(plain::read::<Login>(&read(text)).is_none(), "{text}");
    }
    assert!(plain::read::<Recovers>(&read("x")).is_none());
    assert!(plain::read::<Lenient>(&read(r#"{"number": 0}"#)).is_none());
    assert!(plain::read::<Strict>(&read(r#"{"username": "u", "x": 1}"#)).is_none());
}

/// A newtype over text, as `SecretString` is.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(transparent)]
struct SecretLike(String);

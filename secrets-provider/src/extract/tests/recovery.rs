//! T2: what a type's own `Deserialize` tries and recovers from is no error.
//!
//! Extraction tries again with placeholders to find all errors; a type that swallows one must not
//! be reported, and its recovery must be obeyed.

use super::*;

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(deserializer).unwrap_or_default())
}

fn or_80<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    Ok(u16::deserialize(deserializer).unwrap_or(80))
}

#[derive(Debug, Default, Deserialize, PartialEq)]
struct Pool {
    size: u8,
    timeout: Option<u8>,
    #[serde(default)]
    hosts: Vec<IpAddr>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Lenient {
    #[serde(deserialize_with = "or_80")]
    a: u16,
    #[serde(deserialize_with = "or_default", default)]
    pool: Pool,
    #[serde(deserialize_with = "or_80")]
    z: u16,
}

#[test]
fn a_default_for_what_does_not_fit_is_obeyed() {
    let read = |payload: &str| ok::<Lenient>(payload);
    let lenient = |a, pool, z| Lenient { a, pool, z };
    assert_eq!(read(r#"{"a": "auto", "z": "1"}"#), lenient(80, Pool::default(), 1));
    assert_eq!(read(r#"{"a": "auto", "z": "auto"}"#), lenient(80, Pool::default(), 80));
    for pool in [
        r#"{"size": "x"}"#,
        r#"{"size": 300, "timeout": "y"}"#,
        r#"{"timeout": 1}"#,
        r#"{"size": 1, "hosts": ["::1", "x"]}"#,
        "5",
    ] {
        let payload = format!("{{\"a\": 1, \"pool\": {pool}, \"z\": {{}}}}");
        assert_eq!(read(&payload), lenient(1, Pool::default(), 80), "{pool}");
    }
    let pool = Pool { size: 1, timeout: None, hosts: vec![] };
    assert_eq!(
        read(r#"{"a": 1, "pool": {"size": "1", "timeout": ""}, "z": []}"#),
        lenient(1, pool, 80)
    );
}

/// The last field, and at the root: nothing is read after its error, but the walk succeeds.
#[test]
fn a_default_at_the_root_is_obeyed() {
    #[derive(Debug, PartialEq)]
    struct Root(Option<Pool>);
    impl<'de> Deserialize<'de> for Root {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(Pool::deserialize(deserializer).ok()))
        }
    }
    assert_eq!(ok::<Root>(r#"{"size": "x"}"#), Root(None));
    let tree = secret(r#"{"size": "x"}"#).expect("a tree");
    assert_eq!(extract::<Root>(&tree).expect("settings"), Root(None), "`size` is missing");
}

#[test]
fn errors_beside_what_is_recovered_are_reported_without_it() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Both {
        before: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, String>,
        lenient: Vec<Lenient>,
        port: u8,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Plain {
        before: u8,
        lenient: Lenient,
        missing: u8,
        port: u8,
    }
    let error = read::<Plain>(
        r#"{"before": "x", "lenient": {"a": "auto", "pool": 1, "z": "auto"}, "port": "y"}"#,
    );
    let error = error.expect_err("an error");
    let keys: Vec<_> = error.errors().iter().filter_map(|e| e.key()).collect();
    assert_eq!(keys, ["x.before", "x.port", "x.missing"]);
    let error = read::<Both>(r#"{"before": 1, "lenient": [{"a": "auto", "z": 1}], "port": "y"}"#);
    let error = error.expect_err("an error");
    let keys: Vec<_> = error.errors().iter().filter_map(|e| e.key()).collect();
    assert_eq!(keys, ["x.port"]);
}

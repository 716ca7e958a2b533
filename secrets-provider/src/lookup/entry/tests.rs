use secrecy::{ExposeSecret as _, SecretString};

use super::*;
use crate::secret::Payload;
use crate::tree::Origin;

fn entry(text: &str) -> Entry {
    let origin =
        Origin::Secret { name: "app/a".to_owned(), version_id: "v1".to_owned(), source: None };
    let node = payload::parse(&Payload::text(text), &Arc::new(origin)).expect("a payload");
    let mut entry = Entry::new("app/a".to_owned(), "a".to_owned(), 1, node);
    entry.version_id = Some("v1".to_owned());
    entry
}

fn value<T: DeserializeOwned>(text: &str, keys: &[&str]) -> Result<T, ErrorKind> {
    let keys: Vec<_> = keys.iter().map(|key| Cow::Borrowed(*key)).collect();
    entry(text).value(&keys).map_err(|error| error.kind())
}

/// The short way for text gives what the whole rules give.
#[test]
fn text_is_read_by_either_way_as_the_same() {
    for text in [
        "",
        " x ",
        "007",
        "true",
        "{not json",
        "[1]",
        r#"{"value": "v"}"#,
        r#"{"value": 7}"#,
        r#"{"value": true}"#,
        r#"{"value": {"a": 1}}"#,
        r#"{"a": 1}"#,
        r#"{"VALUE": "v"}"#,
    ] {
        let entry = entry(text);
        let names = Names::of_paths(["a"]);
        let tree =
            Table { entries: [("a".to_owned(), entry.node.clone())].into(), source_text: None };
        let whole = extract::extract::<Only<String>>(&tree, names).map(|Only(value)| value).ok();
        assert_eq!(entry.value::<String>(&[]).ok(), whole, "{text}");
        let secret = entry.value::<SecretString>(&[]).ok();
        assert_eq!(secret.map(|secret| secret.expose_secret().to_owned()), whole, "{text}");
    }
}

/// A type that tries something else first gets what the whole rules give it.
#[test]
fn a_type_that_recovers_is_not_read_as_text_only() {
    #[derive(Debug, PartialEq)]
    struct Recovers(u16);

    impl<'de> Deserialize<'de> for Recovers {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(u16::deserialize(deserializer).unwrap_or(1)))
        }
    }
    assert_eq!(value::<Recovers>("7", &[]), Ok(Recovers(7)));
}

#[test]
fn a_member_is_found_by_any_spelling_but_only_one() {
    let text = r#"{"userName": "a", "PASS_WORD": "b", "tls": {"ca-file": "c"}, "no": null}"#;
    for (keys, expected) in [
        (&["userName"][..], Ok("a")),
        (&["user_name"], Ok("a")),
        (&["pass_word"], Ok("b")),
        (&["PASS_WORD"], Ok("b")),
        (&["passWord"], Ok("b")),
        (&["tls", "ca-file"], Ok("c")),
        (&["tls", "caFile"], Ok("c")),
        (&["no"], Err(ErrorKind::NotFound)),
        (&["tls", "key"], Err(ErrorKind::NotFound)),
        (&["userName", "x"], Err(ErrorKind::Invalid)),
    ] {
        assert_eq!(value::<String>(text, keys), expected.map(str::to_owned), "{keys:?}");
    }
    let twice = r#"{"a-b": "1", "a.b": "2", "ab": "3"}"#;
    assert_eq!(value::<String>(twice, &["ab"]), Ok("3".to_owned()));
    assert_eq!(value::<String>(twice, &["a_b"]), Err(ErrorKind::Invalid));
    let capitals = r#"{"A_B": "1", "aB": "2", "KEY": "3", "key": "4"}"#;
    for (key, expected) in [
        ("a_b", Err(ErrorKind::Invalid)),
        ("A_B", Ok("1")),
        ("aB", Ok("2")),
        ("KEY", Ok("3")),
        ("key", Ok("4")),
        ("Key", Err(ErrorKind::Invalid)),
    ] {
        assert_eq!(value::<String>(capitals, &[key]), expected.map(str::to_owned), "{key}");
    }
    assert_eq!(value::<String>("plain", &["a"]), Err(ErrorKind::Invalid));
}

/// A type that takes no placeholder is reported once, at its key.
#[test]
fn a_wrong_value_is_one_error_at_the_key_of_the_secret() {
    #[derive(Debug)]
    struct Picky;

    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            match text.starts_with("picky:") {
                true => Ok(Self),
                false => Err(serde::de::Error::custom(text)),
            }
        }
    }
    let error = entry("hunter2").value::<Picky>(&[]).expect_err("not picky");
    assert_eq!((error.errors().len(), error.key()), (1, Some("a")), "{error}");
    assert!(
        !error.to_string().contains("hunter2") && error.to_string().contains("app/a"),
        "{error}"
    );
}

#[test]
fn values_are_kept_by_type_and_key_up_to_a_bound() {
    let entry = entry(r#"{"port": "5432", "a": {"b": "1"}}"#);
    let shared = |keys: &[&'static str]| {
        let keys: Vec<_> = keys.iter().map(|key| Cow::Borrowed(*key)).collect();
        entry.shared::<String>(&keys).expect("a value")
    };
    assert!(Arc::ptr_eq(&shared(&["port"]), &shared(&["port"])));
    assert!(Arc::ptr_eq(&shared(&["a", "b"]), &shared(&["a", "b"])));
    assert!(Arc::ptr_eq(&shared(&[]), &shared(&[])));
    assert!(entry.shared::<u16>(&[Cow::Borrowed("port")]).is_ok(), "by another type");
    for _ in 0..2 * typed::MAX_TYPED {
        // None of these is equal to another spelling's.
        shared(&["PORT"]);
    }
    for n in 0..2 * typed::MAX_TYPED {
        let key = format!("{}port{}", "_".repeat(n), "-".repeat(n));
        assert_eq!(*entry.shared::<String>(&[Cow::Owned(key)]).expect("a value"), "5432");
    }
    assert_eq!(entry.typed.len(), typed::MAX_TYPED);
}

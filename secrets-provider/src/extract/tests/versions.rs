//! `Rotating` and `Key`: fields that know of versions, and of lengths.
//!
//! A previous version that doesn't fit is left out; a current one that doesn't is an error, which
//! shows the length of a key at most.

use super::*;
use crate::{Key, Memory, Rotating, SecretsManager};

fn rotated<T: DeserializeOwned>(versions: &[&str]) -> Result<T, Error> {
    let memory = Memory::new();
    for version in versions {
        memory.put("app/x", *version);
    }
    let manager = SecretsManager::prefix("app").with_previous(["x"]).backend(memory);
    manager.fetch_blocking().expect("a snapshot").extract::<X<T>>().map(|x| x.x)
}

fn pair<T>(rotating: Rotating<T>) -> (T, Option<T>) {
    (rotating.current, rotating.previous)
}

#[test]
fn a_rotating_field_has_the_previous_version_at_any_depth() {
    let read = |versions: &[&str]| pair(rotated::<Rotating<String>>(versions).expect("a value"));
    assert_eq!(read(&["1"]), ("1".into(), None));
    assert_eq!(read(&["1", "2"]), ("2".into(), Some("1".into())));
    assert_eq!(read(&["1", "2", "3"]), ("3".into(), Some("2".into())));

    type Table = BTreeMap<String, Rotating<u16>>;
    let table: Table = rotated(&[r#"{"a": "1", "b": 1}"#, r#"{"a": 2, "c": 2}"#]).expect("a table");
    let table: Vec<_> = table.into_iter().map(|(name, value)| (name, pair(value))).collect();
    assert_eq!(table, [("a".to_owned(), (2, Some(1))), ("c".to_owned(), (2, None))]);

    let whole: Rotating<Strict> =
        rotated(&[r#"{"host": "a", "port": 1}"#, r#"{"host": "b", "port": 2}"#]).expect("a struct");
    assert_eq!((whole.current.port, whole.previous.map(|strict| strict.port)), (2, Some(1)));
}

#[test]
fn values_of_lower_layers_count_for_the_previous_version_too() {
    let memory = Memory::new();
    memory.put("app/x", r#"{"host": "old"}"#);
    memory.put("app/x", r#"{"host": "new"}"#);
    let manager = SecretsManager::prefix("app").with_previous(["x"]).backend(memory);
    let snapshot = manager.fetch_blocking().expect("a snapshot");
    let layers = crate::Layers::new().environment_from([("X__PORT", "7")]).secrets(&snapshot);
    let read = layers.extract::<X<Rotating<Strict>>>().expect("settings").x;
    let previous = read.previous.expect("the version before");
    assert_eq!((read.current.host.as_str(), read.current.port), ("new", 7));
    assert_eq!((previous.host.as_str(), previous.port), ("old", 7));
}

#[test]
fn a_previous_version_that_does_not_fit_is_none_and_a_current_one_is_an_error() {
    assert_eq!(pair(rotated::<Rotating<u16>>(&["x", "2"]).expect("a value")), (2, None));
    let error = rotated::<Rotating<u16>>(&["1", "hunter2"]).map(pair).expect_err("no number");
    assert_eq!(
        error.to_string(),
        "invalid value for key `x`: expected u16, found text that does not fit (secret `app/x`, version `v2`)"
    );
    assert_eq!(
        pair(rotated::<Rotating<String>>(&["{\"a\":1,\"a\":2}", "2"]).expect("a value")).1,
        None
    );
}

#[test]
fn keys_named_current_and_previous_are_keys() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Pair {
        current: String,
        previous: String,
    }
    let json = r#"{"current": "c", "previous": "p"}"#;
    let expected = || Pair { current: "c".into(), previous: "p".into() };
    assert_eq!(rotated::<Pair>(&["{}", json]).expect("a pair"), expected());
    assert_eq!(pair(rotated::<Rotating<Pair>>(&["{}", json]).expect("a pair")), (expected(), None));
    let text = pair(rotated::<Rotating<String>>(&[json]).expect("text"));
    assert_eq!(text, (json.to_owned(), None));
}

#[test]
fn a_key_of_the_wrong_length_is_reported_in_any_form() {
    let thirty_two = "rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY=";
    assert_eq!(ok::<Key<32>>(thirty_two).as_bytes()[0], 0xad);
    assert_eq!(ok::<Option<Key<32>>>(""), None);
    let ring: BTreeMap<u32, Key<2>> = ok(r#"{"1": "0102", "2": "AwQ="}"#);
    assert_eq!(ring[&2].as_bytes(), &[3, 4]);
    assert_eq!(
        refused::<Key<32>>("AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"),
        "invalid value for key `x`: must be 32 bytes, got 24 (secret `app/x`, version `v1`)"
    );
    assert!(refused::<Key<32>>("hunter2-hunter2!").contains("and the text is neither"));
    assert!(refused::<Key<32>>("[1]").contains("must be 32 bytes"));
    assert!(refused::<Key<32>>(r#"{"a": 1}"#).contains("expected a key"));
}

//! Which secrets go on when two of them claim one key, as examples and as properties.
//!
//! For any claims, what is kept fits together, and the work grows with the number of secrets.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::load::mapping::{self, Mapping};

fn secrets<S: AsRef<str>>(secrets: &[(&str, &str, S)]) -> Secrets {
    let secret = |(name, version, value): &(&str, &str, S)| {
        ((*name).to_owned(), Fetched::text(*name, *version, value.as_ref()))
    };
    secrets.iter().map(secret).collect()
}

fn place(secret: &Fetched) -> Option<Table> {
    mapping::assemble(std::slice::from_ref(secret), &Mapping::default()).ok()
}

fn versions(secrets: &Secrets) -> Vec<(&str, &str)> {
    secrets.iter().map(|(id, secret)| (id.as_str(), secret.version_id())).collect()
}

#[test]
fn of_a_key_that_is_claimed_twice_those_lose_that_claim_it_for_the_first_time() {
    let used = secrets(&[("a", "1", r#"{"x": 1, "y": 1}"#), ("b", "1", "text"), ("c", "1", "c")]);
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str, &'a str)], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 6] = [
        (
            "an added secret against a new version that had the key before",
            &[("a", "2", r#"{"x": 2, "y": 2}"#), ("a/x", "1", "new"), ("b", "1", "text")],
            &[("a", "2"), ("b", "1")],
        ),
        (
            "a new version against a secret in use",
            &[("a", "1", r#"{"x": 1, "y": 1}"#), ("b", "1", "text"), ("B", "1", "x")],
            &[("a", "1"), ("b", "1")],
        ),
        (
            "two that were added",
            &[("d/x", "1", "x"), ("D", "1", r#"{"x": 1}"#), ("c", "2", "c")],
            &[("c", "2")],
        ),
        (
            "a table and a value",
            &[("b", "2", r#"{"z": 1}"#), ("b/z", "1", "z"), ("c", "2", "c")],
            &[("b", "1"), ("c", "2")],
        ),
        (
            "a key that moves from one secret to another",
            &[("a", "2", r#"{"y": 2}"#), ("a/x", "1", "moved"), ("c", "2", "c")],
            &[("a", "2"), ("a/x", "1"), ("c", "2")],
        ),
        (
            "a key that moves from a secret that has to stay as it was",
            &[("a", "2", r#"{"y": 2, "z": 2}"#), ("a/z", "1", "z"), ("a/x", "1", "moved")],
            &[("a", "1")],
        ),
    ];
    for (case, found, expected) in cases {
        let kept = without_conflicts(&used, secrets(found), place);
        assert_eq!(versions(&kept), expected, "{case}");
    }
}

#[test]
fn a_secret_that_was_asked_for_by_name_and_by_arn_does_not_conflict_with_itself() {
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf";
    let secret = Fetched::text("a", "1", "x").with_arn(arn);
    let twice: Secrets = ["a", arn].map(|id| (id.to_owned(), secret.clone())).into_iter().collect();
    let kept = without_conflicts(&Secrets::default(), twice.clone(), place);
    assert_eq!(versions(&kept), versions(&twice));
}

/// Each version is placed once, the replaced one of a new version, too.
#[test]
fn the_work_grows_with_the_number_of_secrets() {
    let names: Vec<String> = (0..1000).map(|n| format!("s{n}")).collect();
    let of = |version: &str| -> Secrets {
        let secret = |name: &String| (name.clone(), Fetched::text(name, version, r#"{"k": "v"}"#));
        names.iter().map(secret).collect()
    };
    let (used, mut found) = (of("1"), of("2"));
    for name in &names {
        let name = format!("{name}/k");
        found.insert(name.clone(), Fetched::text(&name, "1", "conflicts"));
    }
    let placed = Cell::new(0);
    let kept = without_conflicts(&used, found, |secret| {
        placed.set(placed.get() + 1);
        place(secret)
    });
    assert_eq!(versions(&kept), versions(&of("2")));
    assert_eq!(placed.get(), 3 * names.len());
}

proptest! {
    /// For any trees beside secrets that fit together, what is kept fits together.
    #[test]
    fn what_is_kept_fits_together(
        before in secrets_of("1"),
        now in secrets_of("2"),
    ) {
        let used = without_conflicts(&Secrets::default(), before, place);
        let mut found = used.clone();
        now.iter().for_each(|(id, secret)| drop(found.insert(id.clone(), secret.clone())));
        let kept = without_conflicts(&used, found.clone(), place);
        prop_assert!(mapping::assemble(&kept.each_once(), &Mapping::default()).is_ok());
        for (id, secret) in kept.iter() {
            prop_assert!(found.has_version(id, secret) || used.has_version(id, secret));
        }
        prop_assert!(used.ids().all(|id| kept.contains(id)));
    }
}

fn secrets_of(version: &'static str) -> impl Strategy<Value = Secrets> {
    let name = "[abAB](/[abA]){0,2}";
    let value = prop_oneof![
        Just("text".to_owned()),
        "[abc]".prop_map(|key| format!(r#"{{"{key}": 1}}"#)),
        ("[abc]", "[abc]").prop_map(|(key, inner)| format!(r#"{{"{key}": {{"{inner}": 1}}}}"#)),
    ];
    let secret = (name, value).prop_map(move |(name, value)| {
        let secret = Fetched::text(&name, version, value);
        (name, secret)
    });
    prop::collection::vec(secret, 0..6).prop_map(Secrets::from_iter)
}

//! Names of secrets become key paths (rules M1 to M3, M6), as tables and as properties.
//!
//! The order of the secrets never matters, and no name or payload makes the mapping panic. Whole
//! cases are in `tests/end-to-end/cases`.

use proptest::prelude::*;

use super::*;

#[test]
fn names_become_key_paths() {
    let prefix = Mapping { prefix: Some("app".into()), ..Mapping::default() };
    for (name, path) in [
        ("app/api-keys/clerk", "api_keys.clerk"),
        ("app//a///b/", "a.b"),
        ("app/DATABASE_URL", "database_url"),
        ("app/key.pem", "key_pem"),
        ("app", ""),
    ] {
        assert_eq!(prefix.key_path(name).join("."), path, "{name}");
    }
    assert_eq!(
        Mapping::default().key_path("pazpaz/encryption-key-v1").join("."),
        "pazpaz.encryption_key_v1"
    );
}

#[test]
fn an_exact_rename_goes_before_a_pattern() {
    let renames = [
        ("encryption-key-v{n}", "encryption_keys.{n}"),
        ("encryption-key-v9", "special"),
        ("tenants/{t}/db", "databases.{t}"),
        ("app", ""),
    ];
    let renames =
        renames.iter().map(|(from, to)| Rename::parse(from, to).expect("a rename")).collect();
    let mapping = Mapping { prefix: Some("p".into()), renames, ..Mapping::default() };
    for (name, path) in [
        ("p/encryption-key-v1", "encryption_keys.1"),
        ("p/encryption-key-v9", "special"),
        ("p/encryption-key-v", "encryption_key_v"),
        ("p/encryption-key-v1/x", "encryption_key_v1.x"),
        ("p/tenants/A.b/db", "databases.A.b"),
        ("p/tenants/a/b/db", "tenants.a.b.db"),
        ("p/app", ""),
    ] {
        assert_eq!(mapping.key_path(name).join("."), path, "{name}");
    }
}

#[test]
fn what_a_rename_captures_keeps_its_spelling() {
    let rename = Rename::parse("tenants/{id}", "tenants.{id}").expect("a rename");
    let mapping = Mapping { prefix: Some("p".into()), renames: vec![rename], ..Mapping::default() };
    for id in ["Acme-Corp", "eu-West_1", "example.com", "a+b=c@d"] {
        assert_eq!(mapping.key_path(&format!("p/tenants/{id}")), ["tenants", id]);
    }
    let tree = assemble(
        &[secret("p/tenants/Acme-Corp", "1"), secret("p/tenants/acme_corp", "2")],
        &mapping,
    );
    let Ok(tree) = tree else { panic!("two tenants") };
    assert!(
        tree.find(&["tenants", "Acme-Corp"]).is_some()
            && tree.find(&["tenants", "acme_corp"]).is_some()
    );
}

#[test]
fn a_placed_name_goes_before_every_rename_and_unused_renames_are_reported() {
    let renames =
        ["a/b", "x{n}", "a/{n}", "gone"].map(|from| Rename::parse(from, "k").expect("a rename"));
    let placed = [("a/b".to_owned(), vec!["k".to_owned(), "l".to_owned()])].into();
    let mapping = Mapping { placed, renames: renames.into(), ..Mapping::default() };
    assert_eq!(mapping.key_path("a/b"), ["k", "l"]);
    let idle: Vec<_> =
        mapping.idle_renames(&["a/b", "c"]).iter().map(ToString::to_string).collect();
    assert_eq!(idle, ["`x{n}` to `k`", "`gone` to `k`"]);
}

#[test]
fn invalid_renames_are_rejected() {
    for (from, to) in [
        ("a", "b..c"),
        ("a", "."),
        ("a", "b.{n}"),
        ("a{n}", "b.{m}"),
        ("a{n}{m}", "b.{n}"),
        ("a{}", "b"),
        ("a}n{", "b"),
        ("a{n", "b"),
    ] {
        let error = Rename::parse(from, to).expect_err("no rename");
        assert_eq!(error.kind(), ErrorKind::Config, "{from} {to}");
    }
}

fn secret(name: &str, text: &str) -> Fetched {
    Fetched::text(name, "v1", text)
}

#[test]
fn every_conflict_and_malformed_secret_is_reported_at_once() {
    let secrets = [
        secret("a/db", r#"{"url": "x", "user": "y"}"#),
        secret("a/db/url", "x"),
        secret("a/db/user", "y"),
        secret("a/bad", r#"{"k": 1, "k": 2}"#),
    ];
    let mapping = Mapping { prefix: Some("a".into()), ..Mapping::default() };
    let Err(error) = assemble(&secrets, &mapping) else { panic!("an error") };
    let messages: Vec<_> = error.errors().iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages[0].contains("`a/bad`") && messages[0].contains("twice"), "{messages:?}");
    assert!(!messages[0].contains("`k`"), "a key may be content: {messages:?}");
    assert!(messages[1].contains("`db.url`") && messages[2].contains("`db.user`"), "{messages:?}");
}

proptest! {
    #[test]
    fn mapping_never_panics_and_yields_clean_keys(
        name in any::<String>(),
        prefix in proptest::option::of("\\PC{0,6}"),
        from in "[a-z/{}é]{0,8}",
        to in "[a-z.{}]{0,8}",
    ) {
        let renames = Rename::parse(&from, &to).into_iter().collect();
        let named = |prefix: &str| format!("{prefix}/{name}");
        let under = prefix.as_deref().map_or_else(|| name.clone(), named);
        let mapping = Mapping { prefix, renames, ..Mapping::default() };
        for name in [&name, &under] {
            // What is captured stays as it is spelled.
            let below = mapping.below_prefix(name);
            let captures = mapping.renames.iter().any(|rename| rename.apply(below, below).is_some());
            let path = mapping.key_path(name);
            prop_assert_eq!(&path, &mapping.key_path(name));
            for part in path {
                prop_assert!(!part.is_empty());
                prop_assert!(captures || part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')));
            }
        }
    }

    /// Neither the values nor the conflicts depend on the order in which the store answers.
    #[test]
    fn assembling_does_not_depend_on_the_order(
        secrets in proptest::collection::btree_map(
            "[ab]{0,2}(/[ab]{1,2}){0,2}",
            r#"\{"(a|B|b)": (1|\{"(a|c)": 2\}|null)\}|text|\{"a": 1, "a": 2\}|\PC{0,6}"#,
            0..6,
        ),
        turn in any::<proptest::sample::Index>(),
    ) {
        let mut secrets: Vec<_> = secrets.iter().map(|(name, text)| secret(name, text)).collect();
        let mapping = Mapping::default();
        let outcome = |secrets: &[Fetched]| assemble(secrets, &mapping).map_err(|error| error.to_string());
        let forth = outcome(&secrets);
        if !secrets.is_empty() {
            let turn = turn.index(secrets.len());
            secrets.rotate_left(turn);
        }
        secrets.reverse();
        match (forth, outcome(&secrets)) {
            (Ok(forth), Ok(back)) => prop_assert!(forth == back),
            (forth, back) => prop_assert_eq!(forth.err(), back.err()),
        }
    }

    #[test]
    fn conflicts_are_symmetric(a in "a|a/[ab]", b in "b|b/[ab]", same in any::<bool>(), x in "[ab]", y in "[ab]") {
        let b = if same { b.replacen('b', "a", 1) + "/" } else { b };
        let one = secret(&a, &format!("{{\"{x}\": 1}}"));
        let other = secret(&b, &y);
        let mapping = Mapping::default();
        let forth = assemble(&[one.clone(), other.clone()], &mapping).map_err(|error| error.to_string()).err();
        let back = assemble(&[other, one], &mapping).map_err(|error| error.to_string()).err();
        prop_assert_eq!(&forth, &back);
        prop_assert!(same || forth.is_none());
    }
}

#[test]
fn a_rename_by_arn_places_the_secret_that_has_the_name_in_it() {
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf";
    let bare = arn.trim_end_matches("-AbCdEf");
    for (prefix, from) in [(None, arn), (None, bare), (Some("app"), arn), (Some("app"), bare)] {
        let renames = vec![
            Rename::parse(from, "database").expect("a rename"),
            Rename::parse(&arn.replace("/db-", "/other-"), "other").expect("another"),
        ];
        let mapping = Mapping { prefix: prefix.map(str::to_owned), renames, ..Mapping::default() };
        assert_eq!(mapping.key_path("app/db"), ["database"], "{from}");
        assert_eq!(mapping.key_path("app/other"), ["other"], "{from}");
        assert_eq!(mapping.key_path("app/dbx").last().map(String::as_str), Some("dbx"));
        let idle = mapping.idle_renames(&["app/db"]);
        assert_eq!(idle.len(), 1, "{from}");
    }
    assert!(Rename::parse(&format!("{arn}:password::"), "x").is_err(), "of a task definition");
}

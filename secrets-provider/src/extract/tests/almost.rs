//! The error of a missing key looks at what is there instead (rules T1 and T4).

use super::*;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Login {
    username: String,
    password: String,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only serde uses it")]
struct Settings {
    database: Login,
}

fn of_secrets<T: DeserializeOwned>(
    secrets: &[(&str, &str)],
    env: &[(&str, &str)],
) -> Result<T, Error> {
    let memory = crate::Memory::new();
    secrets.iter().for_each(|(name, text)| _ = memory.put(name, *text));
    let manager = crate::SecretsManager::prefix("app").backend(memory).fallback_to_env();
    let snapshot = manager.fetch_blocking().expect("a snapshot");
    crate::Layers::new().environment_from(env.iter().copied()).secrets(&snapshot).extract()
}

fn hint(secrets: &[(&str, &str)], env: &[(&str, &str)]) -> String {
    let error = of_secrets::<Settings>(secrets, env).expect_err("something is missing");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("is missing"), "{error}");
    error.hint().expect("advice").replace(", version `v1`", "")
}

#[test]
fn the_nearest_key_and_the_secret_that_has_the_section_are_named() {
    for (about, secret, mentions) in [
        (
            "two slips",
            r#"{"user": "u", "passwrod": "p"}"#,
            &["`user` instead of `username`", "`passwrod` instead of `password`"][..],
        ),
        ("a shorter word", r#"{"username": "u", "pass": "p"}"#, &["`pass` instead of `password`"]),
        ("another word", r#"{"username": "u", "pwd": "p"}"#, &["`pwd` instead of `password`"]),
        ("separators", r#"{"user:name": "u", "password": "p"}"#, &["`user:name` instead of"]),
        ("AWS's own words", r#"{"login": "u", "password": "p"}"#, &["`login` instead of"]),
        ("content", r#"{"hunter2": "u", "ak1": "p"}"#, &["which has 2 other keys"]),
        ("one other", r#"{"username": "u", "x": "p"}"#, &["which has 1 other key"]),
        ("nothing", "{}", &["which has no other keys"]),
    ] {
        let hint = hint(&[("app/database", secret)], &[]);
        assert!(hint.contains("`database` comes from secret `app/database`"), "{about}: {hint}");
        for mention in mentions {
            assert!(hint.contains(mention), "{about}: {hint}");
        }
        assert!(!hint.contains("hunter2") && !hint.contains("ak1"), "{about}: {hint}");
    }
    let error = of_secrets::<Settings>(&[("app/database", r#"{"user": "u"}"#)], &[]);
    assert_eq!(error.expect_err("missing").secret(), Some("app/database"));
}

#[test]
fn near_names_are_looked_for_at_the_root_among_secrets_and_among_variables() {
    let section = r#"{"username": "u", "password": "p"}"#;
    for (about, secrets, env, mention) in [
        (
            "a secret's name",
            &[("app/databse", section)][..],
            &[][..],
            "there is `databse` (secret `app/databse`) instead of `database`",
        ),
        (
            "a key of the root secret",
            &[("app", r#"{"datbase": {"username": "u", "password": "p"}}"#)],
            &[],
            "there is `datbase` (secret `app`) instead of `database`",
        ),
        (
            "a nested variable",
            &[],
            &[("DATABASE__USERNAME", "u"), ("DATABASE__PASWORD", "p")],
            "environment variable `DATABASE__PASWORD` instead of `password`",
        ),
        (
            "a variable",
            &[("app/database", r#"{"username": "u"}"#)],
            &[("DATABASE_PASWORD", "p")],
            "environment variable `DATABASE_PASWORD` instead of `database.password`",
        ),
        (
            "a key with a colon",
            &[("app", r#"{"Database:Password": "p", "database": {"username": "u"}}"#)],
            &[],
            "`Database:Password` (secret `app`) instead of `database.password`",
        ),
        (
            "a prefix that ends too early",
            &[("app/prod/database", section), ("app/prod/redis", section)],
            &[],
            "there is `prod.database` (secret `app/prod/database`) instead of `database`",
        ),
        (
            "sections by a colon",
            &[("app", r#"{"Database:Username": "u", "Database:Password": "p"}"#)],
            &[],
            "there is `Database:…` (secret `app`) instead of `database`, where `:` does not nest as a \
             JSON object or `DATABASE__…` does",
        ),
    ] {
        let hint = hint(secrets, env);
        assert!(hint.contains(mention), "{about}: {hint}");
    }
    // A key that nothing vouches for is content.
    let inner = r#"{"hunter2": {"database": {"username": "u", "password": "p"}}}"#;
    assert!(!hint(&[("app", inner)], &[]).contains("hunter2"));
    // What is set for every process is no slip.
    let ambient = [
        ("DATABASE_PORT", "tcp://10.0.0.1:5432"),
        ("DATABAS_PORT", "tcp://10.0.0.1:5432"),
        ("USER", "root"),
        ("PASSWD", "x"),
    ];
    let hint = hint(&[("app/database", r#"{"password": "p"}"#)], &ambient);
    assert!(!hint.contains("environment variable"), "{hint}");
}

#[test]
fn the_hint_for_a_missing_section_names_variables_that_could_fill_it() {
    let hint = hint(&[], &[]);
    assert_eq!(
        hint,
        "add it to a secret as a JSON object, or set the variables `DATABASE__USERNAME`, \
         `DATABASE__PASSWORD` in the environment or the `.env` file"
    );
    let settings: Settings =
        of_secrets(&[], &[("DATABASE__USERNAME", "u"), ("DATABASE__PASSWORD", "p")]).expect("it");
    assert_eq!(settings.database.username, "u");
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only serde uses it")]
    struct Token {
        token: String,
    }
    let one = of_secrets::<X<Token>>(&[], &[]).expect_err("missing");
    assert!(one.hint().expect("advice").contains("set the variable `X__TOKEN` in"), "{one}");
    let of = |error: Error| error.hint().expect("advice").to_owned();
    let list = of(of_secrets::<X<Vec<String>>>(&[], &[]).expect_err("missing"));
    assert!(list.contains("variable `X`") && list.contains("`a, b`"), "{list}");
    let map = of(of_secrets::<X<BTreeMap<String, String>>>(&[], &[]).expect_err("missing"));
    assert!(map.contains("`X__NAME`") && !map.contains("`X`"), "{map}");
    let text = of(of_secrets::<X<String>>(&[], &[]).expect_err("missing"));
    assert!(text.contains("set the variable `X` in"), "{text}");
}

/// The text of a secret is data, so only its format is named.
#[test]
fn text_in_another_format_is_named_where_a_table_is_wanted() {
    for (about, text, advice) in [
        (
            "YAML",
            "username: hunter2\npassword: hunter3",
            "looks like YAML: store it as a JSON object",
        ),
        (
            "variables",
            "USERNAME=hunter2\nPASSWORD=hunter3\n",
            "looks like the lines of a `.env` file (`NAME=value`): store it as a JSON object",
        ),
        ("a URL", "postgres://u:hunter2@h/db", "looks like a URL: store it as a JSON object"),
    ] {
        let error = of_secrets::<Settings>(&[("app/database", text)], &[]).expect_err(about);
        assert!(error.hint().is_some_and(|hint| hint.contains(advice)), "{about}: {error}");
        assert!(error.to_string().contains("found text"), "{about}: {error}");
        let map = of_secrets::<X<BTreeMap<String, String>>>(&[("app/x", text)], &[]);
        let root = secret_at_the_root(text);
        for error in [map.expect_err(about), root] {
            assert!(error.hint().is_some_and(|hint| hint.contains(advice)), "{about}: {error}");
            assert!(!error.to_string().contains("hunter"), "{about}: {error}");
        }
    }
    // In a `.env` file, the quotes of JSON are gone.
    let dotenv = "X={\"host\":\"hunter2\"}";
    let error = layered::<X<BTreeMap<String, String>>>("{}", &[], dotenv).expect_err("no quotes");
    let advice = "put single quotes around JSON in a `.env` file";
    assert!(error.hint().is_some_and(|hint| hint.starts_with(advice)), "{error}");
    assert!(!error.to_string().contains("hunter"), "{error}");
}

fn secret_at_the_root(text: &str) -> Error {
    let mapping = Mapping { prefix: Some("app".into()), ..Mapping::default() };
    assemble(&[Fetched::text("app", "v1", text)], &mapping).map(|_| ()).expect_err("no object")
}

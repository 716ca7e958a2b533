//! `check`: a schema, held against what would be loaded.

use insta::assert_snapshot;

use crate::harness::Cli;

/// The schema of the settings in these tests.
pub(crate) const SCHEMA: &str = r##"{
    "type": "object",
    "required": ["database", "jwt_secret", "port"],
    "properties": {
        "database": {"$ref": "#/$defs/Database"},
        "jwt_secret": {"type": "string"},
        "port": {"type": "integer", "minimum": 0, "maximum": 65535}
    },
    "$defs": {"Database": {
        "type": "object",
        "required": ["username", "password", "port"],
        "properties": {
            "username": {"type": "string"},
            "password": {"type": "string"},
            "port": {"type": "integer", "minimum": 0, "maximum": 65535}
        }
    }}
}"##;

#[tokio::test]
async fn a_deployment_fails_before_its_pods() {
    let cli = Cli::with_secrets().await;
    cli.write("settings.json", SCHEMA);
    let line = "check --schema settings.json --prefix gaara/prod";
    assert_snapshot!("check_missing", cli.run(line).await.shown());
    cli.write(".env", "PORT=8080\n");
    assert_snapshot!("check_well", cli.seen(line).await.shown());
    assert_eq!(cli.run(&format!("{line} --secrets-only")).await.code, 1);
    let login = r#"{"usernam": "canary-gaara", "password": "canary-p", "port": "canary-port"}"#;
    cli.fake.put("gaara/prod/database", login);
    assert_snapshot!("check_wrong", cli.seen(line).await.shown());
    assert_snapshot!("check_wrong_piped", cli.run(line).await.shown());
    assert_snapshot!("check_json", cli.run(&format!("{line} --json")).await.shown());
    cli.fake.put("gaara/prod/more", "canary-more");
    cli.fake.put("gaara/prod/database", r#"{"username": "u", "password": "p", "port": 1}"#);
    assert_eq!(cli.run(line).await.code, 0);
    assert_eq!(cli.run(&format!("{line} --strict")).await.code, 1);
    cli.write("settings.json", "canary");
    let ran = cli.run(line).await;
    assert!(ran.code == 1 && !ran.err.contains("canary"), "{}", ran.err);
}

#[tokio::test]
async fn what_a_schema_says_stays_in_its_field() {
    let cli = Cli::with_secrets().await;
    let schema = r#"{"properties": {"jwt_secret": {"type": "a\tb\n\u001b[31mc"}}}"#;
    cli.write("settings.json", schema);
    let line = "check --schema settings.json --prefix gaara/prod --secrets-only";
    let ran = cli.run(line).await;
    let expected = "✗\tjwt_secret\texpected a\\tb\\n\\u{1b}[31mc";
    assert!(ran.out.lines().any(|line| line == expected), "{}{}", ran.out, ran.err);
    let seen = cli.seen(line).await;
    assert!(!seen.out.contains('\u{1b}'), "{:?}", seen.out);
}

#[tokio::test]
async fn put_stores_nothing_that_a_service_would_refuse() {
    let cli = Cli::with_secrets().await;
    cli.write("settings.json", SCHEMA);
    let before = cli.stored("gaara/prod/database").await;
    let put = "put --prefix gaara/prod --schema settings.json";
    for (line, input) in [
        ("database --key port", "canary-port"),
        ("database", r#"{"username": "canary-u", "password": "canary-p"}"#),
        ("database", r#"{"usernam": "canary-u", "password": "canary-p", "port": 1}"#),
        ("database", "canary-text"),
        ("database", r#"{"port": 1, "port": 2, "username": "canary", "password": "canary"}"#),
    ] {
        let ran = cli.fed(&format!("{put} {line}"), input).await;
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{line} {input}");
        assert!(!ran.err.contains("canary"), "{}", ran.err);
        assert_eq!(cli.stored("gaara/prod/database").await, before, "{line} {input}");
    }
    let refused = cli.fed(&format!("{put} database --key port"), "canary-port").await;
    assert_snapshot!("put_refused", refused.shown());
    // What is missing elsewhere (`port`) is no matter of this secret.
    for (line, input) in [
        ("database --key port", "5433"),
        ("database --key port --as-json", "5434"),
        ("database", r#"{"username": "u", "password": "p", "port": "5432"}"#),
        ("jwt-secret", "another"),
        ("port --create", "8080"),
    ] {
        let ran = cli.fed(&format!("{put} {line}"), input).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line} {input}");
    }
    let ran = cli.fed(&format!("{put} port"), "canary-port").await;
    assert_eq!(ran.code, 1, "{}", ran.out);
    let ran =
        cli.fed("put gaara/test/x --names gaara/prod/database --schema settings.json", "x").await;
    assert_eq!(ran.code, 1, "{}", ran.out);
}

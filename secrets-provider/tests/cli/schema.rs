//! `check`: a schema, held against what would be loaded.

use insta::assert_snapshot;

use crate::harness::Cli;

const SCHEMA: &str = r##"{
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
    assert_snapshot!("check_well", cli.run(line).await.shown());
    assert_eq!(cli.run(&format!("{line} --secrets-only")).await.code, 1);
    let login = r#"{"usernam": "canary-gaara", "password": "canary-p", "port": "canary-port"}"#;
    cli.fake.put("gaara/prod/database", login);
    assert_snapshot!("check_wrong", cli.run(line).await.shown());
    assert_snapshot!("check_json", cli.run(&format!("{line} --json")).await.shown());
    cli.fake.put("gaara/prod/more", "canary-more");
    cli.fake.put("gaara/prod/database", r#"{"username": "u", "password": "p", "port": 1}"#);
    assert_eq!(cli.run(line).await.code, 0);
    assert_eq!(cli.run(&format!("{line} --strict")).await.code, 1);
    cli.write("settings.json", "canary");
    let ran = cli.run(line).await;
    assert!(ran.code == 1 && !ran.err.contains("canary"), "{}", ran.err);
}

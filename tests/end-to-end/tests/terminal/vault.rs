//! `--backend vault`: every command that reads, on OpenBao.

use end_to_end::external::OpenBao;
use serde_json::json;

use crate::program::Program;

fn program(server: &OpenBao, token: &str) -> Program {
    let program = Program::new();
    program.with("VAULT_ADDR", server.url()).with("VAULT_TOKEN", token)
}

#[tokio::test]
async fn every_command_that_reads_reads_vault() {
    let server = OpenBao::start();
    let login = json!({ "username": "gaara", "password": "canary-password", "port": 5432 });
    server.put("gaara/prod/database", login).await;
    server.put("gaara/prod/jwt-secret", json!({ "value": "canary-jwt" })).await;
    let root = program(&server, server.root_token());
    let on = "--backend vault --prefix gaara/prod";

    // With the policy that it prints, and nothing more.
    let policy = root.run(&format!("policy {on}")).await;
    server.policy("reader", &policy.out).await;
    let reader = program(&server, &server.token(&["reader"]).await);
    for (line, expected) in [
        ("get", "gaara/prod/jwt-secret"),
        ("get database --keys", "password"),
        ("get jwt-secret --reveal", "canary-jwt"),
        ("get database --key password --reveal", "canary-password"),
        ("explain", "gaara/prod/database (version 1)"),
        ("exec -- printenv DATABASE__PASSWORD", "canary-password"),
        ("doctor --check", "2 secrets read"),
    ] {
        let ran = reader.run(&format!("{on} {line}")).await;
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(expected), "{line}: {}", ran.out);
        let reveals = line.contains("--reveal") || line.starts_with("exec");
        assert!(reveals || !ran.out.contains("canary"), "{line}: {}", ran.out);
    }

    // A token that may do nothing here: what to add, in HCL.
    server.policy("nothing", r#"path "secret/data/other" { capabilities = ["read"] }"#).await;
    let stranger = program(&server, &server.token(&["nothing"]).await);
    let ran = stranger.run(&format!("doctor --check {on}")).await;
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("✓\tendpoint\t") && ran.out.contains("denied"), "{}", ran.out);
    assert!(
        ran.err.contains(r#"path "secret/data/gaara/prod/*" { capabilities = ["read"] }"#),
        "{}",
        ran.err
    );
    let ran = stranger.run(&format!("doctor --json {on}")).await;
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(json["missing_policy"].as_str().unwrap().contains("secret/data/gaara/prod"));
}

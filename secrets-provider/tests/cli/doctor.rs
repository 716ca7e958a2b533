//! `doctor`: each thing broken in turn, and the line that ends the search.

use insta::assert_snapshot;

use crate::harness::{Cli, Ran, finished};

async fn ran(cli: &Cli, change: impl FnOnce(&mut tokio::process::Command), line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut command = cli.command(&words);
    change(&mut command);
    finished(command, None).await
}

const LINE: &str = "doctor --check --prefix gaara/prod";

#[tokio::test]
async fn all_is_well() {
    let cli = Cli::with_secrets().await;
    assert_snapshot!("doctor_well", cli.run(LINE).await.shown());
    let json = cli.run(&format!("{LINE} --json")).await;
    let value: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["well"], true, "{}", json.out);
}

#[tokio::test]
async fn what_is_broken_is_named() {
    type Break = fn(&Cli, &mut tokio::process::Command);
    let breaks: [(&str, &str, Break); 11] = [
        ("no_region", LINE, |_, command| {
            command.env_remove("AWS_REGION");
        }),
        ("no_credentials", LINE, |_, command| {
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        }),
        ("expired", LINE, |cli, _| {
            cli.fake.inject(fake_secrets_manager::Fault::error(
                "ExpiredTokenException",
                400,
                "The security token included in the request is expired",
            ));
        }),
        ("wrong_endpoint", LINE, |_, command| {
            command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_MAX_ATTEMPTS", "1");
        }),
        ("list_denied", LINE, |cli, _| cli.fake.deny_action("ListSecrets")),
        ("get_denied", LINE, |cli, _| cli.fake.deny_action("GetSecretValue")),
        ("batch_denied", LINE, |cli, _| cli.fake.deny_action("BatchGetSecretValue")),
        ("describe_denied", LINE, |cli, _| cli.fake.deny_action("DescribeSecret")),
        ("kms_disabled", LINE, |cli, _| {
            let key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
            cli.fake.use_kms_key("gaara/prod/database", key);
            cli.fake.disable_kms_key(key);
        }),
        ("wrong_prefix", "doctor --check --prefix gaara/prd", |_, _| {}),
        ("duplicate_key", LINE, |cli, _| {
            cli.fake.put("gaara/prod/api", r#"{"key": "canary-1", "key": "canary-2"}"#);
        }),
    ];
    for (name, line, break_it) in breaks {
        let cli = Cli::with_secrets().await;
        let ran = ran(&cli, |command| break_it(&cli, command), line).await;
        assert!(!ran.out.contains("canary") && !ran.err.contains("canary"), "{}", ran.out);
        assert_snapshot!(format!("doctor_{name}"), ran.shown());
    }
}

#[tokio::test]
async fn what_hides_and_what_matches_nothing_is_a_warning() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "JWT_SECRET=canary-old\n");
    let line = format!("{LINE} --rename databse=db --replicas 200");
    assert_snapshot!("doctor_warnings", cli.run(&line).await.shown());
}

#[tokio::test]
async fn a_secret_that_is_to_be_deleted_is_named() {
    let cli = Cli::with_secrets().await;
    let delete = cli.fake.client().delete_secret().secret_id("gaara/prod/jwt-secret");
    delete.recovery_window_in_days(7).send().await.expect("deleted");
    let ran = cli.run("doctor --check --prefix gaara/prod --only database,jwt-secret").await;
    assert_snapshot!("doctor_deleted", ran.shown());
}

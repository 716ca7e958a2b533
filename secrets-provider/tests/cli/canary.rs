//! No command prints a value: not on either output, as text or as JSON, whether it works or fails.

use fake_secrets_manager::Fault;

use crate::harness::Cli;

/// What must not show, from secrets, variables, `.env`, and standard input.
const PARTS: [&str; 3] = ["canary", "CANARY", "Y2FuYXJ5"];

/// Every command that reads or writes; those with a value as input are given one.
const LINES: [&str; 52] = [
    "get",
    "get database",
    "get database --key password",
    "get database --key nothing --reveal",
    "get database --version AWSPREVIOUS",
    "get nothing",
    "explain",
    "explain --all",
    "policy --rotate database",
    "doctor",
    "check --schema schema.json",
    "exec -- true",
    "exec --var X=database.nothing -- true",
    "exec -- no-such-program",
    "put database --key password",
    "put jwt-secret",
    "put jwt-secret --key x",
    "put malformed --key x",
    "put nothing",
    "import old.env",
    "import old.env --apply",
    "import old.env --as json",
    "rotate jwt-secret",
    "rotate database --password password --plan",
    "rotate database --database-url-key url",
    "rotate database --database-url-key url --password password --plan",
    "rotate database-url --database-url-key \"\"",
    "rotate jwt-secret --database-url-key \"\"",
    "put database --key password --schema schema.json",
    "put database --key port --schema schema.json",
    "put jwt-secret --schema schema.json",
    "put malformed --schema schema.json",
    "put nothing --create --schema schema.json",
    "doctor --schema schema.json --max-age 0 --replicas 200",
    "doctor --backend vault --env-file vault.env --prefix gaara/prod",
    "get --backend vault --mount kv --env-file vault.env --names gaara/prod",
    "policy --backend vault --env-file vault.env --prefix gaara/prod",
    "get --backend directory --folder store --prefix app",
    "doctor --backend directory --folder store --prefix app",
    "exec --backend directory --folder store --prefix app -- true",
    "get --backend agent --names gaara/prod/database",
    "get --backend agent --prefix gaara/prod",
    "doctor --backend agent --prefix gaara/prod --only database",
    "exec --backend agent --names gaara/prod/database -- true",
    "exec --pristine --format upper --watch -- true",
    "exec --watch --signal HUP -- true",
    "get database --keys",
    "policy --terraform",
    "policy --cloudformation --push arn:aws:sqs:us-east-1:123456789012:changes",
    "policy --push-setup",
    "import old.env --as json --apply",
    "put database --key password --as-json",
];

async fn cli() -> Cli {
    let cli = Cli::with_secrets().await;
    cli.write("old.env", "A=canary-of-a-file\nB__C=\"canary two\"\nAWS_X=canary-x\n");
    let schema = r#"{"type": "object", "properties": {"database": {"type": "integer"}}}"#;
    cli.write("schema.json", schema);
    cli.write(
        "vault.env",
        "VAULT_ADDR=http://canary:canary@127.0.0.1:9\nVAULT_TOKEN=canary-token\n",
    );
    std::fs::create_dir_all(cli.path().join("store/app")).expect("a folder");
    cli.write("store/app/token", "canary-token");
    cli.write("store/app/2fa", r#"{"canary-key": "canary-token"}"#);
    cli.fake.put("gaara/prod/2fa", r#"{"canary-key": "canary-seed"}"#);
    // Nothing listens there.
    let url = "postgres://canary-user:canary-password@127.0.0.1:9/canary";
    cli.fake.put("gaara/prod/database-url", url);
    cli.write(".env", "SECRETS_MANAGER_PREFIX=gaara/prod\nSMTP__HOST=canary-mail\n");
    cli
}

async fn nothing_shows(cli: &Cli, line: &str) {
    for json in ["", "--json "] {
        let ran = cli.fed(&format!("{json}{line}"), "canary-as-input").await;
        let both = ran.out.clone() + &ran.err;
        for part in PARTS {
            assert!(!both.contains(part), "{json}{line}: {both}");
        }
    }
}

#[tokio::test]
async fn no_command_shows_a_value() {
    let cli = cli().await;
    for line in LINES {
        nothing_shows(&cli, line).await;
    }
}

#[tokio::test]
async fn no_failure_shows_a_value() {
    let malformed = r#"{"canary-key": "canary-a", "canary-key": canary}"#;
    for prepare in [
        (|cli: &Cli| cli.fake.deny_action("GetSecretValue")) as fn(&Cli),
        |cli| {
            // Servers that quote what they were sent, or had.
            let body = r#"{"message": "canary-of-a-server"}"#;
            cli.fake.inject(Fault::answer(400, body));
        },
        |cli| {
            cli.fake.inject(Fault::error("InvalidRequestException", 400, "canary-of-a-server"));
        },
        |cli| cli.fake.deny_action("ListSecrets"),
        |cli| cli.write(".env", "SECRETS_MANAGER_PREFIX=canary prefix\nX=\"canary"),
    ] {
        let cli = cli().await;
        cli.fake.put("gaara/prod/malformed", malformed);
        prepare(&cli);
        for line in LINES {
            nothing_shows(&cli, line).await;
        }
    }
}

//! No command prints a value: not on either output, as text or as JSON, whether it works or fails.

use fake_secrets_manager::Fault;

use crate::harness::Cli;

/// What must not show, from secrets, variables, `.env`, and standard input.
const PARTS: [&str; 3] = ["canary", "CANARY", "Y2FuYXJ5"];

/// Every command that reads or writes; those with a value as input are given one.
const LINES: [&str; 24] = [
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
];

async fn cli() -> Cli {
    let cli = Cli::with_secrets().await;
    cli.write("old.env", "A=canary-of-a-file\nB__C=\"canary two\"\nAWS_X=canary-x\n");
    let schema = r#"{"type": "object", "properties": {"database": {"type": "integer"}}}"#;
    cli.write("schema.json", schema);
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

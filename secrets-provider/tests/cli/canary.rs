//! No command prints a value: not on either output, as text or as JSON, whether it works or fails.

use std::time::Duration;

use fake_secrets_manager::Fault;
use serde::de::IgnoredAny;
use serde_json::Deserializer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::time::timeout;

use crate::harness::{Cli, finished, words};

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What must not show, from secrets, variables, `.env`, and standard input.
const PARTS: [&str; 3] = ["canary", "CANARY", "Y2FuYXJ5"];

/// Every command with every switch, of which a test makes sure; those with a value as input are given
/// one.
const LINES: [&str; 76] = [
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
    "policy --terraform --backend vault --env-file vault.env --prefix gaara/prod",
    "policy --cloudformation --push arn:aws:sqs:us-east-1:123456789012:changes",
    "policy --push-setup",
    "import old.env --as json --apply",
    "put database --key password --as-json",
    "put jwt-secret --exact",
    "put fresh --create --exact",
    "rotate jwt-secret --random-key \"\"",
    "rotate database --random-key password --stamp rotated",
    "rotate database --stamp rotated",
    "import old.env --variables B__C,NOTHING",
    "import old.env --skip A --apply",
    "watch --count 0 --interval 1",
    "exec --watch --interval 1 --debounce 0 --grace 0 -- true",
    "doctor --check --interval 60",
    "check --schema schema.json --secrets-only --strict",
    "policy --push arn:aws:sns:us-east-1:123456789012:changes",
    "completions bash",
    "man",
    "man --folder pages",
    "get --color always --optional nothing --rename database=db",
    "explain --color always --rename database=db.x",
    "get --profile nothing",
    "get --region eu-central-1",
    "doctor --region eu-central-1",
    "get --endpoint-url http://canary:canary@127.0.0.1:9",
    "doctor --endpoint-url https://canary:canary@127.0.0.1:9",
    "get --backend vault --kubernetes-role app --env-file vault.env",
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
    std::fs::create_dir(cli.path().join("pages")).expect("a folder");
    cli
}

async fn nothing_shows(cli: &Cli, line: &str) {
    for json in ["", "--json "] {
        let mut command = cli.command(&words(&format!("{json}{line}")));
        // Where nothing listens, to try again only takes time.
        command.env("AWS_MAX_ATTEMPTS", "1");
        let ran = finished(command, Some("canary-as-input")).await;
        let both = ran.out.clone() + &ran.err;
        for part in PARTS {
            assert!(!both.contains(part), "{json}{line}: {both}");
        }
        // Wrong usage shows nothing of the command.
        assert_ne!(ran.code, 2, "{json}{line}: {both}");
        // These two are texts by nature.
        if !json.is_empty() && !line.starts_with("completions") && !line.starts_with("man") {
            for text in [&ran.out, &ran.err] {
                let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
                assert!(values.all(|value| value.is_ok()), "{line} prints no JSON: {text}");
            }
        }
    }
}

/// The first words of the lines of a help that begin so, apart from those of the help itself.
fn first_words<'a>(help: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = help.lines().filter(move |line| line.starts_with(start));
    let words = lines.filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !["help", "--help", "--version"].contains(word))
}

/// A command or a switch that is new has to join the lines.
#[tokio::test]
async fn no_command_and_no_switch_is_left_out() {
    let cli = Cli::new().await;
    let help = cli.run("--help").await.out;
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    let (commands, of_all) = commands.split_once("\n\n").expect("switches");
    let of_all: Vec<&str> = first_words(of_all, "      --").collect();
    assert!(of_all.contains(&"--prefix") && of_all.contains(&"--json"), "{help}");
    let is_in = |line: &&str, word: &str| line.split_whitespace().any(|other| other == word);
    for switch in of_all.iter().filter(|switch| **switch != "--json") {
        // The prefix is a variable in most lines.
        assert!(LINES.iter().any(|line| is_in(line, switch)), "no line has {switch}");
    }
    let mut found = 0;
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        if command == "help" {
            continue;
        }
        let lines: Vec<&str> = LINES.iter().copied().filter(|line| is_in(line, command)).collect();
        assert!(!lines.is_empty(), "no line has {command}");
        let help = cli.run(&format!("{command} --help")).await.out;
        let own = help.lines().take_while(|line| *line != "Which secrets:");
        let own = own.collect::<Vec<_>>().join("\n");
        for switch in first_words(&own, "      --") {
            found += 1;
            let is_there = lines.iter().any(|line| is_in(line, switch));
            assert!(is_there, "no line of {command} has {switch}");
        }
    }
    assert!(found > 30, "{found} switches");
}

#[tokio::test]
async fn no_command_shows_a_value() {
    let cli = cli().await;
    for line in LINES {
        nothing_shows(&cli, line).await;
    }
}

/// Keys of a JSON secret may be secret, too.
#[tokio::test]
async fn no_change_shows_a_value() {
    for json in ["", " --json"] {
        let cli = cli().await;
        let line = format!("watch --interval 1 --count 1{json}");
        let mut child = cli.command(&words(&line)).spawn().expect("a process");
        let mut out = BufReader::new(child.stdout.take().expect("output"));
        let mut shown = String::new();
        let first = timeout(PATIENCE, out.read_line(&mut shown)).await.expect("a line in time");
        first.expect("a line");
        cli.fake.put("gaara/prod/2fa", r#"{"canary-key": "canary-new", "canary-more": "canary"}"#);
        let rest = timeout(PATIENCE, out.read_to_string(&mut shown)).await.expect("an end in time");
        rest.expect("lines");
        assert_eq!(shown.lines().count(), 2, "{shown}");
        for part in PARTS {
            assert!(!shown.contains(part), "{line}: {shown}");
        }
        assert_eq!(child.wait().await.expect("an end").code(), Some(0));
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

//! The commands that look: `get`, `explain`, `policy`, and the pages.

use insta::assert_snapshot;

use crate::harness::{Cli, finished, words};
use crate::prompt::Terminal;

#[tokio::test]
async fn get_shows_names_versions_and_shapes_and_no_value() {
    let cli = Cli::with_secrets().await;
    let keys = "get gaara/prod/database --keys --names gaara/prod/database";
    for (name, line) in [
        ("get_all", "get --prefix gaara/prod"),
        ("get_one", "get database --prefix gaara/prod"),
        ("get_keys", keys),
    ] {
        assert_snapshot!(name, cli.seen(line).await.shown());
        assert_snapshot!(format!("{name}_piped"), cli.run(line).await.shown());
    }
    assert_snapshot!("get_json", cli.run("get database --json --prefix gaara/prod").await.shown());
}

/// The keys of a secret do not grow by those that others put below its place.
#[tokio::test]
async fn the_shape_is_that_of_the_secret_and_not_of_what_is_below_it() {
    let cli = Cli::with_secrets().await;
    cli.fake.put("gaara/prod", r#"{"smtp": {"host": "canary-host"}}"#);
    cli.fake.put("gaara/prod/database/replica", r#"{"host": "canary-host", "port": 1}"#);
    let ran = cli.run("get --prefix gaara/prod").await;
    let shapes = ran.out.lines().filter_map(|line| line.split('\t').next_back());
    let shapes: Vec<&str> = shapes.collect();
    let expected =
        ["JSON object, 1 key", "JSON object, 3 keys", "JSON object, 2 keys", "one value"];
    assert_eq!(shapes, expected, "{}{}", ran.out, ran.err);
    // Those that hold others are read a second time, together.
    assert_eq!(cli.fake.calls("BatchGetSecretValue"), 2);
    let doctor = cli.run("doctor --prefix gaara/prod").await.out;
    let root = doctor.lines().find(|line| line.contains("\tgaara/prod\t")).expect("a line");
    assert!(root.contains("JSON object, 1 key,"), "{root}");
}

/// What a script does with the rows: no heading, no padding, nothing but rows.
#[tokio::test]
async fn rows_can_be_cut() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "JWT_SECRET=canary-old\n");
    cli.write("settings.json", crate::schema::SCHEMA);
    let field = async |line: &str, at: usize| {
        let ran = cli.run(&format!("{line} --prefix gaara/prod")).await;
        let fields =
            ran.out.lines().map(|line| line.split('\t').nth(at).expect("a field").to_owned());
        fields.collect::<Vec<_>>()
    };
    assert_eq!(field("get", 0).await, ["gaara/prod/database", "gaara/prod/jwt-secret"]);
    assert_eq!(field("get database", 0).await, ["secret", "version", "shape", "has"]);
    assert_eq!(field("explain", 1).await, ["secret", "secret"]);
    assert_eq!(field("explain", 3).await, ["", ".env JWT_SECRET in .env"]);
    assert_eq!(field("import", 0).await, ["update"]);
    assert_eq!(field("check --schema settings.json", 1).await, ["port"]);
    assert!(field("doctor", 1).await.contains(&"jwt_secret".to_owned()));
    assert_eq!(field("watch --count 0", 1).await, ["generation 1"]);
}

#[tokio::test]
async fn get_reveals_a_value_as_it_is_and_only_when_asked() {
    let cli = Cli::with_secrets().await;
    cli.fake.put_binary("gaara/prod/bytes", vec![b'a', 0, b'b']);
    cli.fake.put("gaara/prod/wrapped", r#"{"value":  "x"}"#);
    for (line, expected) in [
        ("get jwt-secret --reveal", "canary-jwt-secret"),
        ("get database --key password --reveal", "canary-password-1"),
        ("get database --key port --reveal", "5432"),
        (
            "get database --reveal",
            r#"{"username": "gaara", "password": "canary-password-1", "port": 5432}"#,
        ),
        ("get bytes --reveal", "a\0b"),
        ("get wrapped --reveal", r#"{"value":  "x"}"#),
    ] {
        let ran = cli.run(&format!("--prefix gaara/prod {line}")).await;
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, expected, ""), "{line}");
    }
}

#[tokio::test]
async fn get_finds_a_version_by_label_and_by_id() {
    let cli = Cli::with_secrets().await;
    let old = cli.fake.put("gaara/prod/jwt-secret", "canary-second");
    cli.fake.put("gaara/prod/jwt-secret", "canary-third");
    for (version, expected) in [("AWSPREVIOUS", "canary-second"), (old.as_str(), "canary-second")] {
        let line = format!("get jwt-secret --reveal --prefix gaara/prod --version {version}");
        assert_eq!(cli.run(&line).await.out, expected, "{version}");
    }
}

#[tokio::test]
async fn get_says_what_is_missing() {
    let cli = Cli::with_secrets().await;
    let missing = cli.run("get databse --prefix gaara/prod").await;
    assert_snapshot!("get_missing_secret", missing.shown());
    let missing = cli.run("get database --key pasword --reveal --prefix gaara/prod").await;
    assert_snapshot!("get_missing_key", missing.shown());
    let missing = cli.run("get database --json --prefix gaara/test").await;
    assert_snapshot!("get_error_json", missing.shown());
}

#[tokio::test]
async fn the_environment_and_dotenv_select_where_no_switch_does() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "SECRETS_MANAGER_PREFIX=gaara/prod\n");
    cli.write("other.env", "SECRETS_MANAGER_KEY_NAME=gaara/prod/jwt-secret\n");
    let shown = cli.run("get").await.out;
    assert!(shown.contains("gaara/prod/database"), "{shown}");
    let shown = cli.run("get --env-file other.env").await.out;
    assert!(shown.contains("jwt-secret") && !shown.contains("gaara/prod/database"), "{shown}");
    let ran = cli.run("get --env-file none.env").await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("`none.env` does not exist"), "{}", ran.err);
}

#[tokio::test]
async fn settings_of_aws_come_from_dotenv_and_from_switches() {
    let cli = Cli::with_secrets().await;
    let url = cli.fake.endpoint_url();
    let dotenv = format!("AWS_REGION=eu-central-1\nAWS_ENDPOINT_URL_SECRETS_MANAGER={url}\n");
    let with = |line: String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = cli.command(&words);
        command.env_remove("AWS_REGION").env_remove("AWS_ENDPOINT_URL_SECRETS_MANAGER");
        command
    };
    let line = "get --prefix gaara/prod".to_owned();
    let ran = finished(with(line.clone()), None).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no AWS region is configured"), "{}", ran.err);
    let switches = format!("{line} --region eu-central-1 --endpoint-url {url}");
    assert_eq!(finished(with(switches), None).await.code, 0);
    // The selection of a file is found beside its settings of AWS.
    cli.write(".env", &format!("{dotenv}SECRETS_MANAGER_PREFIX=gaara/prod\n"));
    let ran = finished(with(line.clone()), None).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = finished(with(line.replace("get", "doctor --check")), None).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    let host = url.trim_start_matches("http://");
    assert!(ran.out.contains(&format!("endpoint\t{host} answers")), "{}", ran.out);
}

/// As with the `aws` client: the keys of the environment are another account's.
#[tokio::test]
async fn a_profile_goes_before_the_keys_of_the_environment() {
    let cli = Cli::with_secrets().await;
    std::fs::create_dir(cli.path().join(".aws")).expect("a folder");
    let keys = "aws_access_key_id = AKIDOFPROFILE\naws_secret_access_key = canary\n";
    cli.write(".aws/credentials", &format!("[other]\n{keys}"));
    let ran = cli.run("doctor --prefix gaara/prod --profile other").await;
    assert!(ran.out.contains("credentials\tfrom an AWS profile"), "{}", ran.out);
    assert_eq!(cli.run("get --prefix gaara/prod --profile other").await.code, 0);
    for line in ["get", "doctor --check"] {
        let ran = cli.run(&format!("{line} --prefix gaara/prod --profile nowhere")).await;
        let both = ran.out + &ran.err;
        assert_eq!(ran.code, 1, "{line}: {both}");
        assert!(both.contains("there is no AWS profile `nowhere`"), "{line}: {both}");
        assert_eq!(both.matches("correct --profile").count(), 1, "{line}: {both}");
    }
}

#[tokio::test]
async fn a_directory_is_read_like_aws() {
    let cli = Cli::new().await;
    std::fs::create_dir_all(cli.path().join("store/app")).expect("a folder");
    cli.write("store/app/token", "canary-token");
    let store = "--backend directory --folder store --prefix app";
    let ran = cli.run(&format!("get token --reveal {store}")).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "canary-token"), "{}", ran.err);
    assert_eq!(cli.run(&format!("explain {store}")).await.code, 0);
    assert_eq!(cli.run("get --backend directory").await.code, 2);
    assert_eq!(cli.fake.total_calls(), 0);
}

/// What needs no server; `end-to-end` has the rest, with OpenBao.
#[tokio::test]
async fn vault_has_a_policy_of_its_own_and_switches_of_its_own() {
    let cli = Cli::new().await;
    cli.write("vault.env", "VAULT_ADDR=http://127.0.0.1:9\nVAULT_TOKEN=canary-token\n");
    let vault = "--backend vault --mount kv --env-file vault.env --prefix gaara/prod";
    assert_snapshot!("policy_vault", cli.run(&format!("policy {vault}")).await.shown());
    let terraform = cli.run(&format!("policy --terraform {vault}")).await;
    assert_snapshot!("policy_vault_terraform", terraform.shown());
    let json = cli.run(&format!("policy --json {vault}")).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert!(json["policy"].as_str().is_some_and(|policy| policy.contains("kv/data/gaara/prod")));
    for (line, said) in [
        ("policy --cloudformation --backend vault", "--cloudformation are for AWS"),
        ("policy --rotate x --backend vault", "--cloudformation are for AWS"),
        ("policy --backend directory --folder .", "a folder has no policy"),
        ("get --backend vault --region eu-central-1", "--region is for `--backend aws`"),
        ("get --backend agent", "cannot list those below a prefix"),
        ("get --backend agent", "`--names`, or `--only` beside `--prefix`"),
        ("policy --push-setup --backend agent", "--push-setup and --rotate are for"),
        ("put x --backend agent", "`put` writes to AWS Secrets Manager only"),
        ("get --mount kv", "--mount is for `--backend vault`"),
        ("put x --backend vault", "`put` writes to AWS Secrets Manager only"),
        ("rotate x --backend vault", "`rotate` writes to AWS Secrets Manager only"),
        ("import vault.env --backend vault", "`import` writes to AWS Secrets Manager only"),
    ] {
        let ran = cli.run(&format!("{line} --env-file vault.env --prefix gaara/prod")).await;
        assert_eq!(ran.code, 1, "{line}");
        assert!(ran.err.contains(said) && !ran.err.contains("canary"), "{line}: {}", ran.err);
    }
    let ran = cli.run("get --backend vault --prefix gaara/prod").await;
    assert!(ran.err.contains("variable `VAULT_ADDR` is not set"), "{}", ran.err);
    assert_eq!(cli.fake.total_calls(), 0);
}

#[tokio::test]
async fn hints_are_in_the_words_of_the_switches() {
    let cli = Cli::with_secrets().await;
    cli.fake.deny_action("ListSecrets");
    let ran = cli.run("get --prefix gaara/prod").await;
    assert!(ran.err.contains("`--only`") && !ran.err.contains("(..)"), "{}", ran.err);
    let ran = cli.run("get --prefix gaara/prod --json").await;
    assert!(ran.err.contains("`--only`") && !ran.err.contains("(..)"), "{}", ran.err);
}

#[tokio::test]
async fn explain_shows_sources_and_marks_what_hides() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "DATABASE__PASSWORD=canary-of-dotenv\nSMTP__HOST=canary-mail\n");
    let ran = cli.seen("explain --prefix gaara/prod").await;
    assert_snapshot!("explain", ran.shown());
    let ran = cli.run("explain --prefix gaara/prod").await;
    assert_snapshot!("explain_piped", ran.shown());
    let ran = cli.run("explain --prefix gaara/prod --color always").await;
    assert_snapshot!("explain_colours", ran.shown().replace('\u{1b}', "ESC"));
    let ran = cli.run("explain --prefix gaara/prod --json").await;
    assert_snapshot!("explain_json", ran.shown());
}

#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let cli = Cli::with_secrets().await;
    let shown = async |line: &str, variables: &[(&str, &str)]| {
        let terminal = Terminal::open();
        let mut command = cli.command(&words(line));
        command.envs(variables.iter().copied());
        command.stdout(terminal.program.try_clone().expect("a copy"));
        assert_eq!(finished(command, None).await.code, 0, "{line}");
        terminal.shows()
    };
    for (variables, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("TERM", "dumb")], false),
    ] {
        for line in ["get", "explain", "doctor", "import old.env"] {
            cli.write("old.env", "A=canary-a\n");
            let shown = shown(&format!("{line} --prefix gaara/prod"), variables).await;
            assert_eq!(shown.contains('\u{1b}'), coloured, "{line} {variables:?}: {shown:?}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
    // A value on a terminal ends with a line break, which it does not have elsewhere.
    let shown = shown("get jwt-secret --reveal --prefix gaara/prod", &[]).await;
    assert!(shown.starts_with("canary-jwt-secret\r\n"), "{shown:?}");
    for line in ["get", "explain", "doctor"] {
        let ran = cli.run(&format!("{line} --prefix gaara/prod")).await;
        assert!(!ran.out.contains('\u{1b}'), "{line}: {}", ran.out);
    }
}

#[tokio::test]
async fn policy_has_three_forms_and_parts_to_add() {
    let cli = Cli::new().await;
    let queue = "arn:aws:sqs:us-east-1:123456789012:changes";
    let some = "--prefix gaara/prod --only database,jwt-secret";
    assert_snapshot!("policy", cli.run(&format!("policy {some}")).await.shown());
    let parts = format!("policy {some} --rotate database --push {queue}");
    assert_snapshot!("policy_parts", cli.run(&parts).await.shown());
    assert_snapshot!(
        "policy_terraform",
        cli.run(&format!("policy {some} --terraform")).await.shown()
    );
    let form = format!("policy {some} --cloudformation");
    assert_snapshot!("policy_cloudformation", cli.run(&form).await.shown());
    let topic = "arn:aws:sns:us-east-1:123456789012:gaara-secret-changes";
    let mut of_topic = cli.command(&words("policy --prefix gaara/prod --terraform --push"));
    of_topic.arg(topic).env("AWS_ACCOUNT_ID", "123456789012");
    assert_snapshot!("policy_topic", finished(of_topic, None).await.shown());
    let json = cli.run(&format!("policy {some} --terraform --json")).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert!(json["terraform"].as_str().is_some_and(|it| it.starts_with("resource ")), "{json}");
    let setup = cli.run("policy --prefix gaara/prod --push-setup").await;
    assert!(setup.out.contains("AWS::SQS::Queue"), "{}", setup.out);
    assert_eq!(cli.run("policy --prefix a --push queue").await.code, 1);
    assert_eq!(cli.fake.total_calls(), 0);
}

/// The policy that is printed is enough for what it is printed for.
#[tokio::test]
async fn the_policy_is_enough() {
    let cli = Cli::with_secrets().await;
    let policy = cli.run("policy --prefix gaara/prod").await.out;
    cli.fake.enforce_policy(&policy).expect("a policy");
    assert_eq!(cli.run("get --prefix gaara/prod").await.code, 0);
    assert_eq!(cli.run("get --names other/secret").await.code, 1);
}

#[tokio::test]
async fn pages_name_every_command() {
    let cli = Cli::new().await;
    let man = cli.run("man").await.out;
    let commands =
        ["get", "exec", "explain", "put", "import", "rotate", "watch", "doctor", "check", "policy"];
    for shell in ["bash", "zsh", "fish"] {
        let completions = cli.run(&format!("completions {shell}")).await.out;
        for command in commands {
            assert!(completions.contains(command), "{shell}: {command}");
            assert!(
                man.contains(&format!("secrets\\-provider\\-{command}(1)")),
                "{command}: {man}"
            );
        }
    }
    std::fs::create_dir(cli.path().join("man1")).expect("a folder");
    assert_eq!(cli.run("man --folder man1").await.code, 0);
    let pages = std::fs::read_dir(cli.path().join("man1")).expect("pages").count();
    assert!(pages > commands.len(), "{pages}");
}

#[tokio::test]
async fn wrong_usage_is_code_2_and_repeats_no_value() {
    let cli = Cli::new().await;
    for line in [
        "get a --nothing",
        "get --key x",
        "get one canary-value-as-argument",
        "get one --nothing=canary-value-as-argument",
        "explain canary-value-as-argument",
        "canary-value-as-argument",
        "get --color canary-value-as-argument",
        "get --rename canary-value-as-argument",
        "get --prefix a --names b",
        "",
    ] {
        let ran = cli.run(line).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}");
        assert!(!ran.err.contains("canary"), "{line}: {}", ran.err);
        let ran = cli.run(&format!("{line} --json")).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line}");
        assert!(!ran.err.contains("canary"), "{line}: {}", ran.err);
        let error: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
        assert_eq!(error["error"]["kind"], "usage", "{line}: {}", ran.err);
    }
    let ran = cli.run("get --prefix a --names b --json").await;
    assert_snapshot!("usage_json", ran.shown());
    assert_snapshot!("usage_json_no_command", cli.run("--json").await.shown());
    // What follows `--` is for another program.
    let ran = cli.run("exec --nothing -- true --json").await;
    assert!(ran.code == 2 && ran.err.starts_with("error: "), "{}", ran.err);
    let help = cli.run("--help").await;
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Exit codes"), "{}", help.out);
}

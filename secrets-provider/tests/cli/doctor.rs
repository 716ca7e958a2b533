//! `doctor`: each thing broken in turn, and the line that ends the search.

use insta::assert_snapshot;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Cli, Ran, finished, words};
use crate::prompt::Terminal;

async fn ran(cli: &Cli, change: impl FnOnce(&mut tokio::process::Command), line: &str) -> Ran {
    let mut command = cli.command(&words(line));
    command.env("NO_COLOR", "1");
    change(&mut command);
    Terminal::run(command).await
}

const LINE: &str = "doctor --check --prefix gaara/prod";

#[tokio::test]
async fn all_is_well() {
    let cli = Cli::with_secrets().await;
    assert_snapshot!("doctor_well", cli.seen(LINE).await.shown());
    assert_snapshot!("doctor_well_piped", cli.run(LINE).await.shown());
    let json = cli.run(&format!("{LINE} --json")).await;
    let value: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["well"], true, "{}", json.out);
}

#[tokio::test]
async fn what_is_broken_is_named() {
    type Break = fn(&Cli, &mut tokio::process::Command);
    let breaks: [(&str, &str, Break); 21] = [
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
            let variable = "AWS_ENDPOINT_URL_SECRETS_MANAGER";
            command.env(variable, "http://127.0.0.1:9").env("AWS_MAX_ATTEMPTS", "1");
        }),
        ("no_tls", LINE, |cli, command| {
            let url = cli.fake.endpoint_url().replace("http://", "https://");
            command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", url);
        }),
        ("conflict", LINE, |cli, _| {
            cli.fake.put("gaara/prod/jwt_secret", "canary-another");
        }),
        ("unknown_host", LINE, |_, command| {
            let url = "https://secretsmanager.eu-centrall-1.invalid";
            command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", url);
        }),
        ("unknown_key", LINE, |cli, _| {
            cli.fake.inject(fake_secrets_manager::Fault::error(
                "UnrecognizedClientException",
                400,
                "The security token included in the request is invalid.",
            ));
        }),
        ("nothing_selected", "doctor --check", |_, _| {}),
        ("nothing_at_all", "doctor --check", |_, command| {
            for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                command.env_remove(name);
            }
        }),
        ("list_denied", LINE, |cli, _| cli.fake.deny_action("ListSecrets")),
        ("get_denied", LINE, |cli, _| cli.fake.deny_action("GetSecretValue")),
        ("batch_denied", LINE, |cli, _| cli.fake.deny_action("BatchGetSecretValue")),
        ("describe_denied", LINE, |cli, _| cli.fake.deny_action("DescribeSecret")),
        ("describe_unanswered", LINE, |cli, command| {
            cli.fake.inject(fake_secrets_manager::Fault::html(503).on("DescribeSecret"));
            command.env("AWS_MAX_ATTEMPTS", "1");
        }),
        ("kms_disabled", LINE, |cli, _| {
            let key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
            cli.fake.use_kms_key("gaara/prod/database", key);
            cli.fake.disable_kms_key(key);
        }),
        ("kms_denied", LINE, |cli, _| {
            let key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
            cli.fake.use_kms_key("gaara/prod/database", key);
            let policy = r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}]}"#;
            cli.fake.enforce_policy(policy).expect("a policy");
        }),
        (
            "misspelled_key",
            "doctor --check --prefix gaara/prod --schema settings.json",
            |cli, _| {
                let login = r#"{"username": "canary-u", "pasword": "canary-p", "port": 5432}"#;
                cli.fake.put("gaara/prod/database", login);
                cli.write("settings.json", crate::schema::SCHEMA);
                cli.write(".env", "PORT=8080\n");
            },
        ),
        ("wrong_type", "doctor --check --prefix gaara/prod --schema settings.json", |cli, _| {
            let login = r#"{"username": "canary-u", "password": "canary-p", "port": "canary-3"}"#;
            cli.fake.put("gaara/prod/database", login);
            cli.write("settings.json", crate::schema::SCHEMA);
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
async fn a_wrong_value_is_looked_for_where_it_is_and_not_among_its_neighbours() {
    let cli = Cli::with_secrets().await;
    cli.fake.put("gaara/prod/database", r#"{"username": "canary-u", "password": "canary-p"}"#);
    cli.write("settings.json", crate::schema::SCHEMA);
    cli.write(".env", "PORT=8080\nDATABASE__PORT=canary-3\n");
    let ran = cli.run(&format!("{LINE} --schema settings.json")).await;
    let line = ran.out.lines().find(|line| line.contains("\tdatabase.port\t"));
    let line = line.unwrap_or_else(|| panic!("no line: {}", ran.out));
    assert!(line.ends_with("\tcorrect it in DATABASE__PORT"), "{line}");
}

/// The fake's answers have the time of this machine, so something between them changes it.
#[tokio::test]
async fn a_wrong_clock_is_named() {
    let cli = Cli::with_secrets().await;
    let url = at_another_time(&cli.fake.endpoint_url()).await;
    let change = |command: &mut tokio::process::Command| {
        command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url);
    };
    let skewed = ran(&cli, change, LINE).await;
    let line = skewed.out.lines().find(|line| line.contains("clock")).expect("a line");
    assert!(line.starts_with('✗') && line.contains("apart from AWS"), "{}", skewed.out);
    assert!(skewed.out.contains("set the clock of this machine"), "{}", skewed.out);
    // AWS refuses such signatures.
    cli.fake.inject(fake_secrets_manager::Fault::error(
        "InvalidSignatureException",
        403,
        "Signature expired: canary",
    ));
    let skewed = ran(&cli, change, LINE).await;
    let marked: Vec<&str> = skewed.out.lines().filter(|line| line.starts_with('✗')).collect();
    assert_eq!(marked.len(), 2, "{}", skewed.out);
    assert!(
        marked[0].contains("does not accept them (InvalidSignatureException)"),
        "{}",
        marked[0]
    );
    assert!(marked[1].contains("clock"), "{}", marked[1]);
    assert!(!skewed.out.contains("canary"), "{}", skewed.out);
}

/// A server before this one, whose answers come from a year ago.
async fn at_another_time(url: &str) -> String {
    let target = url.strip_prefix("http://").expect("HTTP").to_owned();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = tokio::net::TcpStream::connect(&target).await else { break };
            tokio::spawn(passed_on(client, server));
        }
    });
    format!("http://{address}")
}

/// Passes bytes on, with another year in the header `date`, which has the length of the true one.
async fn passed_on(client: tokio::net::TcpStream, server: tokio::net::TcpStream) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
        let mut answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        // The fake writes a head at once.
        if let Some(at) = answer.find("\r\ndate: ") {
            let day = at + "\r\ndate: ".len();
            answer.replace_range(day..day + 29, "Sun, 06 Nov 1994 08:49:37 GMT");
        }
        if to_client.write_all(answer.as_bytes()).await.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn other_stores_are_looked_at_in_their_own_words() {
    let cli = Cli::new().await;
    std::fs::create_dir_all(cli.path().join("store/app")).expect("a folder");
    cli.write("store/app/token", "canary-token");
    cli.write("vault.env", "VAULT_ADDR=http://127.0.0.1:9\nVAULT_TOKEN=canary-token\n");
    for (name, line) in [
        ("directory", "doctor --check --backend directory --folder store --prefix app"),
        ("no_directory", "doctor --check --backend directory --folder stor --prefix app"),
        ("vault_unreached", "doctor --check --backend vault --env-file vault.env --prefix app"),
        ("agent_unreached", "doctor --check --backend agent --prefix app --only token"),
        ("vault_unset", "doctor --check --backend vault --prefix app"),
    ] {
        let shown = cli.seen(line).await.shown();
        assert!(!shown.contains("canary"), "{shown}");
        // A version of a folder is of its time.
        assert_snapshot!(format!("doctor_{name}"), shown);
    }
    assert_eq!(cli.fake.total_calls(), 0);
}

#[tokio::test]
async fn what_hides_and_what_matches_nothing_is_a_warning() {
    let cli = Cli::with_secrets().await;
    cli.write(".env", "JWT_SECRET=canary-old\n");
    let line = format!("{LINE} --rename databse=db --replicas 200");
    assert_snapshot!("doctor_warnings", cli.seen(&line).await.shown());
}

#[tokio::test]
async fn a_rename_that_matches_nothing_is_named_and_one_that_matches_is_not() {
    let cli = Cli::with_secrets().await;
    for (rename, matches) in [
        ("database=db", true),
        ("database=database", true),
        ("jwt-{rest}=jwt.{rest}", true),
        ("{name}=all.{name}", true),
        ("arn:aws:secretsmanager:us-east-1:123456789012:secret:gaara/prod/database=db", true),
        ("gaara/prod/database=db", false),
        ("encryption-key-v{n}=encryption_keys.{n}", false),
        ("data{n}se/{m}=x", false),
        ("jwt-secret{n}=jwt.{n}", false),
    ] {
        let ran = cli.run(&format!("doctor --prefix gaara/prod --rename {rename}")).await;
        let line = ran.out.lines().find(|line| line.starts_with("!\trename\t"));
        // A wrong pattern is reported before anything is read.
        let wrong = ran.out.contains("more than one capture");
        assert_eq!(line.is_none() && !wrong, matches, "{rename}: {}", ran.out);
        assert!(wrong || ran.out.contains("2 secrets read"), "{rename}: {}", ran.out);
    }
}

#[tokio::test]
async fn a_secret_that_is_to_be_deleted_is_named() {
    let cli = Cli::with_secrets().await;
    let delete = cli.fake.client().delete_secret().secret_id("gaara/prod/jwt-secret");
    delete.recovery_window_in_days(7).send().await.expect("deleted");
    let ran = cli.seen("doctor --check --prefix gaara/prod --only database,jwt-secret").await;
    assert_snapshot!("doctor_deleted", ran.shown());
    // A listing leaves it out, and the others are read.
    let ran = cli.run(LINE).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    let line = "!\tgaara/prod/jwt-secret\tit is scheduled for deletion, so it is not read";
    assert!(ran.out.contains(line) && ran.out.contains("restore-secret"), "{}", ran.out);
    // Where it is the only one, the line is beside the error.
    cli.fake.put("gaara/test/only", "canary");
    let delete = cli.fake.client().delete_secret().secret_id("gaara/test/only");
    delete.recovery_window_in_days(7).send().await.expect("deleted");
    let ran = cli.run("doctor --check --prefix gaara/test").await;
    assert!(
        ran.code == 1 && ran.out.contains("!\tgaara/test/only\tit is scheduled"),
        "{}",
        ran.out
    );
}

/// To ask for credentials may be a call of STS, or a question to a person.
#[tokio::test]
async fn credentials_are_not_asked_for_again_for_each_secret() {
    let cli = Cli::with_secrets().await;
    // It is read by itself, because others are below it.
    cli.fake.put("gaara/prod", r#"{"smtp": {"host": "canary-host"}}"#);
    std::fs::create_dir(cli.path().join(".aws")).expect("a folder");
    cli.write(".aws/config", "[profile other]\ncredential_process = sh keys.sh\n");
    let keys = r#"{"Version": 1, "AccessKeyId": "AKIDOFPROCESS", "SecretAccessKey": "canary"}"#;
    cli.write("keys.sh", &format!("echo asked >> asked\necho '{keys}'\n"));
    let of_switch = "--prefix gaara/prod --profile other";
    // `doctor` also asks for them to say where they come from. Without a switch, what is read first
    // has a client of its own.
    for (line, times) in [
        (format!("get {of_switch}"), 1),
        ("get --prefix gaara/prod".to_owned(), 2),
        (format!("doctor --check {of_switch}"), 2),
        (LINE.to_owned(), 3),
    ] {
        let mut command = cli.command(&words(&line));
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_PROFILE", "other");
        let ran = finished(command, None).await;
        assert_eq!(ran.code, 0, "{line}: {}{}", ran.out, ran.err);
        let asked = cli.path().join("asked");
        let found = std::fs::read_to_string(&asked).expect("it was asked").lines().count();
        assert_eq!(found, times, "{line}: {}", ran.out);
        std::fs::remove_file(asked).expect("it is removed");
    }
}

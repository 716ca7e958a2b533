//! The commands that change secrets, and the one that waits for changes.

use std::time::Duration;

use fake_secrets_manager::Fault;
use insta::assert_snapshot;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::harness::{Cli, scrubbed};

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn put_stores_its_input_and_shows_the_version() {
    let cli = Cli::with_secrets().await;
    let ran = cli.fed("put jwt-secret --prefix gaara/prod", "canary-new\n").await;
    assert_snapshot!("put", ran.shown());
    assert_eq!(cli.stored("gaara/prod/jwt-secret").await.as_deref(), Some("canary-new"));
    let ran = cli.fed("put jwt-secret --prefix gaara/prod --exact", "canary-new\n").await;
    assert_eq!(ran.code, 0);
    assert_eq!(cli.stored("gaara/prod/jwt-secret").await.as_deref(), Some("canary-new\n"));
    let ran = cli.fed("put new --prefix gaara/prod", "canary-x").await;
    assert_snapshot!("put_missing", ran.shown());
    let ran = cli.fed("put new --prefix gaara/prod --create --json", "canary-x").await;
    assert_snapshot!("put_created", ran.shown());
    let ran = cli.fed("put jwt-secret --prefix gaara/prod", "\n").await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("the value is empty"), "{}", ran.err);
}

#[tokio::test]
async fn put_changes_one_key_and_nothing_else() {
    let cli = Cli::with_secrets().await;
    cli.fake.put("gaara/prod/odd", "{\"b\":  1.10,\n \"a\": \"old\", \"c\": {\"d\": []}}");
    for (switches, input, expected) in [
        ("--key a", "new \"x\"", "{\"b\":  1.10,\n \"a\": \"new \\\"x\\\"\", \"c\": {\"d\": []}}"),
        ("--key a --as-json", "7", "{\"b\":  1.10,\n \"a\": 7, \"c\": {\"d\": []}}"),
        ("--key c.e", "n", "{\"b\":  1.10,\n \"a\": 7, \"c\": {\"d\": [], \"e\": \"n\"}}"),
    ] {
        let ran = cli.fed(&format!("put odd {switches} --prefix gaara/prod"), input).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(cli.stored("gaara/prod/odd").await.as_deref(), Some(expected), "{switches}");
    }
    let ran = cli.fed("put jwt-secret --key a --prefix gaara/prod", "canary-x").await;
    assert_snapshot!("put_key_of_text", ran.shown());
    let ran = cli.fed("put odd --key a --as-json --prefix gaara/prod", "canary-x").await;
    assert!(ran.code == 1 && ran.err.contains("is not JSON"), "{}", ran.err);
    assert!(!ran.err.contains("canary"), "{}", ran.err);
}

/// What another program stores between the read and the write stays.
#[tokio::test]
async fn put_of_a_key_does_not_undo_another_programs_write() {
    let cli = Cli::with_secrets().await;
    // The write hangs for a moment, in which the other program is faster.
    cli.fake.inject(Fault::slow(Duration::from_secs(1)).on("PutSecretValue").times(1));
    let put = cli.fed("put database --key password --prefix gaara/prod", "canary-mine");
    let other = async {
        cli.fake.wait_for_calls("PutSecretValue", 1).await;
        cli.fake.put("gaara/prod/database", r#"{"password": "theirs"}"#);
    };
    let (ran, ()) = tokio::join!(put, other);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("another program has stored a new version"), "{}", ran.err);
    let stored = cli.stored("gaara/prod/database").await;
    assert_eq!(stored.as_deref(), Some(r#"{"password": "theirs"}"#));
}

#[tokio::test]
async fn import_plans_and_then_applies() {
    let cli = Cli::new().await;
    cli.fake.put("gaara/prod/jwt-secret", "canary-jwt");
    cli.fake.put("gaara/prod/smtp/host", "canary-old-host");
    let dotenv = "AWS_REGION=us-east-1\nDATABASE__PASSWORD=canary-password\n\
                  JWT_SECRET=canary-jwt\nSMTP__HOST=canary-host\nEMPTY=\nRUST_LOG=info\n";
    cli.write("old.env", dotenv);
    let line = "import old.env --prefix gaara/prod";
    assert_snapshot!("import_plan", cli.seen(line).await.shown());
    assert_snapshot!("import_plan_piped", cli.run(line).await.shown());
    assert_eq!(cli.stored("gaara/prod/database/password").await, None);
    assert_snapshot!("import_applied", cli.run(&format!("{line} --apply")).await.shown());
    for (name, value) in [("database/password", "canary-password"), ("smtp/host", "canary-host")] {
        let stored = cli.stored(&format!("gaara/prod/{name}")).await;
        assert_eq!(stored.as_deref(), Some(value), "{name}");
    }
    assert_snapshot!("import_again", cli.run(&format!("{line} --json")).await.shown());
    // What was moved is what is read.
    cli.write("script", "echo $DATABASE__PASSWORD $JWT_SECRET $SMTP__HOST");
    let ran = cli.run("exec --prefix gaara/prod -- sh script").await;
    assert_eq!(ran.out, "canary-password canary-jwt canary-host\n");
}

#[tokio::test]
async fn import_as_json_keeps_what_is_there() {
    let cli = Cli::new().await;
    cli.fake.put("gaara/prod", r#"{"OTHER": 1.0, "JWT_SECRET": "old"}"#);
    cli.write(".env", "DATABASE__PASSWORD=canary-password\nJWT_SECRET=canary-jwt\nX=1\n");
    let ran = cli.run("import --as json --prefix gaara/prod --skip X --apply").await;
    assert_snapshot!("import_json", ran.shown());
    let expected =
        r#"{"OTHER": 1.0, "JWT_SECRET": "canary-jwt", "DATABASE__PASSWORD": "canary-password"}"#;
    assert_eq!(cli.stored("gaara/prod").await.as_deref(), Some(expected));
    let ran = cli.run("import none.env --prefix gaara/prod").await;
    assert!(ran.code == 1 && ran.err.contains("`none.env`"), "{}", ran.err);
    let ran = cli.run("import --variables NONE --prefix gaara/prod").await;
    assert!(ran.code == 1 && ran.err.contains("no variable to import"), "{}", ran.err);
}

#[tokio::test]
async fn rotate_makes_a_new_password_and_a_plan() {
    let cli = Cli::with_secrets().await;
    let line = "rotate database --password password --prefix gaara/prod";
    assert_snapshot!("rotate_plan", cli.run(&format!("{line} --plan")).await.shown());
    assert_snapshot!("rotate", cli.run(line).await.shown());
    let stored = cli.stored("gaara/prod/database").await.expect("a value");
    assert!(!stored.contains("canary-password-1") && stored.contains("gaara"), "rotated");
    let ran = cli.run("rotate jwt-secret --random-key= --prefix gaara/prod").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(cli.stored("gaara/prod/jwt-secret").await.map(|key| key.len()), Some(44));
    // AWS's own rotation is not set up.
    assert_snapshot!("rotate_by_aws", cli.run("rotate database --prefix gaara/prod").await.shown());
}

#[tokio::test]
async fn watch_prints_a_line_for_each_change() {
    let cli = Cli::with_secrets().await;
    let words = ["watch", "--prefix", "gaara/prod", "--interval", "1", "--count", "1"];
    let mut child = cli.command(&words).spawn().expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("output")).lines();
    let mut line = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("a line in time");
        let line = line.expect("output").expect("a line");
        let (time, rest) = line.split_once('\t').expect("a time");
        assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
        scrubbed(rest)
    };
    let first = "generation 1\tgaara/prod/database@[version 1] gaara/prod/jwt-secret@[version 2]";
    assert_eq!(line().await, first);
    cli.fake.put("gaara/prod/jwt-secret", "canary-second");
    assert_eq!(line().await, "generation 2: jwt_secret\tgaara/prod/jwt-secret@[version 1]");
    assert_eq!(child.wait().await.expect("an end").code(), Some(0));
}

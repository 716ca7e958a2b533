//! `doctor` as a stranger meets it on moto: nothing is configured, then each thing is broken in
//! turn, and one line ends the search. moto 5.2.5 has STS; it knows no KMS policies, no expired
//! keys and no clock, and what it answers to a denied call or an unknown key has another form than
//! AWS's, so those are in `secrets-provider/tests/cli/doctor.rs`, on the fake. Run with
//! `--nocapture` to see the lines.

use std::io::Write as _;

use end_to_end::external::{Aws, Emulator, python};
use serde_json::{Value, json};

use crate::program::{Program, Ran};

const LINE: &str = "doctor --check --prefix app/prod";

/// The lines that are not well, each with what to do, as they are printed.
fn complaints(ran: &Ran) -> Vec<String> {
    let lines = ran.out.lines().filter(|line| line.starts_with(['✗', '!']));
    let shown = lines.map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [mark, topic, text, ""] => format!("{mark} {topic} {text}"),
        [mark, topic, text, todo] => format!("{mark} {topic} {text} → {todo}"),
        _ => panic!("not four fields: {line}"),
    });
    shown.collect()
}

/// Checks that the only ✗ has these parts, and prints it.
fn ends_the_search(what: &str, ran: &Ran, parts: &[&str]) {
    let lines = complaints(ran);
    std::io::stderr().write_all(format!("{what}:\n  {}\n", lines.join("\n  ")).as_bytes()).unwrap();
    let bad: Vec<&String> = lines.iter().filter(|line| line.starts_with('✗')).collect();
    assert_eq!((ran.code, bad.len()), (1, 1), "{what}: {}{}", ran.out, ran.err);
    for part in parts {
        assert!(bad[0].contains(part), "{what}: `{part}` is not in {}", bad[0]);
    }
    assert!(bad[0].contains(" → "), "{what}: it does not say what to do: {}", bad[0]);
    assert!(!ran.out.contains("canary"), "{}", ran.out);
}

#[tokio::test]
async fn one_line_ends_each_search() {
    let moto = Emulator::moto();
    let url = moto.endpoint_url();
    let aws = Aws::new(url.clone());
    let stranger = Program::new().with("AWS_ENDPOINT_URL", url.clone());

    // Step by step, as the lines say.
    let nothing = stranger.run("doctor --check").await;
    assert_eq!(nothing.code, 1, "{}", nothing.err);
    let lines = complaints(&nothing);
    assert!(lines[0].contains("--prefix") && lines[1].contains("--region"), "{lines:?}");
    ends_the_search("no region", &stranger.run(LINE).await, &["region", "AWS_REGION", "--region"]);
    let stranger = stranger.with("AWS_REGION", "us-east-1");
    let parts = ["credentials no AWS credentials were found", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"];
    ends_the_search("no credentials", &stranger.run(LINE).await, &parts);
    let there = Program::of_aws(url.clone());
    let parts = ["there is no secret at or below `app/prod`"];
    ends_the_search("no secret yet", &there.run(LINE).await, &parts);

    for (name, text) in [
        ("app/prod/db", r#"{"username": "canary", "password": "canary-p", "port": 5432}"#),
        ("app/prod/jwt", "canary-jwt"),
    ] {
        aws.run(["create-secret", "--name", name, "--secret-string", text]).await;
    }
    let well = there.run(LINE).await;
    assert_eq!(well.code, 0, "{}", well.out);
    assert!(well.out.contains("✓\tcaller\t"), "{}", well.out);
    assert!(well.out.contains("arn:aws:sts::123456789012:user/moto"), "{}", well.out);

    let wrong = Program::of_aws("http://127.0.0.1:9");
    let parts = ["127.0.0.1:9: the endpoint refuses connections", "AWS_ENDPOINT_URL"];
    ends_the_search("wrong endpoint", &wrong.run(LINE).await, &parts);
    let parts = ["there is no secret at or below `app/prd`", "there is `app/prod`"];
    let wrong = there.run("doctor --check --prefix app/prd").await;
    ends_the_search("wrong prefix", &wrong, &parts);

    aws.run([
        "create-secret",
        "--name",
        "app/prod/two",
        "--secret-string",
        "{\"a\": 1,\n\"a\": 2}",
    ])
    .await;
    let parts = ["app/prod/two", "a key twice", "line 1, column 7 and line 2, column 6"];
    ends_the_search("a key twice", &there.run(LINE).await, &parts);
    aws.run(["delete-secret", "--secret-id", "app/prod/two", "--force-delete-without-recovery"])
        .await;

    aws.run(["delete-secret", "--secret-id", "app/prod/jwt", "--recovery-window-in-days", "7"])
        .await;
    let deleted = there.run(&format!("{LINE} --only db,jwt")).await;
    let parts = ["app/prod/jwt", "is scheduled for deletion", "restore-secret"];
    ends_the_search("scheduled for deletion", &deleted, &parts);
}

#[tokio::test]
async fn the_caller_is_named_where_permissions_are_checked() {
    let moto = Emulator::moto();
    let keys = python(include_str!("../external/iam.py"), &moto.endpoint_url()).await;
    let administrator = &keys["administrator"];
    let part = |at: usize| keys["application"][at].as_str().unwrap().to_owned();
    let application = Program::of_aws(moto.endpoint_url())
        .with("AWS_ACCESS_KEY_ID", part(0))
        .with("AWS_SECRET_ACCESS_KEY", part(1));
    let everything = [
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecrets",
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:DescribeSecret",
        "sts:GetCallerIdentity",
    ];
    allow(&moto, administrator, &everything).await;
    let well = application.run(LINE).await;
    assert_eq!(well.code, 0, "{}", well.out);
    assert!(well.out.contains(":user/application"), "{}", well.out);
}

/// Sets the policy of the application, as the administrator.
async fn allow(moto: &Emulator, administrator: &Value, actions: &[&str]) {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }],
    });
    let script = format!(
        "import boto3, os\n\
         iam = boto3.client('iam', endpoint_url=os.environ['AWS_ENDPOINT_URL'], \
         aws_access_key_id={}, aws_secret_access_key={})\n\
         iam.put_user_policy(UserName='application', PolicyName='own', PolicyDocument={})\n\
         print('null')",
        administrator[0],
        administrator[1],
        json!(policy.to_string()),
    );
    python(&script, &moto.endpoint_url()).await;
}

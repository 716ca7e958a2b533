//! Push, end to end, by something that we did not write: MiniStack sends the event of Secrets
//! Manager through EventBridge to SQS, and by SNS to the queue that each replica makes; the real
//! `aws` client changes the secrets; an axum app serves them. The rule, the queue and the topic are
//! those of `push_setup` and of `examples/aws/push.yaml`.
//!
//! `ROTATIONS=200 cargo test -p end-to-end --features external --test external push` rotates more
//! often than the default of twenty times. MiniStack's long poll looks every 50 ms, so the times
//! here are those of our own part and of the emulator; the latency of AWS's event is not known.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use end_to_end::external::{Aws, Emulator, cfn_lint, python};
use http_body_util::BodyExt as _;
use secrets_provider::{Live, Push, PushState, SecretsManager};
use secrets_provider_axum::Current;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

use crate::fixtures::{Settings, secrets_only};

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// So that nothing but a push refreshes.
const NEVER: Duration = Duration::from_secs(24 * 3600);

async fn sdk_config(emulator: &Emulator) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .endpoint_url(emulator.endpoint_url())
        .load()
        .await
}

fn login(n: usize) -> String {
    format!(r#"{{"username": "user-{n}", "password": "password-{n}"}}"#)
}

async fn seed(aws: &Aws) {
    for (name, text) in [
        ("gaara/prod/database", login(1)),
        ("gaara/prod/jwt-secret", "jwt-1".to_owned()),
        ("gaara/production/database", "a neighbour's".to_owned()),
    ] {
        aws.run(["create-secret", "--name", name, "--secret-string", &text]).await;
    }
}

fn rotations() -> usize {
    std::env::var("ROTATIONS").map_or(20, |number| number.parse().expect("a number"))
}

async fn pushed(manager: SecretsManager, queue: &str, spread: Duration) -> Live<Settings> {
    let push = Push::queue(queue).spread(spread);
    let settings: Live<Settings> =
        secrets_only(manager).refresh_every(NEVER).push(push).start().await.unwrap();
    settings
}

/// Waits until the queue answers.
async fn connected(settings: &Live<Settings>) {
    let connected = async {
        while settings.status().push().unwrap().state() != PushState::Connected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, connected).await.expect("a connected queue");
}

fn calls(settings: &Live<Settings>, operation: &str) -> u64 {
    settings.status().calls().get(operation).copied().unwrap_or_default()
}

/// Waits until a new generation is live.
async fn generation(settings: &Live<Settings>, number: u64) {
    let mut changes = settings.changes();
    let reaching = async {
        while settings.status().generation() < number {
            changes.next().await.expect("a change");
        }
    };
    timeout(PATIENCE, reaching).await.unwrap_or_else(|_| panic!("{:?}", settings.status()));
}

fn report(what: &str, mut lags: Vec<Duration>) {
    lags.sort_unstable();
    let at = |percent: usize| lags[(lags.len() - 1) * percent / 100].as_millis();
    let (count, median, late, longest) = (lags.len(), at(50), at(99), at(100));
    let line = format!(
        "push, {what}: {count} changes, live after p50 {median} ms, p99 {late} ms, longest {longest} ms\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Makes what a template describes, and returns the stack's outputs.
async fn deploy(aws: &Aws, template: &Path) -> BTreeMap<String, String> {
    let body = format!("file://{}", template.display());
    aws.run_in(
        "cloudformation",
        ["create-stack", "--stack-name", "changes", "--template-body", &body],
    )
    .await;
    let described = async {
        loop {
            let stacks =
                aws.run_in("cloudformation", ["describe-stacks", "--stack-name", "changes"]).await;
            let stack = &stacks["Stacks"][0];
            match stack["StackStatus"].as_str().unwrap() {
                "CREATE_COMPLETE" => break stack["Outputs"].as_array().unwrap().clone(),
                "CREATE_IN_PROGRESS" => tokio::time::sleep(Duration::from_millis(200)).await,
                status => panic!("{status}: {stack}"),
            }
        }
    };
    let outputs = timeout(PATIENCE, described).await.expect("a stack");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    outputs
        .iter()
        .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
        .collect()
}

/// Makes what `push_setup` describes, and returns the queue's URL.
async fn set_up(aws: &Aws, manager: &SecretsManager) -> String {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(file.path(), manager.push_setup().unwrap()).unwrap();
    deploy(aws, file.path()).await.remove("QueueUrl").expect("an output")
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/aws/push.yaml")
}

/// The example as JSON, with these values for its parameter.
const READ_EXAMPLE: &str = r#"
import json, yaml
def filled(part):
    if part == {"Fn::Sub": "${Prefix}/"}: return "gaara/prod/"
    if part == {"Ref": "Prefix"}: return "gaara/prod"
    if isinstance(part, dict): return {key: filled(value) for key, value in part.items()}
    if isinstance(part, list): return [filled(value) for value in part]
    return part
with open("PATH") as file: template = yaml.safe_load(file)
del template["Parameters"]
print(json.dumps(filled(template)))
"#;

#[tokio::test]
async fn the_example_is_what_push_setup_prints() {
    let script = READ_EXAMPLE.replace("PATH", example().to_str().unwrap());
    let mut example = python(&script, "http://127.0.0.1:1").await;
    let printed = SecretsManager::prefix("gaara/prod").push_setup().unwrap();
    let mut printed: Value = serde_json::from_str(&printed).unwrap();
    for template in [&mut example, &mut printed] {
        for name in ["ReaderPolicy", "TopicReaderPolicy"] {
            // Spaces do not count.
            let policy = &mut template["Outputs"][name]["Value"]["Fn::Sub"];
            *policy = serde_json::from_str(policy.as_str().unwrap()).unwrap();
        }
    }
    assert_eq!(example, printed);
}

#[tokio::test]
async fn cfn_lint_has_no_complaint_about_the_template() {
    for manager in [SecretsManager::prefix("gaara/prod"), SecretsManager::names(["a", "b"])] {
        let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        std::fs::write(file.path(), manager.push_setup().unwrap()).unwrap();
        let mut lint = tokio::process::Command::new(cfn_lint());
        let output = lint.arg(file.path()).kill_on_drop(true).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.trim().is_empty(), "{said}");
    }
}

#[tokio::test]
async fn a_value_that_the_aws_client_puts_is_live_in_an_axum_app() {
    async fn user(Current(settings): Current<Settings>) -> String {
        settings.database.username.clone()
    }

    let emulator = Emulator::ministack();
    let aws = Aws::new(emulator.endpoint_url());
    seed(&aws).await;
    let config = sdk_config(&emulator).await;
    let manager = SecretsManager::prefix("gaara/prod").aws_config(&config);
    let queue = set_up(&aws, &manager).await;
    let settings = pushed(manager, &queue, Duration::ZERO).await;
    connected(&settings).await;
    let app: Router = Router::new().route("/", get(user)).with_state(settings.clone());
    let served = async || {
        let request = axum::http::Request::get("/").body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    };

    // By the `aws` client, and by the SDK, which measures the time without that of a process.
    for n in 2..5 {
        aws.run([
            "put-secret-value",
            "--secret-id",
            "gaara/prod/database",
            "--secret-string",
            &login(n),
        ])
        .await;
        generation(&settings, n as u64).await;
        assert_eq!(served().await, format!("user-{n}"));
    }
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let (reads, mut lags) = (calls(&settings, "GetSecretValue"), Vec::new());
    let rotations = rotations();
    for n in 5..5 + rotations {
        // Hints are taken at most once a second; a rotation a second after another is not what is
        // measured here.
        tokio::time::sleep(Duration::from_millis(1_010)).await;
        let begun = Instant::now();
        let put = client.put_secret_value().secret_id("gaara/prod/database");
        put.secret_string(login(n)).send().await.unwrap();
        generation(&settings, n as u64).await;
        lags.push(begun.elapsed());
        assert_eq!(served().await, format!("user-{n}"));
    }
    report("one replica", lags.clone());
    assert!(lags.iter().max().unwrap() < &Duration::from_secs(5), "far less than an interval");
    assert_eq!(calls(&settings, "GetSecretValue") - reads, rotations as u64, "one for each");
    assert_eq!((calls(&settings, "ListSecrets"), calls(&settings, "BatchGetSecretValue")), (1, 1));

    // The neighbour whose name starts like the prefix causes nothing.
    let reads = calls(&settings, "GetSecretValue");
    let put =
        ["put-secret-value", "--secret-id", "gaara/production/database", "--secret-string", "x"];
    aws.run(put).await;

    // A rotation as Lambda does it: AWSPENDING first; then the label moves; then it moves back.
    let before = settings.status().secrets()[0].version_id().to_owned();
    let put = client.put_secret_value().secret_id("gaara/prod/database").secret_string(login(0));
    let pending = put.version_stages("AWSPENDING").send().await.unwrap().version_id.unwrap();
    let live = settings.status().generation();
    for (at, (from, to)) in [(&before, &pending), (&pending, &before)].into_iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(1_010)).await;
        assert_eq!(settings.status().generation(), live + at as u64);
        aws.run([
            "update-secret-version-stage",
            "--secret-id",
            "gaara/prod/database",
            "--version-stage",
            "AWSCURRENT",
            "--remove-from-version-id",
            from,
            "--move-to-version-id",
            to,
        ])
        .await;
        generation(&settings, live + at as u64 + 1).await;
        assert_eq!(settings.status().secrets()[0].version_id(), to);
    }
    assert_eq!(calls(&settings, "GetSecretValue") - reads, 2, "none before the label moves");

    // Garbage, and a queue that goes and comes again.
    let send = ["send-message", "--queue-url", &queue, "--message-body", "garbage"];
    aws.run_in("sqs", send).await;
    let counted = async {
        while settings.status().push().unwrap().unknown() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("a counted message");
    let policy = ["get-queue-attributes", "--queue-url", &queue, "--attribute-names", "Policy"];
    let policy = aws.run_in("sqs", policy).await["Attributes"].to_string();
    aws.run_in("sqs", ["delete-queue", "--queue-url", &queue]).await;
    let denied = async {
        while settings.status().push().unwrap().state() != PushState::Denied {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, denied).await.expect("a queue that is gone");
    let name = queue.rsplit('/').next().unwrap();
    aws.run_in("sqs", ["create-queue", "--queue-name", name, "--attributes", &policy]).await;
    connected(&settings).await;
    let hints = settings.status().push().unwrap().hints();
    let put = client.put_secret_value().secret_id("gaara/prod/database");
    put.secret_string(login(99)).send().await.unwrap();
    // What changed while there was no queue may have made a generation of its own.
    let served_last = async {
        while served().await != "user-99" || settings.status().push().unwrap().hints() == hints {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, served_last).await.expect("the value that was put last");
}

/// A thousand hints at once: of old versions, out of order, each twice, and other things.
const FLOOD: &str = r#"
import boto3, json, random
secrets, sns = boto3.client("secretsmanager"), boto3.client("sns")
versions = [version["VersionId"] for version in secrets.list_secret_version_ids(
    SecretId="gaara/prod/database", IncludeDeprecated=True)["Versions"]]
def event(name, version):
    return json.dumps({"detail-type": "Secret Label Updated", "source": "aws.secretsmanager",
        "time": "2026-11-25T04:08:04Z",
        "detail": {"name": name, "labelUpdated": "AWSCURRENT", "versionId": version}})
messages = [event("gaara/prod/database", random.choice(versions)) for _ in range(400)]
messages += messages[:400]
messages += [event(f"other/{n}", "v") for n in range(100)] + ["garbage"] * 100
random.shuffle(messages)
for at in range(0, 1000, 10):
    entries = [{"Id": str(n), "Message": message} for n, message in enumerate(messages[at:at + 10])]
    failed = sns.publish_batch(TopicArn="TOPIC", PublishBatchRequestEntries=entries).get("Failed")
    assert not failed, failed
print(json.dumps(len(messages)))
"#;

async fn queues(aws: &Aws) -> Vec<String> {
    let prefix = ["list-queues", "--queue-name-prefix", "secrets-provider-changes-"];
    let listed = aws.run_in("sqs", prefix).await;
    let urls = listed["QueueUrls"].as_array().cloned().unwrap_or_default();
    urls.iter().map(|url| url.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn twenty_replicas_with_queues_of_their_own_see_every_change() {
    let emulator = Emulator::ministack();
    let aws = Aws::new(emulator.endpoint_url());
    seed(&aws).await;
    let config = sdk_config(&emulator).await;
    let topic = deploy(&aws, &example()).await.remove("TopicArn").expect("an output");
    let mut replicas: Vec<Live<Settings>> = Vec::new();
    for _ in 0..20 {
        let manager = SecretsManager::prefix("gaara/prod").aws_config(&config);
        let push = Push::topic(&topic).spread(Duration::ZERO);
        let builder = secrets_only(manager).refresh_every(NEVER).push(push);
        replicas.push(builder.start().await.unwrap());
    }
    let settled = async {
        for replica in &replicas {
            connected(replica).await;
            // What may have been missed before the queue was subscribed has been read.
            while calls(replica, "BatchGetSecretValue") < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(PATIENCE, settled).await.expect("queues that are subscribed");
    assert_eq!(queues(&aws).await.len(), 20);

    let client = aws_sdk_secretsmanager::Client::new(&config);
    let put = async |n: usize| {
        let put = client.put_secret_value().secret_id("gaara/prod/database");
        put.secret_string(login(n)).send().await.unwrap();
    };
    let (rotations, mut lags) = (rotations(), Vec::new());
    for n in 2..2 + rotations {
        tokio::time::sleep(Duration::from_millis(1_010)).await;
        let begun = Instant::now();
        put(n).await;
        let live = replicas.iter().map(async |replica| {
            generation(replica, n as u64).await;
            begun.elapsed()
        });
        lags.extend(futures_util::future::join_all(live).await);
        for replica in &replicas {
            assert_eq!(replica.load().database.username, format!("user-{n}"));
        }
    }
    report("twenty replicas on a topic", lags);
    for replica in &replicas {
        assert_eq!(calls(replica, "GetSecretValue"), rotations as u64, "one for each change");
    }

    // A flood changes nothing, and hinders no change. It is twenty thousand messages for MiniStack.
    let begun = Instant::now();
    python(&FLOOD.replace("TOPIC", &topic), &emulator.endpoint_url()).await;
    let last = rotations + 2;
    put(last).await;
    let current = async {
        for replica in &replicas {
            while replica.load().database.username != format!("user-{last}")
                || replica.status().push().unwrap().hints() < 901 + rotations as u64
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(PATIENCE * 5, current).await.expect("the last version everywhere, and every hint");
    tokio::time::sleep(Duration::from_secs(8)).await;
    for replica in &replicas {
        let push = replica.status().push().unwrap();
        assert_eq!((push.unknown(), push.dropped()), (100, 0), "{push:?}");
        assert_eq!(replica.load().database.username, format!("user-{last}"));
        // Hints are taken at most once a second, and so are the reads of searches.
        let reads = calls(replica, "GetSecretValue") - rotations as u64;
        let most = begun.elapsed().as_secs() * 3 + 10;
        assert!(reads <= most, "{reads} reads for a thousand hints, and {most} at most");
    }

    for replica in &replicas {
        replica.shutdown().await;
    }
    assert!(queues(&aws).await.is_empty(), "deleted");
    let subscriptions =
        aws.run_in("sns", ["list-subscriptions-by-topic", "--topic-arn", &topic]).await;
    assert_eq!(subscriptions["Subscriptions"].as_array().unwrap().len(), 0, "{subscriptions}");
}

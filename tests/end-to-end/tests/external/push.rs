//! Push, end to end, by something that we did not write: MiniStack sends the event of Secrets
//! Manager through EventBridge to SQS, and by SNS to many queues; the real `aws` client changes the
//! secrets; an axum app serves them. The rule and the queue are those of `push_setup`.
//!
//! `ROTATIONS=200 cargo test -p end-to-end --features external --test external push` rotates more
//! often than the default of twenty times. MiniStack's long poll looks every 50 ms, so the times
//! here are those of our own part and of the emulator; the latency of AWS's event is not known.

use std::io::Write as _;
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

/// Makes what `push_setup` describes, and returns the queue's URL.
async fn set_up(aws: &Aws, manager: &SecretsManager) -> String {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(file.path(), manager.push_setup().unwrap()).unwrap();
    let body = format!("file://{}", file.path().display());
    aws.run_in(
        "cloudformation",
        ["create-stack", "--stack-name", "push", "--template-body", &body],
    )
    .await;
    let described = async {
        loop {
            let stacks =
                aws.run_in("cloudformation", ["describe-stacks", "--stack-name", "push"]).await;
            let stack = &stacks["Stacks"][0];
            match stack["StackStatus"].as_str().unwrap() {
                "CREATE_COMPLETE" => break stack["Outputs"].as_array().unwrap().clone(),
                "CREATE_IN_PROGRESS" => tokio::time::sleep(Duration::from_millis(200)).await,
                status => panic!("{status}: {stack}"),
            }
        }
    };
    let outputs: Vec<Value> = timeout(PATIENCE, described).await.expect("a stack");
    let queue = outputs.iter().find(|output| output["OutputKey"] == "QueueUrl").unwrap();
    queue["OutputValue"].as_str().unwrap().to_owned()
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
    aws.run_in("sqs", ["delete-queue", "--queue-url", &queue]).await;
    let denied = async {
        while settings.status().push().unwrap().state() != PushState::Denied {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, denied).await.expect("a queue that is gone");
    let name = queue.rsplit('/').next().unwrap();
    aws.run_in("sqs", ["create-queue", "--queue-name", name]).await;
    connected(&settings).await;
}

/// A rule, a topic, and a queue for each of twenty replicas; half of the subscriptions are raw.
const TOPIC: &str = r#"
import boto3, json
events, sns, sqs = (boto3.client(name) for name in ("events", "sns", "sqs"))
topic = sns.create_topic(Name="changes")["TopicArn"]
events.put_rule(Name="changes", EventPattern=json.dumps({
    "source": ["aws.secretsmanager"],
    "detail-type": ["Secret Label Updated"],
    "detail": {"name": [{"prefix": "gaara/prod/"}], "labelUpdated": ["AWSCURRENT"]},
}))
events.put_targets(Rule="changes", Targets=[{"Id": "topic", "Arn": topic}])
urls = []
for number in range(20):
    url = sqs.create_queue(QueueName=f"replica-{number}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    raw = "true" if number % 2 else "false"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
    urls.append(url)
print(json.dumps(urls))
"#;

#[tokio::test]
async fn twenty_replicas_on_a_topic_see_every_change() {
    let emulator = Emulator::ministack();
    let aws = Aws::new(emulator.endpoint_url());
    seed(&aws).await;
    let config = sdk_config(&emulator).await;
    let queues = python(TOPIC, &emulator.endpoint_url()).await;
    let mut replicas = Vec::new();
    for queue in queues.as_array().unwrap() {
        let manager = SecretsManager::prefix("gaara/prod").aws_config(&config);
        replicas.push(pushed(manager, queue.as_str().unwrap(), Duration::from_millis(1500)).await);
    }
    for replica in &replicas {
        connected(replica).await;
    }
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let mut lags = Vec::new();
    for n in 2..7 {
        let begun = Instant::now();
        let put = client.put_secret_value().secret_id("gaara/prod/database");
        put.secret_string(login(n)).send().await.unwrap();
        let live = replicas.iter().map(async |replica| {
            generation(replica, n as u64).await;
            begun.elapsed()
        });
        lags.extend(futures_util::future::join_all(live).await);
        for replica in &replicas {
            assert_eq!(replica.load().database.username, format!("user-{n}"));
        }
    }
    report("twenty replicas, spread over 1.5 s", lags);
    for replica in &replicas {
        assert_eq!(calls(replica, "GetSecretValue"), 5, "one for each change");
    }
}

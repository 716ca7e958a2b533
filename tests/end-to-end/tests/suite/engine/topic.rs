//! A queue of the replica's own, subscribed to a topic: `Push::topic`. The fake answers for SQS and
//! SNS, checks what IAM and the queue's policy allow, and sends the events; the clock is paused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use end_to_end::{Log, NEVER};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Live, LiveBuilder, Push, PushState, SecretsManager};
use serde_json::Value;
use tokio::time::sleep;

use super::{Settings, fake, put_password};
use crate::fixtures::secrets_only;

/// As long as making a queue and connecting it takes at most, and the read after it.
const SETTLED: Duration = Duration::from_secs(5);

fn pushed(fake: &FakeSecretsManager, topic: &str) -> LiveBuilder<Settings> {
    let manager = SecretsManager::prefix("app").aws_config(&fake.sdk_config());
    let push = Push::topic(topic).spread(Duration::ZERO);
    secrets_only(manager).refresh_every(NEVER).push(push)
}

async fn connected(fake: &FakeSecretsManager, topic: &str) -> Live<Settings> {
    let settings = pushed(fake, topic).start().await.unwrap();
    sleep(SETTLED).await;
    assert_eq!(settings.status().push().unwrap().state(), PushState::Connected);
    settings
}

/// What the template's output allows, with CloudFormation's names filled in.
fn reader_policy(fake: &FakeSecretsManager, manager: &SecretsManager, topic: &str) -> String {
    let template: Value = serde_json::from_str(&manager.push_setup().unwrap()).unwrap();
    let policy = template["Outputs"]["TopicReaderPolicy"]["Value"]["Fn::Sub"].as_str().unwrap();
    let of_push = policy
        .replace("${AWS::Partition}", "aws")
        .replace("${AWS::Region}", fake.region())
        .replace("${AWS::AccountId}", fake.account_id())
        .replace("${AWS::StackName}", topic.rsplit(':').next().unwrap())
        .replace("${Topic}", topic);
    assert!(!of_push.contains("${"), "{of_push}");
    let mut policy: Value = serde_json::from_str(&of_push).unwrap();
    let of_secrets: Value = serde_json::from_str(&manager.iam_policy()).unwrap();
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.extend(of_secrets["Statement"].as_array().unwrap().iter().cloned());
    policy.to_string()
}

/// Of a queue of the topic `changes`, whose time was over so many hours ago.
fn dead_queue(fake: &FakeSecretsManager, topic: &str, digit: char, hours: i64) -> String {
    let name = format!("secrets-provider-changes-{}", digit.to_string().repeat(20));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let expires = (now - hours * 3600).to_string();
    let tags = [("secrets-provider:expires-at", expires.as_str())];
    let subscription = fake.subscribed_queue(topic, &name, &tags);
    fake.tag_queue(&name, "secrets-provider:subscription", &subscription);
    name
}

/// Everything that it does is allowed by the policy of `push_setup`, and by nothing more.
#[tokio::test(start_paused = true)]
async fn each_replica_makes_a_queue_of_its_own_and_deletes_it_at_the_shutdown() {
    let fake = fake();
    let topic = fake.topic("changes", "app/");
    let manager = SecretsManager::prefix("app").aws_config(&fake.sdk_config());
    fake.enforce_policy(&reader_policy(&fake, &manager, &topic)).unwrap();
    let dead = dead_queue(&fake, &topic, 'd', 5);

    let one = connected(&fake, &topic).await;
    let other = connected(&fake, &topic).await;
    sleep(Duration::from_secs(60)).await;
    assert!(!fake.queues().contains(&dead), "swept");
    let queues = fake.queues();
    assert_eq!((queues.len(), fake.subscribed(&topic).len()), (2, 2), "{queues:?}");
    for name in &queues {
        assert!(name.starts_with("secrets-provider-changes-") && name.len() <= 80, "{name}");
        let attributes = fake.queue_attributes(name).unwrap();
        assert_eq!(attributes["MessageRetentionPeriod"], "300");
        let policy: Value = serde_json::from_str(&attributes["Policy"]).unwrap();
        let statement = &policy["Statement"][0];
        assert_eq!(statement["Condition"]["ArnEquals"]["aws:SourceArn"], *topic);
        assert_eq!(statement["Principal"]["Service"], "sns.amazonaws.com");
        let tags = fake.queue_tags(name).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let expires: u64 = tags["secrets-provider:expires-at"].parse().unwrap();
        assert!((now + 3600..=now + 2 * 3600).contains(&expires), "{expires}");
        assert!(tags["secrets-provider:subscription"].starts_with(&topic), "{tags:?}");
        assert!(!format!("{name} {tags:?} {attributes:?}").contains("password"));
    }
    fake.reset_calls();
    put_password(&fake, 2);
    sleep(Duration::from_secs(1)).await;
    for settings in [&one, &other] {
        assert_eq!(settings.load().database.password, "password-2");
        assert_eq!(settings.status().push().unwrap().queue(), topic);
    }
    assert_eq!(fake.calls("GetSecretValue"), 2, "one for each");

    one.shutdown().await;
    assert_eq!((fake.queues().len(), fake.subscribed(&topic).len()), (1, 1));
    // Without a shutdown, it happens in the background.
    drop(other);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((fake.queues().len(), fake.subscribed(&topic).len()), (0, 0));
    assert_eq!(fake.total_denied_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_changes_before_the_queue_is_subscribed_is_found() {
    let fake = fake();
    let topic = fake.topic("changes", "app/");
    fake.inject(Fault::slow(Duration::from_secs(3)).on("Subscribe"));
    let settings = pushed(&fake, &topic).start().await.unwrap();
    sleep(Duration::from_secs(2)).await;
    put_password(&fake, 2);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(settings.load().database.password, "password-2");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_vanishes_is_made_again_once_a_minute_at_most() {
    let fake = fake();
    let topic = fake.topic("changes", "app/");
    let settings = connected(&fake, &topic).await;
    sleep(Duration::from_secs(120)).await;
    let first = fake.queues();
    fake.delete_queue(&first[0]);
    put_password(&fake, 2);
    sleep(Duration::from_secs(10)).await;
    let second = fake.queues();
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    assert_eq!(fake.subscribed(&topic).len(), 1, "the subscription of the old one is deleted");
    assert_eq!(settings.load().database.password, "password-2", "it is looked for");
    assert_eq!(settings.status().push().unwrap().state(), PushState::Connected);

    // Something deletes each queue as soon as it is there.
    fake.reset_calls();
    for _ in 0..600 {
        sleep(Duration::from_secs(1)).await;
        fake.queues().iter().for_each(|name| fake.delete_queue(name));
    }
    assert!((5..=11).contains(&fake.calls("CreateQueue")), "{}", fake.calls("CreateQueue"));
    sleep(Duration::from_secs(120)).await;
    put_password(&fake, 3);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(settings.load().database.password, "password-3");
}

#[tokio::test(start_paused = true)]
async fn tags_are_renewed_and_a_subscription_that_was_deleted_is_made_again() {
    let fake = fake();
    let topic = fake.topic("changes", "app/");
    let settings = connected(&fake, &topic).await;
    fake.reset_calls();
    sleep(Duration::from_secs(2 * 3600)).await;
    let (renewals, made) = (fake.calls("TagQueue"), fake.calls("CreateQueue"));
    assert!((4..=6).contains(&renewals) && made == 0, "{renewals}");

    fake.unsubscribe_all(&topic);
    put_password(&fake, 2);
    sleep(Duration::from_secs(31 * 60)).await;
    assert_eq!(settings.load().database.password, "password-2", "it is looked for");
    put_password(&fake, 3);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(settings.load().database.password, "password-3", "it is announced");

    // A renewal that fails does not keep the queue from being received.
    let (log, _guard) = Log::start();
    fake.deny_action("sqs:TagQueue");
    sleep(Duration::from_secs(35 * 60)).await;
    let push = settings.status().push().unwrap();
    assert_eq!(push.state(), PushState::Connected);
    assert!(push.last_error().unwrap().message().contains("TagQueue"), "{push:?}");
    put_password(&fake, 4);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(settings.load().database.password, "password-4");
    let text = log.text();
    let warnings = text.lines().filter(|l| l.contains("WARN") && l.contains("not_renewed"));
    assert_eq!(warnings.count(), 1, "once");
}

/// The error names what is missing, and the interval is in charge; then it connects by itself.
#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_and_no_second_queue_is_made() {
    for action in ["sqs:CreateQueue", "sqs:TagQueue", "sns:Subscribe", "sqs:ReceiveMessage"] {
        let fake = fake();
        let topic = fake.topic("changes", "app/");
        fake.deny_action(action);
        let settings: Live<Settings> =
            pushed(&fake, &topic).refresh_every(Duration::from_secs(300)).start().await.unwrap();
        put_password(&fake, 2);
        sleep(Duration::from_secs(400)).await;
        assert_eq!(settings.load().database.password, "password-2", "{action}");
        let push = settings.status().push().unwrap();
        assert_eq!(push.state(), PushState::Denied, "{action}");
        let error = push.last_error().unwrap();
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error:?}");
        assert!(error.message().contains(&format!("`{action}`")), "{error:?}");
        assert!(fake.queues().len() <= 1, "{action}: {:?}", fake.queues());

        fake.allow_action(action);
        sleep(Duration::from_secs(90)).await;
        assert_eq!(settings.status().push().unwrap().state(), PushState::Connected, "{action}");
        put_password(&fake, 3);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(settings.load().database.password, "password-3", "{action}");
        settings.shutdown().await;
        assert!(fake.queues().is_empty(), "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_sweep_or_deletion_is_logged_and_hinders_nothing() {
    for (action, event) in [
        ("sqs:ListQueues", "push_sweep_failed"),
        ("sqs:ListQueueTags", "push_sweep_failed"),
        ("sqs:DeleteQueue", "push_queue_not_deleted"),
        ("sns:Unsubscribe", "push_queue_not_deleted"),
    ] {
        let fake = fake();
        let topic = fake.topic("changes", "app/");
        dead_queue(&fake, &topic, 'd', 5);
        let (log, _guard) = Log::start();
        fake.deny_action(action);
        let settings = connected(&fake, &topic).await;
        sleep(Duration::from_secs(120)).await;
        assert_eq!(settings.status().push().unwrap().state(), PushState::Connected, "{action}");
        settings.shutdown().await;
        let text = log.text();
        let line = text.lines().find(|line| line.contains("WARN") && line.contains(event));
        // The hint, which has the action with its prefix, is on the line below.
        let call = action.split(':').nth(1).unwrap();
        assert!(line.is_some_and(|line| line.contains(call)), "{action}: {line:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_removes_the_queues_of_dead_replicas_and_no_others() {
    let fake = fake();
    let topic = fake.topic("changes", "app/");
    let other_topic = fake.topic("changes-2", "other/");
    let dead: Vec<String> =
        ('0'..='9').chain('a'..='f').map(|digit| dead_queue(&fake, &topic, digit, 3)).collect();
    // In use, by hand, of another topic, without a time.
    let alive = "secrets-provider-changes-12345678901234567890";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let of_other = "secrets-provider-changes-2-12345678901234567890";
    let by_hand = "secrets-provider-changes-by-hand";
    let timeless = "secrets-provider-changes-00000000001111111111";
    let expired = [("secrets-provider:expires-at", "1")];
    fake.subscribed_queue(&topic, alive, &[("secrets-provider:expires-at", &now)]);
    fake.subscribed_queue(&other_topic, of_other, &expired);
    fake.subscribed_queue(&topic, by_hand, &expired);
    fake.subscribed_queue(&topic, timeless, &[("secrets-provider:expires-at", "soon")]);
    // Its tag names a subscription to another topic, which stays.
    let foreign = fake.subscribed_queue(&other_topic, "some-queue", &[]);
    fake.tag_queue(&dead[0], "secrets-provider:subscription", &foreign);

    fake.reset_calls();
    let settings = connected(&fake, &topic).await;
    sleep(Duration::from_secs(61)).await;
    let left = fake.queues();
    assert!(dead.iter().all(|name| !left.contains(name)), "{left:?}");
    for name in [alive, of_other, by_hand, timeless, "some-queue"] {
        assert!(left.contains(&name.to_owned()), "{name}");
    }
    assert_eq!(fake.subscribed(&other_topic).len(), 2);
    let lookups = fake.calls("ListQueueTags");
    assert!(lookups <= 20 && fake.calls("ListQueues") <= 5, "{lookups}");
    settings.shutdown().await;

    // No more than so many calls, however many queues there are.
    for n in 0..500 {
        let name = format!("secrets-provider-changes-{n:020}");
        fake.subscribed_queue(&topic, &name, &expired);
    }
    // The sweep may come as soon as it is connected.
    fake.reset_calls();
    let settings = connected(&fake, &topic).await;
    sleep(Duration::from_secs(3600)).await;
    let calls =
        ["ListQueues", "ListQueueTags", "DeleteQueue"].map(|operation| fake.calls(operation));
    assert_eq!(calls, [1, 20, 20]);
    sleep(Duration::from_secs(8 * 3600)).await;
    assert!((2..=3).contains(&fake.calls("ListQueues")), "rarely");
    settings.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_long_for_aws() {
    let fake = fake();
    let topic = fake.topic("changes", "app/");
    let settings = connected(&fake, &topic).await;
    fake.inject(Fault::hang().on("DeleteQueue"));
    let begun = tokio::time::Instant::now();
    let (log, _guard) = Log::start();
    settings.shutdown().await;
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(log.text().contains("push_queue_not_deleted"));

    // Stopped while the queue is being made: what was made is deleted.
    let fake = super::fake();
    let topic = fake.topic("changes", "app/");
    fake.inject(Fault::slow(Duration::from_secs(2)).on("CreateQueue"));
    let settings = pushed(&fake, &topic).start().await.unwrap();
    fake.wait_for_calls("CreateQueue", 1).await;
    settings.shutdown().await;
    assert!(fake.queues().is_empty(), "{:?}", fake.queues());
}

#[tokio::test(start_paused = true)]
async fn a_slip_in_the_arn_fails_the_start() {
    let fake = fake();
    for arn in ["changes", "https://sqs.us-east-1.amazonaws.com/1/q"] {
        let error = pushed(&fake, arn).start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(arn) && error.hint().is_some(), "{error}");
    }
    let missing = format!("arn:aws:sns:{}:{}:missing", fake.region(), fake.account_id());
    let settings = pushed(&fake, &missing).start().await.unwrap();
    sleep(SETTLED).await;
    let push = settings.status().push().unwrap();
    assert_eq!(push.state(), PushState::Denied);
    assert!(push.last_error().unwrap().message().contains("check the topic's ARN"), "{push:?}");
    settings.shutdown().await;
    assert!(fake.queues().is_empty());
}

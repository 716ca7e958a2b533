//! What a test may look back at, and the operator who changes secrets beside the service's callers.

use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn the_history_has_each_version_that_was_current() {
    let fake = FakeSecretsManager::new();
    fake.keep_history();
    let begun = Instant::now();
    let first = fake.put("a", "one");
    tokio::time::advance(Duration::from_secs(5)).await;
    let second = fake.put("a", "two");
    let operator = fake.operator_client();
    let back = operator.update_secret_version_stage().secret_id("a").version_stage("AWSCURRENT");
    let back = back.remove_from_version_id(&second).move_to_version_id(&first);
    back.send().await.expect("the label moves");
    operator.delete_secret().secret_id("a").send().await.expect("a deletion is planned");
    let history = fake.history("a");
    let ids: Vec<_> = history.iter().map(|current| current.version_id.as_deref()).collect();
    assert_eq!(ids, [Some(&*first), Some(&*second), Some(&*first), None]);
    let since: Vec<_> = history.iter().map(|current| (current.since - begun).as_secs()).collect();
    assert_eq!(since, [0, 5, 5, 5]);
    assert_eq!(history[1].text.as_deref(), Some("two"));
    assert!(!format!("{history:?}").contains("two"));
}

#[tokio::test(start_paused = true)]
async fn nothing_meets_an_operator() {
    let fake = FakeSecretsManager::new();
    fake.put("a", "one");
    fake.inject(Fault::unavailable());
    fake.deny_action("GetSecretValue");
    let answer = fake.operator_client().get_secret_value().secret_id("a").send().await;
    assert_eq!(answer.expect("an answer").secret_string(), Some("one"));
    assert_eq!(fake.total_calls(), 0);
    assert!(fake.history("a").is_empty(), "no one asked for it");
}

#[tokio::test]
async fn a_seeded_thread_gets_the_same_ids() {
    let ids = || {
        fastrand::seed(7);
        FakeSecretsManager::new().put("a", "one")
    };
    assert_eq!(ids(), ids());
}

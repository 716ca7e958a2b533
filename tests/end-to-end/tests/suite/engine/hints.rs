//! Hints that a secret changed: `Trigger::secret`. The clock is paused, so that waits are exact.

use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use futures_util::stream;
use secrets_provider::{Health, Live, Trigger};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use super::{Settings, fake, put_password, quiet};

/// Live settings with a sender of triggers.
async fn hinted<T>(fake: &FakeSecretsManager) -> (Live<T>, UnboundedSender<Trigger>)
where
    T: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let (sender, receiver) = unbounded_channel();
    let triggers = stream::unfold(receiver, async |mut receiver| {
        let received: Option<Trigger> =
            tokio::sync::mpsc::UnboundedReceiver::recv(&mut receiver).await;
        received.map(|trigger| (trigger, receiver))
    });
    let settings = quiet(fake).refresh_on(triggers).start().await.unwrap();
    fake.reset_calls();
    (settings, sender)
}

fn password(n: u32) -> String {
    format!(r#"{{"username": "app", "password": "password-{n}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_hint_reads_its_secret_by_one_call_and_nothing_else() {
    let fake = fake();
    let (settings, hints) = hinted::<Settings>(&fake).await;
    let mut changes = settings.changes();
    for (generation, name_or_arn) in [(2, "app/database".to_owned()), (3, fake.arn("app/database"))]
    {
        let version = fake.put("app/database", password(generation));
        let begun = Instant::now();
        hints.send(Trigger::secret(name_or_arn).version(version)).unwrap();
        let change = changes.next().await.unwrap();
        assert_eq!(change.keys(), ["database.password"]);
        assert!(begun.elapsed() <= Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(u64::from(generation), change.generation());
        assert_eq!((fake.calls("GetSecretValue"), fake.total_calls()), (1, 1));
        fake.reset_calls();
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.total_calls(), 0, "the version has come: nothing is looked for");
}

#[tokio::test(start_paused = true)]
async fn hints_that_come_together_are_one_generation() {
    let fake = fake();
    let (settings, hints) = hinted::<Settings>(&fake).await;
    let mut changes = settings.changes();
    let versions = [fake.put("app/database", password(2)), fake.put("app/jwt-secret", "jwt-2")];
    for _ in 0..500 {
        for (name, version) in ["app/database", "app/jwt-secret"].iter().zip(&versions) {
            hints.send(Trigger::secret(*name).version(version)).unwrap();
        }
    }
    let change = changes.next().await.unwrap();
    assert_eq!(change.keys(), ["database.password", "jwt_secret"]);
    assert_eq!((fake.calls("GetSecretValue"), fake.total_calls()), (2, 2), "one by one");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(settings.status().generation(), 2);
    assert_eq!(fake.total_calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_the_live_version_or_of_another_secret_causes_no_call() {
    let fake = fake();
    let current = fake.put("app/database", password(1));
    fake.put("other/secret", "o");
    let (settings, hints) = hinted::<Settings>(&fake).await;
    for _ in 0..1000 {
        for hint in [
            Trigger::secret("app/database").version(&current),
            Trigger::secret(fake.arn("app/database")).version(&current),
            Trigger::secret("other/secret"),
            Trigger::secret(fake.arn("other/secret")).version("v"),
            Trigger::secret(""),
            Trigger::secret("application"),
            Trigger::secret("arn:aws:secretsmanager"),
        ] {
            hints.send(hint).unwrap();
        }
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.total_calls(), 0);
    assert_eq!(settings.status().generation(), 1);
}

/// The replica that answers may lag behind the event.
#[tokio::test(start_paused = true)]
async fn an_older_version_than_the_hint_names_is_read_again_three_times() {
    let fake = fake();
    let (settings, hints) = hinted::<Settings>(&fake).await;
    hints.send(Trigger::secret("app/database").version("never")).unwrap();
    let begun = Instant::now();
    let mut reads = Vec::new();
    while begun.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(10)).await;
        if fake.calls("GetSecretValue") > reads.len() {
            reads.push(begun.elapsed().as_millis());
        }
    }
    assert_eq!(fake.total_calls(), 4);
    for (read, due) in reads.iter().zip([0, 500, 1500, 3500]) {
        assert!((due..due + 50).contains(read), "{reads:?}");
    }
    let status = settings.status();
    assert_eq!((status.generation(), status.health()), (1, Health::Fresh));

    // What comes meanwhile is served at the next of these reads, or by another hint at once.
    fake.reset_calls();
    hints.send(Trigger::secret("app/database").version("never")).unwrap();
    sleep(Duration::from_millis(1100)).await;
    put_password(&fake, 2);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(settings.load().database.password, "password-2");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.total_calls(), 3, "another version than the hint's is the truth");
}

/// A hint is no proof: what a forged one can do is bounded, and leaves no trace in the status.
#[tokio::test(start_paused = true)]
async fn forged_hints_cause_few_calls_and_no_failure() {
    let fake = fake();
    let (settings, hints) = hinted::<Settings>(&fake).await;
    for n in 0..10_000 {
        hints.send(Trigger::secret(format!("app/made-up-{n}")).version("v")).unwrap();
        hints.send(Trigger::secret("app/database")).unwrap();
        hints.send(Trigger::secret("x".repeat(n))).unwrap();
    }
    sleep(Duration::from_secs(60)).await;
    let calls = fake.total_calls();
    assert!(calls <= 30 * 21 + 80, "{calls} calls for 30,000 hints");
    let status = settings.status();
    assert_eq!(status.health(), Health::Fresh);
    assert_eq!(status.secrets().len(), 2, "{status:?}");
    assert!(status.last_error().is_none(), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_is_found_by_its_hint_and_read_once_per_refresh() {
    let fake = fake();
    for n in 0..17 {
        fake.put(&format!("app/other-{n}"), "o");
    }
    let (settings, hints) = hinted::<Value>(&fake).await;
    let mut changes = settings.changes();
    fake.put("app/new", "n");
    hints.send(Trigger::secret(fake.arn("app/new"))).unwrap();
    assert_eq!(changes.next().await.unwrap().keys(), ["new"]);
    assert!(settings.status().secrets().iter().any(|secret| secret.name() == "app/new"));
    assert_eq!(fake.total_calls(), 1);
    fake.reset_calls();
    settings.refresh().await.unwrap();
    let batches = fake.calls("BatchGetSecretValue");
    assert_eq!(batches, 1, "twenty secrets, although one was first asked for by its ARN");
}

/// Its value is refused as at any refresh, and the next hint is served.
#[tokio::test(start_paused = true)]
async fn a_hinted_value_that_does_not_fit_leaves_the_last_good_one() {
    let fake = fake();
    let (settings, hints) = hinted::<Settings>(&fake).await;
    let version = fake.put("app/database", "no object");
    hints.send(Trigger::secret("app/database").version(version)).unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(fake.total_calls(), 1, "it is the version of the hint");
    assert_eq!(settings.load().database.password, "password-1");
    let message = settings.status().last_error().unwrap().message().to_owned();
    assert!(message.contains("database"), "{message}");
    let version = fake.put("app/database", password(3));
    hints.send(Trigger::secret("app/database").version(version)).unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(settings.load().database.password, "password-3");
}

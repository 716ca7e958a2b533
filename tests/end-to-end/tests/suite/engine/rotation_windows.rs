//! Refreshes come more often while a secret is expected to rotate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, Live, Memory, Outcome, RotationWindow, SecretsManager,
};
use serde_json::Value;

use crate::fixtures::{manager, secrets_only};

/// A store whose secrets have a rotation window of one hour.
#[derive(Debug)]
struct Scheduled {
    memory: Memory,
    opens: SystemTime,
    fetches: Arc<AtomicUsize>,
}

impl Backend for Scheduled {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.memory.list(prefix)
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.memory.fetch(ids)
    }

    fn rotation_windows<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        let window = self.opens..self.opens + Duration::from_secs(3600);
        Box::pin(async move { ids.iter().map(|id| (id.clone(), window.clone())).collect() })
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_come_more_often_during_a_rotation_window() {
    let memory = Memory::new();
    memory.put("app/a", "a-1");
    let fetches = Arc::new(AtomicUsize::new(0));
    let opens = SystemTime::now() + Duration::from_secs(6000);
    let backend = Scheduled { memory: memory.clone(), opens, fetches: fetches.clone() };
    let settings: Live<Value> = secrets_only(SecretsManager::prefix("app").backend(backend))
        .refresh_every(Duration::from_secs(300))
        .start()
        .await
        .unwrap();
    let within = async |time| {
        let before = fetches.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(time)).await;
        fetches.load(Ordering::Relaxed) - before
    };
    let before = within(5990).await;
    assert!((18..=23).contains(&before), "{before} before it opens");
    let open = within(600).await;
    assert!((6..=11).contains(&open), "{open} within ten minutes of it");

    // The window is over once the secret has rotated, although the store still reports it.
    memory.put("app/a", "a-2");
    settings.changes().next().await.unwrap();
    // The wall clock stands still here. By it, the window would open again 6000 s later.
    let after = within(7200).await;
    assert!((21..=27).contains(&after), "{after} in the two hours after");
}

fn fake(names: usize) -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    (0..names).for_each(|n| drop(fake.put(&format!("app/{n}"), "v")));
    fake
}

async fn live(manager: SecretsManager) -> Live<Value> {
    secrets_only(manager).refresh_every(Duration::from_secs(300)).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn describe_secret_is_called_only_if_wanted_and_if_nothing_is_listed() {
    for (listed, wanted, calls) in [(false, false, 0), (false, true, 3), (true, true, 0)] {
        let fake = fake(3);
        let manager = manager(&fake).rotation_windows(wanted);
        let settings = live(if listed { manager } else { manager.only(["0", "1", "2"]) }).await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(fake.calls("DescribeSecret"), calls, "listed: {listed}, wanted: {wanted}");
        fake.put("app/0", "v2");
        settings.refresh().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(
            fake.calls("DescribeSecret"),
            calls + usize::from(calls > 0),
            "after a new version"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_describe_secret_is_not_called_again() {
    let fake = fake(3);
    fake.deny_action("secretsmanager:DescribeSecret");
    let manager = manager(&fake).rotation_windows(true);
    let settings = live(manager.only(["0", "1", "2"])).await;
    for n in 0..3 {
        fake.put("app/0", format!("v-{n}"));
        settings.refresh().await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(fake.calls("DescribeSecret"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_describe_secret_that_hangs_causes_no_error() {
    let fake = fake(2);
    fake.inject(Fault::hang().on("DescribeSecret"));
    let manager = manager(&fake).rotation_windows(true);
    let settings = live(manager.only(["0", "1"]).timeout(Duration::from_secs(5))).await;
    fake.put("app/0", "v2");
    settings.refresh().await.unwrap();
    assert_eq!(settings.status().last_error().map(|error| error.kind()), None);
}

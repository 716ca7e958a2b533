//! Refreshes that come before the interval ends: `refresh_on`.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use secrets_provider::Trigger;
use tokio::time::Instant;

use super::{Settings, fake, put_password, quiet};

#[tokio::test(start_paused = true)]
async fn a_trigger_refreshes_at_once_and_finds_new_names() {
    let fake = fake();
    let (trigger, triggers) = Trigger::channel();
    let settings = quiet::<Settings>(&fake).refresh_on(triggers).start().await.unwrap();
    let mut changes = settings.changes();
    put_password(&fake, 2);
    fake.put("app/new", "n");
    let begun = Instant::now();
    trigger.fire();
    let change = changes.next().await.unwrap();
    assert_eq!(change.keys(), ["database.password", "new"]);
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_triggers_cause_one_refresh_per_second() {
    let fake = fake();
    let (trigger, triggers) = Trigger::channel();
    let settings = quiet::<Settings>(&fake).refresh_on(triggers).start().await.unwrap();
    fake.reset_calls();
    for _ in 0..100 {
        for _ in 0..100 {
            trigger.fire();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refreshes = fake.calls("BatchGetSecretValue");
    assert!((9..=12).contains(&refreshes), "{refreshes} in ten seconds");
    fake.reset_calls();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        fake.calls("BatchGetSecretValue") <= 1,
        "triggers that wait together cause one refresh, and none stays queued"
    );
    drop(settings);
}

/// A refresh that lists names is wider than one that reads known secrets only.
#[tokio::test(start_paused = true)]
async fn waiting_triggers_merge_into_the_widest_refresh() {
    let fake = fake();
    let burst = stream::iter((0..5000).map(|n| match n {
        4999 => Trigger::new("the last"),
        _ => Trigger::new("one of many"),
    }));
    let period = Duration::from_secs(20);
    let (trigger, triggers) = Trigger::channel();
    let settings = quiet::<Settings>(&fake)
        .rediscover_every(Duration::from_secs(3600))
        .refresh_on(burst.chain(stream::pending()))
        .refresh_on(Trigger::every(period))
        .refresh_on(triggers)
        .start()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(fake.calls("BatchGetSecretValue") <= 7, "five thousand triggers cause few refreshes");
    let listings = fake.calls("ListSecrets");
    // Triggers of both kinds wait when the refresher runs next.
    tokio::time::advance(period).await;
    trigger.fire();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fake.calls("ListSecrets"), listings + 1);
    drop(settings);
}

#[tokio::test(start_paused = true)]
async fn an_additional_interval_is_kept_and_lists_only_when_rediscovery_is_due() {
    let fake = fake();
    let every = Trigger::every(Duration::from_secs(10));
    let settings = quiet::<Settings>(&fake).refresh_on(every).start().await.unwrap();
    fake.reset_calls();
    tokio::time::sleep(Duration::from_secs(601)).await;
    assert_eq!(fake.calls("BatchGetSecretValue"), 60);
    assert!(fake.calls("ListSecrets") <= 10, "{}", fake.calls("ListSecrets"));
    drop(settings);
}

#[tokio::test(start_paused = true)]
async fn trigger_streams_that_end_or_panic_do_not_stop_the_others() {
    let fake = fake();
    let (trigger, triggers) = Trigger::channel();
    let settings = quiet::<Settings>(&fake)
        .refresh_on(stream::empty())
        .refresh_on(stream::once(async { panic!("a panic of the user's stream") }))
        .refresh_on(stream::iter([Trigger::new("one")]).chain(stream::pending()))
        .refresh_on(triggers)
        .start()
        .await
        .unwrap();
    let mut changes = settings.changes();
    tokio::time::sleep(Duration::from_secs(5)).await;
    put_password(&fake, 2);
    trigger.fire();
    assert_eq!(changes.next().await.unwrap().generation(), 2);
}

/// A stream that always has an item may block neither the thread nor the store.
#[tokio::test(start_paused = true)]
async fn an_endless_stream_of_triggers_does_not_block_refreshes() {
    let fake = fake();
    let endless = stream::repeat_with(|| Trigger::new("again"));
    let settings = quiet::<Settings>(&fake).refresh_on(endless).start().await.unwrap();
    fake.reset_calls();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(fake.calls("BatchGetSecretValue") <= 12, "{}", fake.calls("BatchGetSecretValue"));
    settings.refresh().await.unwrap();
    settings.shutdown().await;
}

#[cfg(unix)]
#[tokio::test]
async fn sighup_refreshes() {
    let fake = fake();
    let settings =
        quiet::<Settings>(&fake).refresh_on(Trigger::hangups().unwrap()).start().await.unwrap();
    let mut changes = settings.changes();
    put_password(&fake, 2);
    // `kill` of the shell: not every system has a program of that name.
    let kill = format!("kill -HUP {}", std::process::id());
    let sent = std::process::Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.unwrap().success());
    assert_eq!(changes.next().await.unwrap().generation(), 2);
}

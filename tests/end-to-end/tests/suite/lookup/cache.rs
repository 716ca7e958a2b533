//! How many calls lookups cost.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_hit_makes_no_call_until_the_time_is_over() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    for _ in 0..10 {
        text(&secrets, "database-url").await.unwrap();
        secrets.get::<Login>("database/primary").await.unwrap();
        secrets.get::<u16>("database/primary").key("port").await.unwrap();
    }
    assert_eq!(reads(&fake), 2);
    let stats = secrets.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.failures()), (28, 2, 0));
    assert_eq!(stats.secrets(), ["database-url", "database/primary"]);
    assert!(stats.stale().is_empty() && stats.is_aws_on() && stats.environment().is_none());
    let json = serde_json::to_value(&stats).unwrap();
    let expected = serde_json::json!({
        "cached": 2, "secrets": ["database-url", "database/primary"], "stale": [], "hits": 28,
        "misses": 2, "failures": 0, "ttl": 300.0, "environment": null, "aws": true,
    });
    assert_eq!(json, expected);

    fake.put("app/database-url", "postgres://two");
    tokio::time::advance(Duration::from_secs(299)).await;
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://two");
    assert_eq!(reads(&fake), 3);

    let quick = manager(&fake).lookup().ttl(Duration::from_secs(1));
    text(&quick, "database-url").await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    text(&quick, "database-url").await.unwrap();
    assert_eq!(reads(&fake), 5);
    let never = manager(&fake).lookup().ttl(Duration::ZERO);
    text(&never, "database-url").await.unwrap();
    text(&never, "database-url").await.unwrap();
    assert_eq!(reads(&fake), 7);
}

#[tokio::test]
async fn a_shared_value_is_parsed_once_for_each_version() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    let login = || secrets.get::<Login>("database/primary").shared();
    let (one, other) = (login().await.unwrap(), login().await.unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    let port = || secrets.get::<u16>("database/primary").key("port").shared();
    assert!(Arc::ptr_eq(&port().await.unwrap(), &port().await.unwrap()));
    let unchanged = login().refresh().await.unwrap();
    assert!(Arc::ptr_eq(&one, &unchanged), "the version is the same");
    fake.put("app/database/primary", r#"{"username": "v", "port": 1}"#);
    assert_eq!(login().refresh().await.unwrap().username, "v");
    assert_eq!(one.username, "u", "what is held stays whole");
}

/// Many hits in a row read no clock; what was replaced or forgotten meanwhile is not served.
#[tokio::test]
async fn a_hot_secret_is_replaced_at_once_and_leaves_at_once() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    let heat = async |expected: &str| {
        for _ in 0..2_000 {
            assert_eq!(text(&secrets, "database-url").await.unwrap(), expected);
        }
    };
    heat("postgres://one").await;
    fake.put("app/database-url", "postgres://two");
    heat("postgres://one").await;
    secrets.get::<String>("database-url").refresh().await.unwrap();
    heat("postgres://two").await;
    fake.put("app/database-url", "postgres://three");
    secrets.forget("database-url");
    heat("postgres://three").await;
    assert_eq!((reads(&fake), secrets.stats().hits()), (3, 7_998));

    let shared = secrets.get::<String>("database-url").shared().await.unwrap();
    let left = Arc::downgrade(&shared);
    drop(shared);
    assert!(left.upgrade().is_some(), "kept with the secret");
    secrets.clear();
    assert!(left.upgrade().is_none(), "no thread keeps what it has read");
}

#[tokio::test]
async fn a_hundred_callers_share_one_call() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    let found = together(&secrets, "database-url", 100).await;
    assert!(found.iter().all(|found| found.as_deref().unwrap() == "postgres://one"));
    assert_eq!(reads(&fake), 1);
    let clones: Vec<_> = (0..100).map(|_| secrets.clone()).collect();
    secrets.clear();
    let tasks = clones.into_iter().map(|secrets| {
        tokio::spawn(async move { secrets.get::<Login>("database/primary").await.unwrap() })
    });
    join_all(tasks).await.into_iter().for_each(|login| assert_eq!(login.unwrap().port, 5432));
    assert_eq!(reads(&fake), 2);
    let missing = together(&secrets, "missing", 100).await;
    assert!(missing.iter().all(|found| found.as_ref().unwrap_err().kind() == ErrorKind::NotFound));
    assert_eq!(reads(&fake), 3);
}

/// A read that began before the call may have been too early for it.
#[tokio::test(start_paused = true)]
async fn a_refresh_reads_after_it_was_asked_for() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    fake.put("app/database-url", "postgres://two");
    let refresh = || secrets.get::<String>("database-url").refresh();
    let refreshed = join_all((0..100).map(|_| refresh().into_future())).await;
    assert!(refreshed.iter().all(|found| found.as_deref().unwrap() == "postgres://two"));
    assert_eq!(reads(&fake), 2);
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://two");

    fake.inject(Fault::slow(Duration::from_secs(5)).times(1));
    let early = tokio::spawn({
        let secrets = secrets.clone();
        async move { secrets.get::<String>("database-url").refresh().await.unwrap() }
    });
    fake.wait_for_calls("GetSecretValue", 3).await;
    fake.put("app/database-url", "postgres://three");
    let late = join_all((0..100).map(|_| refresh().into_future())).await;
    assert!(late.iter().all(|found| found.as_deref().unwrap() == "postgres://three"));
    early.await.unwrap();
    assert_eq!(reads(&fake), 4, "all who came later share the next call");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_end_the_read_for_the_others() {
    let fake = fake();
    fake.inject(Fault::slow(Duration::from_secs(5)).times(1));
    let secrets = manager(&fake).lookup();
    {
        let mut first = pin!(secrets.get::<String>("database-url").into_future());
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    let found = together(&secrets, "database-url", 3).await;
    assert!(found.into_iter().all(|found| found.is_ok()));
    assert_eq!(reads(&fake), 1);

    // Even if no one waits any more, what was read is kept.
    secrets.clear();
    drop(poll_once(secrets.get::<String>("database-url").into_future()).await);
    fake.wait_for_calls("GetSecretValue", 2).await;
    while secrets.stats().secrets().is_empty() {
        tokio::task::yield_now().await;
    }
    text(&secrets, "database-url").await.unwrap();
    assert_eq!(reads(&fake), 2);
}

async fn poll_once<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
    future
}

/// A runtime may end, or stand still, while it reads for callers on others.
#[test]
fn a_read_is_replaced_if_its_runtime_ends_or_stands_still() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fake = fake();
    let secrets = manager(&fake).lookup();
    for ends in [true, false] {
        secrets.clear();
        let hang = fake.inject(Fault::hang());
        let first = runtime();
        first.block_on(async {
            drop(poll_once(secrets.get::<String>("wrapped").into_future()).await)
        });
        fake.remove_fault(hang);
        let kept = (!ends).then_some(first);
        assert_eq!(runtime().block_on(text(&secrets, "wrapped")).unwrap(), "inner", "{ends}");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_is_read_again_even_if_a_read_was_under_way() {
    let fake = fake();
    let secrets = manager(&fake).lookup();
    text(&secrets, "database-url").await.unwrap();
    text(&secrets, "wrapped").await.unwrap();
    secrets.forget("database-url");
    secrets.forget("never-asked-for");
    assert_eq!(secrets.stats().secrets(), ["wrapped"]);
    text(&secrets, "database-url").await.unwrap();
    text(&secrets, "wrapped").await.unwrap();
    assert_eq!(reads(&fake), 3);

    secrets.clear();
    fake.inject(Fault::slow(Duration::from_secs(5)).times(1));
    let early = tokio::spawn({
        let secrets = secrets.clone();
        async move { text(&secrets, "database-url").await.unwrap() }
    });
    fake.wait_for_calls("GetSecretValue", 4).await;
    secrets.forget("database-url");
    fake.put("app/database-url", "postgres://two");
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://two");
    early.await.unwrap();
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://two");
    assert_eq!(reads(&fake), 5);
}

#[tokio::test]
async fn at_most_a_thousand_secrets_are_kept_and_the_least_recently_used_leaves() {
    let fake = FakeSecretsManager::new();
    let name = |n: usize| format!("s{n}");
    (0..1002).for_each(|n| _ = fake.put(&format!("app/s{n}"), "x"));
    let secrets = manager(&fake).lookup();
    for n in 0..1000 {
        text(&secrets, &name(n)).await.unwrap();
    }
    text(&secrets, "s0").await.unwrap();
    text(&secrets, "s1000").await.unwrap();
    assert_eq!(secrets.stats().secrets().len(), 1000);
    assert_eq!(reads(&fake), 1001);
    text(&secrets, "s0").await.unwrap();
    assert_eq!(reads(&fake), 1001, "used a moment ago");
    text(&secrets, "s1").await.unwrap();
    assert_eq!(reads(&fake), 1002, "the least recently used one had left");

    let small = manager(&fake).lookup().capacity(3);
    for n in [1, 2, 3, 1, 2, 4] {
        text(&small, &name(n)).await.unwrap();
    }
    assert_eq!(small.stats().secrets(), ["s1", "s2", "s4"]);
    for n in [1, 5] {
        text(&small, &name(n)).await.unwrap();
    }
    assert_eq!(small.stats().secrets(), ["s1", "s4", "s5"]);
    for n in 0..100 {
        text(&small, &format!("unknown-{n}")).await.unwrap_err();
    }
    let kept = small.stats();
    assert!(kept.secrets().len() >= 2, "unknown names leave first: {:?}", kept.secrets());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_or_is_denied_is_remembered_for_seconds_only() {
    let fake = fake();
    fake.put("app/denied", "d");
    fake.deny_secret("app/denied");
    let secrets = manager(&fake).lookup();
    for (name, kind) in [("missing", ErrorKind::NotFound), ("denied", ErrorKind::AccessDenied)] {
        fake.reset_calls();
        for _ in 0..20 {
            assert_eq!(text(&secrets, name).await.unwrap_err().kind(), kind);
        }
        assert_eq!(reads(&fake), 1, "{name}");
        assert!(secrets.stats().secrets().is_empty(), "names without a value are no secrets");
    }
    fake.put("app/missing", "m");
    fake.allow_secret("app/denied");
    for name in ["missing", "denied"] {
        text(&secrets, name).await.unwrap_err();
        assert!(secrets.get::<String>(name).refresh().await.is_ok(), "{name}: past the cache");
        secrets.forget(name);
    }
    fake.deny_secret("app/denied");
    text(&secrets, "denied").await.unwrap_err();
    fake.allow_secret("app/denied");
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(text(&secrets, "denied").await.unwrap(), "d");
}

//! Live settings of several sources: one generation, and no source holds up another. The clock is
//! paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use end_to_end::NEVER;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use futures_util::{Stream, stream};
use secrets_provider::{
    ErrorKind, Health, Layers, Live, Rejected, SecretState, SecretsManager, SourceStatus, Sources,
    Status, StatusPage, Trigger,
};
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use crate::fixtures::secrets_only;

/// What two sources hold: each has two secrets that change together.
#[derive(Debug, Deserialize)]
struct Settings {
    team: Pair,
    own: Pair,
}

#[derive(Debug, Deserialize)]
struct Pair {
    a: u64,
    b: u64,
}

struct Stores {
    team: FakeSecretsManager,
    own: FakeSecretsManager,
}

impl Stores {
    fn new() -> Self {
        let stores = Self { team: FakeSecretsManager::new(), own: FakeSecretsManager::new() };
        stores.rotate_team(1);
        stores.rotate_own(1);
        stores
    }

    fn rotate_team(&self, n: u64) {
        rotate(&self.team, "team", n);
    }

    fn rotate_own(&self, n: u64) {
        rotate(&self.own, "own", n);
    }

    fn team(&self) -> SecretsManager {
        of(&self.team, "team")
    }

    fn own(&self) -> SecretsManager {
        of(&self.own, "own")
    }

    /// Live settings that refresh only on request.
    async fn quiet(&self) -> Live<Settings> {
        let sources = self.team().and(self.own());
        secrets_only(sources).refresh_every(NEVER).start().await.unwrap()
    }
}

fn rotate(fake: &FakeSecretsManager, name: &str, n: u64) {
    fake.put(&format!("{name}/pair/a"), n.to_string());
    fake.put(&format!("{name}/pair/b"), n.to_string());
}

fn of(fake: &FakeSecretsManager, name: &str) -> SecretsManager {
    let manager = SecretsManager::prefix(name).timeout(Duration::from_secs(30));
    manager.client(fake.client()).rename("pair/{x}", format!("{name}.{{x}}"))
}

fn part<'a>(status: &'a Status, name: &str) -> &'a SourceStatus {
    status.sources().iter().find(|source| source.name() == name).expect("the source")
}

fn numbers(settings: &Live<Settings>) -> (u64, u64) {
    let settings = settings.load();
    (settings.team.a, settings.own.a)
}

#[tokio::test(start_paused = true)]
async fn sources_that_rotate_at_once_are_one_generation() {
    let stores = Stores::new();
    let settings = stores.quiet().await;
    let mut changes = settings.changes();
    for n in 2..10 {
        stores.rotate_team(n);
        stores.rotate_own(n);
        let refreshed = settings.refresh().await.unwrap();
        assert_eq!((refreshed.generation(), refreshed.changed()), (n, true));
        let change = changes.next().await.unwrap();
        assert_eq!(change.keys(), ["own.a", "own.b", "team.a", "team.b"]);
        assert_eq!(numbers(&settings), (n, n));
    }
    let status = settings.status();
    assert_eq!(status.generation(), 9);
    let secrets: Vec<_> = status.secrets().iter().map(|s| (s.name(), s.source())).collect();
    assert_eq!(secrets[0], ("own/pair/a", Some("own")));
    assert_eq!(secrets[3], ("team/pair/b", Some("team")));
    assert_eq!(status.sources().len(), 2);
    assert!(!settings.refresh().await.unwrap().changed(), "nothing is new");
}

/// Readers on other threads never see half of a source's rotation, whichever sources rotate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_half_of_a_rotation() {
    let stores = Stores::new();
    // A batch reads both secrets of a source at one moment, and so has both as they were.
    let settings = stores.quiet().await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (settings, done) = (settings.clone(), done.clone());
            std::thread::spawn(move || {
                let mut reads = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    let now = settings.load();
                    assert_eq!(now.team.a, now.team.b, "half of a rotation");
                    assert_eq!(now.own.a, now.own.b, "half of a rotation");
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for n in 2..100 {
        stores.rotate_team(n);
        if n % 3 > 0 {
            stores.rotate_own(n);
        }
        settings.refresh().await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let reads: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
    assert!(reads > 0);
    assert_eq!(numbers(&settings), (99, 98));
}

/// What makes a store fail.
type Fail = fn(&FakeSecretsManager);

/// A source that fails keeps its last good values; the other rotates, and the status says which.
#[tokio::test(start_paused = true)]
async fn a_source_that_fails_leaves_the_other_going() {
    let cases: [(&str, ErrorKind, Fail); 4] = [
        ("denied", ErrorKind::AccessDenied, |team| {
            team.deny_action("GetSecretValue");
            team.deny_action("BatchGetSecretValue");
        }),
        ("down", ErrorKind::Unavailable, |team| _ = team.inject(Fault::unavailable())),
        ("throttled", ErrorKind::Throttled, |team| _ = team.inject(Fault::throttled())),
        ("hangs", ErrorKind::Unavailable, |team| _ = team.inject(Fault::hang())),
    ];
    for (case, kind, fail) in cases {
        let stores = Stores::new();
        let settings = stores.quiet().await;
        fail(&stores.team);
        stores.rotate_team(2);
        stores.rotate_own(2);
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{case}");
        assert!(
            error.errors().iter().all(|e| e.to_string().starts_with("source `team`")),
            "{case}: {error}"
        );
        assert_eq!(numbers(&settings), (1, 2), "{case}");

        let status = settings.status();
        assert_eq!((status.health(), status.generation()), (Health::Stale, 2), "{case}");
        let (team, own) = (part(&status, "team"), part(&status, "own"));
        assert_eq!((team.health(), own.health()), (Health::Stale, Health::Fresh), "{case}");
        assert_eq!(team.last_error().unwrap().kind(), kind, "{case}");
        assert!(own.last_error().is_none(), "{case}");
        for secret in status.secrets() {
            let expected = match secret.source() {
                Some("team") => SecretState::LastGood,
                _ => SecretState::Current,
            };
            assert_eq!(secret.state(), expected, "{case}: {}", secret.name());
        }
        let page = StatusPage::of(&settings).to_string();
        assert!(page.contains("Sources") && page.contains(kind.as_str()), "{case}");
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["sources"][0]["name"], "team");
        assert_eq!(json["sources"][0]["health"], "stale");

        stores.team.clear_faults();
        stores.team.allow_everything();
        settings.refresh().await.unwrap();
        assert_eq!(numbers(&settings), (2, 2), "{case}: it recovers");
        assert_eq!(settings.status().health(), Health::Fresh, "{case}");
    }
}

/// A store that does not answer holds up the others by a second, not by its timeout.
#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_holds_up_no_other() {
    let stores = Stores::new();
    let settings = stores.quiet().await;
    stores.team.inject(Fault::hang());
    stores.rotate_own(2);
    let (begun, refreshing) = (Instant::now(), settings.clone());
    let refresh = tokio::spawn(async move { refreshing.refresh().await });
    let mut changes = settings.changes();
    changes.next().await.unwrap();
    assert_eq!(numbers(&settings), (1, 2));
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());

    // Credentials that are refused meanwhile are searched for in the source that answers.
    let seen = settings.current();
    stores.rotate_own(3);
    let newer = settings.refresh_past(&seen).await.unwrap();
    assert_eq!(newer.own.a, 3);
    assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
    refresh.await.unwrap().unwrap_err();
    assert!(begun.elapsed() >= Duration::from_secs(29), "the request waits for all sources");
}

/// Of sources that are read together, those whose values are refused keep their last good ones.
#[tokio::test(start_paused = true)]
async fn values_that_are_refused_hold_up_only_their_source() {
    let stores = Stores::new();
    let settings: Live<Settings> = secrets_only(stores.team().and(stores.own()))
        .refresh_every(NEVER)
        .validate(|settings: &Settings| match settings.team.a {
            13 => Err(Rejected::new("thirteen")),
            _ => Ok(()),
        })
        .start()
        .await
        .unwrap();
    stores.rotate_team(13);
    stores.rotate_own(2);
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("source `team`"), "{error}");
    assert_eq!(numbers(&settings), (1, 2));
    let status = settings.status();
    assert_eq!(part(&status, "team").health(), Health::Stale);
    assert_eq!(part(&status, "own").health(), Health::Fresh);

    stores.rotate_team(14);
    settings.refresh().await.unwrap();
    assert_eq!(numbers(&settings), (14, 2));
}

#[tokio::test(start_paused = true)]
async fn each_source_has_its_own_interval() {
    let stores = Stores::new();
    let minute = Duration::from_secs(60);
    let sources = stores.team().refresh_every(10 * minute).and(stores.own());
    let settings: Live<Settings> =
        secrets_only(sources).refresh_every(minute).start().await.unwrap();
    let status = settings.status();
    assert_eq!(part(&status, "team").interval(), 10 * minute);
    assert_eq!((part(&status, "own").interval(), status.interval()), (minute, Some(minute)));
    stores.team.reset_calls();
    stores.own.reset_calls();
    sleep(120 * minute).await;
    let [slow, fast] = [&stores.team, &stores.own].map(|fake| fake.calls("BatchGetSecretValue"));
    assert!((10..=14).contains(&slow), "{slow}");
    assert!((105..=135).contains(&fast), "{fast}");
    // A slow source is not stale for what the fast one's interval says.
    assert_eq!(settings.status().health(), Health::Fresh);
}

#[tokio::test(start_paused = true)]
async fn optional_and_fallback_hold_for_their_source_only() {
    #[derive(Deserialize)]
    struct Own {
        own: Pair,
        dsn: Option<String>,
        team: Pair,
    }
    let stores = Stores::new();
    stores.team.deny_action("ListSecrets");
    let variables = [("TEAM__A", "7"), ("TEAM__B", "7")];
    let layers = move |secrets: &_| Layers::new().environment_from(variables).secrets(secrets);
    let own = || stores.own().optional(["dsn"]);
    let start =
        |sources: Sources| Live::<Own>::builder(sources).layers(layers).refresh_every(NEVER);

    let error = start(stores.team().and(own().fallback_to_env())).start().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "the other's fallback does not count");

    let settings = start(stores.team().fallback_to_env().and(own())).start().await.unwrap();
    let now = settings.current();
    assert_eq!((now.team.a, now.own.a, &now.dsn), (7, 1, &None));
    assert_eq!(now.own.a, now.own.b);
    let status = settings.status();
    assert_eq!(status.health(), Health::Fallback);
    assert_eq!(part(&status, "team").health(), Health::Fallback);
    assert_eq!(
        (part(&status, "own").health(), part(&status, "team").has_succeeded()),
        (Health::Fresh, false)
    );

    stores.team.allow_everything();
    stores.own.put("own/dsn", "dsn");
    settings.refresh().await.unwrap();
    let now = settings.current();
    assert_eq!((now.team.a, now.dsn.as_deref()), (1, Some("dsn")));
    assert_eq!((now.team.b, settings.status().health()), (1, Health::Fresh));
}

/// A stream of what is sent.
fn channel() -> (UnboundedSender<Trigger>, impl Stream<Item = Trigger> + Send + 'static) {
    let (sender, receiver) = unbounded_channel();
    let received = stream::unfold(receiver, async |mut receiver| {
        let received: Option<Trigger> = UnboundedReceiver::recv(&mut receiver).await;
        received.map(|trigger| (trigger, receiver))
    });
    (sender, received)
}

/// A hint is heard by the source that has the secret.
#[tokio::test(start_paused = true)]
async fn a_hint_reads_only_its_source() {
    let stores = Stores::new();
    let (sender, receiver) = channel();
    let settings: Live<Settings> = secrets_only(stores.team().and(stores.own()))
        .refresh_every(NEVER)
        .refresh_on(receiver)
        .start()
        .await
        .unwrap();
    stores.rotate_own(2);
    for name in ["own/pair/a", "own/pair/b"] {
        sender.send(Trigger::secret(name)).unwrap();
    }
    stores.team.reset_calls();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(stores.team.total_calls(), 0);
    assert_eq!(numbers(&settings), (1, 2));
}

/// Three sources; the highest has the say, and each key comes from the highest that has it.
#[tokio::test(start_paused = true)]
async fn of_three_sources_each_key_is_the_highest_ones() {
    #[derive(Deserialize)]
    struct Settings {
        a: String,
        b: String,
        c: String,
    }
    let fakes = [(); 3].map(|()| FakeSecretsManager::new());
    for (fake, names) in fakes.iter().zip([&["a", "b", "c"][..], &["b", "c"], &["c"]]) {
        names.iter().for_each(|name| _ = fake.put(&format!("app/{name}"), "1"));
    }
    let of = |index: usize| SecretsManager::prefix("app").client(fakes[index].client());
    let settings: Live<Settings> =
        secrets_only(of(0).and(of(1)).and(of(2))).refresh_every(NEVER).start().await.unwrap();
    for (index, fake) in fakes.iter().enumerate() {
        for name in ["a", "b", "c"].iter().skip(index) {
            fake.put(&format!("app/{name}"), format!("of {index}"));
        }
        settings.refresh().await.unwrap();
    }
    let now = settings.current();
    assert_eq!([&now.a, &now.b, &now.c], ["of 0", "of 1", "of 2"]);
    // A key that is gone from the highest source is the next one's.
    let deleted: Vec<_> = settings.status().sources().iter().map(|s| s.name().to_owned()).collect();
    assert_eq!(deleted, ["app (1)", "app (2)", "app (3)"]);
    // A change that a higher source hides makes a generation, and changes no key.
    fakes[0].put("app/c", "hidden");
    let mut changes = settings.changes();
    assert!(settings.refresh().await.unwrap().changed());
    assert!(changes.next().await.unwrap().keys().is_empty());
}

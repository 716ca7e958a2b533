//! What a refresh logs: an ERROR once per failure, however long it lasts and however many fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use end_to_end::{Log, NEVER};
use futures_util::stream;
use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, ErrorKind, Fetched, Layers, Live, Memory, Outcome,
    SecretsManager,
};

type Map = BTreeMap<String, String>;

/// Secrets without a network, each of which may fail.
#[derive(Debug, Clone, Default)]
struct Failing {
    count: usize,
    failure: Arc<Mutex<Option<ErrorKind>>>,
}

impl Failing {
    fn fail(&self, failure: Option<ErrorKind>) {
        *self.failure.lock().unwrap() = failure;
    }
}

impl Backend for Failing {
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let names = (0..self.count).map(|n| format!("app/secret-{n:03}")).collect();
        Box::pin(async { Ok(names) })
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let failure = *self.failure.lock().unwrap();
        Box::pin(stream::iter(ids.iter().map(move |id| {
            let failed = |kind| {
                let message = format!("secret `{id}`: {kind}, because a policy says so");
                Err(Error::new(kind, message).with_hint("change the policy").with_secret(id))
            };
            (id.clone(), failure.map_or_else(|| Ok(Fetched::text(id, "v1", "x")), failed))
        })))
    }
}

async fn start(backend: impl Backend) -> Live<Map> {
    Live::builder(SecretsManager::prefix("app").backend(backend))
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(NEVER)
        .start()
        .await
        .unwrap()
}

/// The events of one refresh, without those at DEBUG, and the length of their text.
async fn logged(log: &Log, settings: &Live<Map>) -> (BTreeMap<String, usize>, usize) {
    let before = log.text().len();
    let _ = settings.refresh().await;
    let text = log.text()[before..].to_owned();
    let mut events = BTreeMap::new();
    let levels = [" ERROR ", " WARN ", " INFO "];
    for line in text.lines().filter(|line| levels.iter().any(|level| line.contains(level))) {
        let event = line.split("secrets_provider: ").nth(1).unwrap_or_default();
        let event = event.split(' ').next().unwrap_or_default();
        *events.entry(event.to_owned()).or_insert(0) += 1;
    }
    (events, text.lines().filter(|line| !line.contains("DEBUG")).map(str::len).sum())
}

fn events<const N: usize>(events: [(&str, usize); N]) -> BTreeMap<String, usize> {
    events.into_iter().map(|(event, count)| (event.to_owned(), count)).collect()
}

#[tokio::test(start_paused = true)]
async fn many_failures_are_logged_once_and_bounded() {
    let (log, _logging) = Log::start();
    let backend = Failing { count: 500, ..Failing::default() };
    let settings = start(backend.clone()).await;
    backend.fail(Some(ErrorKind::AccessDenied));
    let (first, size) = logged(&log, &settings).await;
    assert_eq!(
        first,
        events([("secret_access_denied", 100), ("more_secrets_failed", 1), ("refresh_failed", 1)])
    );
    assert!(size < 60_000, "{size} bytes");
    for _ in 0..3 {
        let (again, size) = logged(&log, &settings).await;
        assert_eq!(again, events([("refresh_failed", 1)]));
        assert!(size < 500, "{size} bytes");
    }
    backend.fail(None);
    let (healed, size) = logged(&log, &settings).await;
    assert_eq!(healed, events([("secrets_recovered", 1), ("refresh_recovered", 1)]));
    assert!(size < 5_000, "{size} bytes");
    assert_eq!(logged(&log, &settings).await.0, events([]));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_changes_is_logged_again_and_an_outage_is_no_secrets_failure() {
    let (log, _logging) = Log::start();
    let backend = Failing { count: 2, ..Failing::default() };
    let settings = start(backend.clone()).await;
    for (failure, expected) in [
        (ErrorKind::Kms, events([("secret_failed", 2), ("refresh_failed", 1)])),
        (ErrorKind::Unavailable, events([("refresh_failed", 1)])),
        (ErrorKind::Kms, events([("refresh_failed", 1)])),
        (ErrorKind::AccessDenied, events([("secret_access_denied", 2), ("refresh_failed", 1)])),
    ] {
        backend.fail(Some(failure));
        assert_eq!(logged(&log, &settings).await.0, expected, "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_or_conflicting_value_is_an_error_once() {
    let (log, _logging) = Log::start();
    let memory = Memory::new();
    memory.put("app/a", "x");
    memory.put("app/b", r#"{"c": "x"}"#);
    let settings =
        Live::<serde_json::Value>::builder(SecretsManager::prefix("app").backend(memory.clone()))
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_every(NEVER)
            .start()
            .await
            .unwrap();
    let errors = async |name: &str, value: &str| {
        memory.put(name, value);
        let before = log.text().matches(" ERROR ").count();
        for _ in 0..3 {
            let _ = settings.refresh().await;
        }
        log.text().matches(" ERROR ").count() - before
    };
    assert_eq!(errors("app/a", r#"{"k": 1, "k": 2}"#).await, 1, "malformed");
    assert_eq!(errors("app/a", "y").await, 0, "mended");
    assert_eq!(errors("app/b/c", "z").await, 1, "a conflict");
    memory.remove("app/b/c");
    settings.refresh().await.unwrap();
    assert_eq!(errors("app/b/c", "z").await, 1, "the conflict again");
}

/// A stale variable whose name nests, beside a `.env` that became a secret with flat keys.
#[tokio::test(start_paused = true)]
async fn a_variable_over_a_secrets_key_in_another_spelling_is_one_warning() {
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only read by serde")]
    struct Settings {
        database: Database,
        token: String,
    }
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only read by serde")]
    struct Database {
        password: String,
        #[serde(default)]
        user: String,
    }
    let (log, _logging) = Log::start();
    let memory = Memory::new();
    memory.put("app", r#"{"database_password": "x", "token": "t"}"#);
    let settings = Live::<Settings>::builder(SecretsManager::prefix("app").backend(memory.clone()))
        .layers(|secrets| {
            let stale = [("DATABASE__PASSWORD", "x"), ("DATABASE__USER", "x"), ("TOKEN", "x")];
            Layers::new().environment_from(stale).secrets(secrets)
        })
        .refresh_every(NEVER)
        .start()
        .await
        .unwrap();
    let warnings = || log.text().matches("variables_over_secrets").count();
    assert_eq!(warnings(), 1);
    let fields = r#"keys="database.password" variables="DATABASE__PASSWORD" secrets="app""#;
    assert!(log.text().contains(fields), "{}", log.text());

    memory.put("app", r#"{"database_password": "y", "token": "u"}"#);
    assert!(settings.refresh().await.unwrap().changed());
    assert_eq!(warnings(), 1, "a new version");
    memory.put("app", r#"{"database_password": "y", "databaseUser": "y", "token": "u"}"#);
    settings.refresh().await.unwrap();
    assert_eq!(warnings(), 2, "another key");
    assert!(log.text().contains(r#"keys="database.user""#), "{}", log.text());
}

/// A start of many secrets is one line if the program asks for it; an audit trail needs them all.
#[tokio::test(start_paused = true)]
async fn a_start_is_a_line_for_each_secret_or_one_for_all() {
    let started = async |one_line: bool| {
        let (log, _logging) = Log::start();
        let memory = Memory::new();
        for n in 0..40 {
            memory.put(&format!("app/secret-{n:03}"), "x");
        }
        let manager = SecretsManager::prefix("app").backend(memory.clone());
        let manager = manager.one_line_start(one_line);
        manager.fetch().await.unwrap();
        let settings: Live<Map> = Live::builder(manager)
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_every(NEVER)
            .start()
            .await
            .unwrap();
        memory.put("app/secret-000", "y");
        settings.refresh().await.unwrap();
        let text = log.text();
        let info = text.lines().filter(|line| line.contains(" INFO "));
        let lines: Vec<_> = info.filter(|line| line.contains("_fetched ")).collect();
        let one_line = lines.iter().filter(|line| line.contains(": secrets_fetched ")).count();
        let audited = text.matches(": secret_fetched ").count();
        assert!(lines.last().unwrap().contains("version_id=\"v41\""), "{lines:?}");
        if let Some(line) = lines.iter().find(|line| line.contains(": secrets_fetched ")) {
            assert!(line.contains("count=40 secrets=\"app/secret-000@v1,"), "{line}");
            assert!(line.contains("app/secret-039@v40"), "{line}");
        }
        (lines.len(), one_line, audited)
    };
    // A fetch and a start, each of 40; the refresh reads them all, and one of them is new.
    assert_eq!(started(false).await, (81, 0, 120));
    assert_eq!(started(true).await, (3, 2, 120));
}

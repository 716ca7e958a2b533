//! Which calls each selection makes, and what happens when calls fail.

use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, ErrorKind, Layers, Live, Outcome, SecretsManager,
    Snapshot,
};

use crate::fixtures::manager;

fn seeded(count: usize) -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    for n in 0..count {
        fake.put(&format!("app/s{n:03}"), format!("value {n}"));
    }
    fake
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n:03}")).collect()
}

fn key_paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.secrets().iter().map(|secret| secret.key_path()).collect()
}

/// Calls by operation: ListSecrets, BatchGetSecretValue, GetSecretValue.
fn calls(fake: &FakeSecretsManager) -> [usize; 3] {
    let calls = ["ListSecrets", "BatchGetSecretValue", "GetSecretValue"]
        .map(|operation| fake.calls(operation));
    assert_eq!(fake.total_calls(), calls.iter().sum::<usize>(), "no other call is made");
    calls
}

#[tokio::test]
async fn a_prefix_is_listed_and_read_twenty_at_a_time() {
    for (count, expected) in [
        (1, [1, 0, 1]),
        (2, [1, 1, 0]),
        (20, [1, 1, 0]),
        (21, [1, 2, 0]),
        (45, [1, 3, 0]),
        (130, [2, 7, 0]),
    ] {
        let fake = seeded(count);
        let snapshot = manager(&fake).fetch().await.unwrap();
        assert_eq!(snapshot.secrets().len(), count);
        assert_eq!(calls(&fake), expected, "{count} secrets");
    }
}

#[tokio::test]
async fn only_lists_nothing_and_names_accepts_names_and_arns() {
    let fake = seeded(45);
    let only = SecretsManager::prefix("app/").only(names(25)).client(fake.client());
    assert_eq!(only.fetch().await.unwrap().secrets().len(), 25);
    assert_eq!(calls(&fake), [0, 2, 0]);

    let arn = fake.arn("app/s001");
    let partial = fake.arn("app/s002").rsplit_once('-').unwrap().0.to_owned();
    // `app/s001` by name and by ARN is one secret.
    let ids = ["app/s000", &arn, &partial, "app/s001"];
    for batch in [true, false] {
        let manager = SecretsManager::names(ids).batch(batch).client(fake.client());
        assert_eq!(
            key_paths(&manager.fetch().await.unwrap()),
            ["app.s000", "app.s001", "app.s002"],
            "{batch}"
        );
    }
}

#[tokio::test]
async fn the_secret_named_as_the_prefix_is_found() {
    let fake = seeded(1);
    fake.put("app", r#"{"ROOT": 1}"#);
    for manager in
        [SecretsManager::prefix("app/"), SecretsManager::prefix("app").only(["", "s000"])]
    {
        let snapshot = manager.client(fake.client()).fetch().await.unwrap();
        assert_eq!(snapshot.extract::<serde_json::Value>().unwrap()["ROOT"], 1);
        assert_eq!(snapshot.secrets().len(), 2);
    }
}

#[tokio::test]
async fn a_denied_batch_is_replaced_by_single_calls_and_not_tried_again() {
    let fake = seeded(25);
    fake.deny_action("secretsmanager:BatchGetSecretValue");
    let manager = SecretsManager::prefix("app").only(names(25)).client(fake.client());
    manager.fetch().await.unwrap();
    // Both batches were sent before the first was denied.
    assert_eq!(calls(&fake), [0, 2, 25]);
    fake.reset_calls();
    for _ in 0..15 {
        manager.fetch().await.unwrap();
    }
    assert_eq!(calls(&fake), [0, 0, 15 * 25], "a denied batch is never tried again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_replaced_by_single_calls_for_ten_fetches() {
    for fault in
        [Fault::internal_error(), Fault::throttled(), Fault::malformed_body(), Fault::html(502)]
    {
        let fake = seeded(3);
        let id = fake.inject(fault.on("BatchGetSecretValue"));
        let manager = SecretsManager::prefix("app").only(names(3)).client(fake.client());
        manager.fetch().await.unwrap();
        fake.remove_fault(id);
        fake.reset_calls();
        for _ in 0..10 {
            manager.fetch().await.unwrap();
        }
        assert_eq!(calls(&fake), [0, 0, 30], "ten fetches make single calls");
        manager.fetch().await.unwrap();
        assert_eq!(calls(&fake), [0, 1, 30], "the next one tries a batch");
    }
}

/// Expired credentials say nothing about the permission, and single calls would fail as well.
#[tokio::test]
async fn expired_credentials_do_not_switch_batches_off() {
    let fake = seeded(25);
    let manager = SecretsManager::prefix("app").only(names(25)).client(fake.client());
    for code in ["ExpiredTokenException", "InvalidSignatureException"] {
        let expired = fake.inject(Fault::error(code, 400, "no"));
        let error = manager.fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        fake.remove_fault(expired);
        fake.reset_calls();
        manager.fetch().await.unwrap();
        assert_eq!(calls(&fake), [0, 2, 0], "{code}");
    }
}

#[tokio::test]
async fn batch_false_makes_single_calls_only() {
    let fake = seeded(5);
    SecretsManager::prefix("app").batch(false).client(fake.client()).fetch().await.unwrap();
    assert_eq!(calls(&fake), [1, 0, 5]);
}

#[tokio::test]
async fn every_failed_secret_is_reported() {
    for batch in [true, false] {
        let fake = seeded(3);
        let only = ["s000", "s001", "s002", "missing", "gone"];
        fake.put("app/gone", "x");
        fake.client().delete_secret().secret_id("app/gone").send().await.unwrap();
        fake.deny_secret("app/s001");
        fake.use_kms_key("app/s002", "arn:aws:kms:us-east-1:123456789012:key/k");
        fake.disable_kms_key("arn:aws:kms:us-east-1:123456789012:key/k");

        let manager = SecretsManager::prefix("app").only(only).batch(batch).client(fake.client());
        let error = manager.fetch().await.unwrap_err();
        let failures: Vec<_> =
            error.errors().iter().map(|error| (error.kind(), error.secret().unwrap())).collect();
        let expected = [
            (ErrorKind::Kms, "app/s002"),
            (ErrorKind::AccessDenied, "app/s001"),
            (ErrorKind::NotFound, "app/missing"),
            (ErrorKind::PendingDeletion, "app/gone"),
        ];
        assert_eq!(failures, expected, "batch: {batch}");
        assert!(error.to_string().contains("allow `secretsmanager:GetSecretValue`"), "{error}");
    }
}

/// If the policy of the VPC endpoint denies one secret, AWS fails the whole batch.
#[tokio::test]
async fn a_batch_denied_because_of_one_secret_still_reads_the_others() {
    let fake = seeded(3);
    fake.deny_secret_at_endpoint("app/s001");
    let error = SecretsManager::prefix("app")
        .only(names(3))
        .client(fake.client())
        .fetch()
        .await
        .unwrap_err();
    assert_eq!(error.errors().len(), 1);
    assert_eq!((error.kind(), error.secret()), (ErrorKind::AccessDenied, Some("app/s001")));
    assert_eq!(calls(&fake), [0, 1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_ends_at_its_timeout_and_names_the_late_secrets() {
    let fake = seeded(3);
    fake.inject(Fault::hang().on("GetSecretValue").for_secret("app/s001"));
    let named = manager(&fake).only(names(3)).batch(false);
    let start = tokio::time::Instant::now();
    let error = named.clone().fetch().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(30), "the default");
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Unavailable, Some("app/s001")));
    assert_eq!(error.errors().len(), 1, "{error}");
    assert!(error.is_transient());

    let start = tokio::time::Instant::now();
    named.timeout(Duration::from_secs(2)).fetch().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(2));

    fake.inject(Fault::hang().on("ListSecrets"));
    let start = tokio::time::Instant::now();
    let error = manager(&fake).fetch().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert!(error.to_string().contains("`app`"), "{error}");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_reported_as_unavailable() {
    let fake = FakeSecretsManager::start().await.unwrap();
    let retries = aws_sdk_secretsmanager::config::retry::RetryConfig::disabled();
    let config = end_to_end::config(&fake.endpoint_url()).retry_config(retries).build();
    fake.stop().await;
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let error =
        SecretsManager::prefix("app").only(["a", "b"]).client(client).fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.hint().unwrap().contains("endpoint"), "{error}");
}

#[tokio::test]
async fn invalid_selections_are_rejected_before_any_call() {
    let fake = seeded(1);
    for (manager, mention) in [
        (SecretsManager::prefix(""), "prefix is empty"),
        (SecretsManager::prefix("//"), "prefix is empty"),
        (SecretsManager::names(["a"]).only(["b"]), "`only`"),
        (SecretsManager::names(["a", ""]), "empty"),
        (SecretsManager::names([""; 0]), "no secret is named"),
        (SecretsManager::prefix("app").only([""; 0]), "no secret is named"),
        (SecretsManager::prefix("app").rename("a{x}", "b.{y}"), "rename of `a{x}`"),
        (SecretsManager::prefix("app").only(["a"]).with_previous(["b"]), "`app/b`"),
        (SecretsManager::names(["a"]).with_previous(["b"]), "`b`"),
    ] {
        let error = manager.client(fake.client()).fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(mention) && error.hint().is_some(), "{error}");
    }
    assert_eq!(fake.total_calls(), 0);
    let error =
        SecretsManager::prefix("elsewhere").client(fake.client()).fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// The words of servers, proxies and SDK errors appear in no error, and in no line that we log,
/// even at TRACE.
#[tokio::test(start_paused = true)]
async fn messages_of_a_server_reach_neither_errors_nor_the_log() {
    let (log, _guard) = end_to_end::Log::start();
    let fake = seeded(0);
    fake.put("app/a", "canary-4d1f9c");
    let faults = [
        Fault::error("ResourceNotFoundException", 400, "canary-4d1f9c"),
        Fault::error("canary-4d1f9c <html>", 400, "x"),
        Fault::truncated_body(),
        Fault::malformed_body(),
        Fault::drop_connection(),
        Fault::html(503),
    ];
    for fault in faults {
        let id = fake.inject(fault);
        let manager = SecretsManager::names(["app/a"]).batch(false).client(fake.client());
        let error = manager.fetch().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        fake.remove_fault(id);
    }
    let snapshot = manager(&fake).fetch().await.unwrap();
    assert!(!format!("{snapshot:?}").contains("canary"));
    let ours: String =
        log.text().lines().filter(|line| line.contains("secrets_provider")).collect();
    assert!(!ours.is_empty() && !ours.contains("canary"), "{ours}");
}

/// A user's store, whose `Debug` shows its content.
#[derive(Debug)]
struct Vault {
    memory: secrets_provider::Memory,
    #[allow(dead_code, reason = "for its `Debug`")]
    token: &'static str,
}

impl secrets_provider::Backend for Vault {
    fn list<'a>(
        &'a self,
        prefix: &'a str,
    ) -> secrets_provider::BoxFuture<'a, Result<Vec<String>, Error>> {
        self.memory.list(prefix)
    }

    fn fetch<'a>(
        &'a self,
        ids: &'a [String],
    ) -> secrets_provider::BoxStream<'a, secrets_provider::Outcome> {
        self.memory.fetch(ids)
    }
}

#[test]
fn debug_names_the_store_and_shows_nothing_of_it() {
    let vault = Vault { memory: secrets_provider::Memory::new(), token: "s3cret-t0ken" };
    let shown = format!("{:?}", SecretsManager::prefix("app").backend(vault));
    assert!(shown.contains("Vault") && !shown.contains("s3cret"), "{shown}");
}

/// A store that panics in one place, as an SDK may about its configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Panics {
    CallOfList,
    List,
    CallOfFetch,
    Fetch,
    ListSome,
}

impl Backend for Panics {
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        assert!(*self != Self::CallOfList, "hunter2");
        Box::pin(async {
            assert!(*self != Self::List, "hunter2");
            Ok(vec!["app/a".to_owned()])
        })
    }

    fn list_some<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        panic!("hunter2")
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        assert!(*self != Self::CallOfFetch, "hunter2");
        let missing = Error::new(ErrorKind::NotFound, "none").with_secret(&ids[0]);
        Box::pin(futures_util::stream::once(async move {
            assert!(*self != Self::Fetch, "hunter2");
            (ids[0].clone(), Err(missing))
        }))
    }
}

/// On every road, and never as an outage that lower layers may replace.
#[tokio::test]
async fn a_panic_of_the_backend_at_the_start_is_an_error() {
    use Panics::{CallOfFetch, CallOfList, Fetch, List, ListSome};
    for panics in [CallOfList, List, CallOfFetch, Fetch, ListSome] {
        let manager = || SecretsManager::prefix("app").backend(panics);
        let with_fallback = || manager().fallback_to_env();
        let live = Live::<serde_json::Value>::builder(manager())
            .layers(|secrets| Layers::new().secrets(secrets));
        let mut errors = vec![
            manager().fetch().await.unwrap_err(),
            manager().fetch_blocking().unwrap_err(),
            live.start().await.map(drop).unwrap_err(),
        ];
        let expected = match panics {
            // Only for a hint.
            ListSome => ErrorKind::NotFound,
            _ => ErrorKind::Rejected,
        };
        if panics != ListSome {
            errors.push(with_fallback().fetch().await.unwrap_err());
        }
        for error in errors {
            assert_eq!(error.kind(), expected, "{panics:?}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{panics:?}: {error}");
        }
    }
}

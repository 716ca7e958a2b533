//! A region that gives no answer, and its replica in another one: `or_region`. Both are fakes,
//! reached by one client, and the clock is paused.

use std::time::Duration;

use end_to_end::{Log, NEVER};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Error, ErrorKind, Live, Memory, SecretState, SecretsManager, StatusPage};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};

use crate::fixtures::secrets_only;

mod endpoint;
mod pairs;

const REPLICA: &str = "eu-west-1";
const RETRY: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct Settings {
    a: u64,
    b: Option<u64>,
}

struct Regions {
    first: FakeSecretsManager,
    replica: FakeSecretsManager,
}

impl Regions {
    fn new() -> Self {
        let first = FakeSecretsManager::new();
        first.put("app/a", "1");
        first.put("app/b", "1");
        let replica = first.replica(REPLICA);
        Self { first, replica }
    }

    /// Puts a value in the first region, and replicates.
    fn rotate(&self, name: &str, n: u64) {
        self.first.put(name, n.to_string());
        self.first.replicate_to(&self.replica);
    }

    fn with(&self, manager: SecretsManager) -> SecretsManager {
        manager.client(self.first.client_with_replicas(&[&self.replica])).or_region(REPLICA)
    }

    fn manager(&self) -> SecretsManager {
        self.with(SecretsManager::prefix("app"))
    }

    async fn start(&self) -> Result<Live<Settings>, Error> {
        secrets_only(self.manager()).refresh_every(NEVER).start().await
    }

    /// Lets go of the first region's faults, after the time that it is left alone.
    async fn mend(&self) {
        self.first.clear_faults();
        advance(RETRY).await;
    }
}

fn is_active(settings: &Live<Settings>) -> bool {
    settings.status().failover().expect("a replica").is_active()
}

/// What no answer is: the region hangs, cuts connections, or fails.
fn outages() -> [(&'static str, Fault); 4] {
    [
        ("hangs", Fault::hang()),
        ("cuts connections", Fault::drop_connection()),
        ("fails", Fault::internal_error()),
        ("is not available", Fault::unavailable()),
    ]
}

/// What goes wrong with a secret in one region.
type Deny = fn(&FakeSecretsManager);

#[tokio::test(start_paused = true)]
async fn a_start_reads_the_replica_while_the_first_region_gives_no_answer() {
    for (case, outage) in outages() {
        let regions = Regions::new();
        regions.first.inject(outage);
        let begun = Instant::now();
        let settings = regions.start().await.expect(case);
        assert!(begun.elapsed() <= Duration::from_secs(11), "{case}: {:?}", begun.elapsed());
        assert_eq!((settings.load().a, settings.load().b), (1, Some(1)), "{case}");

        let status = settings.status();
        assert_eq!(status.failover().expect("a replica").region(), REPLICA);
        assert!(is_active(&settings), "{case}");
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["failover"]["region"], REPLICA);
        assert!(json["failover"]["since"].is_u64(), "{json}");
        let page = StatusPage::of(&settings).to_string();
        assert!(page.contains("from replicas in eu-west-1"), "{case}");

        regions.mend().await;
        settings.refresh().await.expect(case);
        assert!(!is_active(&settings), "{case}: it returns");
        let json = serde_json::to_value(settings.status()).unwrap();
        assert_eq!(json["failover"], json!({ "region": REPLICA, "since": null }));
        assert_eq!(settings.status().generation(), 1, "{case}: nothing has changed");
    }
}

/// In the middle of service: no swap for the failover, none for the return, one for the rotation.
#[tokio::test(start_paused = true)]
async fn a_rotation_during_the_outage_is_read_in_the_replica() {
    let (log, _logging) = Log::start();
    let regions = Regions::new();
    let settings = regions.start().await.unwrap();
    assert!(!is_active(&settings));
    assert_eq!(regions.replica.total_calls(), 0);

    regions.first.inject(Fault::hang());
    assert!(!settings.refresh().await.unwrap().changed());
    assert!(is_active(&settings));
    // Until it is tried again, the first region is left alone.
    regions.first.reset_calls();
    regions.rotate("app/a", 2);
    let begun = Instant::now();
    assert!(settings.refresh().await.unwrap().changed());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((settings.load().a, regions.first.total_calls()), (2, 0));

    // It is tried, and hangs still.
    advance(RETRY).await;
    let begun = Instant::now();
    assert!(!settings.refresh().await.unwrap().changed());
    assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(is_active(&settings) && regions.first.total_calls() > 0);

    regions.mend().await;
    regions.replica.reset_calls();
    assert!(!settings.refresh().await.unwrap().changed());
    assert!(!is_active(&settings));
    assert_eq!((settings.load().a, regions.replica.total_calls()), (2, 0));
    let counts =
        ["region_failed_over", "region_returned"].map(|event| log.text().matches(event).count());
    assert_eq!(counts, [1, 1], "{}", log.text());
    assert!(log.text().contains("us-east-1") && log.text().contains(REPLICA));
}

/// It returns at an interval, without anyone's doing.
#[tokio::test(start_paused = true)]
async fn it_fails_over_and_returns_by_itself() {
    let regions = Regions::new();
    let settings: Live<Settings> = secrets_only(regions.manager())
        .refresh_every(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    regions.first.inject(Fault::unavailable());
    sleep(Duration::from_secs(120)).await;
    assert!(is_active(&settings));
    regions.rotate("app/a", 7);
    sleep(Duration::from_secs(70)).await;
    assert_eq!(settings.load().a, 7);
    regions.first.clear_faults();
    sleep(Duration::from_secs(120)).await;
    assert!(!is_active(&settings));
    regions.replica.reset_calls();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(regions.replica.total_calls(), 0);
}

/// A region that says no has answered.
#[tokio::test(start_paused = true)]
async fn what_is_denied_absent_or_throttled_does_not_fail_over() {
    let cases: [(&str, ErrorKind, Deny); 5] = [
        ("a secret is denied", ErrorKind::AccessDenied, |first| first.deny_secret("app/a")),
        ("a secret is absent", ErrorKind::NotFound, |first| first.remove("app/a")),
        ("everything is denied", ErrorKind::AccessDenied, |first| {
            for action in ["ListSecrets", "GetSecretValue", "BatchGetSecretValue"] {
                first.deny_action(action);
            }
        }),
        ("throttled", ErrorKind::Throttled, |first| _ = first.inject(Fault::throttled())),
        ("credentials are refused", ErrorKind::AccessDenied, |first| {
            _ = first.inject(Fault::error("UnrecognizedClientException", 400, "no"));
        }),
    ];
    for (case, kind, refuse) in cases {
        let regions = Regions::new();
        let settings = regions.start().await.unwrap();
        refuse(&regions.first);
        assert_eq!(settings.refresh().await.unwrap_err().kind(), kind, "{case}");
        assert_eq!(regions.replica.total_calls(), 0, "{case}");
        assert!(!is_active(&settings), "{case}");
    }
    // Nor does one secret that fails while the region answers for others: values of two regions are
    // never mixed.
    let regions = Regions::new();
    let settings = regions.start().await.unwrap();
    regions.first.deny_action("BatchGetSecretValue");
    regions.first.inject(Fault::unavailable().for_secret("app/a"));
    regions.rotate("app/b", 2);
    assert_eq!(settings.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!((settings.load().a, settings.load().b), (1, Some(2)));
    assert_eq!(regions.replica.total_calls(), 0);
}

/// A start waits for a throttled region, but says that it is throttled before a replica would be
/// asked.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_throttled_does_not_fail_over() {
    for operations in [&["ListSecrets"][..], &["GetSecretValue", "BatchGetSecretValue"]] {
        let regions = Regions::new();
        for operation in operations {
            regions.first.inject(Fault::throttled().on(operation));
        }
        let error = regions.start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled, "{operations:?}: {error}");
        assert_eq!(regions.replica.total_calls(), 0, "{operations:?}");
    }
}

/// A replica that lags behind never brings back what was replaced.
#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_behind_does_not_bring_back_an_old_version() {
    let regions = Regions::new();
    let settings = regions.start().await.unwrap();
    regions.first.put("app/a", "2");
    settings.refresh().await.unwrap();
    regions.first.inject(Fault::unavailable());
    let error = settings.refresh().await.unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Unavailable, Some("app/a")), "{error}");
    assert!(error.to_string().contains("its replica in eu-west-1 has a version"), "{error}");
    assert_eq!(settings.load().a, 2);
    assert_eq!(settings.status().secrets()[0].state(), SecretState::LastGood);

    regions.first.replicate_to(&regions.replica);
    settings.refresh().await.unwrap();
    regions.rotate("app/a", 3);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().a, 3);
    // In the first region, a version may well come back: someone has moved the label.
    regions.mend().await;
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().a, 3);
}

/// Nor one that was replaced before this process started, and that it has never seen.
#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_behind_from_the_start_does_not_bring_back_an_old_version() {
    for batch in [true, false] {
        let regions = Regions::new();
        advance(Duration::from_secs(1)).await;
        regions.first.put("app/a", "2");
        let settings: Live<Settings> = secrets_only(regions.manager().batch(batch))
            .refresh_every(NEVER)
            .start()
            .await
            .unwrap();
        regions.first.inject(Fault::unavailable());
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.secret(), Some("app/a"), "{error}");
        assert!(error.to_string().contains("its replica in eu-west-1 has a version"), "{error}");
        assert_eq!(settings.load().a, 2);

        // It catches up, and is ahead after the next rotation.
        regions.first.replicate_to(&regions.replica);
        settings.refresh().await.unwrap();
        advance(Duration::from_secs(1)).await;
        regions.rotate("app/a", 3);
        settings.refresh().await.unwrap();
        assert_eq!(settings.load().a, 3);
    }
}

/// A secret that has no replica, or one that may not be read, keeps its last good value: even an
/// optional one, which would leave if the first region said so.
#[tokio::test(start_paused = true)]
async fn a_secret_without_a_replica_keeps_its_last_good_value() {
    let cases: [(&str, Deny); 2] = [
        ("not replicated", |replica| replica.remove("app/b")),
        ("denied", |replica| replica.deny_secret("app/b")),
    ];
    for (case, lose) in cases {
        let regions = Regions::new();
        let manager = regions.with(SecretsManager::prefix("app").only(["a", "b"]).optional(["b"]));
        let settings: Live<Settings> =
            secrets_only(manager).refresh_every(NEVER).start().await.unwrap();
        lose(&regions.replica);
        regions.first.inject(Fault::unavailable());
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{case}");
        assert_eq!(error.secret(), Some("app/b"), "{case}: {error}");
        assert!(error.hint().unwrap().contains("Region=eu-west-1"), "{case}: {error}");
        assert_eq!(error.to_string().matches("hint: ").count(), 1, "{case}: {error}");
        assert_eq!((settings.load().a, settings.load().b), (1, Some(1)), "{case}");

        // In the first region, the same answer is believed: an optional secret may be absent.
        regions.first.clear_faults();
        regions.first.remove("app/b");
        advance(RETRY).await;
        settings.refresh().await.expect(case);
    }
}

/// If neither region answers, the error has both, and nothing is read elsewhere.
#[tokio::test(start_paused = true)]
async fn if_neither_region_answers_the_error_names_both() {
    for (case, outage) in outages() {
        let regions = Regions::new();
        regions.first.inject(outage);
        regions.replica.inject(Fault::unavailable());
        let error = regions.start().await.expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{case}");
        let said = error.to_string();
        assert!(said.contains("us-east-1: ") && said.contains("eu-west-1: "), "{case}: {said}");

        regions.first.clear_faults();
        let settings = regions.start().await.expect(case);
        regions.first.inject(Fault::unavailable());
        settings.refresh().await.expect_err(case);
        assert!(!is_active(&settings), "{case}");
        assert_eq!(settings.load().a, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_arn_is_that_of_the_region_that_is_read() {
    let regions = Regions::new();
    let arns = ["app/a", "app/b"].map(|name| regions.first.arn(name));
    assert!(arns[0].contains(":us-east-1:"));
    assert!(regions.replica.arn("app/a").contains(":eu-west-1:"));
    let manager =
        regions.with(SecretsManager::names(arns.clone()).with_previous([arns[0].as_str()]));
    regions.rotate("app/a", 2);
    regions.first.inject(Fault::drop_connection());
    let settings: Live<Value> = secrets_only(manager).refresh_every(NEVER).start().await.unwrap();
    assert_eq!(*settings.load(), json!({ "app": { "a": "2", "b": "1" } }));

    // A hint has the ARN of the first region, too. Its secret is read in the replica.
    regions.rotate("app/b", 3);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load()["app"]["b"], "3");
    regions.mend().await;
    let before = settings.status().generation();
    settings.refresh().await.unwrap();
    let status = settings.status();
    assert_eq!(status.generation(), before, "the same secrets and versions");
    // After the return, all ARNs are those of the first region.
    let page = serde_json::to_string(&status).unwrap();
    assert!(!page.contains("secretsmanager:eu-west-1"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn lookups_and_single_fetches_fail_over_too() {
    let regions = Regions::new();
    regions.first.inject(Fault::hang());
    let secrets = regions.manager().lookup();
    assert_eq!(secrets.get::<u64>("a").await.unwrap(), 1);
    let begun = Instant::now();
    assert_eq!(secrets.get::<u64>("b").await.unwrap(), 1);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    let snapshot = regions.manager().fetch().await.unwrap();
    assert_eq!(snapshot.secrets().len(), 2);
}

/// One source of several fails over by itself, and its part of the status says so.
#[tokio::test(start_paused = true)]
async fn of_several_sources_each_has_its_own_region() {
    let regions = Regions::new();
    let own = FakeSecretsManager::new();
    own.put("own/b", "5");
    let sources = regions.manager().and(SecretsManager::prefix("own").client(own.client()));
    let settings: Live<Settings> =
        secrets_only(sources).refresh_every(NEVER).start().await.unwrap();
    regions.first.inject(Fault::unavailable());
    regions.rotate("app/a", 2);
    own.put("own/b", "6");
    settings.refresh().await.unwrap();
    assert_eq!((settings.load().a, settings.load().b), (2, Some(6)));
    let status = settings.status();
    let of_sources = status.sources().iter().map(|source| source.failover().is_some());
    assert_eq!(of_sources.collect::<Vec<_>>(), [true, false]);
    assert!(is_active(&settings));
    assert!(StatusPage::of(&settings).to_string().contains("from replicas in eu-west-1"));
}

/// The policy serves both regions, and each of its statements is needed in one of them.
#[tokio::test(start_paused = true)]
async fn the_policy_names_both_regions() {
    let regions = Regions::new();
    let manager = || regions.with(SecretsManager::prefix("app").only(["a"]));
    let arn = regions.first.arn("app/a");
    for manager in [manager(), regions.with(SecretsManager::names([arn]))] {
        let policy: Value = serde_json::from_str(&manager.iam_policy()).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let read = statements.iter().find(|one| one["Action"] == "secretsmanager:GetSecretValue");
        let resources = read.unwrap()["Resource"].to_string();
        for region in ["us-east-1", REPLICA] {
            assert!(resources.contains(&format!(":{region}:")), "{policy:#}");
        }
        let keys = statements.iter().filter(|one| one["Action"] == "kms:Decrypt");
        let via = keys.map(|one| one["Condition"].to_string()).collect::<String>();
        for region in ["us-east-1", REPLICA] {
            assert!(via.contains(&format!("secretsmanager.{region}.amazonaws.com")), "{policy:#}");
        }
        regions.first.enforce_policy(&policy.to_string()).unwrap();
        regions.replica.enforce_policy(&policy.to_string()).unwrap();
        manager.fetch().await.unwrap();
        let outage = regions.first.inject(Fault::unavailable());
        manager.fetch().await.unwrap();
        assert!(regions.replica.total_calls() > 0);
        regions.first.remove_fault(outage);
        assert_eq!(regions.replica.total_denied_calls(), 0);
    }
    let without = SecretsManager::prefix("app").client(regions.first.client()).iam_policy();
    assert!(!without.contains(REPLICA));
}

#[tokio::test(start_paused = true)]
async fn a_region_that_cannot_be_one_is_refused_at_the_start() {
    let regions = Regions::new();
    let manager = || SecretsManager::prefix("app").client(regions.first.client());
    let memory = SecretsManager::prefix("app").backend(Memory::new());
    for (case, manager) in [
        ("a zone", manager().or_region("eu-west-1a")),
        ("nothing", manager().or_region("")),
        ("the first region", manager().or_region("us-east-1")),
        ("another store", memory.or_region(REPLICA)),
    ] {
        let error = manager.fetch().await.expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Config, "{case}: {error}");
        assert!(error.to_string().contains("region"), "{case}: {error}");
    }
    assert_eq!(regions.first.total_calls(), 0);
}

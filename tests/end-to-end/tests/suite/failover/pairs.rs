//! The current and the previous value of a secret are of one region, whatever happens between the
//! two reads.
//!
//! The replica has other versions than the first region in all of these, so a pair of both regions
//! would have a version too few or too many in between.

use std::time::Duration;

use fake_secrets_manager::Fault;
use secrets_provider::{Error, ErrorKind, Rotating, SecretsManager};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{REPLICA, RETRY, Regions};

/// How long the slow secret takes, in which another reader finds another region to be right.
const SLOW: Duration = Duration::from_secs(50);

#[derive(Debug, Deserialize)]
struct Settings {
    a: Rotating<u64>,
}

type Pair = (u64, Option<u64>);

impl Regions {
    /// `app/a` was 2 and is 3, and in the replica it was 1 and is 2.
    fn with_lag() -> Self {
        let regions = Self::new();
        regions.rotate("app/a", 2);
        regions.first.put("app/a", "3");
        regions
    }

    /// Readers of one backend. Each value is a call, so that one may be slow.
    fn pairs(&self) -> SecretsManager {
        let manager = SecretsManager::prefix("app").only(["a", "b"]).with_previous(["a"]);
        self.with(manager.batch(false).timeout(Duration::from_secs(600)))
    }
}

async fn pair(manager: SecretsManager) -> Result<Pair, Error> {
    let settings: Settings = manager.fetch().await?.extract()?;
    Ok((settings.a.current, settings.a.previous))
}

/// A reader that has the current value of `app/a` already, and waits for that of `app/b`.
async fn begun(manager: &SecretsManager) -> JoinHandle<Result<Pair, Error>> {
    let reader = tokio::spawn(pair(manager.clone()));
    sleep(Duration::from_secs(5)).await;
    assert!(!reader.is_finished());
    reader
}

#[tokio::test(start_paused = true)]
async fn a_pair_stays_in_the_first_region_though_another_reader_turns_to_the_replica() {
    let regions = Regions::new();
    regions.rotate("app/a", 2);
    // It has become a secret of its own.
    for value in ["7", "8"] {
        regions.replica.put("app/a", value);
    }
    let manager = regions.pairs();
    regions.first.inject(Fault::slow(SLOW).for_secret("app/b").times(1));
    let reader = begun(&manager).await;

    let outage = regions.first.inject(Fault::unavailable());
    assert_eq!(pair(manager.clone()).await.unwrap(), (8, Some(7)), "all of the replica");
    regions.first.remove_fault(outage);
    assert!(!reader.is_finished());
    assert_eq!(reader.await.unwrap().unwrap(), (2, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_pair_stays_in_the_replica_though_another_reader_returns_to_the_first_region() {
    let regions = Regions::with_lag();
    let manager = regions.pairs();
    let outage = regions.first.inject(Fault::unavailable());
    regions.replica.inject(Fault::slow(SLOW).for_secret("app/b").times(1));
    let reader = begun(&manager).await;
    assert!(regions.replica.total_calls() > 0);

    regions.first.remove_fault(outage);
    sleep(RETRY).await;
    assert_eq!(pair(manager.clone()).await.unwrap(), (3, Some(2)), "all of the first region");
    assert!(!reader.is_finished());
    assert_eq!(reader.await.unwrap().unwrap(), (2, Some(1)));
}

/// There is no half pair, and none of the replica's: the next read is one of the replica.
#[tokio::test(start_paused = true)]
async fn a_region_that_fails_between_the_two_reads_gives_no_pair() {
    let regions = Regions::with_lag();
    let manager = regions.pairs();
    regions.first.inject(Fault::slow(SLOW).for_secret("app/b").times(1));
    let reader = begun(&manager).await;
    regions.first.inject(Fault::unavailable());
    let error = reader.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Unavailable, Some("app/a")), "{error}");
    assert_eq!(regions.replica.total_calls(), 0, "{REPLICA} was asked for half of a pair");
}

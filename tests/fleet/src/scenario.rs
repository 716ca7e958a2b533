//! What happens to a fleet, and what is measured meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use crate::fleet::{Currency, Fleet, Setup, enforce_quotas};
use crate::meter::{Meter, Rates};

/// How long an outage lasts.
const OUTAGE: Duration = Duration::from_secs(600);

/// How long everything is throttled.
const THROTTLING: Duration = Duration::from_secs(3600);

/// How long a fleet runs before something happens: longer than a long poll.
const SETTLED: Duration = Duration::from_secs(30);

/// The longest wait for all replicas.
const LONGEST: Duration = Duration::from_secs(3600);

/// What random times are drawn from.
const SEED: u64 = 1;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// All replicas start in the same moment.
    Start,
    /// Nothing. Two intervals, but at least three minutes.
    Steady,
    /// One secret gets a new value.
    Rotation,
    /// No call is answered for ten minutes. A secret gets a new value meanwhile.
    Outage,
    /// Every call is throttled for an hour. A secret gets a new value meanwhile.
    Throttling,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Steady => "steady",
            Self::Rotation => "rotation",
            Self::Outage => "outage",
            Self::Throttling => "throttling",
        })
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Result {
    /// Calls by operation, of those that were called.
    pub calls: BTreeMap<&'static str, Rates>,
    /// How many processes had to be started again.
    pub failed_starts: usize,
    /// When the replicas were current: since the start, since the rotation, or since the end of
    /// what kept them from it. None for a steady state, or if some were not within an hour.
    pub current: Option<Currency>,
    /// The busiest second of `GetSecretValue` after the end of an outage or of throttling.
    pub busiest_after: Option<usize>,
}

impl Result {
    /// Throttled calls, of all operations.
    #[must_use]
    pub fn throttled(&self) -> usize {
        self.calls.values().map(|rates| rates.throttled).sum()
    }
}

/// Runs a scenario on a runtime of its own.
///
/// # Panics
///
/// If no runtime can be made, or a fleet without quotas does not start.
#[must_use]
pub fn run(scenario: Scenario, setup: Setup) -> Result {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    // So that runs differ less: the replicas and the SDK draw their times on this thread. The order in
    // which threads of the runtime answer is still left to chance.
    fastrand::seed(SEED);
    LocalSet::new().block_on(&runtime, async {
        match scenario {
            Scenario::Start => start(setup).await,
            Scenario::Steady => steady(setup).await,
            Scenario::Rotation => rotation(setup).await,
            Scenario::Outage => fault(setup, &Fault::unavailable(), OUTAGE).await,
            Scenario::Throttling => fault(setup, &Fault::throttled(), THROTTLING).await,
        }
    })
}

async fn start(setup: Setup) -> Result {
    let fake = FakeSecretsManager::new();
    enforce_quotas(&fake, setup.quotas_over);
    let (meter, begun) = (Meter::start(&fake), Instant::now());
    let fleet = Fleet::start(setup, fake);
    let current = fleet.current(begun, LONGEST).await;
    finish(&fleet, meter, current)
}

async fn steady(setup: Setup) -> Result {
    let fleet = running(setup).await;
    let meter = Meter::start(&fleet.fake);
    sleep((2 * setup.every).max(Duration::from_secs(180))).await;
    finish(&fleet, meter, None)
}

async fn rotation(setup: Setup) -> Result {
    let fleet = running(setup).await;
    let (meter, begun) = (Meter::start(&fleet.fake), Instant::now());
    fleet.rotate();
    let current = fleet.current(begun, LONGEST).await;
    finish(&fleet, meter, current)
}

/// The fault meets every call for values and names. One secret changes in the middle of it.
async fn fault(setup: Setup, fault: &Fault, lasts: Duration) -> Result {
    let fleet = running(setup).await;
    let meter = Meter::start(&fleet.fake);
    let injected = ["GetSecretValue", "BatchGetSecretValue", "ListSecrets"]
        .map(|operation| fleet.fake.inject(fault.clone().on(operation)));
    sleep(lasts / 2).await;
    fleet.rotate();
    sleep(lasts / 2).await;
    let during = meter.stop();
    for fault in injected {
        fleet.fake.remove_fault(fault);
    }
    let (meter, begun) = (Meter::start(&fleet.fake), Instant::now());
    let current = fleet.current(begun, LONGEST).await;
    let after = finish(&fleet, meter, current);
    let busiest = after.calls.get("GetSecretValue").map_or(0, |rates| rates.max);
    // The rows show the fault; what comes after it is to be no more than that.
    Result { calls: during, busiest_after: Some(busiest), ..after }
}

/// A fleet that has been running, and whose calls count against the quotas from now on.
async fn running(setup: Setup) -> Fleet {
    let fleet = Fleet::start(setup, FakeSecretsManager::new());
    let started = fleet.current(Instant::now(), LONGEST).await;
    assert!(started.is_some(), "a fleet without quotas does not start");
    sleep(SETTLED).await;
    fleet.limit();
    fleet
}

fn finish(fleet: &Fleet, meter: Meter, current: Option<Currency>) -> Result {
    Result {
        calls: meter.stop(),
        failed_starts: fleet.failed_starts(),
        current,
        busiest_after: None,
    }
}

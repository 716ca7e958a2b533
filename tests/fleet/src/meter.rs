//! Calls by the second, and which of them were throttled.

use std::collections::BTreeMap;
use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The operations that are counted: three of Secrets Manager, which has quotas for them, and two of
/// SQS, which count for the cost only.
pub const OPERATIONS: [&str; 5] = [
    "GetSecretValue",
    "BatchGetSecretValue",
    "ListSecrets",
    "ReceiveMessage",
    "DeleteMessageBatch",
];

/// How often an operation was called.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// In the busiest second.
    pub max: usize,
    /// In all but one of a hundred seconds, not more than this.
    pub p99: usize,
    /// In an average second.
    pub mean: f64,
    /// In all.
    pub total: usize,
    /// How many calls were answered with `ThrottlingException`.
    pub throttled: usize,
}

/// Counts from now on, until it is stopped.
pub(crate) struct Meter {
    fake: FakeSecretsManager,
    begun: Instant,
    sampling: JoinHandle<()>,
    samples: std::rc::Rc<std::cell::RefCell<Vec<[usize; OPERATIONS.len()]>>>,
}

impl Meter {
    /// Starts to count at zero. Only in a `LocalSet`.
    pub(crate) fn start(fake: &FakeSecretsManager) -> Self {
        fake.reset_calls();
        let samples = std::rc::Rc::<std::cell::RefCell<Vec<_>>>::default();
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        let mut ticks = interval_at(begun + second, second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (counted, noted) = (fake.clone(), samples.clone());
        let sampling = tokio::task::spawn_local(async move {
            loop {
                ticks.tick().await;
                noted.borrow_mut().push(totals(&counted));
            }
        });
        Self { fake: fake.clone(), begun, sampling, samples }
    }

    /// The rates of the operations that were called.
    pub(crate) fn stop(self) -> BTreeMap<&'static str, Rates> {
        self.sampling.abort();
        let mut totals_by_second = self.samples.take();
        totals_by_second.push(totals(&self.fake));
        let took = self.begun.elapsed().as_secs_f64().max(1.0);
        let rates = OPERATIONS.iter().enumerate().map(|(at, operation)| {
            let mut before = 0;
            let mut by_second: Vec<usize> = totals_by_second
                .iter()
                .map(|totals| totals[at] - std::mem::replace(&mut before, totals[at]))
                .collect();
            by_second.sort_unstable();
            let total = by_second.iter().sum();
            let rates = Rates {
                max: by_second.last().copied().unwrap_or_default(),
                p99: by_second[(by_second.len() * 99).div_ceil(100) - 1],
                mean: total as f64 / took,
                total,
                throttled: self.fake.throttled_calls(operation),
            };
            (*operation, rates)
        });
        rates.filter(|(_, rates)| rates.total > 0).collect()
    }
}

fn totals(fake: &FakeSecretsManager) -> [usize; OPERATIONS.len()] {
    OPERATIONS.map(|operation| fake.calls(operation))
}

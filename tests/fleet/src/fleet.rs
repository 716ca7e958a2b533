//! Replicas: each has settings of its own, with a client of its own, and notes when it has a new
//! generation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_sqs::config::retry::{RetryPartition, TokenBucket};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Layers, Live, Push, SecretsManager};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::baseline;

/// What the names of all secrets start with.
const PREFIX: &str = "fleet";

/// How long each call takes.
const LATENCY: Duration = Duration::from_millis(20);

/// When a process whose start failed is started again, as Kubernetes does at first.
const RESTART: Duration = Duration::from_secs(10);

/// The quotas of an account and region, in calls a second
/// (<https://docs.aws.amazon.com/general/latest/gr/asm.html>, 2026-11-25).
const QUOTAS: [(&[&str], u32); 3] = [
    (&["GetSecretValue", "DescribeSecret"], 10_000),
    (&["BatchGetSecretValue"], 100),
    (&["ListSecrets"], 100),
];

/// How many names one listing returns at most.
const LISTED_AT_ONCE: usize = 100;

/// Whose calls they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The product.
    Product,
    /// A loop that reads one secret after the other by the SDK.
    OneByOne,
}

/// How secrets are selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// By their names.
    Names,
    /// By their prefix, which lists them.
    Prefix,
}

/// What a fleet is made of.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Whose calls they are.
    pub client: Client,
    /// How secrets are selected.
    pub selection: Selection,
    /// How many processes there are.
    pub replicas: usize,
    /// How many secrets each of them reads.
    pub secrets: usize,
    /// The time between two refreshes.
    pub every: Duration,
    /// Whether each replica has a queue by which changes are announced, and the spread.
    pub push: Option<Duration>,
    /// The limit of a start and of a refresh.
    pub timeout: Duration,
    /// What the quotas are divided by, so that a small fleet is to them what a large one is to
    /// AWS's.
    pub quotas_over: u32,
}

/// When the replicas had what they should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    /// The first of them.
    pub first: Duration,
    /// Half of them.
    pub half: Duration,
    /// All but one of a hundred.
    pub p99: Duration,
    /// All of them.
    pub all: Duration,
}

/// What the replicas note.
#[derive(Debug)]
pub(crate) struct Board {
    /// When each of them had its last generation.
    current_at: Vec<Option<Instant>>,
    failed_starts: usize,
}

impl Setup {
    /// The least time in which AWS's quotas let all replicas read all of their secrets, by batches
    /// and by single calls, and each of them the list of their names before, if all quotas have a
    /// second's calls in stock.
    #[must_use]
    pub fn least_start(&self) -> Duration {
        let [singles, batches, listings] =
            QUOTAS.map(|(_, quota)| f64::from(quota / self.quotas_over));
        let a_second = if self.secrets == 1 { singles } else { singles + 20.0 * batches };
        let seconds = |calls: usize, a_second: f64| calls as f64 / a_second - 1.0;
        let reads = seconds(self.replicas * self.secrets, a_second);
        let lists = match self.selection {
            Selection::Names => 0.0,
            Selection::Prefix => {
                seconds(self.replicas * self.secrets.div_ceil(LISTED_AT_ONCE), listings)
            }
        };
        Duration::from_secs_f64(reads.max(lists).max(0.0))
    }
}

impl Board {
    pub(crate) fn is_current(&mut self, replica: usize) {
        self.current_at[replica] = Some(Instant::now());
    }

    pub(crate) fn start_failed(&mut self) {
        self.failed_starts += 1;
    }
}

pub(crate) type Shared = Rc<RefCell<Board>>;

/// The replicas, which end with it.
pub(crate) struct Fleet {
    pub(crate) fake: FakeSecretsManager,
    setup: Setup,
    board: Shared,
    _replicas: JoinSet<()>,
}

impl Fleet {
    /// Starts all replicas at once. Only in a `LocalSet`.
    pub(crate) fn start(setup: Setup, fake: FakeSecretsManager) -> Self {
        fake.inject(Fault::slow(LATENCY));
        for secret in 0..setup.secrets {
            fake.put(&id(secret), "the first value");
        }
        let current_at = vec![None; setup.replicas];
        let board: Shared = Rc::new(RefCell::new(Board { current_at, failed_starts: 0 }));
        let mut replicas = JoinSet::new();
        for replica in 0..setup.replicas {
            let (fake, board) = (fake.clone(), board.clone());
            match setup.client {
                Client::Product => replicas.spawn_local(product(setup, fake, board, replica)),
                Client::OneByOne => {
                    replicas.spawn_local(baseline::one_by_one(setup, fake, board, replica))
                }
            };
        }
        Self { fake, setup, board, _replicas: replicas }
    }

    /// From now on, AWS's quotas hold.
    pub(crate) fn limit(&self) {
        enforce_quotas(&self.fake, self.setup.quotas_over);
    }

    /// Changes one secret, and forgets who is current.
    pub(crate) fn rotate(&self) {
        self.board.borrow_mut().current_at.fill(None);
        self.fake.put(&id(0), "the second value");
    }

    /// Waits until all replicas are current, but not for longer than this. Returns when they were,
    /// counted from `begun`; none if some are not.
    pub(crate) async fn current(&self, begun: Instant, longest: Duration) -> Option<Currency> {
        let deadline = Instant::now() + longest;
        loop {
            let mut since: Vec<Duration> = {
                let board = self.board.borrow();
                let at = board.current_at.iter().flatten();
                at.map(|at| at.saturating_duration_since(begun)).collect()
            };
            if since.len() == self.setup.replicas {
                since.sort_unstable();
                let part = |part: usize| since[(since.len() * part).div_ceil(100) - 1];
                return Some(Currency {
                    first: since[0],
                    half: part(50),
                    p99: part(99),
                    all: part(100),
                });
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    pub(crate) fn failed_starts(&self) -> usize {
        self.board.borrow().failed_starts
    }
}

pub(crate) fn enforce_quotas(fake: &FakeSecretsManager, over: u32) {
    for (operations, per_second) in QUOTAS {
        fake.throttle_quota_together(operations, per_second / over);
    }
}

/// A secret's name below the prefix.
fn name(secret: usize) -> String {
    format!("secret-{secret:03}")
}

/// A secret's whole name.
pub(crate) fn id(secret: usize) -> String {
    format!("{PREFIX}/{}", name(secret))
}

/// Waits before a process that failed is started again.
pub(crate) async fn restart() {
    sleep(RESTART).await;
}

/// A service: it starts, fails and is started again until it runs, and then only follows its
/// settings.
async fn product(setup: Setup, fake: FakeSecretsManager, board: Shared, replica: usize) {
    let queue = setup.push.map(|_| fake.queue(&format!("replica-{replica}"), "fleet/"));
    let settings: Live<BTreeMap<String, String>> = loop {
        let manager = SecretsManager::prefix(PREFIX);
        let manager = match setup.selection {
            Selection::Names => manager.only((0..setup.secrets).map(name)),
            Selection::Prefix => manager,
        };
        let manager = manager.timeout(setup.timeout).client(fake.client());
        let mut builder = Live::builder(manager)
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_every(setup.every);
        if let (Some(queue), Some(spread)) = (&queue, setup.push) {
            let push = Push::queue(queue.clone()).spread(spread).client(queue_client(&fake));
            builder = builder.push(push);
        }
        match builder.start().await {
            Ok(settings) => break settings,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                board.borrow_mut().start_failed();
            }
        }
        restart().await;
    };
    board.borrow_mut().is_current(replica);
    let mut changes = settings.changes();
    while changes.next().await.is_some() {
        board.borrow_mut().is_current(replica);
    }
}

/// A client of SQS whose retries are paid for by itself, as those of a process are.
fn queue_client(fake: &FakeSecretsManager) -> aws_sdk_sqs::Client {
    let retries = RetryPartition::custom("replica").token_bucket(TokenBucket::default()).build();
    let config = aws_sdk_sqs::config::Builder::from(&fake.sdk_config()).retry_partition(retries);
    aws_sdk_sqs::Client::from_conf(config.build())
}

//! What exists: the store with its secrets, the replicas, the rotators, and what is wrong at the
//! moment. The steps of a schedule change it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use fake_secrets_manager::{FakeSecretsManager, Fault, FaultId};
use secrets_provider::Trigger;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::log::Log;
use crate::model::{Disturbances, History};
use crate::replica::{Replica, below};
use crate::schedule::{Plan, Trouble};
use crate::settings::{Poison, Shape, Stamp, value};

/// Every secret's name begins with it.
pub const PREFIX: &str = "sim";

/// Which versions were made, and what is wrong with them. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
pub struct Entries {
    last: u64,
    poison: BTreeMap<Stamp, Poison>,
    /// What the database takes, which the library's rotators set.
    pub database: BTreeMap<usize, Stamp>,
}

impl Ledger {
    pub fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stamp that no version has.
    pub fn next(&self, secret: usize, poison: Option<Poison>) -> Stamp {
        let mut entries = self.lock();
        entries.last += 1;
        let stamp = Stamp { secret, number: entries.last };
        entries.poison.extend(poison.map(|poison| (stamp, poison)));
        stamp
    }

    pub fn poison(&self, stamp: Stamp) -> Option<Poison> {
        self.lock().poison.get(&stamp).copied()
    }
}

/// Something that must never be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

/// What tasks found wrong. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Wrong(Arc<Mutex<Vec<Violation>>>);

impl Wrong {
    pub fn add(&self, invariant: &'static str, what: impl Into<String>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.push(Violation { invariant, what: what.into() });
    }

    pub fn first(&self) -> Option<Violation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }
}

pub struct World {
    pub plan: Plan,
    pub fake: FakeSecretsManager,
    pub operator: Client,
    pub ledger: Ledger,
    pub names: Vec<String>,
    pub replicas: Vec<Replica>,
    pub troubles: Vec<FaultId>,
    pub late: Vec<(usize, Trigger)>,
    pub history: History,
    pub disturbances: Disturbances,
    /// The secrets whose current version no settings may have.
    bad: BTreeSet<usize>,
    /// When listings were last behind, or names came and went.
    pub names_changed_at: Instant,
    pub wrong: Wrong,
    pub tasks: JoinSet<()>,
    pub log: Log,
    /// How many of its events were looked at.
    pub heard: usize,
    /// The last time that the clock jumped: from and to.
    pub jumped: Option<(Instant, Instant)>,
    pub begun: Instant,
}

impl World {
    pub async fn new(plan: Plan, log: Log) -> Self {
        let fake = FakeSecretsManager::new();
        fake.keep_history();
        // Answers take time, so that others may come in between.
        fake.inject(Fault::slow(Duration::from_millis(5)));
        fake.inject(Fault::slow(Duration::from_millis(23)).with_probability(0.3).seed(plan.seed));
        let names = plan.shapes.iter().enumerate().map(|(secret, shape)| match shape {
            Shape::Root => PREFIX.to_owned(),
            _ => format!("{PREFIX}/{}", below(&plan, secret)),
        });
        let names: Vec<_> = names.collect();
        let replicas = plan.replicas.iter().map(|replica| Replica::new(*replica)).collect();
        let now = Instant::now();
        let mut world = Self {
            operator: fake.operator_client(),
            ledger: Ledger::default(),
            names,
            replicas,
            troubles: Vec::new(),
            late: Vec::new(),
            history: History::default(),
            disturbances: Disturbances::none(now),
            bad: BTreeSet::new(),
            names_changed_at: now,
            wrong: Wrong::default(),
            tasks: JoinSet::new(),
            log,
            heard: 0,
            jumped: None,
            begun: now,
            fake,
            plan,
        };
        for secret in 0..world.plan.shapes.len() {
            let stamp = world.put(secret, None);
            world.ledger.lock().database.insert(secret, stamp);
        }
        world
    }

    /// Reads on in the store's record.
    pub fn look(&mut self) {
        self.history.read_on(&self.fake, &self.names);
    }

    pub fn secret(&self, number: usize) -> usize {
        number % self.plan.shapes.len()
    }

    pub fn replica(&self, number: usize) -> usize {
        number % self.replicas.len()
    }

    pub fn is_managed(&self, secret: usize) -> bool {
        self.plan.managed.contains(&secret)
    }

    /// Stores a new version, good or bad.
    pub fn put(&mut self, secret: usize, poison: Option<Poison>) -> Stamp {
        let shape = self.plan.shapes[secret];
        let poison = poison.map(|poison| poison.of(shape));
        let stamp = self.ledger.next(secret, poison);
        let value = value(shape, stamp, poison);
        match shape {
            Shape::Binary => self.fake.put_binary(&self.names[secret], value),
            _ => self.fake.put(&self.names[secret], value),
        };
        self.judge(secret, Some(stamp));
        stamp
    }

    /// Notes whether the version that is current now keeps others from being served. One that
    /// cannot be placed hinders only itself.
    fn judge(&mut self, secret: usize, current: Option<Stamp>) {
        let poison = current.and_then(|stamp| self.ledger.poison(stamp));
        let (mut bad, mut unplaced) = (false, false);
        match poison {
            Some(Poison::Malformed) => unplaced = true,
            other => bad = other.is_some(),
        }
        // Any of several that are bad hinders all of them.
        self.bad.remove(&secret);
        if bad {
            self.bad.insert(secret);
            self.disturbances.begin("bad");
        } else if self.bad.is_empty() {
            self.disturbances.end("bad");
        }
        if unplaced {
            self.disturbances.begin_of(secret, "unplaced");
        } else {
            self.disturbances.end_of(secret, "unplaced");
        }
    }

    /// Moves AWSCURRENT to the version before, if there is one.
    pub async fn roll_back(&mut self, secret: usize) {
        self.look();
        let Some(current) = self.history.of(secret).last().and_then(|m| m.version_id.clone())
        else {
            return;
        };
        let name = &self.names[secret];
        let previous = self.operator.get_secret_value().secret_id(name);
        let Ok(previous) = previous.version_stage("AWSPREVIOUS").send().await else { return };
        let Some(previous) = previous.version_id().map(str::to_owned) else { return };
        let moved = self.operator.update_secret_version_stage().secret_id(name);
        let moved = moved.version_stage("AWSCURRENT").remove_from_version_id(current);
        moved.move_to_version_id(previous).send().await.expect("the label moves");
        self.look();
        self.judge(secret, self.history.current(secret));
    }

    pub async fn delete(&mut self, secret: usize, at_once: bool) {
        let name = &self.names[secret];
        if at_once {
            self.fake.remove(name);
        } else {
            // It may be gone already.
            drop(self.operator.delete_secret().secret_id(name).send().await);
        }
        self.names_changed_at = Instant::now();
        self.judge(secret, None);
        self.disturbances.begin_of(secret, "deleted");
    }

    /// Puts a version, and creates or restores the secret if it is gone.
    pub fn put_again(&mut self, secret: usize, poison: Option<Poison>) {
        self.look();
        if self.history.current(secret).is_none() {
            self.names_changed_at = Instant::now();
            self.disturbances.end_of(secret, "deleted");
        }
        self.put(secret, poison);
    }

    pub fn begin_trouble(&mut self, trouble: Trouble, share: f64, operation: Option<&str>) {
        let fault = match trouble {
            Trouble::Throttled => Fault::throttled(),
            Trouble::Unavailable => Fault::unavailable(),
            Trouble::Dropped => Fault::drop_connection(),
            Trouble::Hanging => Fault::hang(),
            Trouble::Slow(by) => Fault::slow(by),
            Trouble::Garbled => Fault::malformed_body(),
            Trouble::Cut => Fault::truncated_body(),
            Trouble::Page => Fault::html(502),
        };
        let fault = fault.with_probability(share).seed(self.plan.seed);
        let fault = match operation {
            Some(operation) => fault.on(operation),
            None => fault,
        };
        self.troubles.push(self.fake.inject(fault));
        self.disturbances.begin("trouble");
    }

    pub fn end_troubles(&mut self) {
        for trouble in self.troubles.drain(..) {
            self.fake.remove_fault(trouble);
        }
        // A quota has no name.
        for operation in ["GetSecretValue", "BatchGetSecretValue", "ListSecrets"] {
            self.fake.throttle_quota(operation, 1_000_000);
        }
        self.disturbances.end("trouble");
        self.disturbances.end("quota");
    }

    pub fn allow_all(&mut self) {
        self.fake.allow_everything();
        self.disturbances.end("listing denied");
        for secret in 0..self.names.len() {
            self.disturbances.end_of(secret, "denied");
        }
    }
}

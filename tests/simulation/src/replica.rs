//! One replica: live settings, a pool derived from them, and lookups, with closures that record what
//! they see and do wrong what the schedule says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{
    Error, ErrorKind, Health, Layers, Live, Lookup, Reader, Rejected, SecretsManager, Trigger,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::model::{FETCH_TIMEOUT, PROBE_TIMEOUT};
use crate::schedule::{Plan, ReplicaPlan, Sabotage};
use crate::settings::{MARKER, Poison, Settings, Stamp};
use crate::world::{Ledger, PREFIX};

/// What a derived pool is made of.
pub struct Pool {
    pub built: u64,
    pub stamps: BTreeMap<usize, Stamp>,
}

/// Settings that were extracted.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub at: Instant,
    pub stamps: BTreeMap<usize, Stamp>,
    pub accepted: bool,
}

/// What closures saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// By the number of the settings.
    pub candidates: BTreeMap<u64, Candidate>,
    /// The settings of each call of `on_change`.
    pub changes: Vec<u64>,
    /// How many generations were announced after the first ones.
    pub swaps: u64,
    /// What is wrong by itself.
    pub wrong: Vec<(&'static str, String)>,
    sabotage: Vec<(Sabotage, u32)>,
}

/// What a replica's closures share with the world. It outlives a restart.
#[derive(Debug, Clone, Default)]
pub struct Record(Arc<Mutex<Seen>>);

impl Record {
    pub fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn sabotage(&self, what: Sabotage, times: u32) {
        self.lock().sabotage.push((what, times));
    }

    pub fn end_sabotage(&self) {
        self.lock().sabotage.clear();
    }

    /// Whether this goes wrong now.
    fn strikes(&self, what: Sabotage) -> bool {
        let mut seen = self.lock();
        let found = seen.sabotage.iter_mut().find(|(planned, left)| *planned == what && *left > 0);
        found.map(|(_, left)| *left -= 1).is_some()
    }
}

/// The payload of panics on purpose. The hook doesn't print it, and it would be a leak elsewhere.
pub fn panic_on_purpose() -> ! {
    std::panic::panic_any(format!("on purpose {MARKER}"))
}

/// A replica that runs.
pub struct Running {
    pub live: Live<Settings>,
    pub reader: Reader<Settings>,
    pub pool: Option<Live<Pool>>,
    pub lookup: Lookup,
    pub manager: SecretsManager,
    pub hints: mpsc::UnboundedSender<Trigger>,
    pub started: Instant,
    /// Until when something may be read alone.
    pub partial_until: Option<Instant>,
    /// The last settings that were seen: generation, number, when.
    pub last: Option<(u64, u64, Instant)>,
    /// The number of the settings of each generation that was seen.
    pub generations: BTreeMap<u64, u64>,
    /// The last pool that was seen.
    pub last_pool: u64,
    /// What the status was when its texts were last searched.
    pub shown: Option<(u64, Health, Option<ErrorKind>)>,
}

pub struct Replica {
    pub plan: ReplicaPlan,
    pub record: Record,
    pub running: Option<Running>,
}

/// The manager of a replica or a rotator.
pub fn manager(fake: &FakeSecretsManager, plan: &Plan, replica: &ReplicaPlan) -> SecretsManager {
    let manager = SecretsManager::prefix(PREFIX)
        .client(fake.client())
        .batch(replica.batch)
        .timeout(FETCH_TIMEOUT);
    match replica.by_name {
        true => manager.only(selected(plan, replica).map(|secret| below(plan, secret))),
        false => manager,
    }
}

/// The secrets that a replica reads.
pub fn selected<'a>(plan: &'a Plan, replica: &'a ReplicaPlan) -> impl Iterator<Item = usize> + 'a {
    // A secret named as the prefix can't be named below it.
    let is_root = |secret: &usize| plan.shapes[*secret] == crate::settings::Shape::Root;
    (0..plan.shapes.len()).filter(move |secret| !(replica.by_name && is_root(secret)))
}

/// The name of a secret below the prefix.
pub fn below(plan: &Plan, secret: usize) -> String {
    format!("{}/s{secret:02}", plan.shapes[secret].table())
}

impl Replica {
    pub fn new(plan: ReplicaPlan) -> Self {
        Self { plan, record: Record::default(), running: None }
    }

    /// Starts it, if the store lets it.
    pub async fn start(
        &mut self,
        fake: &FakeSecretsManager,
        plan: &Plan,
        ledger: &Ledger,
    ) -> Result<(), Error> {
        let manager = manager(fake, plan, &self.plan);
        let (hints, heard) = mpsc::unbounded_channel();
        let live = Live::builder(manager.clone())
            .layers(|secrets| Layers::new().secrets(secrets))
            .refresh_every(plan.interval)
            .forget_deleted_after(plan.forget_deleted)
            .refresh_on(UnboundedReceiverStream::new(heard))
            .validate(self.validate(ledger))
            .probe(self.probe(ledger))
            .probe_timeout(PROBE_TIMEOUT)
            .start()
            .await?;
        self.follow(&live);
        self.watch(&live);
        let pool = match self.plan.derives {
            true => Some(self.derive(&live).await?),
            false => None,
        };
        let lookup = manager.clone().lookup().ttl(plan.interval);
        self.running = Some(Running {
            reader: live.reader(),
            live,
            pool,
            lookup,
            manager,
            hints,
            started: Instant::now(),
            partial_until: None,
            last: None,
            generations: BTreeMap::new(),
            last_pool: 0,
            shown: None,
        });
        Ok(())
    }

    fn validate(&self, ledger: &Ledger) -> impl Fn(&Settings) -> Result<(), Rejected> + use<> {
        let (record, ledger, needs_first) =
            (self.record.clone(), ledger.clone(), self.plan.needs_first);
        move |settings| {
            let stamps = match settings.stamps() {
                Ok(stamps) => stamps,
                Err(mix) => {
                    record.lock().wrong.push(("whole", format!("candidate: {mix}")));
                    BTreeMap::new()
                }
            };
            let bad = stamps.values().filter_map(|stamp| ledger.poison(*stamp));
            let bad: Vec<_> = bad.collect();
            let lacks_first = needs_first && !stamps.contains_key(&0);
            let candidate = Candidate { at: Instant::now(), stamps, accepted: false };
            record.lock().candidates.insert(settings.built, candidate);
            if bad.contains(&Poison::Panics) || record.strikes(Sabotage::ValidatePanics) {
                panic_on_purpose();
            }
            if bad.contains(&Poison::Refused)
                || lacks_first
                || record.strikes(Sabotage::ValidateRefuses)
            {
                return Err(Rejected::new("refused on purpose"));
            }
            Ok(())
        }
    }

    fn probe(
        &self,
        ledger: &Ledger,
    ) -> impl Fn(Arc<Settings>) -> futures_util::future::BoxFuture<'static, Result<(), Rejected>> + use<>
    {
        let (record, ledger) = (self.record.clone(), ledger.clone());
        move |settings| {
            let (record, ledger) = (record.clone(), ledger.clone());
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(7)).await;
                let stamps = settings.stamps().unwrap_or_default();
                let bad = stamps.values().filter_map(|stamp| ledger.poison(*stamp));
                let bad: Vec<_> = bad.collect();
                if bad.contains(&Poison::ProbePanics) {
                    panic_on_purpose();
                }
                if bad.contains(&Poison::ProbeHangs) || record.strikes(Sabotage::ProbeHangs) {
                    std::future::pending::<()>().await;
                }
                if bad.contains(&Poison::Unprobed) {
                    return Err(Rejected::new("refused by the probe on purpose"));
                }
                if let Some(candidate) = record.lock().candidates.get_mut(&settings.built) {
                    candidate.accepted = true;
                }
                Ok(())
            })
        }
    }

    fn follow(&self, live: &Live<Settings>) {
        let record = self.record.clone();
        live.on_change("", move |settings| {
            record.lock().changes.push(settings.built);
            if record.strikes(Sabotage::OnChangePanics) {
                panic_on_purpose();
            }
        });
    }

    async fn derive(&self, live: &Live<Settings>) -> Result<Live<Pool>, Error> {
        let record = self.record.clone();
        let build = move |settings: Arc<Settings>| {
            let record = record.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(3)).await;
                if record.strikes(Sabotage::BuildPanics) {
                    panic_on_purpose();
                }
                if record.strikes(Sabotage::BuildHangs) {
                    std::future::pending::<()>().await;
                }
                if record.strikes(Sabotage::BuildFails) {
                    return Err(Rejected::new("not built on purpose"));
                }
                let stamps = settings.stamps().unwrap_or_default();
                Ok(Pool { built: settings.built, stamps })
            }
        };
        live.derive("json", build).await
    }

    /// Follows the changes as a program may: they name keys, which may be shown.
    fn watch(&self, live: &Live<Settings>) {
        let (record, mut changes) = (self.record.clone(), live.changes());
        // It ends with the refresher, which may outlive its replica for as long as a caller waits.
        tokio::spawn(async move {
            let mut last = 1;
            while let Some(change) = changes.next().await {
                let mut seen = record.lock();
                let shown = format!("{change} {change:?}");
                if shown.contains(MARKER) {
                    seen.wrong.push(("canary", "a change".to_owned()));
                }
                if change.generation() <= last {
                    let what = format!("change {} after {last}", change.generation());
                    seen.wrong.push(("monotone", what));
                }
                // A slow reader sees the newest change only.
                seen.swaps += change.generation().saturating_sub(last);
                last = change.generation();
            }
        });
    }
}

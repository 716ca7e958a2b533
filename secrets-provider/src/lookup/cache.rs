//! What was read, by name: bounded, and free of locks for whoever finds it there.
//!
//! A hash table of chains, each in an `ArcSwap`: a hit loads one, and waits for nothing. Writers
//! replace the chain that they change, which has about one name; they take turns by a lock that no
//! one holds while reading a secret. If the table is full, the least recently used name leaves,
//! those without a value first, because a user's input may bring any number of them. Names are
//! hashed with a random seed; whatever they are, a chain has no more of them than the cache.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;
use tokio::time::Instant;

use super::clock::{Freshness, Tick};
use super::entry::Entry;
use crate::error::Error;
use crate::unwind::lock;

/// How many chains there are at most: beyond that, names share them.
const MAX_CHAINS: usize = 1 << 16;

/// The names with one hash; nearly always none or one.
type Chain = Vec<Slot>;

pub(super) struct Cache {
    chains: Box<[ArcSwap<Chain>]>,
    hasher: RandomState,
    /// How many names there are.
    writing: Mutex<usize>,
    /// Grows with each use of a slot that was not the last one used.
    clock: AtomicU64,
    capacity: usize,
}

/// What is stored under a name: never changed, only replaced.
#[derive(Clone)]
struct Slot {
    name: Arc<str>,
    stored: Arc<Stored>,
    /// Shared with what replaces it.
    used: Arc<AtomicU64>,
    freshness: Freshness,
}

/// What is known of one secret.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// The last good value, or why there is no value, if that is remembered.
    pub(super) found: Result<Arc<Entry>, Error>,
    /// Until when it is served without another look.
    pub(super) until: Instant,
    /// The reads that have failed since then.
    pub(super) failing: Option<Failing>,
}

/// Reads that failed while there is a last good value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failing {
    /// How many, in a row.
    pub(super) failures: u32,
    /// When to try again.
    pub(super) retry: Instant,
    /// When the secret had last been used at that time, by the cache's own clock.
    pub(super) used: u64,
    /// What distinguishes the last failure from others.
    pub(super) mark: u64,
    /// Whether there is a newer version since then: the next caller waits for a read.
    pub(super) superseded: bool,
}

/// What to do for a caller.
#[derive(Debug)]
pub(super) enum Served<'a> {
    /// Take this value.
    Fresh(&'a Arc<Entry>),
    /// Take this value, although it is older than it should be; whether to try again behind it.
    Stale(&'a Arc<Entry>, bool),
    /// Return this error: it is from a moment ago.
    Refused(&'a Error),
    /// Read the secret, and wait for it.
    Read,
}

impl Stored {
    /// What a caller gets now; a last good value is served for `max_stale` longer than its time if
    /// the store fails.
    pub(super) fn served(&self, now: Instant, max_stale: Duration) -> Served<'_> {
        match (&self.found, self.failing) {
            (Ok(entry), _) if now < self.until => Served::Fresh(entry),
            (Ok(entry), Some(failing)) if !failing.superseded && self.lasts(now, max_stale) => {
                Served::Stale(entry, now >= failing.retry)
            }
            (Err(error), _) if now < self.until => Served::Refused(error),
            _ => Served::Read,
        }
    }

    /// Whether the value may still be served if it cannot be read again.
    pub(super) fn lasts(&self, now: Instant, max_stale: Duration) -> bool {
        // A bound that the clock cannot count to is no bound.
        self.found.is_ok() && self.until.checked_add(max_stale).is_none_or(|end| now < end)
    }
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        let chains = capacity.min(MAX_CHAINS).next_power_of_two();
        let empty = Arc::new(Chain::new());
        Self {
            chains: (0..chains).map(|_| ArcSwap::new(empty.clone())).collect(),
            hasher: RandomState::default(),
            writing: Mutex::new(0),
            clock: AtomicU64::new(1),
            capacity,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline]
    fn chain(&self, name: &str) -> &ArcSwap<Chain> {
        // A power of two.
        let last = self.chains.len() - 1;
        &self.chains[self.hasher.hash_one(name) as usize & last]
    }

    /// What a caller of this name gets now, which counts as a use. Takes no lock.
    pub(super) fn serve<R>(
        &self,
        name: &str,
        max_stale: Duration,
        take: impl FnOnce(Served<'_>) -> R,
    ) -> R {
        let chain = self.chain(name).load();
        let Some(slot) = find(&chain, name) else { return take(Served::Read) };
        let tick = Tick::now();
        if slot.freshness.is_known(tick)
            && let Ok(entry) = &slot.stored.found
        {
            return take(Served::Fresh(entry));
        }
        // The one used last writes nothing, so that a hot secret stays in every core's cache.
        if slot.used.load(Ordering::Relaxed) != self.clock.load(Ordering::Relaxed) {
            slot.used.store(self.tick(), Ordering::Relaxed);
        }
        let now = Instant::now();
        let served = slot.stored.served(now, max_stale);
        if matches!(served, Served::Fresh(_)) {
            slot.freshness.seen(tick, slot.stored.until.saturating_duration_since(now));
        }
        take(served)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// From now on the next use of any name shows, also of the one used last.
    pub(super) fn mark_uses(&self) {
        self.tick();
    }

    /// What is stored under a name, without a use, and when it was last used.
    pub(super) fn peek(&self, name: &str) -> Option<(Arc<Stored>, u64)> {
        let chain = self.chain(name).load();
        let slot = find(&chain, name)?;
        Some((slot.stored.clone(), slot.used.load(Ordering::Relaxed)))
    }

    /// Stores something under a name. If that makes too many, the least recently used ones leave.
    pub(super) fn put(&self, name: &Arc<str>, stored: Stored) {
        let stored = Arc::new(stored);
        // Dropped after the lock, because the program's types may be in it.
        let mut replaced = Vec::new();
        {
            let mut names = lock(&self.writing);
            let is_new = find(&self.chain(name).load(), name).is_none();
            if is_new {
                while *names >= self.capacity {
                    let Some(least) = self.least_used() else { break };
                    replaced.push(self.without(&least));
                    *names -= 1;
                }
                *names += 1;
            }
            let used = is_new.then(|| Arc::new(AtomicU64::new(self.tick())));
            replaced.push(self.replace(name, |slot| {
                let used = slot.map(|slot| slot.used.clone()).or(used).unwrap_or_default();
                Some(Slot { name: name.clone(), stored, used, freshness: Freshness::default() })
            }));
        }
        drop(replaced);
    }

    /// Changes what is stored under a name, if anything is.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&Stored) -> Stored) {
        let replaced = {
            let _writing = lock(&self.writing);
            self.replace(name, |slot| {
                let slot = slot?;
                let stored = Arc::new(change(&slot.stored));
                Some(Slot { stored, freshness: Freshness::default(), ..slot.clone() })
            })
        };
        drop(replaced);
    }

    pub(super) fn remove(&self, name: &str) {
        let replaced = {
            let mut names = lock(&self.writing);
            *names -= usize::from(find(&self.chain(name).load(), name).is_some());
            self.without(name)
        };
        drop(replaced);
    }

    pub(super) fn clear(&self) {
        let replaced: Vec<_> = {
            let mut names = lock(&self.writing);
            *names = 0;
            self.chains.iter().map(|chain| chain.swap(Arc::default())).collect()
        };
        drop(replaced);
    }

    /// Everything that is stored, by name, in no order.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<Stored>)> {
        let chains = self.chains.iter().map(ArcSwap::load);
        chains
            .flat_map(|chain| {
                let stored = chain.iter().map(|slot| (slot.name.clone(), slot.stored.clone()));
                stored.collect::<Vec<_>>()
            })
            .collect()
    }

    fn without(&self, name: &str) -> Arc<Chain> {
        self.replace(name, |_| None)
    }

    /// Replaces the slot of a name, if there is one, and returns the chain that was there. Called
    /// under the lock.
    fn replace(&self, name: &str, slot: impl FnOnce(Option<&Slot>) -> Option<Slot>) -> Arc<Chain> {
        let chain = self.chain(name);
        let before = chain.load_full();
        let slot = slot(find(&before, name));
        let others = before.iter().filter(|slot| *slot.name != *name).cloned();
        chain.swap(Arc::new(others.chain(slot).collect()))
    }

    /// The name to leave out: one without a value, or else the least recently used.
    fn least_used(&self) -> Option<Arc<str>> {
        let order = |slot: &Slot| (slot.stored.found.is_ok(), slot.used.load(Ordering::Relaxed));
        let chains = self.chains.iter().map(ArcSwap::load);
        let least = chains.filter_map(|chain| {
            let least = chain.iter().min_by_key(|slot| order(slot))?;
            Some((order(least), least.name.clone()))
        });
        least.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, name)| name)
    }
}

#[inline]
fn find<'a>(chain: &'a Chain, name: &str) -> Option<&'a Slot> {
    chain.iter().find(|slot| *slot.name == *name)
}

//! What was read, by name: bounded, and free of locks for whoever finds it there.
//!
//! Readers load a map from an `ArcSwap`, and a slot in it has its content in another one, so that a
//! hit waits for nothing. Writers replace the content of a slot, or copy the map when a name comes
//! or goes; they take turns by a lock that no one holds while reading a secret. So a new name costs
//! time in proportion to the capacity. If the map is full, the least recently used name leaves,
//! those without a value first, because a user's input may bring any number of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::entry::Entry;
use crate::error::Error;
use crate::unwind::lock;

type Slots = HashMap<Arc<str>, Arc<Slot>>;

pub(super) struct Cache {
    slots: ArcSwap<Slots>,
    writing: Mutex<()>,
    /// Grows with each use of a slot that was not the last one used.
    clock: AtomicU64,
    capacity: usize,
}

struct Slot {
    used: AtomicU64,
    stored: ArcSwap<Stored>,
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
        Self {
            slots: ArcSwap::default(),
            writing: Mutex::new(()),
            clock: AtomicU64::new(1),
            capacity,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Looks at what is stored under a name, and counts that as a use. Takes no lock.
    pub(super) fn with<R>(&self, name: &str, look: impl FnOnce(Option<&Arc<Stored>>) -> R) -> R {
        let slots = self.slots.load();
        match slots.get(name) {
            None => look(None),
            Some(slot) => {
                // The one used last writes nothing, so that a hot secret stays in every core's
                // cache.
                if slot.used.load(Ordering::Relaxed) != self.clock.load(Ordering::Relaxed) {
                    slot.used.store(self.tick(), Ordering::Relaxed);
                }
                look(Some(&slot.stored.load()))
            }
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What is stored under a name, without a use, and when it was last used.
    pub(super) fn peek(&self, name: &str) -> Option<(Arc<Stored>, u64)> {
        let slots = self.slots.load();
        let slot = slots.get(name)?;
        Some((slot.stored.load_full(), slot.used.load(Ordering::Relaxed)))
    }

    /// Stores something under a name. If that makes too many, the least recently used ones leave.
    pub(super) fn put(&self, name: &Arc<str>, stored: Stored) {
        let stored = Arc::new(stored);
        // Dropped after the lock, because the program's types may be in it.
        let replaced;
        {
            let _writing = lock(&self.writing);
            let slots = self.slots.load_full();
            if let Some(slot) = slots.get(name) {
                replaced = (Some(slot.stored.swap(stored)), None);
            } else {
                let slot = Slot { used: AtomicU64::new(self.tick()), stored: ArcSwap::new(stored) };
                let mut new = Slots::clone(&slots);
                while new.len() >= self.capacity {
                    let Some(least) = least_used(&new) else { break };
                    new.remove(&least);
                }
                new.insert(name.clone(), Arc::new(slot));
                replaced = (None, Some((slots, self.slots.swap(Arc::new(new)))));
            }
        }
        drop(replaced);
    }

    /// Changes what is stored under a name, if anything is.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&Stored) -> Stored) {
        let replaced;
        {
            let _writing = lock(&self.writing);
            let slots = self.slots.load();
            let Some(slot) = slots.get(name) else { return };
            let new = change(&slot.stored.load());
            replaced = slot.stored.swap(Arc::new(new));
        }
        drop(replaced);
    }

    pub(super) fn remove(&self, name: &str) {
        let replaced;
        {
            let _writing = lock(&self.writing);
            let mut new = Slots::clone(&self.slots.load());
            if new.remove(name).is_none() {
                return;
            }
            replaced = self.slots.swap(Arc::new(new));
        }
        drop(replaced);
    }

    pub(super) fn clear(&self) {
        let replaced = {
            let _writing = lock(&self.writing);
            self.slots.swap(Arc::default())
        };
        drop(replaced);
    }

    /// Everything that is stored, by name, in no order.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<Stored>)> {
        let slots = self.slots.load();
        slots.iter().map(|(name, slot)| (name.clone(), slot.stored.load_full())).collect()
    }
}

/// The name to leave out: one without a value, or else the least recently used.
fn least_used(slots: &Slots) -> Option<Arc<str>> {
    let order = |slot: &Slot| (slot.stored.load().found.is_ok(), slot.used.load(Ordering::Relaxed));
    slots.iter().min_by_key(|(_, slot)| order(slot)).map(|(name, _)| name.clone())
}

//! Where one `Live`'s value is kept, with everything that must agree with it.
//!
//! The value is in an [`ArcSwap`], so that readers take no lock. A swap happens while the status is
//! locked, so that value and status can also be read as a pair. Handles read the cell, and the
//! background task writes it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use arc_swap::ArcSwap;

use crate::engine::change_log::ChangeLog;
use crate::engine::followers::Followers;
use crate::layers::explain::{Overlooked, Sources};
use crate::observe::events;
use crate::observe::status::{DerivedStatus, Status};
use crate::tree::Table;
use crate::unwind::lock;

/// The current value and its bookkeeping.
pub(crate) struct Cell<T> {
    pub(crate) value: ArcSwap<T>,
    /// Held during a swap too, so that value and status can be read as a pair.
    status: Mutex<Status>,
    /// Where the value's keys come from. Changed while the status is locked.
    sources: ArcSwap<Sources>,
    /// When each key last changed. Changed while the status is locked.
    change_log: Mutex<ChangeLog>,
    /// The derived values that are still in use.
    derived: Mutex<Vec<Weak<DerivedState>>>,
    /// What else follows the value.
    followers: Followers,
}

impl<T> Cell<T> {
    pub(crate) fn new(value: Arc<T>, status: Status) -> Self {
        Self {
            value: ArcSwap::new(value),
            status: Mutex::new(status),
            sources: ArcSwap::default(),
            change_log: Mutex::new(ChangeLog::started()),
            derived: Mutex::default(),
            followers: Followers::default(),
        }
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        lock(&self.status)
    }

    pub(crate) fn change_log(&self) -> MutexGuard<'_, ChangeLog> {
        lock(&self.change_log)
    }

    /// The current value and its generation.
    pub(crate) fn pair(&self) -> (Arc<T>, u64) {
        let status = self.status();
        (self.value.load_full(), status.generation())
    }

    /// Where the value's keys come from.
    pub(crate) fn sources(&self) -> Arc<Sources> {
        self.sources.load_full()
    }

    /// Sets where the value's keys come from: before the cell is shared, or in a swap's `update`.
    pub(crate) fn explain(&self, sources: Sources) {
        self.sources.store(Arc::new(sources));
    }

    /// Logs the secrets' keys that variables keep from being read and that were not logged before:
    /// those that `before` doesn't have.
    pub(crate) fn warn_of_overlooked(&self, before: &[Overlooked]) {
        let sources = self.sources();
        let known: BTreeSet<_> = before.iter().map(Overlooked::identity).collect();
        let overlooked = sources.overlooked().iter();
        let new: Vec<_> = overlooked.filter(|found| !known.contains(&found.identity())).collect();
        if !new.is_empty() {
            let of = |part: fn(&Overlooked) -> &str| -> Vec<_> {
                new.iter().map(|found| part(found)).collect()
            };
            events::variables_over_secrets(
                &of(|found| &found.key),
                &of(|found| found.variable.name()),
                &of(|found| found.secret.name()),
            );
        }
    }

    /// Adds a derived value to those that the status reports.
    pub(crate) fn add_derived(&self, state: &Arc<DerivedState>) {
        let mut derived = lock(&self.derived);
        derived.retain(|state| state.strong_count() > 0);
        derived.push(Arc::downgrade(state));
    }

    /// What follows the value, besides derived values.
    pub(crate) fn followers(&self) -> &Followers {
        &self.followers
    }

    /// The status of every derived value that is still in use.
    pub(crate) fn derived(&self) -> Vec<DerivedStatus> {
        let mut derived = lock(&self.derived);
        derived.retain(|state| state.strong_count() > 0);
        derived.iter().filter_map(Weak::upgrade).map(|state| state.status()).collect()
    }

    /// Swaps the value in and changes the status in the same moment. `keys` are the keys that
    /// changed and the new tree, or `None` if they are not known. Returns the old value, because
    /// its `Drop` is the user's code and should run last.
    pub(crate) fn swap(
        &self,
        value: Arc<T>,
        keys: Option<(&[String], &Table)>,
        update: impl FnOnce(&mut Status),
    ) -> (u64, Arc<T>) {
        let mut status = self.status();
        let old = self.value.swap(value);
        update(&mut status);
        let mut change_log = self.change_log();
        match keys {
            Some((keys, tree)) => {
                let is_gone = |key: &str| !tree.has(&mut key.split('.'));
                change_log.record(status.generation(), keys, is_gone);
            }
            None => change_log.record_all(status.generation()),
        }
        (status.generation(), old)
    }
}

/// The state of a derived value: shared by its own status and by that of its settings.
pub(crate) struct DerivedState(Mutex<DerivedStatus>);

impl DerivedState {
    pub(crate) fn new(status: DerivedStatus) -> Self {
        Self(Mutex::new(status))
    }

    pub(crate) fn status(&self) -> DerivedStatus {
        self.lock().clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, DerivedStatus> {
        lock(&self.0)
    }
}

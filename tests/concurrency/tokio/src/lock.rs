//! Steps, and locks that are taken in steps.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use shuttle::sync::atomic::{AtomicBool, Ordering};

use crate::time;

thread_local! {
    static IS_SCHEDULED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a scenario as one schedule of shuttle's, from the same time on.
pub fn schedule(scenario: impl FnOnce()) {
    /// What is dropped with the thread is after all schedules.
    struct Over;

    impl Drop for Over {
        fn drop(&mut self) {
            IS_SCHEDULED.set(false);
        }
    }

    time::reset();
    IS_SCHEDULED.set(true);
    let _over = Over;
    scenario();
}

/// A place where another task may go on first.
pub fn step() {
    // A schedule that has failed goes no further.
    if IS_SCHEDULED.get() && !std::thread::panicking() {
        // What shuttle does before it reads one of its atomics.
        AtomicBool::new(false).load(Ordering::Relaxed);
    }
}

/// Locks, whether or not an earlier holder panicked. Other tasks may go on before, and do go on
/// while the lock is taken.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    step();
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => shuttle::thread::yield_now(),
        }
    }
}

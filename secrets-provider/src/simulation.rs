//! What `tests/simulation` turns on, so that one seed always makes the same run.
//!
//! Compiled only with the feature `simulation`, which no program needs. The crate's waits are on
//! tokio's clock and its jitter is from the thread's `fastrand`, which a test can pause and seed.
//! What is left is the thread that makes settings: when it is done depends on the machine.

use std::cell::Cell;

thread_local! {
    static ON_ONE_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// From now on, settings that are made for this thread's runtime are made on this thread. Layers
/// and checks must not block then.
pub fn on_one_thread() {
    ON_ONE_THREAD.set(true);
}

pub(crate) fn is_on_one_thread() -> bool {
    ON_ONE_THREAD.get()
}

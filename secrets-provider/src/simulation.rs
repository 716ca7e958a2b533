//! What `tests/simulation` turns on, so that one seed always makes the same run.
//!
//! Compiled only with the feature `simulation`, which no program needs. The crate's waits are on
//! tokio's clock and its jitter is from the thread's `fastrand`, which a test can pause and seed.
//! What is left is the thread that makes settings: when it is done depends on the machine.

use crate::env::off_thread;

/// From now on, settings that are made for this thread's runtime are made on this thread. Layers
/// and checks must not block then.
pub fn on_one_thread() {
    off_thread::on_one_thread();
}

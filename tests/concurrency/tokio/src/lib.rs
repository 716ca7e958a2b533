//! What the core uses of tokio, so that [shuttle](https://docs.rs/shuttle) chooses who goes on at each
//! step.
//!
//! `tests/concurrency` compiles the core's own sources with this crate in the place of `tokio`, and
//! with the one beside it in that of `arc-swap`. A step is a lock ([`lock()`], which the core's
//! `unwind::lock` is then), a load or a swap, the start of a task, and whatever a task waits for.
//! tokio's channels and `select!` are the real ones: they do not depend on its runtime.
//!
//! What this can't show:
//!
//! - orders of memory that are weaker than one access after the other, in arc-swap and in the core's
//!   atomics, which are counters;
//! - what happens within one call of a channel of tokio's: it is one step, together with the
//!   last lock or swap before it;
//! - tokio's own scheduler, and runtimes that end or that nobody drives: there is one runtime, which
//!   always runs;
//! - threads of the core's own, for settings and for blocking calls: there are none;
//! - time: it stands still unless a test moves it ([`time::advance`]), so a wait that nothing but
//!   its time limit would end is a deadlock, which shuttle reports.

mod lock;
pub mod runtime;
pub mod task;
pub mod time;

pub use lock::{lock, schedule, step};
pub use real_tokio::{pin, select, sync};
pub use task::spawn;

//! The core's lock-and-swap parts, run by [shuttle](https://docs.rs/shuttle) under many orders of
//! their steps.
//!
//! The source files of the core are compiled here again, by `#[path]`: `engine/cell.rs`,
//! `engine/change_log.rs`, `engine/followers.rs`, `engine/handle.rs`, `load/retry/answer.rs` and
//! `lookup/flights.rs`. Around them are the smallest possible other parts (`around`), in which each
//! lock (`unwind::lock`), each swap (`arc_swap`), each task and each read of the store lets shuttle
//! choose who goes on. The scenarios are in `swap`, `flights` (in `lookup`) and `shutdown`;
//! `tests/schedules.rs` runs them.
//!
//! What this can't see: orders weaker than one after the other inside arc-swap and the atomics, which
//! have proofs and loom tests of their own; steps inside tokio's channels, which are one step each
//! here; the refresher's own loop and the follower of a derived value, which wait on tokio's clock
//! and are under the simulation (`tests/simulation`). In their place are loops of a few lines, so
//! what holds here is that the handle, the cell and the log of changes give them no wrong answer.

// The files name these crates; here they are this one's parts.
extern crate self as arc_swap;
extern crate self as tokio;

mod around;
mod engine;
mod load;
mod lookup;
mod shutdown;
mod swap;

pub(crate) use around::{arc_swap::ArcSwap, error, layers, observe, tree, unwind};
pub(crate) use lookup::scenario as flights;
#[doc(hidden)]
pub use real_tokio::{runtime, select, sync, time};

use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};

/// A task that shuttle schedules.
pub(crate) fn spawn<F>(task: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    drop(shuttle::future::spawn(task));
}

/// What is run under each schedule.
#[derive(Debug, Clone, Copy)]
pub enum Scenario {
    /// A value and its status are swapped together, and readers see no other pair.
    Swap,
    /// A derived value is built from the last settings in the end.
    Derive,
    /// A caller whose settings were refused gets newer ones, whenever they come.
    RefreshPast,
    /// Reads of one secret: one at a time, new ones for those who ask for that, none after `forget`.
    Flights,
    /// After `shutdown`, the task is gone, and everyone who asked has an answer.
    Shutdown,
}

impl Scenario {
    /// Runs it under so many schedules. Panics, and prints the schedule, if one of them fails.
    pub fn run(self, schedules: usize) {
        let run = match self {
            Self::Swap => swap::pairs,
            Self::Derive => swap::derive,
            Self::RefreshPast => shutdown::refresh_past,
            Self::Flights => flights::reads,
            Self::Shutdown => shutdown::everyone_is_answered,
        };
        // The same schedules each time.
        let scheduler = RandomScheduler::new_from_seed(7, schedules);
        Runner::new(scheduler, Config::new()).run(run);
    }
}

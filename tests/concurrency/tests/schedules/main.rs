//! The core's lock-and-swap parts under many orders of their steps.
//!
//! The package's library is the core itself, compiled with shuttle in the place of tokio and
//! arc-swap; `tokio/src/lib.rs` says what a step is, and what can't be shown so. Each test runs its
//! scenario under five hundred orders, or as many as `SCHEDULES` says: half of them random, half with
//! priorities that change three times (probabilistic concurrency testing). A failure prints its
//! schedule; `SCHEDULE=… cargo test -p concurrency --test schedules NAME` runs that one again.

mod derive;
mod live;
mod lookup;
mod search;
mod shutdown;
mod store;

use std::time::Instant;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// How many orders there are of each scenario.
const SCHEDULES: usize = 500;

/// How many steps a scenario may take; one that waits for nothing that comes takes them all.
const MAX_STEPS: usize = 50_000;

/// Starting settings takes more than shuttle's 32 KiB.
const STACK: usize = 512 * 1024;

/// How often priorities change in one order.
const CHANGES: usize = 3;

/// Runs a scenario under many orders of its steps.
fn explore(scenario: fn()) {
    let run = move || {
        fastrand::seed(7);
        concurrency::simulation::on_one_thread();
        tokio::schedule(scenario);
    };
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        return shuttle::replay(run, &schedule);
    }
    let wanted = std::env::var("SCHEDULES").ok();
    let schedules =
        wanted.map_or(SCHEDULES, |wanted| wanted.parse().expect("SCHEDULES is a number"));
    let begun = Instant::now();
    let random = RandomScheduler::new_from_seed(7, schedules / 2);
    let priorities = PctScheduler::new_from_seed(7, CHANGES, schedules - schedules / 2);
    let ran = under(random, run) + under(priorities, run);
    assert_eq!(ran, schedules);
    println!("{schedules} schedules in {:.1} s", begun.elapsed().as_secs_f64());
}

fn under(scheduler: impl Scheduler + 'static, run: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    Runner::new(scheduler, config).run(run)
}

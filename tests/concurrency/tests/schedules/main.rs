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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner, thread};

use crate::store::{Store, join};

/// How many orders there are of each scenario.
const SCHEDULES: usize = 500;

/// How many steps a scenario may take; one that waits for nothing that comes takes them all.
const MAX_STEPS: usize = 50_000;

/// Starting settings takes more than shuttle's 32 KiB.
const STACK: usize = 512 * 1024;

/// How often priorities change in one order.
const CHANGES: usize = 3;

/// Runs a scenario under many orders of its steps, or under that of `SCHEDULE`.
fn explore(scenario: fn()) {
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        // As it is printed, it has line breaks.
        let schedule: String = schedule.split_whitespace().collect();
        let replayed = ReplayScheduler::new_from_encoded(&schedule);
        assert_eq!(under(replayed, scenario, FailurePersistence::None), 1);
        return;
    }
    let wanted = std::env::var("SCHEDULES").ok();
    let schedules =
        wanted.map_or(SCHEDULES, |wanted| wanted.parse().expect("SCHEDULES is a number"));
    let begun = Instant::now();
    let random = RandomScheduler::new_from_seed(7, schedules / 2);
    let priorities = PctScheduler::new_from_seed(7, CHANGES, schedules - schedules / 2);
    let ran = under(random, scenario, FailurePersistence::Print)
        + under(priorities, scenario, FailurePersistence::Print);
    assert_eq!(ran, schedules);
    println!("{schedules} schedules in {:.1} s", begun.elapsed().as_secs_f64());
}

fn under(
    scheduler: impl Scheduler + 'static,
    scenario: fn(),
    failure_persistence: FailurePersistence,
) -> usize {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.failure_persistence = failure_persistence;
    Runner::new(scheduler, config).run(move || {
        fastrand::seed(7);
        concurrency::simulation::on_one_thread();
        tokio::schedule(scenario);
    })
}

/// The order that a failure prints leads to that failure.
#[test]
fn a_schedule_that_failed_fails_again() {
    fn race() {
        let store = Store::new();
        let live = block_on(store.start());
        let rotated = thread::spawn({
            let store = store.clone();
            move || store.put(2, 2)
        });
        block_on(live.refresh()).expect("settings");
        let seen = live.load().pair.a;
        block_on(live.shutdown());
        join(rotated);
        assert_eq!(seen, 1, "rotated before it was read");
    }
    let fails = |scheduler: Box<dyn Scheduler + Send>, kept| {
        let failed = catch_unwind(AssertUnwindSafe(|| under(scheduler, race, kept)));
        let message = failed.err().and_then(|panic| panic.downcast::<String>().ok());
        message.is_some_and(|message| message.contains("rotated before it was read"))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let kept = FailurePersistence::File(Some(folder.path().to_owned()));
    assert!(fails(Box::new(RandomScheduler::new_from_seed(7, SCHEDULES)), kept), "some order");
    let mut files = folder.path().read_dir().expect("files");
    let schedule = files.next().expect("a schedule").expect("a file").path();
    let replayed = ReplayScheduler::new_from_file(schedule).expect("a schedule");
    assert!(fails(Box::new(replayed), FailurePersistence::None), "the same order");
}

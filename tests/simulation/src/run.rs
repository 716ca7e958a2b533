//! One run: the schedule's steps, then the end of all faults, then the shutdown, with every
//! invariant checked at each.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::log::Log;
use crate::model::{FETCH_TIMEOUT, served_within};
use crate::replica::manager;
use crate::schedule::{Plan, Step};
use crate::world::{Violation, World};

/// How many secrets each replica looks up at the end.
const LOOKED_UP: usize = 3;

/// How long a caller waits at most: a rotation with all its steps at their limits.
const CALLERS_WAIT: Duration = Duration::from_secs(1200);

/// Where and how a run failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub violation: Violation,
    /// After which step; as many as there are, if it was at the end.
    pub step: usize,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub failure: Option<Failure>,
    /// Everything that the library said, with the time: the same for the same plan.
    pub trace: Vec<String>,
    /// Requests that arrived at the store.
    pub calls: usize,
    /// How much time passed in the world.
    pub lasted: Duration,
}

/// Runs a plan on this thread, from its own seed.
pub fn run(plan: &Plan) -> Outcome {
    fastrand::seed(plan.seed);
    crate::settings::reset_built();
    secrets_provider::simulation::on_one_thread();
    let log = Log::default();
    let guard = log.listen();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let (mut failure, mut calls, mut lasted) = (None, 0, Duration::ZERO);
    let begun = runtime.block_on(async {
        let begun = Instant::now();
        let mut world = World::new(plan.clone(), log.clone()).await;
        let mut step = 0;
        let living = AssertUnwindSafe(live(&mut world, &plan.steps, &mut step)).catch_unwind();
        let lived = living.await.unwrap_or_else(|_| {
            let what = "the simulation itself panicked: see the message above".to_owned();
            Err(Violation { invariant: "simulation", what })
        });
        failure = lived.err().map(|violation| Failure { violation, step });
        (calls, lasted) = (world.fake.total_calls(), begun.elapsed());
        begun
    });
    drop(guard);
    let trace = log.since(0).into_iter().map(|said| {
        let fields: Vec<_> =
            said.fields.iter().map(|(name, text)| format!("{name}={text}")).collect();
        format!("{:?} {} {}", said.at - begun, said.name, fields.join(" "))
    });
    Outcome { failure, trace: trace.collect(), calls, lasted }
}

async fn live(world: &mut World, steps: &[Step], at: &mut usize) -> Result<(), Violation> {
    for replica in 0..world.replicas.len() {
        world.start(replica).await;
    }
    world.check()?;
    for (number, step) in steps.iter().enumerate() {
        *at = number;
        sleep(step.wait).await;
        world.check()?;
        world.act(&step.action).await?;
        world.check()?;
    }
    *at = steps.len();
    heal(world).await?;
    end(world).await
}

/// Ends everything that is wrong, and waits until all of it must be forgotten.
async fn heal(world: &mut World) -> Result<(), Violation> {
    world.end_troubles();
    world.allow_all();
    world.fake.delay_listing(Duration::ZERO);
    world.names_changed_at = world.names_changed_at.min(Instant::now());
    for replica in &world.replicas {
        replica.record.end_sabotage();
    }
    world.disturbances.end("sabotage");
    world.look();
    for secret in 0..world.names.len() {
        let current = world.history.current(secret);
        if current.is_none_or(|current| world.ledger.poison(current).is_some()) {
            world.put_again(secret, None);
        }
    }
    // Those that couldn't start do now.
    for replica in 0..world.replicas.len() {
        if world.replicas[replica].running.is_none() {
            world.start(replica).await;
            if world.replicas[replica].running.is_none() {
                let what = format!("replica {replica} doesn't start, and nothing is wrong");
                return Err(Violation { invariant: "current", what });
            }
        }
    }
    look_everything_up(world).await?;
    for secret in 0..world.names.len().min(LOOKED_UP) {
        if !world.is_managed(secret) {
            world.put_again(secret, None);
        }
    }
    let bound = served_within(world.plan.interval) + Duration::from_secs(62);
    for _ in 0..4 {
        sleep(bound / 4).await;
        world.check()?;
    }
    // Every caller has had an answer.
    let waited = Instant::now();
    loop {
        while world.tasks.try_join_next().is_some() {}
        if world.tasks.is_empty() || waited.elapsed() > CALLERS_WAIT {
            break;
        }
        sleep(Duration::from_secs(10)).await;
    }
    if !world.tasks.is_empty() {
        let what = format!("{} callers wait for ever", world.tasks.len());
        return Err(Violation { invariant: "tasks", what });
    }
    world.check()?;
    count_calls(world).await?;
    look_everything_up(world).await?;
    finish_rotations(world).await
}

/// Each lookup returns what was current within its time to live.
async fn look_everything_up(world: &mut World) -> Result<(), Violation> {
    for replica in 0..world.replicas.len() {
        for secret in 0..world.names.len().min(LOOKED_UP) {
            world.look_up(replica, secret, false, None);
        }
    }
    sleep(Duration::from_secs(1)).await;
    world.check()
}

/// While nothing is wrong, there are as many calls as documented.
async fn count_calls(world: &mut World) -> Result<(), Violation> {
    let interval = world.plan.interval;
    // A throttled batch is replaced for ten fetches.
    let (window, most) = (3 * interval, 3.0_f64 / 0.9 + 1.0);
    let counted = |world: &World| {
        let running = world.replicas.iter().filter_map(|replica| replica.running.as_ref());
        running.map(|running| running.live.status().calls().clone()).collect::<Vec<_>>()
    };
    let before = counted(world);
    sleep(window).await;
    world.check()?;
    let after = counted(world);
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        let made = |operation: &str| {
            let count =
                |calls: &secrets_provider::Calls| calls.get(operation).copied().unwrap_or_default();
            (count(after) - count(before)) as f64
        };
        let plan = world.plan.replicas[number];
        let secrets = crate::replica::selected(&world.plan, &plan).count() as f64;
        // Lookups that are stale refresh themselves only while they are used.
        let reads = made("BatchGetSecretValue") + made("GetSecretValue") / secrets;
        let listings = made("ListSecrets");
        let what = format!(
            "replica {number} made {reads} reads and {listings} listings in three intervals"
        );
        let least = 3.0_f64 / 1.1 - 1.0;
        let lists = if plan.by_name { 0.0 } else { most };
        if reads > most || listings > lists || reads < least.floor() {
            return Err(Violation { invariant: "calls", what });
        }
    }
    Ok(())
}

/// A rotation that nothing hinders comes to an end, whatever crashed before, and the database takes
/// what is current.
async fn finish_rotations(world: &mut World) -> Result<(), Violation> {
    for secret in world.plan.managed.clone() {
        let manager = manager(&world.fake, &world.plan, &world.plan.replicas[0]);
        if let Err(error) = world.rotation(&manager, secret).await {
            let what = format!("nothing hinders a rotation of s{secret:02}, and it fails: {error}");
            return Err(Violation { invariant: "rotation", what });
        }
        world.look();
        let (current, taken) =
            (world.history.current(secret), world.ledger.lock().database.get(&secret).copied());
        if current != taken {
            let what = format!("the database doesn't take what is current in s{secret:02}");
            return Err(Violation { invariant: "rotation", what });
        }
    }
    world.check()
}

/// Nothing is left after all replicas have ended.
async fn end(world: &mut World) -> Result<(), Violation> {
    world.check_swaps()?;
    for replica in 0..world.replicas.len() {
        world.stop(replica, replica % 2 == 0).await?;
    }
    sleep(FETCH_TIMEOUT).await;
    let calls = world.fake.total_calls();
    sleep(10 * world.plan.interval).await;
    let (tasks, more) = (
        tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        world.fake.total_calls() - calls,
    );
    if tasks > 0 || more > 0 || world.fake.connections() > 0 {
        let what = format!("after the shutdown, {tasks} tasks are left, and {more} calls came");
        return Err(Violation { invariant: "tasks", what });
    }
    world.check()
}

//! Any number of programs, stopped and killed in any order.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use proptest::prelude::*;

use super::*;

type Program = Pin<Box<dyn Future<Output = Result<Rotated, Error>>>>;

/// One step of a schedule: which program goes on to its next gate, or dies.
#[derive(Debug, Clone, Copy)]
struct Move {
    program: usize,
    dies: bool,
}

fn moves(programs: usize) -> impl Strategy<Value = Vec<Move>> {
    // Long stretches of one program make the others stand still for whole rotations.
    let stretch = (0..programs, 1..30_usize, prop::bool::weighted(0.15));
    prop::collection::vec(stretch, 1..40).prop_map(|stretches| {
        let stretches = stretches.into_iter();
        stretches
            .flat_map(|(program, length, dies)| {
                let last = length - 1;
                (0..length).map(move |at| Move { program, dies: dies && at == last })
            })
            .collect()
    })
}

/// Runs programs by a schedule, each of them again after its end. Then no one disturbs the last
/// run.
async fn play(schedule: &[Move], by_itself: bool, timeout: Duration) -> Result<(), TestCaseError> {
    let [(_, store), _] = stores();
    let store = store(NAME, TEXT);
    let database = Database::with(&[("app", "the-first-one")], by_itself);
    let start = || -> Program {
        let mut rotation = rotation(&store, &Gates::default(), &database);
        rotation.manager = rotation.manager.timeout(timeout);
        Box::pin(rotation.run())
    };
    let mut programs: BTreeMap<usize, Program> = BTreeMap::new();
    let mut deaths = 0;
    for Move { program, dies } in schedule {
        if *dies {
            deaths += usize::from(programs.remove(program).is_some());
            continue;
        }
        let running = programs.entry(*program).or_insert_with(start);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = running.as_mut().poll(&mut context) {
            programs.remove(program);
            if let Err(error) = outcome {
                // It may have set an old value over a newer one, and could not put that right.
                let timed_out = error.kind() == crate::ErrorKind::Unavailable;
                prop_assert!(error.is_superseded() || timed_out, "{error}");
                deaths += usize::from(timed_out);
            }
        }
        // Waits between tries pass.
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    if deaths == 0 {
        for (_, program) in programs {
            if let Err(error) = program.await {
                deaths += usize::from(!error.is_superseded());
            }
        }
    }
    if deaths == 0 {
        let left = labels(&store).await;
        let usable = works(&store, &database, Some(&left.current)).await
            || works(&store, &database, left.pending.as_deref()).await;
        prop_assert!(usable, "no program died, and no login works");
    }
    let rotated = rotation(&store, &Gates::default(), &database).run().await;
    let rotated = rotated.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(works(&store, &database, Some(rotated.version_id())).await, "locked out");
    let (login, text) = version(&store, Some(rotated.version_id())).await.expect("a version");
    prop_assert_eq!(text, TEXT.replace("the-first-one", login.password.expose_secret()));
    Ok(())
}

fn run(schedule: &[Move], by_itself: bool, timeout: Duration) -> Result<(), TestCaseError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(play(schedule, by_itself, timeout))
}

proptest! {
    /// Two programs, of which one may stand still while the other one rotates again and again.
    #[test]
    fn programs_with_the_rights_of_an_administrator_never_lock_anyone_out(
        schedule in moves(3),
    ) {
        run(&schedule, false, Duration::from_secs(3600))?;
    }

    /// A user that can only be changed by its own login. One program stands still for a rotation or
    /// two at most; after three, not even the value before the current one is known to the
    /// database.
    #[test]
    fn a_user_who_changes_itself_is_never_locked_out(schedule in moves(2)) {
        run(&schedule, true, Duration::from_secs(3600))?;
    }

    /// A call may have its effect and no answer in time.
    #[test]
    fn answers_that_do_not_come_are_like_deaths(schedule in moves(3)) {
        run(&schedule, false, Duration::from_secs(2))?;
    }
}

//! A rotation that moves AWSCURRENT to a new password without setting it in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use examples::postgres::{Settings, log_in};
use fake_secrets_manager::Step;
use rotation_rig::{RotationFunction, Stage};
use secrets_provider::{ErrorKind, Health, LiveBuilder, Rejected};
use sqlx::PgPool;

use crate::load::load;
use crate::service::Framework;
use crate::{hasty, reaches, report, restless, restless_pool};

/// How often a wrong rotation and a right one follow each other.
const WRONG: u32 = 3;

/// How many requests each client makes in between, at least.
const ROUNDS: u32 = 10;

/// An interval long enough that a refresh on a busy machine is not overdue.
fn slower(stage: &Stage) -> LiveBuilder<Settings> {
    hasty(stage).refresh_every(Duration::from_secs(2))
}

/// A stage whose rotations go wrong while the flag is set.
async fn stage() -> (Stage, Arc<AtomicBool>) {
    let stage = Stage::start().await.unwrap();
    let wrong = Arc::new(AtomicBool::new(false));
    let goes_wrong = wrong.clone();
    stage.rotate_by(move |call| {
        let left_out =
            matches!(call.step(), Step::SetSecret | Step::TestSecret) && goes_wrong.load(Ordering::Relaxed);
        async move { if left_out { Ok(()) } else { RotationFunction::single_user().call(&call).await } }
    });
    (stage, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_rejects_a_wrong_password_in_axum() {
    a_probe_rejects_a_wrong_password(Framework::Axum).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_rejects_a_wrong_password_in_actix() {
    a_probe_rejects_a_wrong_password(Framework::Actix).await;
}

async fn a_probe_rejects_a_wrong_password(framework: Framework) {
    let (stage, wrong) = stage().await;
    let settings = slower(&stage).probe(log_in).start().await.unwrap();
    let pool = settings.derive("database", restless_pool).await.unwrap();
    let server = framework.serve(pool.clone());
    let load = load(server.address, "/fresh");

    let mut generation = 1;
    for _ in 0..WRONG {
        let version = settings.status().secrets()[0].version_id().to_owned();
        wrong.store(true, Ordering::Relaxed);
        stage.rotate().await.unwrap();
        let refused = settings.refresh().await;
        for _ in 0..ROUNDS {
            load.round().await;
        }
        let status = settings.status();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
        assert_eq!(
            (status.generation(), pool.status().generation()),
            (generation, generation),
            "never served"
        );
        assert!(
            matches!(status.health(), Health::Stale | Health::Failing),
            "{:?}",
            status.health()
        );
        assert_eq!(status.secrets()[0].version_id(), version);
        let why = status.last_error().unwrap().message();
        assert!(why.contains("settings rejected: the database answered SQLSTATE 28P01"), "{why}");

        wrong.store(false, Ordering::Relaxed);
        stage.rotate().await.unwrap();
        generation += 1;
        reaches(&settings, generation).await;
        reaches(&pool, generation).await;
        load.round().await;
        // A search for newer credentials does not count as a successful refresh.
        settings.refresh().await.unwrap();
        assert_eq!(settings.status().health(), Health::Fresh);
    }
    let tally = load.finish().await;
    report(&format!("wrong password, probe, {framework:?}: {WRONG} wrong rotations, {tally}"));
    assert!(tally.failures.is_empty(), "{tally}");
}

/// Without a probe the wrong settings are served, but no pool is built of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_connects_when_built_rejects_a_wrong_password() {
    async fn eager(settings: Arc<Settings>) -> Result<PgPool, Rejected> {
        let connecting = restless().connect_with(settings.database.login());
        connecting.await.map_err(|_| Rejected::new("no connection"))
    }

    let (stage, wrong) = stage().await;
    let settings = slower(&stage).start().await.unwrap();
    let pool = settings.derive("database", eager).await.unwrap();
    let server = Framework::Axum.serve(pool.clone());
    let load = load(server.address, "/fresh");
    load.round().await;

    wrong.store(true, Ordering::Relaxed);
    stage.rotate().await.unwrap();
    settings.refresh().await.unwrap();
    assert_eq!(pool.refresh().await.unwrap_err().kind(), ErrorKind::Rejected);
    for _ in 0..ROUNDS {
        load.round().await;
    }
    settings.refresh().await.unwrap();
    assert_eq!((settings.status().generation(), pool.status().generation()), (2, 1));
    let healths = (settings.status().health(), pool.status().health());
    assert!(matches!(healths, (Health::Fresh, Health::Stale | Health::Failing)), "{healths:?}");
    let derived = settings.status().derived()[0].clone();
    assert_eq!(derived.last_error().unwrap().message(), "build failed: no connection");

    wrong.store(false, Ordering::Relaxed);
    stage.rotate().await.unwrap();
    reaches(&pool, 2).await;
    load.round().await;
    settings.refresh().await.unwrap();
    assert_eq!(pool.status().health(), Health::Fresh);
    let tally = load.finish().await;
    report(&format!("wrong password, build that connects: 1 wrong rotation, {tally}"));
    assert!(tally.failures.is_empty(), "{tally}");
}

//! Two users take turns, so the login in the secret is never refused. No retry is needed, only a
//! pool that follows the settings.

use rotation_rig::{RotationFunction, Stage};

use crate::load::load;
use crate::service::Framework;
use crate::{hasty, reaches, report, restless_pool, rotations};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_in_axum() {
    no_request_fails(Framework::Axum).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_in_actix() {
    no_request_fails(Framework::Actix).await;
}

async fn no_request_fails(framework: Framework) {
    let stage = Stage::start().await.unwrap();
    let function = RotationFunction::alternating_users(stage.admin().clone());
    stage.rotate_by(move |call| {
        let function = function.clone();
        async move { function.call(&call).await }
    });
    let settings = hasty(&stage).start().await.unwrap();
    let pool = settings.derive("database", restless_pool).await.unwrap();
    let server = framework.serve(pool.clone());
    let load = load(server.address, "/plain");
    load.round().await;

    let rotations = rotations(200);
    for rotation in 1..=rotations {
        stage.rotate().await.unwrap();
        // A replaced login stays valid until the next rotation, so the interval must be shorter
        // than the time between two rotations.
        reaches(&pool, u64::from(rotation) + 1).await;
        load.round().await;
    }

    let tally = load.finish().await;
    report(&format!("alternating users, {framework:?}: {rotations} rotations, {tally}"));
    assert!(tally.failures.is_empty(), "{tally}");
    assert!(
        ["app", "app_clone"].iter().all(|user| tally.answers.contains_key(*user)),
        "{:?}",
        tally.answers
    );
}

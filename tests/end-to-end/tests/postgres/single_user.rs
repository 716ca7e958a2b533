//! One user changes its own password, so for a while the database refuses the password in the
//! secret. Requests that may run twice wait for the new one.

use std::time::Duration;

use examples::postgres::{connect, settings};
use fake_secrets_manager::Step;
use rotation_rig::{RotationFunction, Stage};

use crate::load::load;
use crate::service::Framework;
use crate::{manager, reaches, report, rotations};

/// How long the database has the new password before AWSCURRENT moves to it.
const WINDOW: Duration = Duration::from_secs(2);

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
    let admin = stage.admin().clone();
    stage.rotate_by(move |call| {
        let admin = admin.clone();
        async move {
            RotationFunction::single_user().call(&call).await?;
            if call.step() == Step::SetSecret {
                Stage::disconnect_role(&admin).await?;
                tokio::time::sleep(WINDOW).await;
            }
            Ok(())
        }
    });
    // The interval is five minutes, so refused requests find the new password.
    let settings = settings(manager(&stage)).await.unwrap();
    let pool = settings.derive("database", connect).await.unwrap();
    let server = framework.serve(pool.clone());
    let load = load(server.address, "/fresh");
    load.round().await;

    let rotations = rotations(20);
    for rotation in 1..=rotations {
        stage.rotate().await.unwrap();
        reaches(&pool, u64::from(rotation) + 1).await;
        load.round().await;
    }

    let tally = load.finish().await;
    report(&format!("single user, {framework:?}: {rotations} rotations, {tally}"));
    assert!(tally.failures.is_empty(), "{tally}");
    // A retry after a lost connection is much faster.
    let met = tally.waits.iter().filter(|wait| **wait >= WINDOW / 2).count();
    assert!(met >= rotations as usize, "{met} requests waited for a window: {tally}");
}

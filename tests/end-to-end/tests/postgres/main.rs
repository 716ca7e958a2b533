//! A real PostgreSQL whose password rotates while services on both frameworks query it, with the
//! code of `examples/src/postgres.rs`. The tests fail without the programs of PostgreSQL, which
//! `.ci/external` installs.
//!
//! `ROTATIONS=200 cargo test -p end-to-end --features external --test postgres single_user` rotates
//! more often than the default of twenty times. `KILLS=500 RACES=100 cargo test -p end-to-end
//! --features external --test postgres kills` kills more rotating programs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod alternating_users;
mod cluster;
mod kills;
mod load;
mod service;
mod single_user;
mod wrong_password;

use std::future::ready;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use examples::postgres::Settings;
use rotation_rig::{PATIENCE, Stage};
use secrets_provider::{Live, LiveBuilder, Rejected, SecretsManager};
use sqlx::postgres::{PgPool, PgPoolOptions};

/// The secrets of the stage, over a socket.
fn manager(stage: &Stage) -> SecretsManager {
    SecretsManager::prefix("app").client(end_to_end::client(stage.secrets()))
}

/// Settings with a short interval. In production, rotations are weeks apart and minutes are enough.
fn hasty(stage: &Stage) -> LiveBuilder<Settings> {
    Live::builder(manager(stage)).refresh_every(Duration::from_millis(200))
}

/// A pool that reconnects every second, as a pool does over days: open connections outlive any
/// password. A connection's age is looked at before its use, and not by `max_lifetime`: the task
/// that sqlx 0.8 and 0.9 run for that can spin for ever (launchbadge/sqlx issue 3645).
fn restless() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(4).max_lifetime(None).idle_timeout(None).before_acquire(
        |_, connection| Box::pin(ready(Ok(connection.age < Duration::from_secs(1)))),
    )
}

async fn restless_pool(settings: Arc<Settings>) -> Result<PgPool, Rejected> {
    Ok(restless().connect_lazy_with(settings.database.login()))
}

/// Returns once a live value has reached this generation.
async fn reaches<T>(live: &Live<T>, generation: u64) {
    let mut changes = live.changes();
    let reaching = async {
        while live.status().generation() < generation {
            changes.next().await.expect("a change");
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reaching).await;
    reached
        .unwrap_or_else(|_| panic!("generation {generation} does not come: {:?}", live.status()));
}

/// The number of rotations: `ROTATIONS`, or the default.
fn rotations(default: u32) -> u32 {
    number("ROTATIONS", default)
}

/// The number in this variable, or the default.
fn number(variable: &str, default: u32) -> u32 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Prints a measurement, even if the test runner captures output.
fn report(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

//! Rotates the password of a PostgreSQL role by this program, so that it may be killed at any
//! point.
//!
//! Starts from nothing but an installed PostgreSQL: a private server, and a Secrets Manager
//! embedded here. The steps `set` and `test` are in `src/postgres.rs`.

#![allow(clippy::print_stdout, reason = "says what happens")]

use examples::{Failure, postgres};
use rotation_rig::Stage;
use secrets_provider::SecretsManager;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let stage = Stage::start().await?;
    let secrets = SecretsManager::prefix("app").client(stage.secrets().client());
    let settings = postgres::settings(secrets.clone()).await?;
    let rotation = || {
        let rotation = secrets.rotation("database").password("password").stamp("rotated_at");
        rotation.set(postgres::set).test(postgres::test).checked_by::<postgres::Settings>()
    };
    println!("{}", rotation().plan().await?);
    let rotated = rotation().run().await?;
    println!("{} replaced {}.", rotated.version_id(), rotated.previous_version_id());
    // The settings have the new password already.
    postgres::log_in(settings.current()).await?;
    println!("Generation {} of the settings logs in.", settings.status().generation());
    Ok(())
}

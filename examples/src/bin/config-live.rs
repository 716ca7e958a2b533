//! Settings of config-rs, kept current: defaults < environment < secrets, merged again by config-rs
//! whenever a secret changes. Prints each rotation as it arrives, until Ctrl-C.

#![allow(clippy::print_stdout, reason = "shows what changes")]

use std::pin::pin;

use config::{Config, Environment};
use examples::{Failure, Secrets, Settings};
use secrets_provider::Live;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut interrupted = pin!(examples::interrupted()?);
    let secrets = Secrets::from_environment().await?;
    let settings: Live<Settings> = Live::builder(secrets.manager())
        .refresh_every(secrets.every()?)
        .layers(|secrets| {
            Config::builder()
                .set_default("database.host", "localhost")?
                .add_source(Environment::default().separator("__"))
                .add_source(secrets.clone())
                .build()
        })
        .start()
        .await?;
    let mut changes = settings.changes();
    println!("{secrets}\n{}", settings.explain());
    while let Some(change) = tokio::select! {
        change = changes.next() => change,
        () = &mut interrupted => None,
    } {
        println!(
            "{}: the login is {}.",
            change.keys().join(", "),
            settings.load().database.username
        );
    }
    settings.shutdown().await;
    Ok(())
}

//! Settings kept current without a web framework: prints each rotation as it arrives, until Ctrl-C.

#![allow(clippy::print_stdout, reason = "shows what changes")]

use std::pin::pin;

use examples::{Failure, Secrets};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut interrupted = pin!(examples::interrupted()?);
    let secrets = Secrets::from_environment().await?;
    let settings = secrets.live().await?;
    let mut changes = settings.changes();
    println!("{secrets}\nThe login is {}.", settings.load().database.username);
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

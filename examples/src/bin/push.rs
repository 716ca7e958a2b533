//! A rotation that is live as soon as it is announced: prints how long each one took, until Ctrl-C.
//! `--setup` prints the template of what has to exist in AWS for that.

#![allow(clippy::print_stdout, reason = "shows what changes")]

use std::pin::pin;
use std::time::Duration;

use examples::{Failure, Secrets, Settings};
use secrets_provider::Live;

/// In case that a message is lost.
const EVERY: Duration = Duration::from_secs(15 * 60);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    examples::log_to_stderr();
    let mut interrupted = pin!(examples::interrupted()?);
    let secrets = Secrets::from_environment().await?;
    if std::env::args().any(|argument| argument == "--setup") {
        println!("{}", secrets.manager().push_setup()?);
        return Ok(());
    }
    let push = secrets.push()?.spread(Duration::ZERO);
    let builder = Live::builder(secrets.manager()).push(push).refresh_every(EVERY);
    let settings: Live<Settings> = builder.start().await?;
    let mut changes = settings.changes();
    println!("{secrets}\nIt is read when AWS announces it, and every 15 minutes.");
    println!("The login is {}.", settings.load().database.username);
    while let Some(change) = tokio::select! {
        change = changes.next() => change,
        () = &mut interrupted => None,
    } {
        println!("{change}: the login is {}.", settings.load().database.username);
    }
    settings.shutdown().await;
    Ok(())
}

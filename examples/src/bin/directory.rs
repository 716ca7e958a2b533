//! Secrets from your own files, without AWS: prints which keys they give, and which ones an edit
//! changes, until Ctrl-C.
//!
//! ```sh
//! cargo run -p examples --bin directory -- ./secrets gaara/prod
//! ```

#![allow(clippy::print_stdout, reason = "shows what changes")]

use std::env;
use std::pin::pin;

use examples::{Failure, log_to_stderr};
use secrets_provider::{Directory, Layers, Live, SecretsManager};
use serde::de::IgnoredAny;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log_to_stderr();
    let mut arguments = env::args().skip(1);
    let (Some(folder), Some(prefix)) = (arguments.next(), arguments.next()) else {
        return Err("give a folder and a prefix, such as `./secrets gaara/prod`".into());
    };
    let mut interrupted = pin!(examples::interrupted()?);
    let manager = SecretsManager::prefix(prefix).backend(Directory::new(folder));
    // Your settings struct in place of `IgnoredAny`, which fits any content.
    let settings: Live<IgnoredAny> =
        Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets)).start().await?;
    let mut changes = settings.changes();
    for secret in settings.status().secrets() {
        println!("{} gives {}", secret.name(), secret.key_path());
    }
    while let Some(change) = tokio::select! {
        change = changes.next() => change,
        () = &mut interrupted => None,
    } {
        println!("generation {}: {} changed", change.generation(), change.keys().join(", "));
    }
    settings.shutdown().await;
    Ok(())
}

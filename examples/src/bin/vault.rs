//! Secrets from OpenBao or HashiCorp Vault, without AWS: prints which keys they give, and which
//! ones a new version changes, until Ctrl-C. With `--policy`, the policy that it needs.
//!
//! ```sh
//! export VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=root
//! cargo run -p examples --bin vault -- gaara/prod
//! ```

#![allow(clippy::print_stdout, reason = "shows what changes")]

use std::env;
use std::pin::pin;
use std::time::Duration;

use examples::{Failure, log_to_stderr};
use secrets_provider::{Layers, Live, SecretsManager, Vault};
use serde::de::IgnoredAny;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log_to_stderr();
    let (options, names): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let [prefix] = &names[..] else { return Err("give a prefix, such as `gaara/prod`".into()) };
    let manager = SecretsManager::prefix(prefix).backend(Vault::from_env()?);
    if options.iter().any(|option| option == "--policy") {
        print!("{}", manager.iam_policy());
        return Ok(());
    }
    let mut interrupted = pin!(examples::interrupted()?);
    // Your settings struct in place of `IgnoredAny`, which fits any content.
    let settings: Live<IgnoredAny> = Live::builder(manager)
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(Duration::from_secs(2))
        .start()
        .await?;
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

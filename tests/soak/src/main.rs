//! Whether a service that rotates for a long time stays as it was.
//!
//! ```sh
//! cargo run --release -p soak -- swaps 1000000     # memory, file descriptors, tasks and threads
//! cargo run --release -p soak -- service 1800      # seconds at 1,000 requests a second
//! ```
//!
//! `swaps` makes one refresh after the other, each of which swaps. It fails if anything has grown.
//! `service` is an axum service on a socket whose secrets rotate once a second, and for as long not
//! at all, in turns. It prints the latencies of both and the ratio of neighbouring turns, and fails
//! if a request fails or sees a mix of two generations.

mod process;
mod service;
mod swaps;

use std::process::ExitCode;

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Layers, Live, LiveBuilder, Memory, SecretsManager};
use serde::Deserialize;

/// Two secrets, so that a mix of generations shows.
#[derive(Deserialize)]
struct Settings {
    database: Database,
    token: SecretString,
}

#[derive(Deserialize)]
struct Database {
    port: u64,
    #[expect(dead_code, reason = "extracted, not read")]
    password: SecretString,
}

impl Settings {
    /// Whether both secrets are of one rotation.
    fn is_whole(&self) -> bool {
        self.token.expose_secret() == self.database.port.to_string()
    }
}

fn rotate(memory: &Memory, rotation: u64) {
    let database = format!(r#"{{"port": {rotation}, "password": "not-a-real-password-{rotation}"}}"#);
    memory.put("app/database", database);
    memory.put("app/token", rotation.to_string());
}

fn live(memory: &Memory) -> LiveBuilder<Settings> {
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets))
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("no number: {text}"));
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["swaps", swaps] => number(swaps).and_then(swaps::run),
        ["service", seconds] => number(seconds).and_then(service::run),
        _ => Err("usage: soak swaps NUMBER | soak service SECONDS".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            print(&format!("FAILED: {message}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn print(line: &str) {
    println!("{line}");
}

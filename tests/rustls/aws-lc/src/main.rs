//! A program with the default feature `rustls-aws-lc`, whose other crates bring `ring`.
//!
//! rustls has both providers then, and no default. Our client names its own; the program chooses one
//! for its other crates, as the documentation says.

use std::collections::HashMap;
use std::panic;

use redis::{Client, RedisError};
use rustls::ClientConfig;
use rustls::crypto::ring;
use secrets_provider::{SecretsManager, Snapshot};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // A program chooses first. This one reads before, to show that our client needs no choice, and
    // that redis does.
    read().await;
    assert!(panic::catch_unwind(ClientConfig::builder).is_err(), "rustls has a default provider");

    ring::default_provider().install_default().expect("no provider is installed yet");
    let error = connect().expect_err("no server speaks TLS there");
    println!("redis: {error}");
}

async fn read() {
    match SecretsManager::names(["greeting"]).fetch().await {
        Ok(secrets) => println!("read: {}", texts(&secrets)["greeting"]),
        Err(error) => println!("not read: {}", error.kind()),
    }
}

fn texts(secrets: &Snapshot) -> HashMap<String, String> {
    secrets.extract().expect("texts")
}

fn connect() -> Result<(), RedisError> {
    let port = std::env::args().nth(1).expect("a port");
    Client::open(format!("rediss://127.0.0.1:{port}"))?.get_connection().map(drop)
}

//! A program with the feature `rustls-ring`, whose other crates bring `ring`: nothing is left to do.

use std::collections::HashMap;

use awc::error::SendRequestError;
use secrets_provider::{SecretsManager, Snapshot};
use tokio::task::LocalSet;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    read().await;

    let error = LocalSet::new().run_until(connect()).await;
    println!("awc: {}", error.expect_err("no server speaks TLS there"));
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

async fn connect() -> Result<(), SendRequestError> {
    let port = std::env::args().nth(1).expect("a port");
    awc::Client::new().get(format!("https://127.0.0.1:{port}")).send().await.map(drop)
}

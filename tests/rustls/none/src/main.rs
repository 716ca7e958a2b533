//! A program with neither feature, which gives its own `SdkConfig` with an HTTPS client in it.

use std::collections::HashMap;

use aws_config::BehaviorVersion;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use redis::{Client, RedisError};
use secrets_provider::{ErrorKind, SecretsManager, Snapshot};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let error = SecretsManager::names(["greeting"]).fetch().await.expect_err("no HTTPS client");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains(".aws_config(..)")), "{error}");

    read().await;

    let error = connect().expect_err("no server speaks TLS there");
    println!("redis: {error}");
}

async fn read() {
    let client = Builder::new().build_with_connector_fn(|settings, _| {
        let mut client =
            ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::Ring));
        client.set_connector_settings(settings.cloned());
        client.proxy_config(ProxyConfig::from_env()).build()
    });
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await;
    match SecretsManager::names(["greeting"]).aws_config(&config).fetch().await {
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

//! The recipes of the page on push, with a real Redis, PostgreSQL and NATS: a message of each is
//! served as a rotation. It fails where they are not installed; `.ci/external` installs them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use examples::hints;
use futures_util::Stream;
use rotation_rig::Cluster;
use secrets_provider::{Layers, Live, Memory, SecretsManager, Trigger};
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;

/// Far more than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends with this.
struct Server(Child);

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let spawn = |program: &str| {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        // Debian puts some servers where only root's PATH leads.
        let child = spawn(program).or_else(|_| spawn(&format!("/usr/sbin/{program}")));
        Self(child.unwrap_or_else(|error| {
            panic!("{program}: {error}; install it, as `apt-get install {program}` does")
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Settings that only these triggers refresh: a message that names a secret is served.
async fn serves<S, Sent>(triggers: S, send: impl FnOnce(&'static str) -> Sent)
where
    S: Stream<Item = Trigger> + Send + 'static,
    Sent: Future<Output = ()>,
{
    let secrets = Memory::new();
    secrets.put("gaara/prod/jwt-secret", "first");
    secrets.put("gaara/prod/database", "first");
    let manager = SecretsManager::prefix("gaara/prod").backend(secrets.clone());
    let settings: Live<Value> = Live::builder(manager)
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(Duration::from_secs(24 * 3600))
        .refresh_on(triggers)
        .start()
        .await
        .unwrap();
    let mut changes = settings.changes();
    secrets.put("gaara/prod/jwt-secret", "second");
    secrets.put("gaara/prod/database", "second");
    send("gaara/prod/jwt-secret").await;
    let change = tokio::time::timeout(PATIENCE, changes.next()).await.expect("a change").unwrap();
    assert_eq!(change.keys(), ["jwt_secret"], "only the secret of the message is read");
}

/// Calls this until it succeeds: a server of another program says nothing when it is ready.
async fn until_ready<T, E: std::fmt::Display>(call: impl AsyncFn() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_of_redis_is_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let socket = text(&folder.path().join("redis.sock"));
    let directory = text(folder.path());
    let _server = Server::start(
        "redis-server",
        &["--port", "0", "--unixsocket", &socket, "--save", "", "--dir", &directory],
    );
    let url = format!("redis+unix://{socket}");
    let triggers = until_ready(async || hints::of_redis(&url).await).await;
    serves(triggers, async |name| {
        let client = redis::Client::open(url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let _: u64 = redis::cmd("PUBLISH")
            .arg("secrets")
            .arg(name)
            .query_async(&mut connection)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_notification_of_postgres_is_a_hint() {
    let cluster = Cluster::start().unwrap();
    let pool = PgPoolOptions::new().max_connections(2).connect_with(cluster.admin()).await.unwrap();
    let triggers = hints::of_postgres(&pool).await.unwrap();
    serves(triggers, async |name| {
        sqlx::query("SELECT pg_notify('secrets', $1)").bind(name).execute(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_message_of_nats_is_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let directory = text(folder.path());
    let _server = Server::start(
        "nats-server",
        &["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", &directory],
    );
    // It picks a port, and writes it to a file.
    let url = until_ready(async || {
        let files = std::fs::read_dir(folder.path()).map_err(|error| error.to_string())?;
        let file =
            files.flatten().find(|file| file.path().extension().is_some_and(|e| e == "ports"));
        let file = file.ok_or("no file with the port")?;
        let ports = std::fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
        let ports: Value = serde_json::from_str(&ports).map_err(|error| error.to_string())?;
        Ok::<_, String>(ports["nats"][0].as_str().ok_or("no port")?.to_owned())
    })
    .await;
    let triggers = until_ready(async || hints::of_nats(&url).await).await;
    serves(triggers, async |name| {
        let client = async_nats::connect(&url).await.unwrap();
        client.publish("secrets", name.into()).await.unwrap();
        client.flush().await.unwrap();
    })
    .await;
}

//! `rotate --database-url-key` on a real PostgreSQL, while clients log in all the time: no login of
//! theirs fails, and each rotation leaves one password that works.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use examples::postgres::retry;
use rotation_rig::{Answer, Client, Load, Stage};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Rejected, SecretsManager};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::program::Program;

const CLIENTS: usize = 4;

/// The number of rotations: `ROTATIONS`, or ten.
fn rotations() -> u32 {
    std::env::var("ROTATIONS").map_or(10, |number| number.parse().unwrap())
}

#[derive(Debug, Deserialize)]
struct Settings {
    database: Database,
}

#[derive(Debug, Deserialize)]
struct Database {
    url: SecretString,
}

impl Database {
    fn login(&self) -> PgConnectOptions {
        self.url.expose_secret().parse().unwrap()
    }
}

/// A pool that opens a connection for each request, so that each one logs in.
async fn pool(settings: Arc<Settings>) -> Result<PgPool, Rejected> {
    let options = PgPoolOptions::new().max_connections(4).max_lifetime(None).idle_timeout(None);
    let options = options.before_acquire(|_, _| Box::pin(std::future::ready(Ok(false))));
    Ok(options.connect_lazy_with(settings.database.login()))
}

struct LogsIn(Live<PgPool>);

impl Client for LogsIn {
    async fn ask(&mut self) -> Result<Answer, String> {
        let attempts = std::sync::atomic::AtomicU32::new(0);
        let operation = |pool: Arc<PgPool>| {
            attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { sqlx::query_scalar("SELECT current_user::text").fetch_one(&*pool).await }
        };
        let result: Result<String, sqlx::Error> = self.0.with_fresh(operation, retry).await;
        match result {
            Ok(text) => Ok(Answer { text, attempts: attempts.into_inner() }),
            Err(sqlx::Error::Database(error)) => Err(error.code().unwrap_or_default().into_owned()),
            Err(_) => Err("the driver".to_owned()),
        }
    }
}

/// The URL of a login in a socket's folder.
fn url(stage: &Stage, password: &str) -> String {
    let admin = stage.admin();
    let folder = admin.get_socket().unwrap().to_str().unwrap();
    let (role, port) = (Stage::ROLE, admin.get_port());
    format!("postgres://{role}:{password}@localhost:{port}/postgres?host={folder}")
}

/// The password that the stage has made.
async fn password(stage: &Stage) -> String {
    #[derive(Deserialize)]
    struct Login {
        password: String,
    }
    let client = stage.secrets().client();
    let text = client.get_secret_value().secret_id(Stage::SECRET).send().await.unwrap();
    serde_json::from_str::<Login>(&text.secret_string.unwrap()).unwrap().password
}

/// What a secret looks like, the switches for it, and where it is for a service.
struct Shape {
    name: &'static str,
    secret: &'static str,
    text: fn(url: &str, password: &str) -> String,
    switches: &'static str,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "a URL",
        secret: "url/database/url",
        text: |url, _| url.to_owned(),
        switches: "--database-url-key \"\"",
    },
    Shape {
        name: "a URL in JSON",
        secret: "url/database",
        text: |url, _| format!(r#"{{"port": 5432, "url": "{url}"}}"#),
        switches: "--database-url-key url",
    },
    Shape {
        name: "a URL and a password in JSON",
        secret: "url/database",
        text: |url, password| format!(r#"{{"password": "{password}", "url": "{url}"}}"#),
        switches: "--database-url-key url --password password",
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_fails_while_the_program_rotates() {
    for Shape { name, secret, text, switches } in SHAPES {
        let stage = Stage::start().await.unwrap();
        let first = password(&stage).await;
        stage.secrets().put(secret, text(&url(&stage, &first), &first));
        let manager = SecretsManager::prefix("url").client(end_to_end::client(stage.secrets()));
        let settings: Live<Settings> = Live::builder(manager.clone())
            .refresh_past_budget(8, Duration::from_secs(30))
            .start()
            .await
            .unwrap();
        let pool = settings.derive("database", pool).await.unwrap();
        let load = Load::start((0..CLIENTS).map(|_| LogsIn(pool.clone())));
        load.round().await;

        let program = Program::of_aws(stage.secrets().endpoint_url());
        let below = secret.strip_prefix("url/").unwrap();
        let rotations = rotations();
        for _ in 0..rotations {
            let ran = program.run(&format!("rotate {below} --prefix url {switches}")).await;
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}: {}", ran.out);
            assert!(ran.out.starts_with(&format!("rotated {below}, version ")), "{}", ran.out);
            load.round().await;
        }
        let tally = load.finish().await;
        let line = format!("rotate --database-url-key, {name}: {rotations} rotations, {tally}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(tally.failures.is_empty(), "{name}: {tally}");

        // The password in the secret is new, works, and the first one does not.
        let now: Settings = manager.fetch().await.unwrap().extract().unwrap();
        assert!(!now.database.url.expose_secret().contains(&first));
        let login: PgConnection = now.database.login().connect().await.unwrap();
        login.close().await.unwrap();
        let old: PgConnectOptions = url(&stage, &first).parse().unwrap();
        assert!(old.connect().await.is_err(), "{name}: the first password still works");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_cannot_be_changes_nothing_and_shows_nothing() {
    let stage = Stage::start().await.unwrap();
    let first = password(&stage).await;
    let right = url(&stage, &first);
    let wrong = url(&stage, "canary-of-another");
    let both = format!(r#"{{"password": "{first}", "url": "{right}"}}"#);
    let program = Program::of_aws(stage.secrets().endpoint_url());
    for (text, switches, said) in [
        (wrong.as_str(), "--database-url-key \"\"", "the database refuses the login"),
        (&both, "--database-url-key url", "has the password at another key, too"),
        ("canary-text", "--database-url-key \"\"", "no URL of PostgreSQL"),
    ] {
        stage.secrets().put("url/x", text);
        let ran = program.run(&format!("rotate x --prefix url {switches}")).await;
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.contains(said), "{}", ran.err);
        assert!(!ran.err.contains("canary") && !ran.err.contains(&first), "{}", ran.err);
        let answer = stage.secrets().client().get_secret_value().secret_id("url/x").send().await;
        assert_eq!(answer.unwrap().secret_string.unwrap(), text);
    }
    let login: PgConnection = right.parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
    login.close().await.unwrap();
}

//! An axum service whose database password rotates under load, and no request fails.
//!
//! Starts from nothing but an installed PostgreSQL: a private server, a Secrets Manager embedded
//! here, the service, and clients that ask it without end. The password is rotated as AWS's
//! functions do it, for one user, with the database a second ahead of the secret and every
//! connection ended. The recipe is in `src/postgres.rs`.
//!
//! `ROTATIONS` says how often (5). With `DATABASE_URL`, a login that may create roles, it runs on
//! that server: the role `app` is made there, and taken away again.

#![allow(clippy::print_stdout, reason = "says what happens")]

use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use examples::{Failure, postgres};
use fake_secrets_manager::{RotationStep, Step};
use rotation_rig::{RotationFunction, Stage};
use secrets_provider::{Live, SecretsManager};
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const CLIENTS: u32 = 8;

/// How far apart the requests of a client are, at least.
const PACE: Duration = Duration::from_millis(20);

/// How long the database is ahead of the secret.
const WINDOW: Duration = Duration::from_secs(1);

/// Between two rotations; there are weeks in production.
const PAUSE: Duration = Duration::from_secs(1);

/// A read, which may run twice.
async fn whoami(State(pool): State<Live<PgPool>>) -> Result<String, StatusCode> {
    let ask = |pool: Arc<PgPool>| async move {
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&*pool).await
    };
    pool.with_fresh(ask, postgres::retry).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::log_to_stderr();
    examples::exit_code(run().await)
}

async fn run() -> Result<(), Failure> {
    let rotations = match env::var("ROTATIONS") {
        Ok(number) => number.parse().map_err(|_| "ROTATIONS must be a number")?,
        Err(_) => 5,
    };
    let stage = match env::var("DATABASE_URL") {
        Ok(url) => {
            Stage::on(url.parse::<PgConnectOptions>().map_err(|_| "DATABASE_URL is no URL")?)
                .await?
        }
        Err(_) => Stage::start().await?,
    };
    match stage.cluster() {
        Some(cluster) => {
            println!("PostgreSQL runs in {} until this ends.", cluster.folder().display())
        }
        None => println!("PostgreSQL is the one of DATABASE_URL."),
    }
    let admin = stage.admin().clone();
    stage.rotate_by(move |call| slowly(admin.clone(), call));
    let served = serve(&stage, rotations).await;
    stage.remove_roles().await?;
    served
}

async fn serve(stage: &Stage, rotations: u32) -> Result<(), Failure> {
    let secrets = SecretsManager::prefix("app").client(stage.secrets().client());
    let settings = postgres::settings(secrets).await?;
    let pool: Live<PgPool> = settings.derive("database", postgres::connect).await?;

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/", get(whoami)).with_state(pool.clone());
    let service = tokio::spawn(async move { axum::serve(listener, app).await });
    println!("The service is on http://{address}; {CLIENTS} clients ask it.");
    let (tally, begun) = (Arc::new(Tally::default()), Instant::now());
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(ask_without_end(address, tally.clone()))).collect();

    let mut changes = pool.changes();
    for rotation in 1..=rotations {
        tokio::time::sleep(PAUSE).await;
        println!("Rotation {rotation} of {rotations}:");
        stage.rotate().await?;
        let moved = Instant::now();
        println!("  AWSCURRENT names the new password;");
        while pool.status().generation() <= u64::from(rotation) {
            changes.next().await.ok_or("the settings have ended")?;
        }
        println!("  the pool is a new one, {:.1} s later; {tally}.", moved.elapsed().as_secs_f64());
    }
    clients.iter().for_each(|client| client.abort());
    service.abort();
    println!("{rotations} rotations in {:.1} s: {tally}.", begun.elapsed().as_secs_f64());
    match tally.failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => Err(format!("{failed} requests failed").into()),
    }
}

/// A rotation with a second between the database and the secret, and every connection ended.
async fn slowly(admin: PgConnectOptions, call: RotationStep) -> Result<(), String> {
    RotationFunction::single_user().call(&call).await?;
    if call.step() == Step::SetSecret {
        let ended = Stage::disconnect_role(&admin).await?;
        println!("  the database has a new password, and has ended {ended} connections;");
        tokio::time::sleep(WINDOW).await;
    }
    Ok(())
}

/// What became of the requests.
#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
    longest_ms: AtomicU64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [requests, failed, longest] = [&self.requests, &self.failed, &self.longest_ms]
            .map(|number| number.load(Ordering::Relaxed));
        write!(f, "{requests} requests, {failed} failed, the slowest took {longest} ms")
    }
}

async fn ask_without_end(address: SocketAddr, tally: Arc<Tally>) {
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let answer = ask(address).await.unwrap_or_default();
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tally.requests.fetch_add(1, Ordering::Relaxed);
        tally.longest_ms.fetch_max(took, Ordering::Relaxed);
        if !answer.starts_with("HTTP/1.0 200") {
            tally.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

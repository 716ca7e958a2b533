//! A pool of PostgreSQL connections that follows the rotation of its password, with sqlx: what to
//! copy from `postgres-rotation`; and the steps of a rotation, for `rotate`. The suites of
//! `end-to-end` run this very code through rotations under load, and kill it.

use std::sync::Arc;
use std::time::Duration;

use postgres_protocol::password::scram_sha_256;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, Live, Rejected, Retry, RotationChange, SecretsManager};
use serde::Deserialize;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

/// The settings; a service has more of them.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `app/database`.
    pub database: Database,
}

/// A login, with the names of fields that RDS uses in its secrets.
#[derive(Debug, Deserialize)]
pub struct Database {
    host: String,
    port: u16,
    dbname: String,
    username: String,
    password: SecretString,
}

impl Database {
    /// Not to be printed: the `Debug` of `PgConnectOptions` shows the password.
    pub fn login(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.dbname)
            .username(&self.username)
            .password(self.password.expose_secret())
    }
}

/// The settings, kept current.
///
/// # Errors
///
/// If they cannot be read, or the database refuses their login.
pub async fn settings(secrets: SecretsManager) -> Result<Live<Settings>, Error> {
    Live::builder(secrets)
        .probe(log_in)
        // A password that the database refused is looked past early and often: after about 0.2,
        // 0.7, 1.6, 3.5 s, ...
        .refresh_past_budget(8, Duration::from_secs(30))
        .start()
        .await
}

/// The probe: new settings are served once the database accepts their login.
///
/// # Errors
///
/// What the database answered.
pub async fn log_in(settings: Arc<Settings>) -> Result<(), Rejected> {
    let connection: PgConnection = settings.database.login().connect().await.map_err(rejected)?;
    connection.close().await.map_err(rejected)
}

/// The build: a pool with the new login. It does not connect, because the probe has.
///
/// # Errors
///
/// None.
pub async fn connect(settings: Arc<Settings>) -> Result<PgPool, Rejected> {
    let options = PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_secs(10));
    Ok(options.connect_lazy_with(settings.database.login()))
}

/// A connection for what must not run twice: only logging in is repeated, before anything is sent.
///
/// # Errors
///
/// If no connection comes, although newer settings were waited for.
pub async fn connection(pool: &Live<PgPool>) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    pool.with_fresh(|pool| async move { pool.acquire().await }, retry).await
}

/// What to do about the error of an operation that may run twice.
pub fn retry(error: &sqlx::Error) -> Retry {
    match error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // Refused: 28P01 invalid_password, 28000 invalid_authorization_specification.
            Some("28P01" | "28000") => Retry::Fresh,
            // The server ended the connection, or was not ready: 57P01 admin_shutdown and its like.
            Some(code) if code.starts_with("57P") => Retry::Now,
            _ => Retry::No,
        },
        // The connection was lost, or the pool was closed.
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed => Retry::Now,
        // PoolTimedOut among them: too much to do, which more of it does not help.
        _ => Retry::No,
    }
}

/// The step `set` of a rotation: the role sets its own new password. It may run twice with the same
/// password.
///
/// # Errors
///
/// What the database answered.
pub async fn set(change: RotationChange<Database>) -> Result<(), Rejected> {
    // An earlier run may have set the new password, and a rotation that was rolled back the one
    // before.
    let logins = [Some(change.current()), Some(change.pending()), change.previous()];
    let mut refused = Rejected::new("no login is known");
    for login in logins.into_iter().flatten() {
        match set_as(&login.login(), change.pending()).await {
            Ok(()) => return Ok(()),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// The same by another login that may do it, for two users who take turns.
///
/// # Errors
///
/// What the database answered.
pub async fn set_as(by: &PgConnectOptions, pending: &Database) -> Result<(), Rejected> {
    let mut connection =
        by.clone().disable_statement_logging().connect().await.map_err(rejected)?;
    // The database gets a verifier that is computed here, so its log cannot show the password.
    let verifier = scram_sha_256(pending.password.expose_secret().as_bytes());
    let role = pending.username.replace('"', "\"\"");
    let statement = format!("ALTER ROLE \"{role}\" PASSWORD '{verifier}'");
    connection.execute(statement.as_str()).await.map_err(rejected)?;
    connection.close().await.map_err(rejected)
}

/// The step `test` of a rotation: the new login works.
///
/// # Errors
///
/// What the database answered.
pub async fn test(pending: Database) -> Result<(), Rejected> {
    let connection: PgConnection = pending.login().connect().await.map_err(rejected)?;
    connection.close().await.map_err(rejected)
}

/// Rebuilt from what may be shown: a driver's own text may quote what it was given.
fn rejected(error: sqlx::Error) -> Rejected {
    match error {
        sqlx::Error::Database(error) => Rejected::new(format!(
            "the database answered SQLSTATE {}",
            error.code().unwrap_or_default()
        )),
        sqlx::Error::Io(error) => {
            Rejected::new(format!("the database cannot be reached: {}", error.kind()))
        }
        _ => Rejected::new("the database cannot be connected to"),
    }
}

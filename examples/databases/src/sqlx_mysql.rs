//! A `MySqlPool` of sqlx, for MySQL and MariaDB, whose login is replaced in place, as in
//! `sqlx_postgres.rs`.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use secrets_provider::{Live, Retry};
use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlDatabaseError, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;

use crate::{Database, Settings};

impl Database {
    fn mysql(&self) -> MySqlConnectOptions {
        let options = MySqlConnectOptions::new()
            .database(&self.dbname)
            .username(&self.username)
            .password(self.password.expose_secret());
        // A path is a socket.
        match self.host.starts_with('/') {
            true => options.socket(&self.host),
            false => options.host(&self.host).port(self.port),
        }
    }
}

/// A pool that logs in with the newest settings. Open connections stay, up to `max_lifetime`.
#[must_use]
pub fn pool(settings: &Live<Settings>, options: MySqlPoolOptions) -> MySqlPool {
    let pool = options.connect_lazy_with(settings.load().database.mysql());
    let following = pool.clone();
    settings.on_change("database", move |settings| {
        following.set_connect_options(settings.database.mysql());
    });
    // Whatever changed since the first line.
    pool.set_connect_options(settings.load().database.mysql());
    pool
}

/// A connection of the pool. If the database refuses the login, newer settings are waited for.
///
/// # Errors
///
/// If no connection comes, although newer settings were waited for.
pub async fn acquire(
    settings: &Live<Settings>,
    pool: &MySqlPool,
) -> Result<PoolConnection<MySql>, sqlx::Error> {
    let log_in = async |settings: Arc<Settings>| {
        pool.set_connect_options(settings.database.mysql());
        pool.acquire().await
    };
    settings.with_fresh(log_in, retry).await
}

/// What to do about an error: of `acquire`, or of an operation that may run twice.
pub fn retry(error: &sqlx::Error) -> Retry {
    match error {
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<MySqlDatabaseError>()
            .map_or(Retry::No, |error| Retry::by_mysql_error(error.number())),
        sqlx::Error::Io(_) => Retry::Now,
        _ => Retry::No,
    }
}

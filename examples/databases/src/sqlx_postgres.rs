//! A `PgPool` of sqlx whose login is replaced in place: all clones of the pool follow, wherever
//! they are kept, and nothing else of the program changes.
//!
//! With two users who take turns, this is all: [`pool`]. With one user, a new connection may meet
//! the time in which the database has the new password and Secrets Manager the old one; [`acquire`]
//! waits it out before anything is sent, so it is safe for writes, and [`Db`] does it in one place
//! for all handlers of axum.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use secrecy::ExposeSecret as _;
use secrets_provider::{Live, Retry};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};

use crate::{Database, Settings};

impl Database {
    fn postgres(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .database(&self.dbname)
            .username(&self.username)
            .password(self.password.expose_secret())
    }
}

/// A pool that logs in with the newest settings. Open connections stay, up to `max_lifetime`.
#[must_use]
pub fn pool(settings: &Live<Settings>, options: PgPoolOptions) -> PgPool {
    let pool = options.connect_lazy_with(settings.load().database.postgres());
    let following = pool.clone();
    settings.on_change("database", move |settings| {
        following.set_connect_options(settings.database.postgres());
    });
    // Whatever changed since the first line.
    pool.set_connect_options(settings.load().database.postgres());
    pool
}

/// A connection of the pool. If the database refuses the login, newer settings are waited for.
///
/// # Errors
///
/// If no connection comes, although newer settings were waited for.
pub async fn acquire(
    settings: &Live<Settings>,
    pool: &PgPool,
) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let log_in = async |settings: std::sync::Arc<Settings>| {
        pool.set_connect_options(settings.database.postgres());
        pool.acquire().await
    };
    settings.with_fresh(log_in, retry).await
}

/// What to do about an error: of `acquire`, or of an operation that may run twice.
pub fn retry(error: &sqlx::Error) -> Retry {
    match error {
        sqlx::Error::Database(error) => {
            error.code().map_or(Retry::No, |it| Retry::by_sqlstate(&it))
        }
        sqlx::Error::Io(_) => Retry::Now,
        // PoolTimedOut among them: too much to do, which more of it does not help.
        _ => Retry::No,
    }
}

/// Extracts a connection of the pool in the router's state.
#[derive(Debug)]
pub struct Db(pub PoolConnection<Postgres>);

impl<S> FromRequestParts<S> for Db
where
    S: Send + Sync,
    Live<Settings>: FromRef<S>,
    PgPool: FromRef<S>,
{
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let (settings, pool) = (Live::from_ref(state), PgPool::from_ref(state));
        acquire(&settings, &pool).await.map(Self).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
    }
}

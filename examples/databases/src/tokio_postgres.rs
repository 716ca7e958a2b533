//! A connection of tokio-postgres with the newest login: what the hooks of deadpool, bb8 and
//! diesel-async call for each new connection. If the database refuses the login, newer settings are
//! waited for, before anything is sent, so users of the pools notice nothing.

use std::error::Error as _;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use secrets_provider::{Live, Retry};
use tokio_postgres::{Client, Config, Connection, Error, NoTls, Socket, tls::NoTlsStream};

use crate::{Database, Settings};

impl Database {
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .dbname(&self.dbname)
            .user(&self.username)
            .password(self.password.expose_secret());
        config
    }
}

/// A new connection, and what has to be polled for it.
///
/// # Errors
///
/// What the database answered, after newer settings were waited for.
pub async fn connect(
    settings: &Live<Settings>,
) -> Result<(Client, Connection<Socket, NoTlsStream>), Error> {
    let log_in = async |settings: Arc<Settings>| settings.database.config().connect(NoTls).await;
    settings.with_fresh(log_in, retry).await
}

/// What to do about an error: of `connect`, or of an operation that may run twice.
pub fn retry(error: &Error) -> Retry {
    match error.code() {
        Some(code) => Retry::by_sqlstate(code.code()),
        // The connection was lost.
        None if error.is_closed() => Retry::Now,
        None if error.source().is_some_and(|source| source.is::<std::io::Error>()) => Retry::Now,
        None => Retry::No,
    }
}

//! A pool of bb8 with the connections of bb8-postgres. Its own manager keeps one login for good, so
//! this one makes such a manager for each new connection, with the login of that moment.

use std::sync::Arc;

use bb8::{ManageConnection, RunError};
use bb8_postgres::PostgresConnectionManager;
use secrets_provider::{Live, Retry};
use tokio_postgres::{Client, Error, NoTls};

use crate::{Settings, tokio_postgres as login};

type Manager = PostgresConnectionManager<NoTls>;

/// Connections that log in with the newest settings. Open ones stay, up to `max_lifetime`.
#[derive(Debug)]
pub struct Newest {
    settings: Live<Settings>,
    /// Looks at open connections, for which no login is needed.
    manager: Manager,
}

impl Newest {
    /// The manager for `bb8::Pool::builder`.
    #[must_use]
    pub fn new(settings: Live<Settings>) -> Self {
        let manager = Manager::new(settings.load().database.config(), NoTls);
        Self { settings, manager }
    }
}

impl ManageConnection for Newest {
    type Connection = Client;
    type Error = Error;

    async fn connect(&self) -> Result<Client, Error> {
        let log_in = async |settings: Arc<Settings>| {
            Manager::new(settings.database.config(), NoTls).connect().await
        };
        self.settings.with_fresh(log_in, login::retry).await
    }

    async fn is_valid(&self, client: &mut Client) -> Result<(), Error> {
        self.manager.is_valid(client).await
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        self.manager.has_broken(client)
    }
}

/// What to do about an error of `get`, for an operation that may run twice.
pub fn retry(error: &RunError<Error>) -> Retry {
    match error {
        RunError::User(error) => login::retry(error),
        RunError::TimedOut => Retry::No,
    }
}

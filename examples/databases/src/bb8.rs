//! A pool of bb8: its manager asks for the login of each new connection. (`bb8-postgres` keeps one
//! login for good, and does no more than this.)

use bb8::{ManageConnection, RunError};
use secrets_provider::{Live, Retry};
use tokio_postgres::{Client, Error};

use crate::{Settings, tokio_postgres as login};

/// Connections that log in with the newest settings. Open ones stay, up to `max_lifetime`.
#[derive(Debug)]
pub struct Newest(pub Live<Settings>);

impl ManageConnection for Newest {
    type Connection = Client;
    type Error = Error;

    async fn connect(&self) -> Result<Client, Error> {
        let (client, connection) = login::connect(&self.0).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    async fn is_valid(&self, client: &mut Client) -> Result<(), Error> {
        client.simple_query("").await.map(drop)
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        client.is_closed()
    }
}

/// What to do about an error of `get`, for an operation that may run twice.
pub fn retry(error: &RunError<Error>) -> Retry {
    match error {
        RunError::User(error) => login::retry(error),
        RunError::TimedOut => Retry::No,
    }
}

//! A pool of diesel-async: its `custom_setup` asks for the login of each new connection.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use futures_util::FutureExt as _;
use secrets_provider::{Live, Retry};

use crate::{Settings, tokio_postgres as login};

/// Connections that log in with the newest settings, for a pool of bb8, deadpool or mobc. Open ones
/// stay, up to the pool's lifetime of connections.
#[must_use]
pub fn manager(settings: &Live<Settings>) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    let (settings, mut config) = (settings.clone(), ManagerConfig::default());
    config.custom_setup = Box::new(move |_| {
        let settings = settings.clone();
        async move {
            let (client, connection) = login::connect(&settings)
                .await
                // The driver's text may quote what it was given.
                .map_err(|_| ConnectionError::BadConnection("the login was refused".to_owned()))?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        }
        .boxed()
    });
    AsyncDieselConnectionManager::new_with_config("", config)
}

/// What to do about an error of an operation that may run twice. diesel keeps no SQLSTATE.
pub fn retry(error: &Error) -> Retry {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    match error {
        Error::DatabaseError(ClosedConnection | UnableToSendCommand, _) => Retry::Now,
        // An administrator ended the connection, in the words of the server.
        Error::DatabaseError(_, error) if error.message().starts_with("terminating connection") => {
            Retry::Now
        }
        _ => Retry::No,
    }
}

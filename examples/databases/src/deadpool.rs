//! A pool of deadpool-postgres: its `Connect` hook asks for the login of each new connection.

use std::pin::Pin;

use deadpool_postgres::{Connect, Manager, Pool, PoolBuilder, PoolError};
use secrets_provider::{Live, Retry};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error};

use crate::{Settings, tokio_postgres as login};

struct Newest(Live<Settings>);

type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

impl Connect for Newest {
    fn connect(&self, _: &Config) -> Connecting<'_> {
        Box::pin(async move {
            let (client, connection) = login::connect(&self.0).await?;
            Ok((client, tokio::spawn(async move { drop(connection.await) })))
        })
    }
}

/// The builder of a pool that logs in with the newest settings. Open connections stay until the
/// server ends them: deadpool has no lifetime of its own.
pub fn pool(settings: &Live<Settings>) -> PoolBuilder {
    // The login in this configuration is not used.
    let (unused, manager) = (Config::new(), deadpool_postgres::ManagerConfig::default());
    Pool::builder(Manager::from_connect(unused, Newest(settings.clone()), manager))
}

/// What to do about an error of `get`, for an operation that may run twice.
pub fn retry(error: &PoolError) -> Retry {
    match error {
        PoolError::Backend(error) => login::retry(error),
        _ => Retry::No,
    }
}

//! redis-rs: a `ConnectionManager` that follows its login.
//!
//! Two ways, for two kinds of program. [`connect`] is derived, and handlers take the current
//! manager (`Live<ConnectionManager>`): a wrong login is never served. [`Credentials`] is for a
//! manager that was handed out at the start: its open connection logs in again when the login
//! changes. It needs a rotation that leaves the old login valid for a while: a manager that was
//! refused at all its tries to connect makes no more (redis-rs 1.8), whatever its provider says by
//! then. [`retry`] is for `with_fresh` in both.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::auth::{BasicAuth, StreamingCredentialsProvider};
use redis::{Client, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Rejected, Retry};
use serde::Deserialize;

/// The settings of a service that uses Redis.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `redis`.
    pub redis: Redis,
}

/// Where it is, and who logs in there: `{"url": "rediss://…", "username": "…", "password": "…"}`.
#[derive(Debug, Deserialize)]
pub struct Redis {
    /// The address, without a login.
    pub url: String,
    /// The user of its access control list.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

impl Redis {
    /// A client with this login. It is made where it is needed and not kept.
    ///
    /// # Errors
    ///
    /// If the URL is not valid.
    pub fn client(&self) -> Result<Client, Rejected> {
        let address = self.url.as_str().into_connection_info().map_err(|error| rejected(&error))?;
        let login = address.redis_settings().clone();
        let login = login.set_username(&self.username).set_password(self.password.expose_secret());
        Client::open(address.set_redis_settings(login)).map_err(|error| rejected(&error))
    }
}

/// The other settings of a manager. After a connection is lost, all commands wait for the next one:
/// two more tries, so that a refused login is known soon. About one in a thousand connections that
/// are lost leaves a command without an answer (redis-rs 1.8): this is how long it waits.
fn config() -> ConnectionManagerConfig {
    let config = ConnectionManagerConfig::new().set_number_of_retries(2);
    config.set_response_timeout(Some(Duration::from_secs(1)))
}

/// Builds the manager for [`Live::derive`]: `settings.derive("redis", connect)`. It logs in, so a
/// login that is refused leaves the last good manager in place.
///
/// # Errors
///
/// If Redis cannot be reached, or refuses the login.
pub async fn connect(settings: Arc<Settings>) -> Result<ConnectionManager, Rejected> {
    let client = settings.redis.client()?;
    let manager = ConnectionManager::new_with_config(client, config()).await;
    manager.map_err(|error| rejected(&error))
}

/// Whether a command of [`Live::with_fresh`] is run again.
pub fn retry(error: &RedisError) -> Retry {
    match error.kind() {
        // WRONGPASS, in answer to AUTH.
        ErrorKind::AuthenticationFailed => Retry::Fresh,
        // The connection was lost: the manager makes another.
        ErrorKind::Io if error.is_connection_dropped() => Retry::Now,
        // No answer came, which a lost connection can look like.
        ErrorKind::Io if error.is_timeout() => Retry::Now,
        // WRONGPASS in answer to HELLO (RESP 3); NOAUTH if no login was sent at all.
        _ if matches!(error.code(), Some("WRONGPASS" | "NOAUTH")) => Retry::Fresh,
        _ => Retry::No,
    }
}

/// Logs in with the current login, and again at each change, on the connection that is open.
#[derive(Debug)]
pub struct Credentials(pub Live<BasicAuth>);

impl StreamingCredentialsProvider for Credentials {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        let credentials = self.0.clone();
        // Before the first is read, so that no change is missed.
        let changes = credentials.changes().map(drop);
        let logins = stream::iter([()]).chain(changes);
        logins.map(move |()| Ok(BasicAuth::clone(&credentials.load()))).boxed()
    }
}

/// The login for [`Live::derive`]: `settings.derive("redis", login)`.
///
/// # Errors
///
/// Never.
pub async fn login(settings: Arc<Settings>) -> Result<BasicAuth, Rejected> {
    let Redis { username, password, .. } = &settings.redis;
    Ok(BasicAuth::new(username.clone(), password.expose_secret().to_owned()))
}

/// A manager to hand out once. Its clones follow the login; call `with_fresh` on the login.
///
/// # Errors
///
/// If Redis cannot be reached, or refuses the login.
pub async fn follow(redis: &Redis, login: Live<BasicAuth>) -> Result<ConnectionManager, Rejected> {
    let config = config().set_credentials_provider(Credentials(login));
    let manager = ConnectionManager::new_with_config(redis.client()?, config).await;
    manager.map_err(|error| rejected(&error))
}

/// Rebuilt from what may be shown: a client's own text may quote what it was given.
fn rejected(error: &RedisError) -> Rejected {
    Rejected::new(match retry(error) {
        Retry::Fresh => "Redis refused the login",
        Retry::Now => "Redis cannot be reached",
        _ => "Redis cannot be connected to",
    })
}

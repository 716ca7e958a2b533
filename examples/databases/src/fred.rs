//! fred: a client that asks for its login at each connect.
//!
//! An open connection keeps the login with which it began. When it is lost, the client connects
//! again with the login of that moment, and repeats the commands that were under way, so that their
//! callers see nothing of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, EventInterface as _};
use fred::types::Builder;
use fred::types::config::{Config, CredentialProvider, ReconnectPolicy, Server};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Retry};
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

/// The login of this moment.
#[derive(Debug)]
pub struct Credentials {
    settings: Live<Settings>,
    /// What the last connect logged in with.
    used: Mutex<Arc<Settings>>,
}

impl Credentials {
    /// Those of these settings.
    #[must_use]
    pub fn new(settings: Live<Settings>) -> Self {
        let used = Mutex::new(settings.current());
        Self { settings, used }
    }

    /// Waits for a newer login than the one that was just refused.
    async fn refused(&self) {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Its error is in the status of the settings.
        let _ = self.settings.refresh_past(&used).await;
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    async fn fetch(&self, _: Option<&Server>) -> Result<(Option<String>, Option<String>), Error> {
        let settings = self.settings.current();
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = settings.clone();
        let Redis { username, password, .. } = &settings.redis;
        Ok((Some(username.clone()), Some(password.expose_secret().to_owned())))
    }
}

/// A connected client. Its clones share the connection.
///
/// # Errors
///
/// If the URL is not valid, Redis cannot be reached, or it refuses the login.
pub async fn connect(settings: Live<Settings>) -> Result<Client, Error> {
    let mut config = Config::from_url(&settings.load().redis.url)?;
    let credentials = Arc::new(Credentials::new(settings));
    config.credential_provider = Some(credentials.clone());
    let client = Builder::from_config(config)
        .with_connection_config(|connection| {
            // A command may meet this many lost connections before its caller learns of one.
            connection.max_command_attempts = 5;
            connection.reconnect_on_auth_error = true;
        })
        // For ever (0), after 100 ms, 200 ms, ... 2 s.
        .set_policy(ReconnectPolicy::new_exponential(0, 100, 2_000, 2))
        .build()?;
    // While no connection succeeds, commands wait: their callers cannot say that the login was
    // refused. So this looks for a newer one. It ends with the client.
    client.on_error(move |(error, _)| {
        let credentials = credentials.clone();
        async move {
            if retry(&error) == Retry::Fresh {
                credentials.refused().await;
            }
            Ok(())
        }
    });
    client.init().await?;
    Ok(client)
}

/// Whether a command of [`Live::with_fresh`] is run again.
pub fn retry(error: &Error) -> Retry {
    match error.kind() {
        // WRONGPASS and NOAUTH.
        ErrorKind::Auth => Retry::Fresh,
        // The connection was lost, more often than `max_command_attempts`.
        ErrorKind::IO | ErrorKind::Canceled => Retry::Now,
        // A timeout among them: too much to do, which more of it does not help.
        _ => Retry::No,
    }
}

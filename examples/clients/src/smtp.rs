//! lettre: mail by a transport that follows its login.
//!
//! A transport keeps the login with which it was made, so it is derived, and a new one replaces it.
//! Its connections stay with it until it is dropped, or the server ends them: lettre tries each one
//! before it is used again.

use std::sync::Arc;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::response::Response;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Rejected, Retry};
use serde::Deserialize;

/// What sends.
pub type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The settings of a service that sends mail.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `smtp`.
    pub smtp: Smtp,
}

/// The mail server: `{"url": "smtps://…", "username": "…", "password": "…"}`.
#[derive(Debug, Deserialize)]
pub struct Smtp {
    /// The address, without a login.
    pub url: String,
    /// Who logs in.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

/// Builds the transport for [`Live::derive`]: `settings.derive("smtp", connect)`. It logs in, so a
/// login that is refused leaves the last good transport in place.
///
/// # Errors
///
/// If the URL is not valid, the server cannot be reached, or it refuses the login.
pub async fn connect(settings: Arc<Settings>) -> Result<Transport, Rejected> {
    let Smtp { url, username, password } = &settings.smtp;
    let builder = Transport::from_url(url).map_err(|error| rejected(&error))?;
    let login = Credentials::new(username.clone(), password.expose_secret().to_owned());
    let transport = builder.credentials(login).build();
    match transport.test_connection().await {
        Ok(true) => Ok(transport),
        Ok(false) => Err(Rejected::new("the mail server ended the connection")),
        Err(error) => Err(rejected(&error)),
    }
}

/// Sends a message, once: it is tried again only after an answer by which the server did not take
/// it.
///
/// # Errors
///
/// What the mail server answered, or why it cannot be reached.
pub async fn send(transport: &Live<Transport>, message: &Message) -> Result<Response, Error> {
    let send = |transport: Arc<Transport>| async move { transport.send(message.clone()).await };
    transport.with_fresh(send, retry).await
}

/// Whether a message of [`Live::with_fresh`] is sent again. After a connection that was lost
/// without an answer, it is not: the server may have taken the message.
pub fn retry(error: &Error) -> Retry {
    match error.status().map(u16::from) {
        // 535, credentials invalid; 530, authentication required.
        Some(530 | 535) => Retry::Fresh,
        // The server is about to end the connection, and asks for another one.
        Some(421) => Retry::Now,
        _ => Retry::No,
    }
}

/// Rebuilt from what may be shown: a server's own text may quote what it was given.
fn rejected(error: &Error) -> Rejected {
    match error.status().map(u16::from) {
        Some(code) => Rejected::new(format!("the mail server answered {code}")),
        None => Rejected::new("the mail server cannot be reached"),
    }
}

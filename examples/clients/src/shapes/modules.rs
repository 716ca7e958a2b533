//! One struct for each module: a module gets a view of its part, and sees nothing else.

use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::View;
use serde::Deserialize;

use super::Settings;

/// The part of this module.
#[derive(Debug, Deserialize)]
pub struct Mail {
    /// Who sends.
    pub from: String,
    /// The sender's password.
    pub password: SecretString,
}

/// Holds the view and reads it for each piece of work. A field with the password would be that of
/// the start for ever.
#[derive(Debug)]
pub struct Mailer {
    settings: View<Settings, Mail>,
}

impl Mailer {
    /// Of `settings.map(|settings| &settings.mail)`.
    pub fn new(settings: View<Settings, Mail>) -> Self {
        Self { settings }
    }

    /// The lines that log in.
    pub fn login(&self) -> String {
        // One read, so that both are of one generation.
        let mail = self.settings.load();
        format!("{} {}", mail.from, mail.password.expose_secret())
    }
}

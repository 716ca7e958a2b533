//! The settings of the examples, and what the apps show of them.
//!
//! The two web services answer `GET /` with a `Report`. It has names, versions and the generation;
//! a password is `[redacted]` in it.

use secrecy::SecretString;
use secrets_provider::{Live, SecretStatus};
use serde::{Deserialize, Serialize};

/// The settings of every example, as `gaara/prod` and the layers below it give them.
///
/// A secret is a [`SecretString`]: its `Debug` shows nothing, it does not serialize,
/// and it is wiped from memory when it is dropped.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `gaara/prod/database`, a JSON object.
    pub database: Database,
    /// From the secret `gaara/prod/jwt-secret`, plain text.
    pub jwt_secret: SecretString,
}

/// Where the database is, and who logs in there.
#[derive(Debug, Deserialize)]
pub struct Database {
    /// The host name.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

/// The answer of `GET /`: the generation that is served, what may be shown of it, and the versions
/// of its secrets.
#[derive(Debug, Serialize)]
pub struct Report {
    generation: u64,
    database: ShownDatabase,
    secrets: Vec<ShownSecret>,
}

#[derive(Debug, Serialize)]
struct ShownDatabase {
    host: String,
    port: u16,
    username: String,
    password: &'static str,
}

#[derive(Debug, Serialize)]
struct ShownSecret {
    name: String,
    version_id: String,
}

impl Report {
    /// The report of this moment.
    ///
    /// Settings and generation are read as a pair. Between two reads, a swap could come.
    ///
    /// ```
    /// use examples::{Database, Report, Settings};
    /// use secrets_provider::Live;
    ///
    /// let (host, username) = ("db.internal".to_owned(), "gaara".to_owned());
    /// let database = Database { host, port: 5432, username, password: "hidden".into() };
    /// let settings = Live::constant(Settings { database, jwt_secret: "hidden".into() });
    /// let report = serde_json::to_value(Report::of(&settings))?;
    /// assert_eq!(report["generation"], 1);
    /// assert_eq!(report["database"]["password"], "[redacted]");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn of(settings: &Live<Settings>) -> Self {
        let (settings, status) = settings.current_with_status();
        let database = &settings.database;
        Self {
            generation: status.generation(),
            database: ShownDatabase {
                host: database.host.clone(),
                port: database.port,
                username: database.username.clone(),
                password: "[redacted]",
            },
            secrets: status.secrets().iter().map(ShownSecret::of).collect(),
        }
    }
}

impl ShownSecret {
    fn of(secret: &SecretStatus) -> Self {
        Self { name: secret.name().to_owned(), version_id: secret.version_id().to_owned() }
    }
}

//! The settings that every contender reads: a table from a JSON secret, and a plain text secret.

use secrecy::SecretString;
use serde::Deserialize;

/// The name of the database's secret.
pub const DATABASE: &str = "bench/prod/database";
/// The name of the token's secret.
pub const TOKEN: &str = "bench/prod/jwt-secret";
/// The prefix of both.
pub const PREFIX: &str = "bench/prod";

#[derive(Clone, Deserialize)]
pub struct Settings {
    pub database: Database,
    pub jwt_secret: SecretString,
}

#[derive(Clone, Deserialize)]
pub struct Database {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: SecretString,
}

/// The database's secret in a generation, in the format of RDS.
pub fn database(generation: u16) -> String {
    format!(
        r#"{{"engine": "postgres", "host": "db.internal", "port": {generation}, "username": "app",
            "password": "not-a-real-password-{generation}", "dbname": "app"}}"#
    )
}

/// The settings of the same generation.
pub fn settings(generation: u16) -> Settings {
    Settings {
        database: serde_json::from_str(&database(generation)).expect("the secret's own shape"),
        jwt_secret: "not-a-real-token".into(),
    }
}

//! The settings that every contender reads: one table from one JSON secret, and one secret of plain text.

use secrecy::SecretString;
use serde::Deserialize;

/// Where the database's secret is.
pub const DATABASE: &str = "bench/prod/database";
/// Where the token's is.
pub const TOKEN: &str = "bench/prod/jwt-secret";
/// What both stand below.
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

/// The database's secret of a generation, in the shape that RDS gives it.
pub fn database(generation: u16) -> String {
    format!(
        r#"{{"engine": "postgres", "host": "db.internal", "port": {generation}, "username": "app",
            "password": "not-a-real-password-{generation}", "dbname": "app"}}"#
    )
}

/// The same generation as settings.
pub fn settings(generation: u16) -> Settings {
    Settings {
        database: serde_json::from_str(&database(generation)).expect("the secret's own shape"),
        jwt_secret: "not-a-real-token".into(),
    }
}

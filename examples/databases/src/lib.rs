//! Connections to databases that follow the rotation of their login: one small file for each
//! client, to copy. The tests run them on real servers while passwords rotate.
//!
//! `Settings` here are what those of SQL share; a service has its own.

#[cfg(feature = "bb8")]
pub mod bb8;
#[cfg(feature = "deadpool")]
pub mod deadpool;
#[cfg(feature = "diesel")]
pub mod diesel;
#[cfg(feature = "fred")]
pub mod fred;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlx-mysql")]
pub mod sqlx_mysql;
#[cfg(feature = "sqlx-postgres")]
pub mod sqlx_postgres;
#[cfg(feature = "tokio-postgres")]
pub mod tokio_postgres;

use secrecy::SecretString;
use serde::Deserialize;

/// The settings; a service has more of them.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `app/database`.
    pub database: Database,
}

/// A login, with the names of fields that RDS uses in its secrets.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "each client is a feature")]
pub struct Database {
    host: String,
    port: u16,
    dbname: String,
    username: String,
    password: SecretString,
}

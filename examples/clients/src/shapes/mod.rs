//! Where programs keep their settings: a file for each shape, with the settings that they share.
//!
//! `tests/shapes.rs` has a unit test of each, with `Live::constant`, and tests with a fake of AWS.

pub mod modules;
#[cfg(feature = "rocket")]
pub mod rocket;
pub mod statics;
pub mod tower;
pub mod worker;

use secrecy::SecretString;
use serde::Deserialize;

/// The settings of the program: one struct for each of its modules.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `mail`.
    pub mail: modules::Mail,
    /// From the secret `worker`.
    pub worker: worker::Worker,
    /// From the secret `api-token`.
    pub api_token: SecretString,
}

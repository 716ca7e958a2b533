//! `Vault` over OpenBao, the real program: `.ci/external` installs it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod database;
mod errors;
mod login;
mod proxy;

//! `Vault` over OpenBao, the real program: `.ci/external` installs it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod database;
mod errors;
mod login;
#[path = "../../../../secrets-provider/tests/conformance/page.rs"]
mod page;
mod proxy;
mod several;

use secrets_provider::backend::conformance::Capability;

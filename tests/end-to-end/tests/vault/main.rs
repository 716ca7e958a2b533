//! `Vault` over OpenBao, the real program: `.ci/external` installs it. The three systems of
//! `tests/suite/systems` run on it too, by the same text.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod database;
mod errors;
mod leases;
mod login;
#[path = "../../../../secrets-provider/tests/conformance/page.rs"]
mod page;
mod proxy;
mod rig;
mod several;
mod store;
#[path = "../suite/systems/mod.rs"]
mod systems;

use secrets_provider::backend::conformance::Capability;

//! `ParameterStore` over the wire, through the SDK, against a server that answers as Systems Manager
//! does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod reading;
mod stand_in;

#[path = "../../../../secrets-provider/tests/conformance/page.rs"]
mod page;

use secrets_provider::backend::conformance::Capability;

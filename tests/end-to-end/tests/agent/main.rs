//! `Agent` over the wire, against a server that answers as AWS's agent or its Lambda extension does.
//!
//! The answers are those of the sources of the agent, which is on crates.io
//! (`aws_workload_credentials_provider` 3.1.2).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod conformance;
mod freshness;
#[path = "../../../../secrets-provider/tests/conformance/page.rs"]
mod page;
mod real;
mod refusals;
mod stand_in;

use secrets_provider::backend::conformance::Capability;

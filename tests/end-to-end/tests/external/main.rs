//! Tests that need more than Rust: the fake beside moto, and driven by the real `aws` client and
//! boto3; the product and `ParameterStore` over moto; its page in Chromium. `.ci/external` installs
//! all of it and runs them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod aws_cli;
mod boto3;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod iam;
mod page;
mod parameters;
mod peer;
mod peers;
mod product;
mod push;
#[path = "../../../../secrets-provider/tests/conformance/page.rs"]
mod stores_page;
mod templates;

use secrets_provider::backend::conformance::Capability;

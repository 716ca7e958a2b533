//! What needs more than Rust: the fake held against moto, and driven by the real `aws` client and
//! boto3; the product over moto; its page in Chromium. `.ci/external` installs what this needs and
//! runs it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod aws_cli;
mod boto3;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod iam;
mod page;
mod peer;
mod peers;
mod product;

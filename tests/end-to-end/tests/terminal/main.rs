//! The program `secrets-provider` where it meets what we did not write: moto with its IAM and STS,
//! MiniStack with CloudFormation, OpenBao, PostgreSQL. `secrets-provider/tests/cli` has the rest of
//! its tests, which need only Rust.
//!
//! The program has to be built before: `cargo build -p secrets-provider --features cli`, as
//! `.ci/external` does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod doctor;
mod postgres;
mod program;
mod templates;
mod vault;

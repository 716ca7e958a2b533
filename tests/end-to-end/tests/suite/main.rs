//! The product over its real joints: HTTP, the SDK, both runtimes' flavours, figment, config-rs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blocking;
mod cases;
mod config;
mod directory;
mod engine;
mod errors;
mod explain;
mod figment;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod iam;
mod live;
mod loading;
mod policies;
mod systems;

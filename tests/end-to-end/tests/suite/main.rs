//! The product together with what it runs on: HTTP, the SDK, both flavours of tokio's runtime,
//! figment and config-rs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blocking;
mod cases;
mod config;
mod directory;
mod engine;
mod errors;
mod explain;
mod failover;
mod figment;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod iam;
mod live;
mod loading;
mod lookup;
mod policies;
mod rotation;
mod sources;
mod stage;
mod store;
mod systems;
mod throttling;
mod ways;

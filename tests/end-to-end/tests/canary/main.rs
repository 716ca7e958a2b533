//! No secret leaks: every secret, variable, `.env` line, key and binary is a distinct canary, and
//! everything that the product shows is searched for any eight consecutive characters of one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod adapters;
mod canaries;
mod closures;
mod extraction;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod frameworks;
mod keys;
mod log;
mod lookup;
mod rotation;
mod service;
mod shown;
mod surfaces;
mod variables;

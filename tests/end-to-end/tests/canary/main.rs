//! No leak, shown by force: distinct canaries in every secret, variable, `.env` line, key and
//! binary, and everything that the product shows searched for any eight consecutive characters of
//! one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod adapters;
mod canaries;
mod closures;
mod extraction;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod frameworks;
mod log;
mod service;
mod shown;
mod surfaces;
mod variables;

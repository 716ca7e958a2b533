//! Worlds of secrets, replicas, rotators and faults, each from one seed, and what must hold in all
//! of them.
//!
//! A seed makes a [`schedule`]: a world, and what happens in it. [`run`] lets it happen on one
//! thread, under tokio's paused clock, on the fake in this process; a [`model`] beside it knows what
//! the store had when, and what was wrong; the [`invariants`] compare both at every step. The same
//! seed is the same run, to the last event, so a seed that fails is a test. [`shrink`] leaves out
//! the steps that it doesn't need.
//!
//! What differs from the world outside: the wall clock never jumps and no rotation window opens,
//! because the library reads the system's clock for these; there are no threads and no sockets.
//! `tests/end-to-end` has those.

#![allow(missing_docs, missing_debug_implementations, reason = "only its own tests use it")]

mod act;
pub mod invariants;
pub mod log;
pub mod model;
pub mod replica;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod shrink;
pub mod world;

//! The product over its real joints: HTTP, the SDK, both runtimes' flavours, figment.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blocking;
mod cases;
mod directory;
mod figment;
mod live;
mod loading;

//! The product over its real joints: HTTP, the SDK, both runtimes' flavours, figment.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blocking;
mod cases;
mod figment;
mod live;
mod loading;
mod policies;

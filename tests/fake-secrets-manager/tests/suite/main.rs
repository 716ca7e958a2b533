//! The fake, driven by the real SDK, in-process and over a socket.

mod access;
mod batch;
mod deletion;
mod faults;
mod history;
mod listing;
mod rotation;
mod serving;
mod staging;
mod support;
mod values;
mod wire;

//! The stand-in, driven by the real SDK over both roads.

mod access;
mod batch;
mod deletion;
mod faults;
mod listing;
mod rotation;
mod serving;
mod staging;
mod support;
mod values;
mod wire;

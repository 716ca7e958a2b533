//! The conformance suite: the stores in the crate pass it, and a broken store fails it.

mod broken;
mod directory;
mod memory;
mod messages;
mod model;
mod page;

use secrets_provider::backend::conformance::Capability;

//! Which secrets, read once into a snapshot.

pub(crate) mod blocking;
pub(crate) mod fetch;
pub(crate) mod manager;
pub(crate) mod mapping;
pub(crate) mod plan;
pub(crate) mod required;
pub(crate) mod snapshot;
pub(crate) mod suggest;
pub(crate) mod switches;

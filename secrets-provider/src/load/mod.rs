//! Which secrets, where they go in the tree, and one read of them into a snapshot.
//!
//! [`SecretsManager`](manager::SecretsManager) describes the selection, `plan` checks it, `fetch`
//! reads, `mapping` places every value at its key, and [`Snapshot`](snapshot::Snapshot) holds the
//! result. `retry` says when to read again. `plan`, `required`, `mapping`, `slip`, `suggest` and
//! `switches` are pure. Nothing here knows layers, background tasks or frameworks.

pub(crate) mod blocking;
pub(crate) mod fetch;
pub(crate) mod manager;
pub(crate) mod mapping;
pub(crate) mod notify;
pub(crate) mod plan;
pub(crate) mod rejected;
pub(crate) mod required;
pub(crate) mod retry;
pub(crate) mod slip;
pub(crate) mod snapshot;
pub(crate) mod suggest;
pub(crate) mod switches;

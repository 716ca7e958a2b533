//! What can be seen from outside: status, log events, metrics.
//!
//! This room holds words and numbers, never a value, and it does not know who reports them: callers
//! pass in names, versions and kinds.

pub(crate) mod events;
#[cfg_attr(not(feature = "metrics"), path = "metrics_off.rs")]
pub(crate) mod metrics;
pub(crate) mod status;

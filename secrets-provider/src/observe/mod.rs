//! What may be seen from outside: status, log events, metrics.

pub(crate) mod events;
#[cfg_attr(not(feature = "metrics"), path = "metrics_off.rs")]
pub(crate) mod metrics;
pub(crate) mod status;

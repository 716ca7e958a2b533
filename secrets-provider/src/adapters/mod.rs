//! Foreign configuration libraries.

#[cfg(feature = "config")]
pub(crate) mod config;
#[cfg(feature = "figment")]
pub(crate) mod figment;

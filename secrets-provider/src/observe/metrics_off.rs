//! The functions of `metrics` without the feature: they do nothing, so that no caller needs a
//! `cfg`.
//!
//! `observe` has one of the two under the name `metrics`. A function that is added there is added
//! here.

use crate::error::Error;
use crate::observe::status::Status;

pub(crate) fn describe() {}

pub(crate) fn record_read(_: &str, _: bool) {}

pub(crate) fn record_failure(_: &Error) {}

pub(crate) fn record_lookup(_: bool) {}

#[cfg(any(feature = "agent", feature = "aws", feature = "vault"))]
pub(crate) fn record_call(_: &str) {}

pub(crate) fn record_swap() {}

pub(crate) fn record_rotation(_: &str) {}

#[cfg(feature = "aws")]
pub(crate) fn record_failover(_: &str, _: bool) {}

pub(crate) fn record_status(_: &Status) {}

pub(crate) fn watch(_: impl Fn() -> Option<Status>) {}

//! The functions of `metrics` without the feature: they do nothing, so that no caller needs a
//! `cfg`.

use crate::error::Error;
use crate::observe::status::Status;

pub(crate) fn describe() {}

pub(crate) fn accessed(_: &str, _: bool) {}

pub(crate) fn failed(_: &Error) {}

#[cfg(feature = "aws")]
pub(crate) fn called(_: &str) {}

pub(crate) fn swapped() {}

pub(crate) fn stands(_: &Status) {}

pub(crate) fn watch(_: impl Fn() -> Option<Status>) {}

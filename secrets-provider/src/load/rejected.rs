//! [`Rejected`]: why a closure of the program says no, in words that may be shown.
//!
//! Checks and probes of settings, builds of derived values, and the steps of a rotation return it.

use std::fmt;

/// Why a check rejects settings, or a step of a rotation failed, in words that may be shown:
/// errors, logs and the status contain them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(String);

impl Rejected {
    /// A rejection with its reason. Do not put a value into it.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Rejected {}

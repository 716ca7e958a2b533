//! What failed last, and when.

use std::time::SystemTime;

use serde::Serialize;
use tokio::time::Instant;

use super::clock::{epoch, system_time};
use crate::error::{Error, ErrorKind};

/// The last failed refresh.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LastError {
    kind: ErrorKind,
    message: String,
    /// The message without its hints.
    #[serde(skip)]
    summary: String,
    #[serde(serialize_with = "epoch")]
    at: Instant,
}

impl LastError {
    pub(crate) fn new(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            summary: error.without_hints().to_string(),
            at: Instant::now(),
        }
    }
}

impl LastError {
    /// What kind of failure it was; of several, the gravest.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error's whole message: names keys and secrets, no values.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When it happened, on the clock that never jumps.
    pub(crate) fn instant(&self) -> Instant {
        self.at
    }

    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// When it happened.
    pub fn at(&self) -> SystemTime {
        system_time(self.at)
    }
}

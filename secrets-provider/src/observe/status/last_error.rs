//! The last error of a status: its kind, message and time.
//!
//! Made by `Status::record_failure` and by derived values whose builds fail, shown by the status as
//! JSON and by the page. It stays after a success, with its time.

use std::time::SystemTime;

use serde::Serialize;
use tokio::time::Instant;

use super::clock::{epoch, system_time};
use crate::error::{Error, ErrorKind};

/// The last failure of a refresh, of a search for newer settings, or of a build.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LastError {
    kind: ErrorKind,
    message: String,
    #[serde(skip)]
    error: Error,
    #[serde(serialize_with = "epoch")]
    at: Instant,
}

impl LastError {
    pub(crate) fn new(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            error: error.clone(),
            at: Instant::now(),
        }
    }

    /// The kind of failure; of several, the most severe.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The whole error message, hints included. It names keys and secrets, and holds no values.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When it happened.
    pub fn at(&self) -> SystemTime {
        system_time(self.at)
    }

    /// When it happened, on tokio's clock.
    pub(crate) fn instant(&self) -> Instant {
        self.at
    }

    /// The error itself.
    pub(crate) fn error(&self) -> &Error {
        &self.error
    }
}

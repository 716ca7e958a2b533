//! The status of a value that `Live::derive` built from settings, such as a pool.
//!
//! The task that rebuilds it writes the fields; `Status::derived` lists them, and `Live::status` of
//! the value itself has its own. No value is in it.

use std::time::SystemTime;

use serde::Serialize;
use tokio::time::Instant;

use super::clock::{epoch, optional_epoch, system_time};
use super::last_error::LastError;

/// How closely a value [derived](crate::Live::derive) from settings, such as a pool, follows them.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DerivedStatus {
    pub(crate) label: String,
    pub(crate) path: String,
    pub(crate) generation: u64,
    pub(crate) built_from: u64,
    #[serde(serialize_with = "epoch")]
    pub(crate) built_at: Instant,
    pub(crate) failures: u32,
    #[serde(serialize_with = "optional_epoch")]
    pub(crate) failing_since: Option<Instant>,
    pub(crate) last_error: Option<LastError>,
    /// When it stopped following its settings.
    #[serde(skip)]
    pub(crate) ended_at: Option<Instant>,
}

impl DerivedStatus {
    /// What the program calls it ([`Live::derive_named`](crate::Live::derive_named)); the path, if
    /// it has no name.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The key path that it follows; empty for all keys.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its own generation: 1 at the start, one more after each rebuild.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation of the settings that it was built from. This is an older one if no key below
    /// the path has changed since.
    pub fn built_from(&self) -> u64 {
        self.built_from
    }

    /// When it was built.
    pub fn built_at(&self) -> SystemTime {
        system_time(self.built_at)
    }

    /// How many builds in a row have failed. Zero means that it is up to date; otherwise the last
    /// successful build is in use.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the first of the [failures](Self::failures) in a row happened; `None` if the last build
    /// succeeded.
    pub fn failing_since(&self) -> Option<SystemTime> {
        self.failing_since.map(system_time)
    }

    /// The error of the last failed build; it stays here after later builds succeed.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }
}

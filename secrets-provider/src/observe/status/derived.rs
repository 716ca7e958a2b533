//! How something stands that was made of settings.

use std::time::SystemTime;

use serde::Serialize;
use tokio::time::Instant;

use super::LastError;
use super::clock::{epoch, optional_epoch, system_time};

/// What was [derived](crate::Live::derive) from settings, such as a pool: how far it has followed them.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DerivedStatus {
    pub(crate) path: String,
    pub(crate) generation: u64,
    pub(crate) built_from: u64,
    #[serde(serialize_with = "epoch")]
    pub(crate) built_at: Instant,
    pub(crate) failures: u32,
    #[serde(serialize_with = "optional_epoch")]
    pub(crate) failing_since: Option<Instant>,
    pub(crate) last_error: Option<LastError>,
    /// When it ceased to follow its settings.
    #[serde(skip)]
    pub(crate) ended_at: Option<Instant>,
}

impl DerivedStatus {
    /// The key path that it follows; empty for all keys.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its own generation: 1 at the start, one more with each rebuild.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation of the settings that it was built from. It may be an older one, where no key below the path has
    /// changed since.
    pub fn built_from(&self) -> u64 {
        self.built_from
    }

    /// When it was built.
    pub fn built_at(&self) -> SystemTime {
        system_time(self.built_at)
    }

    /// How many builds have failed in a row; zero, when it is up to date. The one in use is the last that succeeded.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the first of the builds failed that have failed in a row; `None`, if the last one succeeded.
    pub fn failing_since(&self) -> Option<SystemTime> {
        self.failing_since.map(system_time)
    }

    /// Why the last failed build failed; it stays here when later ones succeed.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }
}

//! The status of one secret: which version is in use since when, and why a newer one could not be
//! read. Filled in by the engine; `Status::secrets` lists them.
//!
//! It holds names, versions and times, never a value.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::clock::{optional_epoch, system_time, wall_epoch};
use crate::error::ErrorKind;
use crate::secret::Lease;

/// Where the values of a secret's keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretState {
    /// The secret, as the last refresh read it.
    Current,
    /// The secret, as it was when it could last be read.
    LastGood,
    /// Lower layers, if they have these keys: the secret is optional, and missing or denied.
    Absent,
    /// Lower layers, until the secret can be read; see
    /// [`fallback_to_env`](crate::SecretsManager::fallback_to_env).
    Fallback,
    /// Lower layers, if they have these keys: the secret was added after the start and has not been
    /// read yet.
    Unread,
}

/// A secret of the live generation, or one that is selected but has not been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecretStatus {
    pub(crate) name: String,
    pub(crate) key_path: String,
    pub(crate) version_id: String,
    pub(crate) state: SecretState,
    pub(crate) error: Option<ErrorKind>,
    #[serde(serialize_with = "optional_epoch", skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_since: Option<Instant>,
    #[serde(serialize_with = "optional_epoch", skip_serializing_if = "Option::is_none")]
    pub(crate) leaves_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arn: Option<String>,
    #[serde(rename = "expires_at", serialize_with = "lease_end", skip_serializing_if = "endless")]
    pub(crate) lease: Option<Lease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// Set by `Status::set_secrets`, which knows the status before.
    #[serde(serialize_with = "optional_epoch")]
    pub(crate) changed_at: Option<Instant>,
}

impl SecretStatus {
    /// The secret's name in the store. For a secret that was never read, the name or ARN that was
    /// configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dotted key path of its value; empty at the root.
    pub fn key_path(&self) -> &str {
        &self.key_path
    }

    /// Where the values of its keys come from.
    pub fn state(&self) -> SecretState {
        self.state
    }

    /// The id of the version in use; empty if there is none.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// Since when that version is in use in this process: the start, or a later refresh. `None` if
    /// no version is in use.
    pub fn changed_at(&self) -> Option<SystemTime> {
        self.changed_at.map(system_time)
    }

    /// The source of the secret, where there are several; see [`Sources`](crate::Sources).
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The secret's ARN, if the store has ARNs and the secret was read.
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }

    /// When the value in use ends unless its lease is renewed before, as of now: the store moves it
    /// as it renews. `None` if it has no end.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.lease.as_ref()?.expires_at()
    }

    /// Why the last refresh could not read it; `None` if it could. The version in use, if any, is
    /// then the last good one.
    pub fn error(&self) -> Option<ErrorKind> {
        self.error
    }

    /// When a refresh first found that it was deleted: a listing leaves it out, and the store has
    /// no value for it. `None` if it was not.
    pub fn deleted_since(&self) -> Option<SystemTime> {
        self.deleted_since.map(system_time)
    }

    /// When a deleted secret leaves the settings, if they can do without it; see
    /// [`LiveBuilder::forget_deleted_after`](crate::LiveBuilder::forget_deleted_after). `None` if
    /// it was not deleted, or if settings without it were refused, so that it stays.
    pub fn leaves_at(&self) -> Option<SystemTime> {
        self.leaves_at.map(system_time)
    }
}

fn endless(lease: &Option<Lease>) -> bool {
    lease.as_ref().and_then(Lease::expires_at).is_none()
}

fn lease_end<S: Serializer>(lease: &Option<Lease>, serializer: S) -> Result<S::Ok, S::Error> {
    lease.as_ref().and_then(Lease::expires_at).map(wall_epoch).serialize(serializer)
}

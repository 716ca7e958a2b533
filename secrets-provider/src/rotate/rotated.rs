//! [`Rotated`]: what a rotation returns.

use serde::Serialize;

/// A finished rotation: the versions, never the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rotated {
    pub(super) version_id: String,
    pub(super) previous_version_id: String,
    pub(super) resumed: bool,
}

impl Rotated {
    /// The id of the version that is in use now.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// The id of the version that was in use before.
    pub fn previous_version_id(&self) -> &str {
        &self.previous_version_id
    }

    /// Whether this run finished a rotation that another run had begun.
    pub fn resumed(&self) -> bool {
        self.resumed
    }
}

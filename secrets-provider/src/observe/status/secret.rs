//! How one secret stands.

use serde::Serialize;

use crate::error::ErrorKind;

/// Where a secret's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretState {
    /// From the secret, as the last refresh found it.
    Current,
    /// From the secret, as it was when it could last be read.
    LastGood,
    /// From the layers below, if they have any: the secret is optional and not there.
    Absent,
    /// From the layers below until the secret comes, by
    /// [`fallback_to_env`](crate::SecretsManager::fallback_to_env).
    Fallback,
    /// From the layers below, if they have any: the secret was added after the start, and could not be read yet.
    Unread,
}

/// One secret: of the live generation, or selected and not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecretStatus {
    pub(crate) name: String,
    pub(crate) key_path: String,
    pub(crate) version_id: String,
    pub(crate) state: SecretState,
    pub(crate) error: Option<ErrorKind>,
}

impl SecretStatus {
    /// The secret's name in the store; of one that was never read, the name or ARN it is asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dotted key path that its value stands at; empty at the root.
    pub fn key_path(&self) -> &str {
        &self.key_path
    }

    /// Where its values come from.
    pub fn state(&self) -> SecretState {
        self.state
    }

    /// The id of the version in use; empty if there is none.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// Why the last refresh could not read it, if it could not: the version in use is the last good one, if any.
    pub fn error(&self) -> Option<ErrorKind> {
        self.error
    }
}

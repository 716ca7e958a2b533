//! One secret as a store hands it over: its names, its version, its value.
//!
//! The leftmost room that knows secrets: stores make [`Fetched`] values, the engine compares their
//! versions, and the tree takes their [`Payload`]. Values are shared rather than copied, and wiped
//! when the last handle is dropped. No I/O, and no opinion on where a value goes.

pub(crate) mod id;
mod lease;
mod payload;
mod text;

use std::fmt;
#[cfg(feature = "aws")]
use std::time::SystemTime;

use serde::Serialize;

pub use lease::Lease;
pub(crate) use payload::Payload;
pub(crate) use text::Text;

/// A secret as a store returned it: name, version and value. `Debug` shows no value.
#[derive(Clone)]
pub struct Fetched {
    name: String,
    arn: Option<String>,
    version_id: String,
    payload: Payload,
    previous: Option<Box<Fetched>>,
    lease: Option<lease::Held>,
    /// When the version was made, if AWS says so.
    #[cfg(feature = "aws")]
    made: Option<SystemTime>,
}

impl Fetched {
    /// A secret that holds text. Two values of one secret must never share a version id, because
    /// only the id says whether a value is new.
    pub fn text(
        name: impl Into<String>,
        version_id: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self::new(name.into(), version_id.into(), Payload::text(text))
    }

    /// A secret that holds bytes.
    pub fn binary(
        name: impl Into<String>,
        version_id: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> Self {
        Self::new(name.into(), version_id.into(), Payload::binary(bytes))
    }

    pub(crate) fn new(name: String, version_id: String, payload: Payload) -> Self {
        Self {
            name,
            arn: None,
            version_id,
            payload,
            previous: None,
            lease: None,
            #[cfg(feature = "aws")]
            made: None,
        }
    }

    /// The same secret with its ARN.
    pub fn with_arn(mut self, arn: impl Into<String>) -> Self {
        self.arn = Some(arn.into());
        self
    }

    /// The same secret with a lease, for a store whose values have an end. The value counts as a
    /// user of the lease until it and its clones are dropped.
    pub fn with_lease(mut self, lease: &Lease) -> Self {
        self.lease = Some(lease::Held::new(lease));
        self
    }

    /// The value's lease, if it has one.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref().map(lease::Held::lease)
    }

    /// The secret's name, as the store returned it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret's ARN, if the store has ARNs.
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }

    /// The id of the value's version.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// The value itself if it is text, as a [`Writer`](crate::Writer) stores it. Do not log it.
    pub fn expose_text(&self) -> Option<&str> {
        match &self.payload {
            Payload::Text(text) => Some(text.as_str()),
            Payload::Binary(_) => None,
        }
    }

    /// The bytes of the value, text or binary, as a [`Writer`](crate::Writer) stores them. Do
    /// not log them.
    pub fn expose_bytes(&self) -> &[u8] {
        match &self.payload {
            Payload::Text(text) => text.as_str().as_bytes(),
            Payload::Binary(bytes) => bytes,
        }
    }

    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The previous version, if it was asked for and exists.
    pub(crate) fn previous(&self) -> Option<&Fetched> {
        self.previous.as_deref()
    }

    /// Adds the previous version. The current one under another label does not count.
    pub(crate) fn replaces(&mut self, previous: Fetched) {
        if previous.version_id != self.version_id {
            self.previous = Some(Box::new(previous));
        }
    }

    /// The versions that say whether anything is new.
    pub(crate) fn versions(&self) -> (&str, Option<&str>) {
        (&self.version_id, self.previous().map(Fetched::version_id))
    }

    /// The same secret, whose version was made at this time.
    #[cfg(feature = "aws")]
    pub(crate) fn made_at(mut self, time: Option<SystemTime>) -> Self {
        self.made = time;
        self
    }

    /// When the version was made, if that is known.
    #[cfg(feature = "aws")]
    pub(crate) fn made(&self) -> Option<SystemTime> {
        self.made
    }

    /// The same secret, with the ARN that it has in this region.
    #[cfg(feature = "aws")]
    pub(crate) fn in_region(mut self, region: &str) -> Self {
        self.arn = self.arn.map(|arn| id::in_region(&arn, region));
        self
    }

    /// The ARN, or else the name: secrets of two accounts may have one name.
    pub(crate) fn identity(&self) -> &str {
        self.arn.as_deref().unwrap_or(&self.name)
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("name", &self.name)
            .field("arn", &self.arn)
            .field("version_id", &self.version_id)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

/// One secret of a [`Snapshot`](crate::Snapshot): its name, the key of its value, and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretVersion {
    name: String,
    key_path: String,
    version_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

impl SecretVersion {
    pub(crate) fn new(secret: &Fetched, key_path: String, source: Option<&str>) -> Self {
        let (name, version_id) = (secret.name().to_owned(), secret.version_id().to_owned());
        Self { name, key_path, version_id, source: source.map(str::to_owned) }
    }

    /// The secret's name in the store.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dotted key path of its value; empty if it merges at the root.
    pub fn key_path(&self) -> &str {
        &self.key_path
    }

    /// The id of the version that was read.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// The source of the secret, where there are several; see [`Sources`](crate::Sources).
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}

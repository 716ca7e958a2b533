//! Moments as they are told: kept on tokio's clock, shown on the wall's.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// An instant as whole seconds since 1970.
pub(super) struct Epoch(pub(super) Instant);

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        epoch(&self.0, serializer)
    }
}

/// Kept on tokio's clock, which tests can pause and which never jumps; told by the wall clock.
pub(super) fn system_time(at: Instant) -> SystemTime {
    let (wall, now) = (SystemTime::now(), Instant::now());
    match at.checked_duration_since(now) {
        Some(ahead) => wall + ahead,
        None => wall - (now - at),
    }
}

pub(super) fn epoch<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    let since = system_time(*at).duration_since(UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

pub(super) fn optional_epoch<S: Serializer>(
    at: &Option<Instant>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    at.map(Epoch).serialize(serializer)
}

//! Times of a status: kept on tokio's clock, which tests can pause and which never jumps, and shown
//! on the wall clock.
//!
//! All submodules of `status` serialize their times through here, as whole seconds since 1970. A
//! time of the future is possible, such as that of the next attempt.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// An instant that serializes as whole seconds since 1970.
pub(super) struct Epoch(pub(super) Instant);

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        epoch(&self.0, serializer)
    }
}

/// The wall-clock time of an instant, by its distance from now.
pub(super) fn system_time(at: Instant) -> SystemTime {
    let (wall, now) = (SystemTime::now(), Instant::now());
    match at.checked_duration_since(now) {
        Some(ahead) => wall + ahead,
        None => wall - (now - at),
    }
}

/// Whole seconds since 1970.
pub(super) fn wall_epoch(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// For `serialize_with`.
pub(super) fn epoch<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(wall_epoch(system_time(*at)))
}

/// For `serialize_with`.
pub(super) fn optional_epoch<S: Serializer>(
    at: &Option<Instant>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    at.map(Epoch).serialize(serializer)
}

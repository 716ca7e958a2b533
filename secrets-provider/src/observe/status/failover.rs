//! Which region is read, of a store that has a replica in another one.

use std::sync::Arc;
use std::time::SystemTime;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use super::clock::{Epoch, system_time};

/// The replica region that secrets are read in while the first region gives no answer
/// ([`SecretsManager::or_region`](crate::SecretsManager::or_region)).
///
/// Serializes as its region and, in whole seconds since 1970 or `null`, since when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    region: Arc<str>,
    since: Option<Instant>,
}

impl Failover {
    #[cfg(feature = "aws")]
    pub(crate) fn at(region: Arc<str>, since: Option<Instant>) -> Self {
        Self { region, since }
    }

    /// A replica region that is not read at present, for a store of your own.
    pub fn standby(region: impl Into<Arc<str>>) -> Self {
        Self { region: region.into(), since: None }
    }

    /// The same, read since this time on tokio's clock.
    #[must_use]
    pub fn read_since(self, since: Instant) -> Self {
        Self { since: Some(since), ..self }
    }

    /// The region of the replicas, such as `eu-west-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Since when the replicas are read; `None` while the first region answers.
    pub fn since(&self) -> Option<SystemTime> {
        self.since.map(system_time)
    }

    /// Whether the replicas are read at present.
    pub fn is_active(&self) -> bool {
        self.since.is_some()
    }
}

impl Serialize for Failover {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Failover", 2)?;
        fields.serialize_field("region", &self.region())?;
        fields.serialize_field("since", &self.since.map(Epoch))?;
        fields.end()
    }
}

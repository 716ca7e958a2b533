//! What a lookup has done: its counters, and the picture of them that programs get.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::hits::Hits;
use crate::error::Error;
use crate::observe::metrics;

/// Counts what callers got.
#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: Hits,
    misses: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    /// A caller was answered from the cache, or had to wait.
    #[inline]
    pub(super) fn looked_up(&self, hit: bool) {
        match hit {
            true => self.hits.add(),
            false => _ = self.misses.fetch_add(1, Ordering::Relaxed),
        }
        metrics::record_lookup(hit);
    }

    /// A caller got an error, or a read behind a served value failed.
    pub(super) fn failed(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        metrics::record_failure(error);
    }
}

/// What [`Lookup::stats`](crate::Lookup::stats) returns: what is cached, and what callers got.
///
/// It serializes as an object with the accessors' names, with `cached` for the number of secrets
/// and durations in seconds. It holds names, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupStats {
    pub(super) secrets: Vec<String>,
    pub(super) stale: Vec<String>,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) failures: u64,
    pub(super) ttl: Duration,
    pub(super) environment: Option<String>,
    pub(super) aws: bool,
}

impl LookupStats {
    pub(super) fn of(counters: &Counters, ttl: Duration) -> Self {
        Self {
            secrets: Vec::new(),
            stale: Vec::new(),
            hits: counters.hits.sum(),
            misses: counters.misses.load(Ordering::Relaxed),
            failures: counters.failures.load(Ordering::Relaxed),
            ttl,
            environment: None,
            aws: true,
        }
    }

    /// The names of the secrets whose values are in the cache, as they were asked for, in order.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The names among [`secrets`](Self::secrets) that are served after their time, because they
    /// could not be read again.
    pub fn stale(&self) -> &[String] {
        &self.stale
    }

    /// How many lookups were answered from the cache.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// How many lookups had to wait for the store, their own call or one that was under way.
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// How many lookups ended with an error, and how many reads behind a value that was served all
    /// the same. A secret that is `optional` and absent is no failure.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// How long a value is served before it is read again.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// What `ENVIRONMENT` says, if the manager is from
    /// [`from_env`](crate::SecretsManager::from_env).
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// Whether secrets are read from the store. If the switches of
    /// [`from_env`](crate::SecretsManager::from_env) turn that off, they are variables.
    pub fn is_aws_on(&self) -> bool {
        self.aws
    }
}

impl Serialize for LookupStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LookupStats", 9)?;
        fields.serialize_field("cached", &self.secrets.len())?;
        fields.serialize_field("secrets", &self.secrets)?;
        fields.serialize_field("stale", &self.stale)?;
        fields.serialize_field("hits", &self.hits)?;
        fields.serialize_field("misses", &self.misses)?;
        fields.serialize_field("failures", &self.failures)?;
        fields.serialize_field("ttl", &self.ttl.as_secs_f64())?;
        fields.serialize_field("environment", &self.environment)?;
        fields.serialize_field("aws", &self.aws)?;
        fields.end()
    }
}

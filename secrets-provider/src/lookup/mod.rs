//! [`Lookup`]: secrets by name, cached, where a program needs them.
//!
//! `name` checks what may be asked for, `cache` has what was read, with a `clock` that costs
//! little, `flights` reads each secret once for all who ask, `inner` decides what a caller gets and
//! what becomes of an answer, `entry` reads values by type, `failures` knows which are in the log,
//! `search` finds newer versions after refused credentials, and `variables` has the values where
//! AWS is off. What is read, and how, is the manager's (`load`); when to try again are the rules of
//! `load/retry`, which [`Live`](crate::Live) follows, too.

mod cache;
mod clock;
mod entry;
mod failures;
mod flights;
mod get;
mod hits;
mod inner;
mod name;
mod search;
mod shape;
mod stats;
mod variables;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

pub use get::{Get, Getting};
pub use stats::LookupStats;

use inner::{Inner, Options};
use variables::Variables;

use crate::load::manager::{Description, MAX_DURATION, SecretsManager, Sources};
use crate::load::retry::schedule::Budget;
use crate::observe::metrics;
use crate::secret::Text;

/// How long a value is served unless [`Lookup::ttl`] or the switches say otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(300);

/// How many secrets are kept unless [`Lookup::capacity`] says otherwise.
const DEFAULT_CAPACITY: usize = 1000;

/// Secrets by name, cached: a cheap handle to clone into application state.
///
/// A value is served from the cache for 300 s, and read again by the next one who asks. Whoever
/// asks meanwhile, there is one call for each secret. If AWS fails then, the last good value is
/// served, and the call is tried again behind it. At most 1,000 secrets are kept.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use secrecy::SecretString;
/// use secrets_provider::{Memory, SecretsManager};
///
/// # let memory = Memory::new();
/// # memory.put("gaara/prod/jwt-secret", "s");
/// # memory.put("gaara/prod/database", r#"{"port": 5432}"#);
/// let secrets = SecretsManager::prefix("gaara/prod").backend(memory).lookup();
/// let jwt_secret: SecretString = secrets.get("jwt-secret").await?;
/// let port: u16 = secrets.get("database").key("port").await?;
/// assert_eq!(secrets.stats().secrets(), ["database", "jwt-secret"]);
/// # assert_eq!(port, 5432);
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
///
/// The setters return a lookup with a cache of its own; set it up first and clone it then. The
/// [guide](crate::docs::lookup) has the rest: what a name may be, what is cached for how long, and
/// which variable has the value where AWS is off.
#[derive(Clone)]
#[must_use]
pub struct Lookup(Arc<Inner>);

impl SecretsManager {
    /// Looks secrets up by name, through a cache. Nothing is read before the first
    /// [`get`](Lookup::get), and nothing is listed.
    ///
    /// - With [`prefix`](Self::prefix), names are those below the prefix; with
    ///   [`only`](Self::only) or [`names`](Self::names), only the ones given there.
    /// - Each secret is one `GetSecretValue` call, which is all that the policy has to allow.
    /// - The cache's time to live is the interval that the switches of [`from_env`](Self::from_env)
    ///   set, or 300 s.
    /// - If the switches turn AWS off, or with [`fallback_to_env`](Self::fallback_to_env) if a
    ///   secret cannot be read at first, the values are variables.
    /// - [`with_previous`](Self::with_previous) gives a [`Rotating`](crate::Rotating) both
    ///   versions. [`rename`](Self::rename) and [`optional`](Self::optional) have no effect here.
    pub fn lookup(&self) -> Lookup {
        Sources::from(self.clone()).lookup()
    }
}

impl Sources {
    /// Looks secrets up by name, in several sources: the highest first, and the next one only if
    /// that has no such secret. So one that is denied or unreachable is an error, and never another
    /// source's value. A secret is one source's value as a whole; for keys that merge, use
    /// [`live`](Self::live).
    ///
    /// Names are those below each prefix: `database` is `gaara/prod/database` in one source and
    /// `shared/prod/database` in the other.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let store = Memory::new();
    /// # store.put("shared/prod/smtp", "of the team");
    /// # store.put("gaara/prod/jwt-secret", "of this service");
    /// let (shared, own) = (SecretsManager::prefix("shared/prod"), SecretsManager::prefix("gaara/prod"));
    /// # let (shared, own) = (shared.backend(store.clone()), own.backend(store));
    /// let secrets = shared.and(own).lookup();
    /// assert_eq!(secrets.get::<String>("smtp").await?, "of the team");
    /// assert_eq!(secrets.get::<String>("jwt-secret").await?, "of this service");
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn lookup(&self) -> Lookup {
        metrics::describe();
        let intervals = self.managers().iter().filter_map(|manager| {
            let Description { interval, own_interval, .. } = manager.description();
            own_interval.or(*interval)
        });
        let ttl = intervals.min().unwrap_or(DEFAULT_TTL);
        Lookup(Inner::new(Options {
            // A batch of one costs a second permission, and the smaller of two quotas. While calls
            // are throttled, someone waits.
            sources: self.clone().one_by_one(),
            ttl,
            max_stale: Duration::MAX,
            capacity: DEFAULT_CAPACITY,
            search: Budget::default(),
            variables: Variables::default(),
        }))
    }
}

impl Lookup {
    fn change(self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.0.options.clone();
        change(&mut options);
        Self(Inner::new(options))
    }

    /// How long a value is served before the next one who asks waits for another read. Default
    /// 300 s, or what `SECRET_CACHE_TTL` says if the manager is from
    /// [`from_env`](SecretsManager::from_env). At most a year; zero reads at every lookup.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.change(|options| options.ttl = ttl.min(MAX_DURATION))
    }

    /// For how long the last good value is served after its time if the secret cannot be read
    /// again. By default, as long as the process lives. Then lookups fail, and the value is wiped
    /// at the next lookup of it.
    pub fn max_stale(self, max_stale: Duration) -> Self {
        self.change(|options| options.max_stale = max_stale)
    }

    /// How many secrets are kept, at least one; by default 1,000. The least recently used one
    /// leaves, and is wiped. Once the cache is full, a new name costs time in proportion to this.
    pub fn capacity(self, secrets: usize) -> Self {
        self.change(|options| options.capacity = secrets.max(1))
    }

    /// How [`Get::with_fresh`] searches for a newer version: as
    /// [`LiveBuilder::refresh_past_budget`](crate::LiveBuilder::refresh_past_budget), by default
    /// with five reads over 30 s.
    pub fn refresh_past_budget(self, tries: u32, within: Duration) -> Self {
        let budget = Budget { tries: tries.max(1), within: within.min(MAX_DURATION) };
        self.change(|options| options.search = budget)
    }

    /// Where AWS is off, this variable has the value of this secret, in place of the variable that
    /// is named after it; in any case. `name` is as in [`get`](Self::get), or `name#key` for one
    /// member of a JSON secret.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let secrets = SecretsManager::prefix("gaara/prod")
    ///     .lookup()
    ///     .variable("CLERK_SECRET_KEY", "api-keys/clerk")
    ///     .variable("PGPORT", "database/primary#port");
    /// ```
    pub fn variable(self, variable: impl Into<String>, name: impl Into<String>) -> Self {
        let (variable, name) = (variable.into().to_ascii_lowercase(), name.into());
        self.change(|options| _ = options.variables.assigned.insert(name, variable))
    }

    /// These variables instead of those of the process environment and `.env`, for tests.
    pub fn environment_from<K, V>(self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), Text::new(value)));
        let variables = variables.collect();
        self.change(|options| options.variables.given = Some(variables))
    }

    /// Looks a secret up by its name below the manager's prefix (or, without a prefix, by one of
    /// the manager's names): from the cache, or else from AWS. The result is plain text, a JSON
    /// object as a struct or a map, or `{"value": …}` as a scalar, as the type wants it.
    ///
    /// The name may come from a user: it is checked before any call, and cannot leave the prefix.
    /// What does not exist or may not be read is remembered for five seconds, so that the same name
    /// makes no more calls; that AWS failed, for up to five, from the second time in a
    /// row.
    ///
    /// # Errors
    ///
    /// - `Invalid` if no secret can have this name, if the manager does not select it, or if the
    ///   value does not fit the type;
    /// - `NotFound`, `AccessDenied`, `Kms`, `PendingDeletion`, `Throttled`, `Unavailable`,
    ///   `Malformed` for a secret that cannot be read and has no last good value; `NotFound` for a
    ///   missing key, too;
    /// - `Config` if the manager's description is contradictory or no region is configured.
    pub fn get<'a, T: DeserializeOwned>(&'a self, name: impl Into<Cow<'a, str>>) -> Get<'a, T> {
        Get::new(self, name.into())
    }

    /// Removes a secret from the cache; the next lookup reads it. A read that is under way is not
    /// stored.
    pub fn forget(&self, name: &str) {
        self.0.flights.forget(Some(name), || self.0.cache.remove(name));
    }

    /// Removes everything from the cache, as [`forget`](Self::forget) does for one secret.
    pub fn clear(&self) {
        self.0.flights.forget(None, || self.0.cache.clear());
    }

    /// What is cached, and what callers got since the start. Counts are those of all clones.
    pub fn stats(&self) -> LookupStats {
        let options = &self.0.options;
        let mut stats = LookupStats::of(&self.0.counters, options.ttl);
        let now = Instant::now();
        for (name, stored) in self.0.cache.all() {
            if stored.lasts(now, options.max_stale) {
                stats.secrets.push(name.to_string());
                if stored.failing.is_some() {
                    stats.stale.push(name.to_string());
                }
            }
        }
        stats.secrets.sort();
        stats.stale.sort();
        stats.environment = options.sources.highest().description().environment.clone();
        stats.aws = !self.0.is_off();
        stats
    }
}

/// Shows the names in the cache, no values.
impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Lookup")
            .field("secrets", &stats.secrets)
            .field("ttl", &stats.ttl)
            .field("capacity", &self.0.cache.capacity())
            .finish_non_exhaustive()
    }
}

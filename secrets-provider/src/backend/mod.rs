//! [`Backend`]: the seam between this crate and a store of secrets.
//!
//! AWS Secrets Manager is one store, [`Directory`] and [`Memory`] are others, and a program can add
//! its own. What selects, maps, merges and refreshes secrets is above the seam and the same for
//! all; words that only fit one store (regions, VPC endpoints, how late a listing is) are below it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, future, stream};

use crate::error::Error;
use crate::observe::status::{Calls, Failover};
use crate::secret::Fetched;

#[cfg(feature = "agent")]
mod agent;
#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(any(feature = "agent", feature = "aws"))]
mod codes;
#[cfg(feature = "testing")]
pub mod conformance;
mod directory;
#[cfg(any(feature = "agent", feature = "vault"))]
mod http;
pub(crate) mod iam;
mod memory;
pub(crate) mod store;
#[cfg(feature = "vault")]
mod vault;
pub(crate) mod writer;

#[cfg(feature = "agent")]
pub use agent::Agent;
#[cfg(feature = "ssm")]
pub use aws::ParameterStore;
pub use directory::Directory;
pub use memory::Memory;
#[cfg(feature = "vault")]
pub use vault::{DatabaseRole, Vault};
pub use writer::{Labels, Writer};

/// A boxed future, as [`Backend`] returns them so that it can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream, as [`Backend`] returns them so that it can be used as a trait object.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// The result for one secret: the name or ARN that was asked for, and the value or the error.
pub type Outcome = (String, Result<Fetched, Error>);

/// When a secret is expected to rotate: at some moment from the start to the end.
pub type RotationWindow = Range<SystemTime>;

/// A store of secrets. AWS Secrets Manager is one, [`Directory`] and [`Memory`] are others.
/// Implement it for a store of your own, and give it to
/// [`SecretsManager::backend`](crate::SecretsManager::backend).
///
/// ```
/// use secrets_provider::{
///     Backend, BoxFuture, BoxStream, Error, ErrorKind, Fetched, Outcome, SecretsManager,
/// };
///
/// /// One secret, always the same.
/// #[derive(Debug)]
/// struct Fixed;
///
/// impl Backend for Fixed {
///     fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
///         Box::pin(async move { Ok(vec![format!("{prefix}/token")]) })
///     }
///
///     fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
///         let missing = |id: &String| {
///             Error::new(ErrorKind::NotFound, format!("no secret `{id}`")).with_secret(id)
///         };
///         let outcome = move |id: &String| {
///             let found = match id.ends_with("/token") {
///                 true => Ok(Fetched::text(id, "v1", "t0ken")),
///                 false => Err(missing(id)),
///             };
///             (id.clone(), found)
///         };
///         Box::pin(futures_util::stream::iter(ids.iter().map(outcome)))
///     }
/// }
///
/// let snapshot = SecretsManager::prefix("app").backend(Fixed).fetch_blocking()?;
/// assert_eq!(snapshot.secrets()[0].key_path(), "token");
/// # Ok::<(), Error>(())
/// ```
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// The names of the secrets that start with `prefix`, which has no slash at its end. The result
    /// may contain more names than that; the caller filters them.
    ///
    /// # Errors
    ///
    /// If names cannot be listed, or not all of them.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Some names that start with `prefix`, for the hint of an error. It is called when a start
    /// fails because a name does not exist, and not later. One quick call is enough; errors are
    /// ignored. By default, it lists all names.
    ///
    /// # Errors
    ///
    /// If names cannot be listed.
    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.list(prefix)
    }

    /// The current values of the secrets with these names or ARNs, in any order: one outcome per
    /// id, with that id, as soon as it is known. The caller may drop the stream at a deadline.
    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome>;

    /// The same past every cache between this process and the store: someone asks for the newest
    /// values, or the credentials in use were refused. By default, [`fetch`](Self::fetch), which
    /// is right where there is no such cache.
    fn fetch_uncached<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.fetch(ids)
    }

    /// The same by a call for each secret, where the store also has a call for many: for a few
    /// secrets that are said to have changed, which are wanted soon. By default,
    /// [`fetch_uncached`](Self::fetch_uncached).
    fn fetch_each<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.fetch_uncached(ids)
    }

    /// The same for a refresh at the interval, for which nobody waits: a store with a quota may make
    /// its calls some time apart. Once `wanted` is ready, somebody waits for it after all. By default,
    /// [`fetch`](Self::fetch).
    fn fetch_due<'a>(
        &'a self,
        ids: &'a [String],
        wanted: BoxFuture<'static, ()>,
    ) -> BoxStream<'a, Outcome> {
        drop(wanted);
        self.fetch(ids)
    }

    /// How old a value of [`fetch`](Self::fetch) may be, if it may come from a cache between this
    /// process and the store, for [`Status::cache_ttl`](crate::Status::cache_ttl). By default,
    /// there is no cache.
    fn cache_ttl(&self) -> Option<Duration> {
        None
    }

    /// A stream that yields each time something may have changed, for a store that notices changes;
    /// by default there is none. A [`Live`](crate::Live) asks for it once, after its first fetch,
    /// and refreshes at each signal in addition to its interval. Signals that come during a refresh
    /// count as one. The stream is polled on the tokio runtime of the refresh. When it ends, only
    /// the interval is left.
    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        None
    }

    /// The calls that were made so far, retries included, by operation, for
    /// [`Status::calls`](crate::Status::calls). By default, none are counted.
    fn calls(&self) -> Calls {
        Calls::new()
    }

    /// The region of the replicas, of a store that has some, and since when they are read in place
    /// of the first region, for [`Status::failover`](crate::Status::failover). By default, there are
    /// none.
    fn failover(&self) -> Option<Failover> {
        None
    }

    /// When these secrets, by name or ARN, are expected to rotate next, as far as that is known. A
    /// [`Live`](crate::Live) reads them more often at that time. It is called after the start, and
    /// for a secret whose version is new or whose window is over. By default, nothing is known;
    /// errors are ignored.
    fn rotation_windows<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        let _ = ids;
        Box::pin(future::ready(BTreeMap::new()))
    }

    /// Ends what the store holds for these secrets, by name or ARN, unless a value of them is
    /// still [in use](crate::Lease::is_in_use): the leases of credentials that it made, for
    /// example. [`Live::shutdown`](crate::Live::shutdown) calls it once the settings have let go of
    /// their values, and waits five seconds at most. By default, there is nothing to end.
    fn release<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, ()> {
        let _ = ids;
        Box::pin(future::ready(()))
    }

    /// The writing half of the store, if secrets can be rotated in it. By default, there is none.
    fn writer(&self) -> Option<&dyn Writer> {
        None
    }

    /// The least policy of the store that lets a program list and read what is at and below this
    /// prefix, or read these secrets, or both, for
    /// [`SecretsManager::iam_policy`](crate::SecretsManager::iam_policy). By default, there is none,
    /// and that method returns the policy for AWS.
    fn policy(&self, prefix: Option<&str>, ids: &[String]) -> Option<String> {
        let _ = (prefix, ids);
        None
    }

    /// The store's name, as figment shows it in errors. By default `secret store`.
    fn store_name(&self) -> &str {
        "secret store"
    }

    /// The hint of an error about a store that did not answer in time, such as
    /// `check that the vault is unsealed`.
    fn timeout_hint(&self) -> &str {
        "check that the store can be reached"
    }

    /// The hint of an error about a prefix without secrets, such as
    /// `check the prefix and the vault's mount`.
    fn nothing_listed_hint(&self) -> &str {
        "check the prefix"
    }

    /// The store for one read: a [`fetch`](Self::fetch), in one of its forms, and the
    /// [`fetch_previous`](Self::fetch_previous) after it. For a store that may turn to a replica
    /// between the two, and returns here what reads both in one place. By default, the store itself
    /// is read.
    fn for_one_read(self: Arc<Self>) -> Option<Arc<dyn Backend>> {
        None
    }

    /// The values that the current ones replaced (AWSPREVIOUS), in the form of
    /// [`fetch`](Self::fetch). For a secret without a previous value, the stream yields nothing or
    /// `NotFound`. By default, there are no previous values.
    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let _ = ids;
        Box::pin(stream::empty())
    }
}

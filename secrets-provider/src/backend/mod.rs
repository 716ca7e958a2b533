//! Where secrets come from: the one seam between Secrets Manager and its stand-ins.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::time::SystemTime;

use futures_util::{Stream, future, stream};

use crate::error::Error;
use crate::observe::status::Calls;
use crate::secret::Fetched;

#[cfg(feature = "aws")]
pub(crate) mod aws;
mod directory;
pub(crate) mod iam;
mod memory;

pub use directory::Directory;
pub use memory::Memory;

/// A boxed future, as [`Backend`] returns them so that it can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed stream, as [`Backend`] returns them so that it can be used as a trait object.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// What one secret came to: the name or ARN that was asked for, and the value or the error.
pub type Outcome = (String, Result<Fetched, Error>);

/// When a secret is expected to rotate: at some moment from the start to the end.
pub type RotationWindow = Range<SystemTime>;

/// The tokio runtime that a fetch runs on. A client's connections are driven by the runtime that opened them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// The caller's own.
    Caller,
    /// That of the thread which serves blocking calls.
    Worker,
}

/// A store of secrets. AWS Secrets Manager is one, [`Directory`] and [`Memory`] are others; what selects, maps and merges them
/// stands above and is the same for all.
///
/// ```
/// use secrets_provider::{Backend, BoxFuture, BoxStream, Error, ErrorKind, Fetched, Outcome, SecretsManager};
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
///         let outcome = |id: &String| {
///             let found = match id.ends_with("/token") {
///                 true => Ok(Fetched::text(id, "v1", "t0ken")),
///                 false => Err(Error::new(ErrorKind::NotFound, format!("no secret `{id}`")).with_secret(id)),
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
    /// The names of the secrets that start with `prefix`, which has no slash at its end. More may come back
    /// than asked for; it is filtered again above.
    ///
    /// # Errors
    ///
    /// If names cannot be listed, or not all of them.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Some names that start with `prefix`, for the hint of an error: asked for when a start fails because a name does
    /// not exist, and never again after it. One quick call is enough; whatever fails here goes unmentioned. Lists
    /// all of them unless implemented.
    ///
    /// # Errors
    ///
    /// If names cannot be listed.
    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.list(prefix)
    }

    /// The current values of the secrets with these names or ARNs, in any order, each with the id it was asked
    /// by: one outcome per id, as soon as it is known. Whoever asks may stop listening at a deadline.
    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome>;

    /// A stream that yields whenever something may have changed, for a store that can tell; by default there is none.
    /// A [`Live`](crate::Live) asks for it once, after its first fetch, and refreshes at each signal, besides at its
    /// interval; signals that come while a refresh is under way are one. The stream is polled on the tokio runtime of
    /// the refresh. When it ends, the interval alone is left.
    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        None
    }

    /// The calls that were made so far, retries included, by operation, for [`Status::calls`](crate::Status::calls).
    /// None are counted by default.
    fn calls(&self) -> Calls {
        Calls::new()
    }

    /// When these secrets, by name or ARN, are expected to rotate next, as far as it is known: a
    /// [`Live`](crate::Live) looks oftener then. Asked for after the start, and for a secret whose version is new or
    /// whose window is past. Nothing is known by default, and failures go unmentioned.
    fn rotation_windows<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        let _ = ids;
        Box::pin(future::ready(BTreeMap::new()))
    }

    /// The values that the current ones replaced (AWSPREVIOUS), as [`fetch`](Self::fetch) has the current ones; of a
    /// secret that has no such value, nothing or `NotFound`. A store without versions has none, which is the default.
    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let _ = ids;
        Box::pin(stream::empty())
    }
}

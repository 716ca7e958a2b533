//! [`Writer`]: what a store must do so that a secret can be rotated in it.
//!
//! Rotation (`rotate/`) needs versions with labels, as AWS Secrets Manager has them: one version is
//! current, one may be pending, and the current label moves by compare-and-set. Two operations
//! decide between programs that rotate one secret at the same time: [`Writer::put_pending`] gives a
//! version id to the first value only, and [`Writer::make_current`] moves the label only from the
//! version that the caller saw.

use super::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::Fetched;

/// Which versions of a secret have which labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Labels {
    /// The version that readers get (`AWSCURRENT`).
    pub current: String,
    /// The version of a rotation that is not finished (`AWSPENDING`). In AWS, the label may stay at
    /// a version that has become current.
    pub pending: Option<String>,
    /// The version that was current before (`AWSPREVIOUS`).
    pub previous: Option<String>,
    /// Whether the store rotates this secret by itself. Then a pending version without a value is
    /// that of its own rotation, and not this program's to fill.
    pub rotated_by_store: bool,
}

impl Labels {
    /// The labels of a secret whose current version is this one.
    pub fn new(current: impl Into<String>) -> Self {
        Self { current: current.into(), pending: None, previous: None, rotated_by_store: false }
    }

    /// The same labels with a pending version.
    pub fn with_pending(mut self, pending: Option<String>) -> Self {
        self.pending = pending;
        self
    }

    /// The same labels with the version before.
    pub fn with_previous(mut self, previous: Option<String>) -> Self {
        self.previous = previous;
        self
    }

    /// The same labels of a secret that the store rotates by itself, or does not.
    pub fn with_rotation_by_store(mut self, rotated_by_store: bool) -> Self {
        self.rotated_by_store = rotated_by_store;
        self
    }
}

/// The writing half of a store: what [`SecretsManager::rotation`](crate::SecretsManager::rotation)
/// needs besides [`Backend`](crate::Backend). AWS Secrets Manager and [`Memory`](crate::Memory)
/// have it; a store of your own returns it from [`Backend::writer`](crate::Backend::writer).
///
/// Ids are names or ARNs, as for `Backend::fetch`. Errors of the kind `Conflict` are part of the
/// protocol: they mean that another program came first. Any other error leaves open whether the
/// call had its effect.
pub trait Writer: Send + Sync {
    /// Which versions have which labels.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such secret, or none of its versions is current.
    fn labels<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Labels, Error>>;

    /// The value of a version; `None` if there is no such version, or it has no value yet.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn version<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Fetched>, Error>>;

    /// Gives the secret a version with this value and labels it as pending, in place of another
    /// version that has the label. The name of `pending` is that of the secret, and its version id
    /// the one that the version must get: 32 to 64 characters. Repeated with the same value, it
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` if the version exists and has another value.
    fn put_pending<'a>(
        &'a self,
        id: &'a str,
        pending: &'a Fetched,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Moves the current label from one version to another. The version that loses it becomes the
    /// previous one.
    ///
    /// # Errors
    ///
    /// `Conflict` if `from` is not the current version. Then nothing was changed by this call.
    fn make_current<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Takes the pending label off a version that has become current.
    ///
    /// # Errors
    ///
    /// If that fails. The rotation is complete without it.
    fn remove_pending<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Starts the store's own rotation of the secret, into a version with this id. It need not be
    /// finished on return. By default, the store has none.
    ///
    /// # Errors
    ///
    /// `Conflict` if an earlier rotation is not finished; `Config` if none is set up.
    fn start_rotation<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let _ = version_id;
        Box::pin(async move {
            let message = format!("secret `{id}`: its store has no rotation of its own");
            Err(Error::new(ErrorKind::Config, message)
                .with_secret(id)
                .with_hint("rotate it by this program: `manager.rotation(..)`"))
        })
    }
}

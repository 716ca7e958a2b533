//! The steps that the program brings: closures of its own types, kept as closures over secrets.
//!
//! A step reads the secret as the type that its closure takes, calls the closure, and bounds and
//! catches what it does. What a closure says when it fails is a [`Rejected`], whose text may be
//! shown; nothing else of it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::value::NewValue;
use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::load::rejected::Rejected;
use crate::secret::Fetched;
use crate::tree::names::Names;
use crate::tree::{Origin, payload};
use crate::unwind::{self, Panicked};

/// What [`Rotation::set`](crate::Rotation::set) gets: the secret before and after the rotation,
/// each as a value of the program's type. `Debug` shows nothing of them.
pub struct RotationChange<T> {
    current: T,
    pending: T,
    previous: Option<T>,
}

impl<T> RotationChange<T> {
    /// What is in use until the rotation is over: log in with it to set the new one.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// What will be in use: set this one.
    pub fn pending(&self) -> &T {
        &self.pending
    }

    /// What was in use before the current one, if the store has it and it fits the type. It may
    /// still be what the target system takes, if a rotation was cut off and rolled back.
    pub fn previous(&self) -> Option<&T> {
        self.previous.as_ref()
    }
}

impl<T> fmt::Debug for RotationChange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotationChange").finish_non_exhaustive()
    }
}

/// The versions that `set` is called with.
pub(super) struct Versions<'a> {
    pub(super) current: &'a Fetched,
    pub(super) pending: &'a Fetched,
    pub(super) previous: Option<&'a Fetched>,
}

type Outcome = BoxFuture<'static, Result<(), Rejected>>;

/// A closure of the program that changes something outside.
pub(super) type Set = Box<dyn Fn(&Versions<'_>, &str) -> Result<Outcome, Error> + Send + Sync>;
/// One that finds out whether a value works.
pub(super) type Test = Box<dyn Fn(&Fetched, &str) -> Result<Outcome, Error> + Send + Sync>;
/// One that makes a new value.
pub(super) type Generate =
    Box<dyn Fn() -> BoxFuture<'static, Result<NewValue, Rejected>> + Send + Sync>;
/// One that makes a derived member.
pub(super) type Also = Box<dyn Fn(&Fetched, &str) -> Result<NewValue, Error> + Send + Sync>;

pub(super) fn set<T, F, Fut>(closure: F) -> Set
where
    T: DeserializeOwned + Send + 'static,
    F: Fn(RotationChange<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Rejected>> + Send + 'static,
{
    Box::new(move |versions, key_path| {
        let change = RotationChange {
            current: read(versions.current, key_path)?,
            pending: read(versions.pending, key_path)?,
            previous: versions.previous.and_then(|previous| read(previous, key_path).ok()),
        };
        called(versions.pending, "set", || closure(change))
    })
}

pub(super) fn test<T, F, Fut>(closure: F) -> Test
where
    T: DeserializeOwned + Send + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Rejected>> + Send + 'static,
{
    Box::new(move |secret, key_path| {
        let value = read(secret, key_path)?;
        called(secret, "test", || closure(value))
    })
}

pub(super) fn also<T, F, V>(closure: F) -> Also
where
    T: DeserializeOwned,
    F: Fn(&T) -> V + Send + Sync + 'static,
    V: Into<NewValue>,
{
    Box::new(move |secret, key_path| {
        let value: T = read(secret, key_path)?;
        unwind::catch(|| closure(&value).into())
            .map_err(|panic| panicked(secret.name(), "also", panic))
    })
}

pub(super) fn generate<F, Fut, V>(closure: F) -> Generate
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, Rejected>> + Send + 'static,
    V: Into<NewValue> + 'static,
{
    Box::new(move || {
        let made = unwind::catch(&closure);
        async move {
            match made {
                Ok(making) => making.await.map(Into::into),
                Err(Panicked) => Err(Rejected::new("the closure panicked")),
            }
        }
        .boxed()
    })
}

fn called<Fut>(secret: &Fetched, step: &str, call: impl FnOnce() -> Fut) -> Result<Outcome, Error>
where
    Fut: Future<Output = Result<(), Rejected>> + Send + 'static,
{
    let outcome = unwind::catch(call).map_err(|panic| panicked(secret.name(), step, panic))?;
    Ok(outcome.boxed())
}

/// Awaits a closure's future, which may fail, panic or hang.
pub(super) async fn outcome<R>(
    secret: &str,
    step: &str,
    limit: Duration,
    future: BoxFuture<'static, Result<R, Rejected>>,
) -> Result<R, Error> {
    match timeout(limit, unwind::catch_future(future)).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(rejected))) => Err(failed(secret, &format!("`{step}` failed: {rejected}"))),
        Ok(Err(panic)) => Err(panicked(secret, step, panic)),
        Err(_) => Err(failed(secret, &format!("`{step}` took longer than {limit:?}"))
            .with_hint("`.step_timeout(..)` sets the limit")),
    }
}

fn panicked(secret: &str, step: &str, panic: Panicked) -> Error {
    panic.rejection(&format!("secret `{secret}`: `{step}`")).with_secret(secret)
}

fn failed(secret: &str, what: &str) -> Error {
    Error::new(ErrorKind::Rejected, format!("secret `{secret}`: {what}")).with_secret(secret)
}

/// A secret as a value of the program's type (rules T1 to T4).
fn read<T: DeserializeOwned>(secret: &Fetched, key_path: &str) -> Result<T, Error> {
    let origin = Origin::Secret {
        name: secret.name().to_owned(),
        version_id: secret.version_id().to_owned(),
        source: None,
    };
    let node = payload::parse(secret.payload(), &Arc::new(origin)).map_err(|error| {
        Error::new(ErrorKind::Malformed, format!("secret `{}`: {error}", secret.name()))
            .with_secret(secret.name())
    })?;
    extract::extract_one(&node, key_path, Names::of_paths([key_path]))
}

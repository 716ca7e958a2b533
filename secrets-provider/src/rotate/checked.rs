//! Whether the readers' own type takes a secret's new value, before it is stored.
//!
//! The program's settings are extracted from the usual layers, with the pending version in place of
//! the current one.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::layers::Layers;
use crate::load::fetch::{Known, Scope};
use crate::load::manager::SecretsManager;
use crate::secret::Fetched;

/// Whether the program's settings can be read with the second version in place of the first one.
pub(super) type Check = Box<
    dyn Fn(SecretsManager, Fetched, Fetched) -> BoxFuture<'static, Result<(), Error>> + Send + Sync,
>;

/// A check by settings of this type.
pub(super) fn by<S: DeserializeOwned + Send + 'static>() -> Check {
    Box::new(|manager, current, pending| {
        async move { check::<S>(&manager, &current, &pending).await }.boxed()
    })
}

/// Extracts settings with a pending version in place.
async fn check<S: DeserializeOwned>(
    manager: &SecretsManager,
    current: &Fetched,
    pending: &Fetched,
) -> Result<(), Error> {
    let fetcher = manager.fetcher()?;
    let result = fetcher.read(&Scope::everything(), &Known::default()).await?;
    let others: Vec<Fetched> = result
        .secrets()
        .into_iter()
        .filter(|secret| secret.identity() != current.identity() && secret.name() != current.name())
        .collect();
    let extract = |secret: &Fetched| {
        let secrets = [&others[..], std::slice::from_ref(secret)].concat();
        Layers::standard(&fetcher.snapshot(&secrets)?).extract::<S>().map(drop)
    };
    let Err(error) = extract(pending) else { return Ok(()) };
    // What is wrong already in other secrets and layers is not the new value's fault.
    let Err(before) = extract(current) else { return Err(refused(current, &error)) };
    let own = fetcher.key_path(current.name());
    let is_own = |key: &str| {
        let below = key.strip_prefix(&own).map(|rest| rest.is_empty() || rest.starts_with('.'));
        own.is_empty() || below == Some(true)
    };
    let known = |error: &Error| {
        let same = |other: &Error| other.kind() == error.kind() && other.key() == error.key();
        !error.key().is_none_or(is_own) && before.errors().iter().any(same)
    };
    match Error::all(error.errors().iter().filter(|error| !known(error)).cloned()) {
        None => Ok(()),
        Some(error) => Err(refused(current, &error)),
    }
}

fn refused(secret: &Fetched, error: &Error) -> Error {
    let message = format!("secret `{}`: the settings refuse its new value", secret.name());
    let first = Error::new(error.kind(), message).with_secret(secret.name()).with_hint(
        "nothing became current: correct what makes the value, or the settings. If an earlier \
             run has stored it, and it is not in use, take the label AWSPENDING off its version",
    );
    Error::all([first.clone(), error.clone()]).unwrap_or(first)
}

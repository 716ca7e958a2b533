//! [`Memory`]: secrets in memory, for tests and for programs without AWS.
//!
//! A handle with shared content, so that a test can rotate a secret while the program under test
//! reads it. Secrets have versions and labels as in AWS, so that rotations can be tested, too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{future, stream};

use super::{Backend, BoxFuture, BoxStream, Labels, Outcome, Writer};
use crate::error::{Error, ErrorKind};
use crate::secret::{Fetched, Payload};
use crate::unwind::lock;

/// Secrets in memory. Clones share them, so a test can keep one clone and rotate a secret with it.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Settings { token: String }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), secrets_provider::Error> {
/// use secrets_provider::{Live, Memory, SecretsManager};
///
/// let secrets = Memory::new();
/// secrets.put("app/token", "old");
/// let manager = SecretsManager::prefix("app").backend(secrets.clone());
/// let settings: Live<Settings> = manager.live().await?;
/// assert_eq!(settings.load().token, "old");
///
/// secrets.put("app/token", "new");
/// settings.refresh().await?;
/// assert_eq!(settings.load().token, "new");
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

/// How many versions of a secret are kept, as in AWS.
const MAX_VERSIONS: usize = 100;

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Secret>,
    versions: u64,
}

/// A secret: its versions, the oldest first, and which of them have labels.
struct Secret {
    versions: Vec<Fetched>,
    labels: Labels,
}

impl Secret {
    fn version(&self, id: &str) -> Option<&Fetched> {
        self.versions.iter().find(|version| version.version_id() == id)
    }

    fn current(&self) -> Option<&Fetched> {
        self.version(&self.labels.current)
    }

    fn previous(&self) -> Option<&Fetched> {
        self.labels.previous.as_deref().and_then(|id| self.version(id))
    }

    /// Adds a version. The oldest one without a label is forgotten if there are too many.
    fn add(&mut self, version: Fetched) {
        let Labels { current, pending, previous, .. } = &self.labels;
        if self.versions.len() >= MAX_VERSIONS {
            let labelled = [Some(current), pending.as_ref(), previous.as_ref()];
            let is_labelled = |id: &str| labelled.iter().flatten().any(|labelled| *labelled == id);
            if let Some(at) = self.versions.iter().position(|old| !is_labelled(old.version_id())) {
                self.versions.remove(at);
            }
        }
        self.versions.push(version);
    }

    fn make_current(&mut self, id: &str) {
        let left = std::mem::replace(&mut self.labels.current, id.to_owned());
        self.labels.previous = Some(left);
    }
}

impl Memory {
    /// No secrets yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a secret with this text, or gives it a new version. Returns the version's id, which
    /// is a running number.
    pub fn put(&self, name: &str, text: impl Into<String>) -> String {
        self.insert(name, Payload::text(text))
    }

    /// Creates a secret with these bytes, or gives it a new version. Returns the version's id.
    pub fn put_binary(&self, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.insert(name, Payload::binary(bytes))
    }

    /// Removes a secret, if it exists.
    pub fn remove(&self, name: &str) {
        self.state().secrets.remove(name);
    }

    fn insert(&self, name: &str, payload: Payload) -> String {
        let mut state = self.state();
        state.versions += 1;
        let version_id = format!("v{}", state.versions);
        let version = Fetched::new(name.to_owned(), version_id.clone(), payload);
        match state.secrets.get_mut(name) {
            Some(secret) => {
                secret.add(version);
                secret.make_current(&version_id);
            }
            None => {
                let labels = Labels::new(&version_id);
                state.secrets.insert(name.to_owned(), Secret { versions: vec![version], labels });
            }
        }
        version_id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Backend for Memory {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let names =
            self.state().secrets.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        Box::pin(async { Ok(names) })
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let state = self.state();
        let outcomes: Vec<Outcome> = ids
            .iter()
            .map(|id| {
                let found = state.secrets.get(id).and_then(Secret::current).cloned();
                let found = found.ok_or_else(|| not_found(id));
                (id.clone(), found)
            })
            .collect();
        Box::pin(stream::iter(outcomes))
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }

    fn store_name(&self) -> &str {
        "secrets in memory"
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let state = self.state();
        let outcomes: Vec<Outcome> = ids
            .iter()
            .filter_map(|id| Some((id.clone(), Ok(state.secrets.get(id)?.previous()?.clone()))))
            .collect();
        Box::pin(stream::iter(outcomes))
    }
}

impl Memory {
    /// Does something with a secret, at once.
    fn with<'a, R: Send + 'a>(
        &self,
        id: &str,
        what: impl FnOnce(&mut Secret) -> Result<R, Error>,
    ) -> BoxFuture<'a, Result<R, Error>> {
        let result = match self.state().secrets.get_mut(id) {
            Some(secret) => what(secret),
            None => Err(not_found(id)),
        };
        Box::pin(future::ready(result))
    }
}

impl Writer for Memory {
    fn labels<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Labels, Error>> {
        self.with(id, |secret| Ok(secret.labels.clone()))
    }

    fn version<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Fetched>, Error>> {
        self.with(id, |secret| Ok(secret.version(version_id).cloned()))
    }

    fn put_pending<'a>(
        &'a self,
        id: &'a str,
        pending: &'a Fetched,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.with(id, |secret| match secret.version(pending.version_id()) {
            Some(version) if version.payload() == pending.payload() => Ok(()),
            Some(_) => Err(came_second(id, "the version exists already")),
            None => {
                secret.labels.pending = Some(pending.version_id().to_owned());
                secret.add(pending.clone());
                Ok(())
            }
        })
    }

    fn make_current<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.with(id, |secret| {
            if secret.labels.current != from {
                return Err(came_second(id, "the label has moved"));
            }
            if secret.version(to).is_none() {
                return Err(not_found(id));
            }
            secret.make_current(to);
            Ok(())
        })
    }

    fn remove_pending<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.with(id, |secret| {
            if secret.labels.pending.as_deref() == Some(version_id) {
                secret.labels.pending = None;
            }
            Ok(())
        })
    }
}

fn not_found(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no secret `{id}` in memory")).with_secret(id)
}

fn came_second(id: &str, what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("secret `{id}`: {what}"))
        .with_secret(id)
        .with_hint("another program rotates the secret, too")
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.state().secrets.values().filter_map(Secret::current)).finish()
    }
}

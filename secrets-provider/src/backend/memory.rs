//! [`Memory`]: secrets in memory, for tests and for programs without AWS.
//!
//! A handle with shared content, so that a test can rotate a secret while the program under test
//! reads it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::stream;

use super::{Backend, BoxFuture, BoxStream, Outcome};
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

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Fetched>,
    previous: BTreeMap<String, Fetched>,
    versions: u64,
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
        let mut state = self.state();
        state.secrets.remove(name);
        state.previous.remove(name);
    }

    fn insert(&self, name: &str, payload: Payload) -> String {
        let mut state = self.state();
        state.versions += 1;
        let version_id = format!("v{}", state.versions);
        let secret = Fetched::new(name.to_owned(), version_id.clone(), payload);
        if let Some(previous) = state.secrets.insert(name.to_owned(), secret) {
            state.previous.insert(name.to_owned(), previous);
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
                let found = state.secrets.get(id).cloned().ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, format!("there is no secret `{id}` in memory"))
                        .with_secret(id)
                });
                (id.clone(), found)
            })
            .collect();
        Box::pin(stream::iter(outcomes))
    }

    fn store_name(&self) -> &str {
        "secrets in memory"
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let state = self.state();
        let outcomes: Vec<Outcome> = ids
            .iter()
            .filter_map(|id| Some((id.clone(), Ok(state.previous.get(id)?.clone()))))
            .collect();
        Box::pin(stream::iter(outcomes))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.state().secrets.values()).finish()
    }
}

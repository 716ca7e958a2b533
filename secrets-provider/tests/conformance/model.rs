//! A store that can do everything, so that no case is skipped. It yields to other tasks before each
//! answer, so that a call may be cut anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt as _, stream};
use secrets_provider::backend::conformance::{Harness, check};
use secrets_provider::{Backend, BoxFuture, BoxStream, Error, ErrorKind, Fetched, Outcome};
use tokio::sync::watch;
use tokio::task::yield_now;

#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Binary(Vec<u8>),
}

/// One value of a secret. Numbers count up over the whole store.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) value: Value,
}

#[derive(Default)]
pub(crate) struct State {
    /// The versions of each secret since it was created.
    pub(crate) secrets: BTreeMap<String, Vec<Version>>,
    /// The last value of each deleted secret.
    pub(crate) deleted: BTreeMap<String, Version>,
    denied: BTreeSet<String>,
    list_denied: bool,
    corrupt: BTreeSet<String>,
    numbers: u64,
}

#[derive(Default)]
pub(crate) struct Model {
    state: Mutex<State>,
    stalled: watch::Sender<BTreeSet<String>>,
    changed: watch::Sender<()>,
}

impl Model {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, name: &str, value: Value) {
        let mut state = self.state();
        state.numbers += 1;
        let version = Version { number: state.numbers, value };
        state.secrets.entry(name.to_owned()).or_default().push(version);
        self.changed.send_replace(());
    }

    /// Whether reads of this secret hang.
    pub(crate) fn is_stalled(&self, name: &str) -> bool {
        self.stalled.borrow().contains(name)
    }

    /// The versions of a secret, the current one last, once reads of it do not hang.
    pub(crate) async fn versions(&self, id: &str) -> Result<Vec<Version>, Error> {
        yield_now().await;
        let name = name_of(id);
        // The sender is ours, so it is not gone.
        let _ = self.stalled.subscribe().wait_for(|stalled| !stalled.contains(name)).await;
        let state = self.state();
        let error = |kind| Err(Error::new(kind, format!("`{name}`: {kind}")).with_secret(id));
        match state.secrets.get(name) {
            _ if state.denied.contains(name) => error(ErrorKind::AccessDenied),
            _ if state.corrupt.contains(name) => error(ErrorKind::Malformed),
            Some(versions) => Ok(versions.clone()),
            None => error(ErrorKind::NotFound),
        }
    }
}

/// A name, or `id:` and a name.
pub(crate) fn name_of(id: &str) -> &str {
    id.strip_prefix("id:").unwrap_or(id)
}

pub(crate) fn fetched(name: &str, version: &Version) -> Fetched {
    let id = format!("v{}", version.number);
    match &version.value {
        Value::Text(text) => Fetched::text(name, id, text),
        Value::Binary(bytes) => Fetched::binary(name, id, bytes.as_slice()),
    }
}

impl Backend for Model {
    /// All names that start with the prefix, as AWS filters them, and one of them twice.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            yield_now().await;
            let state = self.state();
            if state.list_denied {
                return Err(Error::new(ErrorKind::AccessDenied, "names may not be listed"));
            }
            let names = state.secrets.keys().filter(|name| name.starts_with(prefix));
            let mut names: Vec<String> = names.cloned().collect();
            names.extend(names.first().cloned());
            Ok(names)
        })
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        Box::pin(stream::iter(ids).then(async |id| {
            let versions = self.versions(id).await;
            (
                id.clone(),
                versions.map(|versions| fetched(name_of(id), &versions[versions.len() - 1])),
            )
        }))
    }

    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        let mut changed = self.changed.subscribe();
        changed.mark_unchanged();
        Some(Box::pin(stream::unfold(changed, async |mut changed| {
            changed.changed().await.ok()?;
            Some(((), changed))
        })))
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        Box::pin(stream::iter(ids).filter_map(async |id| {
            let versions = self.versions(id).await.ok()?;
            let previous = versions.len().checked_sub(2)?;
            Some((id.clone(), Ok(fetched(name_of(id), &versions[previous]))))
        }))
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.state().secrets.keys()).finish()
    }
}

impl Harness for Model {
    fn backend(&self) -> &dyn Backend {
        self
    }

    async fn put(&self, name: &str, text: &str) {
        self.insert(name, Value::Text(text.to_owned()));
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.insert(name, Value::Binary(bytes.to_owned()));
    }

    async fn delete(&self, name: &str) {
        let mut state = self.state();
        if let Some(last) = state.secrets.remove(name).and_then(|mut versions| versions.pop()) {
            state.deleted.insert(name.to_owned(), last);
        }
    }

    async fn deny(&self, name: &str) {
        self.state().denied.insert(name.to_owned());
    }

    async fn deny_list(&self) {
        self.state().list_denied = true;
    }

    async fn allow_list(&self) {
        self.state().list_denied = false;
    }

    async fn corrupt(&self, name: &str) {
        self.state().corrupt.insert(name.to_owned());
    }

    async fn stall(&self, name: &str) {
        self.stalled.send_if_modified(|stalled| stalled.insert(name.to_owned()));
    }

    async fn resume(&self, name: &str) {
        self.stalled.send_if_modified(|stalled| stalled.remove(name));
    }

    async fn other_id(&self, name: &str) -> String {
        format!("id:{name}")
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_conforms_and_nothing_is_skipped() {
    let report = check(&Model::default()).await;
    report.assert_passed();
    assert_eq!(report.skipped().count(), 0, "{report}");
}

//! One case's view of the store: names of its own, calls with a time limit, and outcomes that are
//! checked the same way in every case.
//!
//! Every case gets one. No call waits longer than the suite's limit, and what is wrong is a
//! `Mismatch` that says what was expected and what was found, without a value.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::report::Mismatch;
use super::{Capability, Harness};
use crate::backend::{Backend, Outcome};
use crate::error::{Error, ErrorKind};
use crate::secret::{Fetched, Payload};

/// A case at work on a store.
pub(super) struct Trial<'a, H> {
    harness: &'a H,
    prefix: String,
    lacks: Vec<Capability>,
}

impl<'a, H: Harness> Trial<'a, H> {
    /// `case` keeps the names of this trial apart from all others.
    pub(super) fn new(harness: &'a H, case: &str) -> Self {
        let prefix = format!("{}/{case}", harness.root());
        Self { harness, prefix, lacks: harness.lacks() }
    }

    pub(super) fn harness(&self) -> &'a H {
        self.harness
    }

    pub(super) fn store(&self) -> &'a dyn Backend {
        self.harness.backend()
    }

    pub(super) fn has(&self, capability: Capability) -> bool {
        !self.lacks.contains(&capability)
    }

    /// The prefix of the names of this trial.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.prefix)
    }

    /// Creates a secret, or gives it a new value; returns its name.
    pub(super) async fn put(&self, rest: &str, text: &str) -> String {
        let name = self.name(rest);
        self.harness.put(&name, text).await;
        name
    }

    /// Creates `count` secrets; returns their names with their values.
    pub(super) async fn put_many(&self, count: usize) -> BTreeMap<String, String> {
        let mut secrets = BTreeMap::new();
        for n in 0..count {
            let text = format!("value of number {n}");
            secrets.insert(self.put(&format!("s{n:03}"), &text).await, text);
        }
        secrets
    }

    /// The output of a call that must end.
    pub(super) async fn within<T>(
        &self,
        call: &str,
        future: impl Future<Output = T>,
    ) -> Result<T, Mismatch> {
        let patience = self.harness.patience();
        timeout(patience, future).await.map_err(|_| {
            Mismatch::new(
                format!("`{call}` ends"),
                format!("`{call}` did not end within {patience:?}"),
            )
        })
    }

    /// All outcomes of a fetch, as they come.
    pub(super) async fn outcomes(&self, ids: &[String]) -> Result<Vec<Outcome>, Mismatch> {
        self.within("fetch", self.store().fetch(ids).collect()).await
    }

    /// All outcomes of a fetch of previous values.
    pub(super) async fn previous(&self, ids: &[String]) -> Result<Vec<Outcome>, Mismatch> {
        self.within("fetch_previous", self.store().fetch_previous(ids).collect()).await
    }

    /// The outcome of each id. One that is missing is a mismatch.
    pub(super) async fn fetch(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, Result<Fetched, Error>>, Mismatch> {
        let outcomes: BTreeMap<_, _> = self.outcomes(ids).await?.into_iter().collect();
        match ids.iter().find(|id| !outcomes.contains_key(*id)) {
            Some(id) => Err(Mismatch::new(
                format!("`fetch` of {} ids answers each of them", ids.len()),
                format!("`fetch` ended without an outcome for `{id}`"),
            )),
            None => Ok(outcomes),
        }
    }

    /// The value of a secret that can be read.
    pub(super) async fn read(&self, id: &str) -> Result<Fetched, Mismatch> {
        let mut outcomes = self.fetch(&[id.to_owned()]).await?;
        readable(id, outcomes.remove(id))
    }

    /// Every one of these secrets can be read, and holds its text.
    pub(super) async fn holds_all(
        &self,
        secrets: &BTreeMap<String, String>,
    ) -> Result<(), Mismatch> {
        let ids: Vec<String> = secrets.keys().cloned().collect();
        let mut outcomes = self.fetch(&ids).await?;
        for (id, text) in secrets {
            holds_text(&readable(id, outcomes.remove(id))?, text)?;
        }
        Ok(())
    }

    /// The error of a secret that cannot be read.
    pub(super) async fn error(&self, id: &str, expected: &str) -> Result<Error, Mismatch> {
        let mut outcomes = self.fetch(&[id.to_owned()]).await?;
        failed(id, outcomes.remove(id), expected)
    }

    /// The secret `bad` fails with one of these kinds, while `good`, asked for with it, is read.
    pub(super) async fn fails_alone(
        &self,
        bad: &str,
        good: &str,
        kinds: &[ErrorKind],
    ) -> Result<(), Mismatch> {
        let mut outcomes = self.fetch(&[bad.to_owned(), good.to_owned()]).await?;
        readable(good, outcomes.remove(good))?;
        let expected = any_of(kinds);
        let error = failed(bad, outcomes.remove(bad), &expected)?;
        is_of(&error, kinds, &format!("`fetch` of `{bad}`"))
    }

    /// The names at or below a prefix that a listing returns.
    pub(super) async fn listed(&self, prefix: &str) -> Result<BTreeSet<String>, Mismatch> {
        let names = self.within("list", self.store().list(prefix)).await?;
        let names = names.map_err(|error| {
            Mismatch::new(
                format!("`list` of `{prefix}` returns names"),
                format!("it failed with the kind `{}`", error.kind()),
            )
        })?;
        Ok(names.into_iter().filter(|name| is_below(prefix, name)).collect())
    }

    /// A listing returns exactly these names at or below the prefix.
    pub(super) async fn lists(
        &self,
        prefix: &str,
        names: &BTreeSet<String>,
    ) -> Result<(), Mismatch> {
        let listed = self.listed(prefix).await?;
        if listed == *names {
            return Ok(());
        }
        let difference = [
            some_of("missing", names.difference(&listed)),
            some_of("not put", listed.difference(names)),
        ];
        Err(Mismatch::new(
            format!("`list` of `{prefix}` returns the {} names below it", names.len()),
            format!(
                "{} names; {}",
                listed.len(),
                difference.into_iter().flatten().collect::<Vec<_>>().join("; ")
            ),
        ))
    }
}

/// Whether a name is selected by a prefix: the prefix itself, or what follows it after a slash.
fn is_below(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The first few names of a difference, and how many there are.
fn some_of<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        1..=3 => Some(format!("{what}: {shown}")),
        count => Some(format!("{what}: {shown} and {} more", count - 3)),
    }
}

/// The value of an outcome that must be one.
pub(super) fn readable(
    id: &str,
    outcome: Option<Result<Fetched, Error>>,
) -> Result<Fetched, Mismatch> {
    let expected = || format!("`fetch` returns the value of `{id}`");
    match outcome {
        Some(Ok(secret)) => Ok(secret),
        Some(Err(error)) => {
            Err(Mismatch::new(expected(), format!("an error of the kind `{}`", error.kind())))
        }
        None => Err(Mismatch::new(expected(), "no outcome for it")),
    }
}

/// The error of an outcome that must be one.
pub(super) fn failed(
    id: &str,
    outcome: Option<Result<Fetched, Error>>,
    expected: &str,
) -> Result<Error, Mismatch> {
    let expected = || format!("`fetch` of `{id}` fails with {expected}");
    match outcome {
        Some(Err(error)) => Ok(error),
        Some(Ok(_)) => Err(Mismatch::new(expected(), "a value")),
        None => Err(Mismatch::new(expected(), "no outcome for it")),
    }
}

/// The error is of one of these kinds.
pub(super) fn is_of(error: &Error, kinds: &[ErrorKind], call: &str) -> Result<(), Mismatch> {
    match kinds.contains(&error.kind()) {
        true => Ok(()),
        false => Err(Mismatch::new(
            format!("{call} fails with {}", any_of(kinds)),
            format!("it failed with the kind `{}`", error.kind()),
        )),
    }
}

fn any_of(kinds: &[ErrorKind]) -> String {
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    format!("the kind {}", kinds.join(" or "))
}

/// The secret holds this text, as text.
pub(super) fn holds_text(secret: &Fetched, text: &str) -> Result<(), Mismatch> {
    let found = match secret.payload() {
        Payload::Text(held) if held.as_str() == text => return Ok(()),
        Payload::Text(_) => "another text",
        Payload::Binary(_) => "bytes",
    };
    Err(Mismatch::new(format!("`{}` holds the text that was put", secret.name()), found))
}

/// The secret holds these bytes, as binary.
pub(super) fn holds_binary(secret: &Fetched, bytes: &[u8]) -> Result<(), Mismatch> {
    let found = match secret.payload() {
        Payload::Binary(held) if held.as_slice() == bytes => return Ok(()),
        Payload::Binary(_) => "other bytes",
        Payload::Text(_) => "text",
    };
    Err(Mismatch::new(format!("`{}` holds the bytes that were put", secret.name()), found))
}

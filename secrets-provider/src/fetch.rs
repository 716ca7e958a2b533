//! One fetch: find the names, read the values, within one deadline. What cannot be read is told apart from what can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::backend::{Backend, Fetched};
use crate::error::{Error, ErrorKind};
use crate::mapping::{Mapping, below};
use crate::nearest;

/// How long the names like a missing one are looked for, at most: the error is what matters.
const ADVICE: Duration = Duration::from_secs(3);
/// What helps against a deadline that passed.
const LATE: &str = "check network, proxy and, in a VPC, the interface endpoint; `.timeout(..)` sets the time";

/// Which secrets to read and where they go.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) mapping: Mapping,
    /// Exactly these names or ARNs; `None` for whatever is listed below the mapping's prefix.
    pub(crate) ids: Option<Vec<String>>,
    /// Those of them whose version before is read too.
    pub(crate) previous: Vec<String>,
}

/// A plan and the backend to carry it out with.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    backend: Arc<dyn Backend>,
    plan: Plan,
    timeout: Duration,
}

/// What one fetch came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// By the name or ARN that was asked for: the value, or why there is none.
    pub(crate) outcomes: BTreeMap<String, Result<Fetched, Error>>,
    /// Why names could not be listed, or that there is nothing to read. Known names were read all the same.
    pub(crate) problem: Option<Error>,
}

impl Reading {
    /// All that was read, if nothing failed.
    pub(crate) fn complete(self) -> Result<Vec<Fetched>, Error> {
        match self.errors() {
            Some(error) => Err(error),
            None => Ok(each_once(self.outcomes.values().flatten())),
        }
    }

    /// Everything that failed as one error.
    pub(crate) fn errors(&self) -> Option<Error> {
        let failed = self.outcomes.values().filter_map(|outcome| outcome.as_ref().err());
        Error::all(failed.chain(&self.problem).cloned())
    }
}

/// Secrets in the order of their names, one that was asked for by name and by ARN once.
pub(crate) fn each_once<'a>(secrets: impl IntoIterator<Item = &'a Fetched>) -> Vec<Fetched> {
    let by_identity: BTreeMap<_, _> = secrets.into_iter().map(|secret| (secret.identity(), secret)).collect();
    let mut secrets: Vec<Fetched> = by_identity.into_values().cloned().collect();
    secrets.sort_by(|a, b| a.name().cmp(b.name()));
    secrets
}

impl Source {
    pub(crate) fn new(backend: Arc<dyn Backend>, plan: Plan, timeout: Duration) -> Self {
        Self { backend, plan, timeout }
    }

    /// Reads all that the plan selects, and `known` names too, which a listing may not show (any more).
    pub(crate) async fn read(&self, known: &[String]) -> Reading {
        let start = Instant::now();
        let deadline = start + self.timeout;
        let mut reading = Reading::default();
        let ids = match (&self.plan.ids, &self.plan.mapping.prefix) {
            (Some(ids), _) => ids.clone(),
            (None, Some(prefix)) => {
                // Known names are read even where the listing takes all the time it is given.
                let patience = if known.is_empty() { deadline } else { start + self.timeout / 2 };
                let mut names = known.to_vec();
                match self.list(prefix, patience).await {
                    Ok(listed) => names.extend(listed),
                    Err(error) => reading.problem = Some(error),
                }
                names
            }
            (None, None) => Vec::new(),
        };
        let ids: Vec<String> = BTreeSet::from_iter(ids).into_iter().collect();
        if ids.is_empty() {
            reading.problem.get_or_insert_with(|| self.nothing());
            return reading;
        }
        self.values(&ids, deadline, &mut reading).await;
        self.previous(deadline, &mut reading).await;
        reading
    }

    async fn list(&self, prefix: &str, deadline: Instant) -> Result<Vec<String>, Error> {
        match timeout_at(deadline, self.backend.list(prefix)).await {
            Ok(listed) => Ok(listed?.into_iter().filter(|name| below(prefix, name).is_some()).collect()),
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the secrets below `{prefix}` were not listed within {:?}", self.timeout),
            )
            .with_hint(LATE)),
        }
    }

    async fn values(&self, ids: &[String], deadline: Instant, reading: &mut Reading) {
        let mut outcomes = self.backend.fetch(ids);
        let message = loop {
            match timeout_at(deadline, outcomes.next()).await {
                Ok(Some((id, outcome))) => reading.outcomes.insert(id, outcome),
                Ok(None) => break "the backend said nothing of it".to_owned(),
                Err(_) => break format!("it was not read within {:?}", self.timeout),
            };
        };
        for id in ids {
            reading.outcomes.entry(id.clone()).or_insert_with(|| {
                let error = Error::new(ErrorKind::Unavailable, format!("secret `{id}`: {message}"));
                Err(error.with_secret(id).with_hint(LATE))
            });
        }
    }

    /// Reads the versions before. A secret whose version before cannot be told counts as unread: half of what its
    /// field needs would be missing.
    async fn previous(&self, deadline: Instant, reading: &mut Reading) {
        let read = |id: &&String| matches!(reading.outcomes.get(*id), Some(Ok(_)));
        let ids: Vec<String> = self.plan.previous.iter().filter(read).cloned().collect();
        if ids.is_empty() {
            return;
        }
        let mut unanswered: BTreeSet<&String> = ids.iter().collect();
        let mut outcomes = self.backend.fetch_previous(&ids);
        loop {
            let (id, outcome) = match timeout_at(deadline, outcomes.next()).await {
                Ok(Some(outcome)) => outcome,
                Ok(None) => return,
                Err(_) => break,
            };
            unanswered.remove(&id);
            match (reading.outcomes.get_mut(&id), outcome) {
                (Some(Ok(secret)), Ok(previous)) => secret.replaces(previous),
                (_, Err(error)) if error.kind() != ErrorKind::NotFound => {
                    reading.outcomes.insert(id, Err(error));
                }
                _ => {}
            }
        }
        for id in unanswered {
            let message = format!("secret `{id}`: its version before was not read within {:?}", self.timeout);
            let error = Error::new(ErrorKind::Unavailable, message).with_secret(id);
            reading.outcomes.insert(id.clone(), Err(error));
        }
    }

    /// The error of a failed start, with existing names like those that do not exist, where names may be listed. Only
    /// for a start, within the time that it has from `start` on: what runs for long lists nothing that it need not.
    pub(crate) async fn advised(&self, error: Error, start: Instant) -> Error {
        let Some(wanted) = error.errors().iter().find_map(|error| self.wanted(error)) else { return error };
        let deadline = (start + self.timeout).min(Instant::now() + ADVICE);
        if deadline <= Instant::now() {
            return error;
        }
        let listing = self.backend.list_some(nearest::first_part(wanted));
        let Ok(Ok(names)) = timeout_at(deadline, listing).await else { return error };
        let parts = error.errors().iter().map(|error| {
            let like = match (self.wanted(error), error.secret()) {
                (None, _) => Vec::new(),
                (Some(wanted), Some(_)) => nearest::nearest(wanted, &names),
                (Some(prefix), None) => nearest::nearest_prefixes(prefix, &names),
            };
            if like.is_empty() {
                return error.clone();
            }
            let like = like.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            error.clone().with_hint(format!("there is {like}{hint}"))
        });
        Error::all(parts).unwrap_or(error.clone())
    }

    /// The name, or the prefix, that an error says does not exist. Names for an ARN are in an account of their own.
    fn wanted<'a>(&'a self, error: &'a Error) -> Option<&'a str> {
        match error.secret() {
            _ if error.kind() != ErrorKind::NotFound => None,
            Some(id) => (!id.starts_with("arn:")).then_some(id),
            None => self.plan.mapping.prefix.as_deref(),
        }
    }

    fn nothing(&self) -> Error {
        match &self.plan.mapping.prefix {
            Some(prefix) if self.plan.ids.is_none() => Error::new(
                ErrorKind::NotFound,
                format!("there is no secret at or below `{prefix}`"),
            )
            .with_hint(
                "check prefix, region and account; a secret created in the last five minutes may not be \
                     listed yet",
            ),
            _ => {
                Error::new(ErrorKind::Config, "no secret is named").with_hint("give at least one name or ARN")
            }
        }
    }
}

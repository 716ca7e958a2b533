//! One fetch: find the names, read the values, within one deadline. What cannot be read is told apart from what can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::backend::{Backend, BoxStream, Fetched, RotationWindow};
use crate::error::{Error, ErrorKind};
use crate::load::mapping::{self, below};
use crate::load::plan::{Plan, names_of};
use crate::load::required::Verdict;
use crate::load::suggest;
use crate::observe::events::Notices;
use crate::observe::status::Calls;

/// How long the names like a missing one are looked for, at most: the error is what matters.
const ADVICE: Duration = Duration::from_secs(3);
/// Of how many secrets at once it is asked when they rotate.
const WINDOWS: usize = 20;
/// What helps against a deadline that passed.
const LATE: &str =
    "check network, proxy and, in a VPC, the interface endpoint; `.timeout(..)` sets the time";

/// A plan and the backend to carry it out with.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    backend: Arc<dyn Backend>,
    plan: Plan,
    timeout: Duration,
    notices: Arc<Notices>,
}

/// What earlier fetches found out. Nothing, for a first one.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Names that are in use: read even if a listing does not show them (any more).
    pub(crate) held: Vec<String>,
    /// Names that were never read: read anew as long as names cannot be listed.
    pub(crate) awaited: Vec<String>,
    /// Names that are left out for now.
    pub(crate) resting: BTreeSet<String>,
    /// What to look for.
    pub(crate) look: Look,
}

/// What a fetch looks for.
#[derive(Debug, Default, Clone)]
pub(crate) enum Look {
    /// Names, by a listing where there is a prefix, and their values.
    #[default]
    Everything,
    /// The values of these names, that were listed before, and of those that are remembered.
    Values(Vec<String>),
    /// The values of what is in use, and of what lower layers stand in for.
    Held,
}

/// What one fetch came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// By the name or ARN that was asked for: the value, or why there is none.
    pub(crate) outcomes: BTreeMap<String, Result<Fetched, Unread>>,
    /// Selected, but left out because they rest.
    pub(crate) rested: BTreeSet<String>,
    /// Why names could not be listed, or that there is nothing to read. Known names were read all the same.
    pub(crate) problem: Option<Unread>,
    /// What a listing found, if there was one.
    pub(crate) listed: Option<Vec<String>>,
}

/// Why there is no value, and what that means.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) error: Error,
    pub(crate) verdict: Verdict,
}

impl Reading {
    /// All that was read, in the order of the names.
    pub(crate) fn secrets(&self) -> Vec<Fetched> {
        each_once(self.outcomes.values().flatten())
    }

    /// What could not be read, optional secrets apart, as one error.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.errors(|verdict| verdict != Verdict::Absent)
    }

    /// That the settings cannot start like this: all of the trouble, if for any of it nothing may stand in.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.errors(|verdict| verdict == Verdict::Failure).and_then(|_| self.trouble())
    }

    /// What the layers below stand in for.
    pub(crate) fn fallback(&self) -> Option<Error> {
        self.errors(|verdict| verdict == Verdict::Fallback)
    }

    /// What could not be read, with the name or ARN that was asked for.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&String, &Unread)> {
        self.outcomes.iter().filter_map(|(id, outcome)| Some((id, outcome.as_ref().err()?)))
    }

    fn errors(&self, counts: impl Fn(Verdict) -> bool) -> Option<Error> {
        let unread = self
            .outcomes
            .values()
            .filter_map(|outcome| outcome.as_ref().err())
            .chain(&self.problem);
        Error::all(
            unread.filter(|unread| counts(unread.verdict)).map(|unread| unread.error.clone()),
        )
    }
}

/// Secrets in the order of their names, one that was asked for by name and by ARN once.
pub(crate) fn each_once<'a>(secrets: impl IntoIterator<Item = &'a Fetched>) -> Vec<Fetched> {
    let by_identity: BTreeMap<_, _> =
        secrets.into_iter().map(|secret| (secret.identity(), secret)).collect();
    let mut secrets: Vec<Fetched> = by_identity.into_values().cloned().collect();
    secrets.sort_by(|a, b| a.name().cmp(b.name()));
    secrets
}

impl Source {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        plan: Plan,
        timeout: Duration,
        notices: Arc<Notices>,
    ) -> Self {
        Self { backend, plan, timeout, notices }
    }

    /// Reads all that the plan selects, and what is remembered, which a listing may not show.
    pub(crate) async fn read(&self, memory: &Memory) -> Reading {
        let mut reading = Reading::default();
        if self.plan.off {
            return reading;
        }
        let start = Instant::now();
        let deadline = start + self.timeout;
        let ids = match (&self.plan.ids, &self.plan.mapping.prefix) {
            _ if matches!(memory.look, Look::Held) && !memory.held.is_empty() => {
                [&memory.held[..], &memory.awaited].concat()
            }
            (Some(ids), _) => ids.clone(),
            (None, Some(_)) if let Look::Values(names) = &memory.look => {
                [&memory.held[..], &memory.awaited, names].concat()
            }
            (None, Some(prefix)) => {
                // Known names are read even where the listing takes all the time it is given.
                let knows = !memory.held.is_empty() || !memory.awaited.is_empty();
                let patience = if knows { start + self.timeout / 2 } else { deadline };
                let mut names = memory.held.clone();
                match self.list(prefix, patience).await {
                    Ok(listed) => {
                        names.extend(listed.iter().cloned());
                        reading.listed = Some(listed);
                    }
                    Err(error) => {
                        names.extend(memory.awaited.iter().cloned());
                        reading.problem = Some(self.unlisted(error));
                    }
                }
                names
            }
            (None, None) => Vec::new(),
        };
        let ids = BTreeSet::from_iter(ids);
        if ids.is_empty() {
            reading.problem.get_or_insert_with(|| self.unlisted(self.nothing()));
            return reading;
        }
        let (rested, ids) = ids.into_iter().partition(|id| memory.resting.contains(id));
        reading.rested = rested;
        self.values(&Vec::from_iter::<BTreeSet<String>>(ids), deadline, &mut reading).await;
        self.previous(deadline, &mut reading).await;
        self.check_renames(&reading);
        reading
    }

    /// Whether a secret, on its own, can be placed.
    pub(crate) fn check(&self, secret: &Fetched) -> Result<(), Error> {
        self.fit_together(std::slice::from_ref(secret))
    }

    /// Whether these secrets can be placed in one tree.
    pub(crate) fn fit_together(&self, secrets: &[Fetched]) -> Result<(), Error> {
        mapping::assemble(secrets, &self.plan.mapping).map(drop)
    }

    /// The calls that the backend has made.
    pub(crate) fn calls(&self) -> Calls {
        self.backend.calls()
    }

    /// When these secrets are expected to rotate, as far as the backend can tell.
    pub(crate) async fn rotation_windows(
        &self,
        ids: &[String],
    ) -> BTreeMap<String, RotationWindow> {
        let mut windows = BTreeMap::new();
        // A few at a time: what was told of some is not lost if it takes too long for all.
        for ids in ids.chunks(WINDOWS) {
            let told =
                timeout_at(Instant::now() + self.timeout, self.backend.rotation_windows(ids)).await;
            windows.extend(told.unwrap_or_default());
        }
        windows
    }

    /// Signals that something may have changed, where the backend can tell.
    pub(crate) fn changes(&self) -> Option<BoxStream<'static, ()>> {
        self.backend.changes()
    }

    async fn list(&self, prefix: &str, deadline: Instant) -> Result<Vec<String>, Error> {
        match timeout_at(deadline, self.backend.list(prefix)).await {
            Ok(listed) => {
                Ok(listed?.into_iter().filter(|name| below(prefix, name).is_some()).collect())
            }
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
                Ok(Some((id, outcome))) => {
                    let outcome = outcome.map_err(|error| self.judged(&id, error));
                    reading.outcomes.insert(id, outcome);
                }
                Ok(None) => break "the backend said nothing of it".to_owned(),
                Err(_) => break format!("it was not read within {:?}", self.timeout),
            };
        };
        for id in ids {
            reading.outcomes.entry(id.clone()).or_insert_with(|| {
                let error = Error::new(ErrorKind::Unavailable, format!("secret `{id}`: {message}"));
                Err(self.judged(id, error.with_secret(id).with_hint(LATE)))
            });
        }
    }

    fn unlisted(&self, error: Error) -> Unread {
        let verdict = self.plan.policy.verdict_on_listing(error.kind());
        Unread { error, verdict }
    }

    fn judged(&self, id: &str, error: Error) -> Unread {
        // Credentials that are not accepted make no secret absent.
        let kind = if error.is_of_caller() { ErrorKind::Unavailable } else { error.kind() };
        let verdict = self.plan.policy.verdict(id, kind);
        Unread { error, verdict }
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
                    let unread = self.judged(&id, error);
                    reading.outcomes.insert(id, Err(unread));
                }
                _ => {}
            }
        }
        for id in unanswered {
            let message =
                format!("secret `{id}`: its version before was not read within {:?}", self.timeout);
            let error = Error::new(ErrorKind::Unavailable, message).with_secret(id).with_hint(LATE);
            reading.outcomes.insert(id.clone(), Err(self.judged(id, error)));
        }
    }

    /// The error of a failed start, with existing names like those that do not exist, where names may be listed. Only
    /// for a start, within the time that it has from `start` on: what runs for long lists nothing that it need not.
    pub(crate) async fn advised(&self, error: Error, start: Instant) -> Error {
        let Some(wanted) = error.errors().iter().find_map(|error| self.wanted(error)) else {
            return error;
        };
        let deadline = (start + self.timeout).min(Instant::now() + ADVICE);
        if deadline <= Instant::now() {
            return error;
        }
        let listing = self.backend.list_some(suggest::first_part(wanted));
        let Ok(Ok(names)) = timeout_at(deadline, listing).await else { return error };
        let parts = error.errors().iter().map(|error| {
            let like = match (self.wanted(error), error.secret()) {
                (None, _) => Vec::new(),
                (Some(wanted), Some(_)) => suggest::nearest(wanted, &names),
                (Some(prefix), None) => suggest::nearest_prefixes(prefix, &names),
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

    /// Where a secret's value goes, or would go.
    pub(crate) fn key_path(&self, id: &str) -> String {
        names_of(id)
            .first()
            .map(|name| self.plan.mapping.key_path(name).join("."))
            .unwrap_or_default()
    }

    /// Warns, once, of renames that are about no secret that is selected, be it read or not.
    fn check_renames(&self, reading: &Reading) {
        if reading.problem.is_some() {
            return;
        }
        let read = reading.outcomes.values().flatten().map(Fetched::name);
        let asked =
            reading.outcomes.keys().chain(&reading.rested).chain(&self.plan.policy.optional);
        let names: Vec<&str> = read.chain(asked.flat_map(|id| names_of(id))).collect();
        self.notices.of_idle_renames(|| self.plan.mapping.idle_renames(&names));
    }

    /// Warns, once, if the layers below stand in for anything.
    pub(crate) fn warn_of_fallback(&self, reading: &Reading) {
        let Some(error) = reading.fallback() else { return };
        let secrets = reading.unread().filter(|(_, unread)| unread.verdict == Verdict::Fallback);
        let mut secrets: Vec<String> = secrets.map(|(id, _)| id.clone()).collect();
        if reading.problem.is_some()
            && let Some(prefix) = &self.plan.mapping.prefix
        {
            secrets.push(format!("{prefix}/*"));
        }
        self.notices.of_fallback(&secrets, &error);
    }
}

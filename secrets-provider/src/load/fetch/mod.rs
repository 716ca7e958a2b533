//! One read: find the names, read the values, within one deadline.
//!
//! The [`Fetcher`] joins a plan (which secrets, and where they go) with the backend that holds
//! them. A start, a refresh and `fetch` all read through [`Fetcher::read`]; they differ by
//! [`Scope`] and by what is [`Known`]. A secret that cannot be read never stops the others: the
//! [`FetchResult`] has a value or a reason for each.

mod explain;
mod failures;
mod result;
mod scope;
mod selector;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::time::{Instant, timeout_at};

pub(crate) use failures::Failures;
pub(crate) use result::{FetchResult, Unread, each_once};
pub(crate) use scope::{Known, Scope};
pub(crate) use selector::Selector;

use crate::backend::{Backend, Outcome, RotationWindow};
use crate::error::{Error, ErrorKind};
use crate::load::mapping;
use crate::load::plan::Plan;
use crate::load::required::Verdict;
use crate::load::snapshot::Snapshot;
use crate::observe::events::{self, WarnOnce};
use crate::observe::status::{Calls, Failover};
use crate::secret::id::{below, names_of};
use crate::secret::{Fetched, SecretVersion};
use crate::tree::Table;
use crate::tree::origin::Source;
use crate::unwind;

/// How many secrets one question for rotation dates names.
const ROTATION_DATES_PER_CALL: usize = 20;

/// How long a backend may take to end what it holds, when settings are shut down.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// A plan and the backend to carry it out with.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    backend: Arc<dyn Backend>,
    plan: Plan,
    timeout: Duration,
    warn_once: Arc<WarnOnce>,
}

impl Fetcher {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        plan: Plan,
        timeout: Duration,
        warn_once: Arc<WarnOnce>,
    ) -> Self {
        Self { backend, plan, timeout, warn_once }
    }

    /// Logs the values of the first fetch: one by one, or in one line.
    pub(crate) fn log_first<'a>(&self, secrets: impl Iterator<Item = &'a Fetched>) {
        let secrets = secrets.map(|secret| (secret.name(), secret.version_id()));
        let secrets: Vec<(&str, &str)> = secrets.collect();
        let in_one_line = self.plan.one_line_start;
        for (secret, version_id) in &secrets {
            events::secret_fetched(secret, version_id, true, in_one_line);
        }
        if in_one_line && !secrets.is_empty() {
            events::secrets_fetched(&secrets);
        }
    }

    /// How long one fetch may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Reads what the scope covers of the plan's secrets.
    ///
    /// # Errors
    ///
    /// Only if the backend panics, or an SDK in it: the result has every other failure.
    pub(crate) async fn read(&self, scope: &Scope, known: &Known) -> Result<FetchResult, Error> {
        let result = unwind::catch_future(self.read_covered(scope, known)).await;
        let result = result.map_err(|panic| self.naming(panic.rejection("the backend")));
        result.map(|result| match self.source_name() {
            Some(source) => result.in_source(source),
            None => result,
        })
    }

    /// The source, if it is one of several.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.plan.mapping.source.as_ref()
    }

    /// The name of the source, if it is one of several.
    pub(crate) fn source_name(&self) -> Option<&str> {
        self.source().map(|source| &*source.name)
    }

    /// An error that names the source, if it is one of several.
    pub(crate) fn naming(&self, error: Error) -> Error {
        match self.source_name() {
            Some(source) => error.in_source(source),
            None => error,
        }
    }

    /// The same reader, of one of several sources.
    pub(crate) fn of_source(mut self, source: Source) -> Self {
        self.plan.mapping.source = Some(source);
        self
    }

    async fn read_covered(&self, scope: &Scope, known: &Known) -> FetchResult {
        let mut result = FetchResult::default();
        if self.plan.off {
            return result;
        }
        let start = Instant::now();
        let deadline = start + self.timeout;
        let ids = self.ids(scope, known, start, &mut result).await;
        let ids = BTreeSet::from_iter(ids);
        if ids.is_empty() {
            if !matches!(scope, Scope::Only(_)) {
                let nothing = || self.listing_failed(self.nothing_selected());
                result.listing_error.get_or_insert_with(nothing);
            }
            return result;
        }
        let listed = result.listed.as_ref().or(known.listed.as_ref());
        let listed: BTreeSet<&String> = listed.into_iter().flatten().collect();
        let names_it = matches!(scope, Scope::Only(_));
        let rests = |id: &String| {
            !scope.includes_resting() && known.resting.contains(id)
                || !names_it && known.deleted.contains(id) && !listed.contains(id)
        };
        let (rested, ids) = ids.into_iter().partition(rests);
        result.rested = rested;
        let ids = Vec::from_iter::<BTreeSet<String>>(ids);
        let backend = self.backend.clone().for_one_read().unwrap_or_else(|| self.backend.clone());
        let outcomes = match (known.past_caches, names_it) {
            (true, true) => backend.fetch_each(&ids),
            (true, false) => backend.fetch_uncached(&ids),
            (false, _) if known.is_waited_for(scope) => backend.fetch(&ids),
            (false, _) => backend.fetch_due(&ids, known.wanted()),
        };
        self.values(&ids, outcomes, deadline, &mut result).await;
        self.previous(&*backend, deadline, &mut result).await;
        if !matches!(scope, Scope::Only(_)) {
            self.check_renames(&result);
        }
        result
    }

    /// The ids that a scope covers: the plan's own, those of a listing, and those that are known,
    /// because a listing may lag behind.
    async fn ids(
        &self,
        scope: &Scope,
        known: &Known,
        start: Instant,
        result: &mut FetchResult,
    ) -> Vec<String> {
        let known_ids = || [&known.in_use[..], &known.awaited].concat();
        match (scope, &self.plan.ids, &self.plan.mapping.prefix) {
            (Scope::Only(wanted), ..) => {
                let selector = self.selector(&known.in_use);
                wanted.iter().flat_map(|id| selector.ids(id)).collect()
            }
            (Scope::InUse, ..) if !known.in_use.is_empty() => known_ids(),
            (_, Some(ids), _) => ids.clone(),
            (Scope::Due, None, Some(_)) if let Some(listed) = &known.listed => {
                [&known_ids()[..], listed].concat()
            }
            (_, None, Some(prefix)) => {
                // Known names are read even if the listing takes all the time that it is given.
                let knows = !known.in_use.is_empty() || !known.awaited.is_empty();
                let time = if knows { self.timeout / 2 } else { self.timeout };
                let mut ids = known.in_use.clone();
                match self.list(prefix, start, time).await {
                    Ok(listed) => {
                        ids.extend(listed.iter().cloned());
                        result.listed = Some(listed);
                    }
                    Err(error) => {
                        ids.extend(known.awaited.iter().cloned());
                        result.listing_error = Some(self.listing_failed(error));
                    }
                }
                ids
            }
            (_, None, None) => Vec::new(),
        }
    }

    /// What ids from outside mean here, for a plan of which these secrets are in use.
    pub(crate) fn selector<'a>(
        &'a self,
        in_use: impl IntoIterator<Item = &'a String>,
    ) -> Selector<'a> {
        Selector::new(&self.plan, in_use)
    }

    /// The id by which a secret is read in the future that was read by another one.
    pub(crate) fn id_of(&self, secret: &Fetched, asked: String) -> String {
        match &self.plan.ids {
            None => secret.name().to_owned(),
            Some(_) => asked,
        }
    }

    /// The secrets as one snapshot.
    pub(crate) fn snapshot(&self, secrets: &[Fetched]) -> Result<Snapshot, Error> {
        let snapshot = Snapshot::assemble(secrets, &self.plan.mapping);
        let snapshot = snapshot.map_err(|error| self.naming(error))?;
        #[cfg(feature = "figment")]
        let snapshot =
            snapshot.profile(self.plan.profile.clone()).stored_in(self.backend.store_name());
        Ok(snapshot)
    }

    /// One secret as a tree of its own, at its key path.
    pub(crate) fn place(&self, secret: &Fetched) -> Result<Table, Error> {
        mapping::assemble(std::slice::from_ref(secret), &self.plan.mapping)
            .map_err(|error| self.naming(error))
    }

    /// Whether these secrets can be placed in one tree.
    pub(crate) fn fit_together(&self, secrets: &[Fetched]) -> Result<(), Error> {
        mapping::assemble(secrets, &self.plan.mapping).map(drop).map_err(|error| self.naming(error))
    }

    /// The secrets' names, key paths and versions.
    pub(crate) fn versions<'a>(
        &self,
        secrets: impl IntoIterator<Item = &'a Fetched>,
    ) -> Vec<SecretVersion> {
        secrets.into_iter().map(|secret| self.plan.mapping.version(secret)).collect()
    }

    /// Whether both read with one backend, which then counts the calls of both.
    pub(crate) fn shares_backend(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backend, &other.backend)
    }

    /// The calls that the backend has made.
    pub(crate) fn calls(&self) -> Calls {
        unwind::catch(|| self.backend.calls()).unwrap_or_default()
    }

    /// How old a value may be that the backend reads.
    pub(crate) fn cache_ttl(&self) -> Option<Duration> {
        unwind::catch(|| self.backend.cache_ttl()).ok().flatten()
    }

    /// Which region the backend reads, if it has replicas.
    pub(crate) fn failover(&self) -> Option<Failover> {
        unwind::catch(|| self.backend.failover()).ok().flatten()
    }

    /// When these secrets are expected to rotate, as far as the backend can tell.
    pub(crate) async fn rotation_windows(
        &self,
        ids: &[String],
    ) -> BTreeMap<String, RotationWindow> {
        let mut windows = BTreeMap::new();
        // A few at a time, so that the answers for some are not lost if all take too long.
        for ids in ids.chunks(ROTATION_DATES_PER_CALL) {
            let deadline = Instant::now() + self.timeout;
            let answer = timeout_at(deadline, self.backend.rotation_windows(ids)).await;
            windows
                .extend(answer.unwrap_or_default().into_iter().filter(|(id, _)| ids.contains(id)));
        }
        windows
    }

    /// Lets the backend end what it holds for these secrets, within a bounded time.
    pub(crate) async fn release(&self, ids: &[String]) {
        let _ = tokio::time::timeout(RELEASE_TIMEOUT, self.backend.release(ids)).await;
    }

    /// Signals that something may have changed, where the backend can tell.
    pub(crate) fn changes(&self) -> Option<BoxStream<'static, ()>> {
        self.backend.changes()
    }

    async fn list(
        &self,
        prefix: &str,
        start: Instant,
        time: Duration,
    ) -> Result<Vec<String>, Error> {
        match timeout_at(start + time, self.backend.list(prefix)).await {
            Ok(listed) => {
                Ok(listed?.into_iter().filter(|name| below(prefix, name).is_some()).collect())
            }
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the secrets below `{prefix}` were not listed within {time:?}"),
            )
            .with_hint(self.timeout_hint())),
        }
    }

    async fn values(
        &self,
        ids: &[String],
        outcomes: BoxStream<'_, Outcome>,
        deadline: Instant,
        result: &mut FetchResult,
    ) {
        let time = time_until(deadline);
        let end = answers(ids, outcomes, deadline, |id, outcome| {
            let outcome = outcome.map_err(|error| self.classify(&id, error));
            result.outcomes.insert(id, outcome);
        });
        let message = match end.await {
            End::Ended => "the backend returned nothing for it".to_owned(),
            End::Late => format!("no answer within {time:?}"),
        };
        for id in ids {
            result.outcomes.entry(id.clone()).or_insert_with(|| {
                let error = Error::new(ErrorKind::Unavailable, format!("secret `{id}`: {message}"));
                Err(self.classify(id, error.with_secret(id).with_hint(self.timeout_hint())))
            });
        }
    }

    fn timeout_hint(&self) -> String {
        format!("{}; `.timeout(..)` sets the limit", self.backend.timeout_hint())
    }

    fn listing_failed(&self, error: Error) -> Unread {
        let verdict = self.plan.requirement.verdict_on_listing(error.kind());
        Unread { error, verdict }
    }

    fn classify(&self, id: &str, error: Error) -> Unread {
        // If the credentials are not accepted, nothing is known about the secret.
        let kind = if error.is_of_caller() { ErrorKind::Unavailable } else { error.kind() };
        let verdict = self.plan.requirement.verdict(id, kind);
        Unread { error, verdict }
    }

    /// Reads the previous versions. A secret whose previous version cannot be read counts as
    /// unread, because half of what its field needs would be missing.
    async fn previous(&self, backend: &dyn Backend, deadline: Instant, result: &mut FetchResult) {
        let read = |id: &&String| matches!(result.outcomes.get(*id), Some(Ok(_)));
        let ids: Vec<String> = self.plan.previous.iter().filter(read).cloned().collect();
        if ids.is_empty() {
            return;
        }
        let time = time_until(deadline);
        let mut unanswered: BTreeSet<String> = ids.iter().cloned().collect();
        let outcomes = backend.fetch_previous(&ids);
        let end = answers(&ids, outcomes, deadline, |id, outcome| {
            unanswered.remove(&id);
            match (result.outcomes.get_mut(&id), outcome) {
                (Some(Ok(secret)), Ok(previous)) => secret.replaces(previous),
                (_, Err(error)) if error.kind() != ErrorKind::NotFound => {
                    let unread = self.classify(&id, error);
                    result.outcomes.insert(id, Err(unread));
                }
                _ => {}
            }
        });
        // A secret without a previous value may be left out.
        let End::Late = end.await else { return };
        for id in unanswered {
            let message =
                format!("secret `{id}`: its previous version was not read within {time:?}");
            let error = Error::new(ErrorKind::Unavailable, message)
                .with_secret(&id)
                .with_hint(self.timeout_hint());
            let unread = self.classify(&id, error);
            result.outcomes.insert(id, Err(unread));
        }
    }

    /// The key path of a secret's value.
    pub(crate) fn key_path(&self, id: &str) -> String {
        names_of(id)
            .first()
            .map(|name| self.plan.mapping.key_path(name).join("."))
            .unwrap_or_default()
    }

    /// Warns once about renames that match no selected secret, read or not.
    fn check_renames(&self, result: &FetchResult) {
        if result.listing_error.is_some() {
            return;
        }
        let read = result.outcomes.values().flatten().map(Fetched::name);
        let asked =
            result.outcomes.keys().chain(&result.rested).chain(&self.plan.requirement.optional);
        let names: Vec<&str> = read.chain(asked.flat_map(|id| names_of(id))).collect();
        self.warn_once.of_idle_renames(|| self.plan.mapping.idle_renames(&names));
    }

    /// Warns once if lower layers replace any secret.
    pub(crate) fn warn_of_fallback(&self, result: &FetchResult) {
        let Some(error) = result.fallback_error() else { return };
        let secrets = result.unread().filter(|(_, unread)| unread.verdict == Verdict::Fallback);
        let mut secrets: Vec<String> = secrets.map(|(id, _)| id.clone()).collect();
        if result.listing_error.is_some()
            && let Some(prefix) = &self.plan.mapping.prefix
        {
            secrets.push(format!("{prefix}/*"));
        }
        self.warn_once.of_fallback(&secrets, &error);
    }
}

/// How a stream of outcomes came to an end.
enum End {
    /// It ended by itself, or every outcome has come.
    Ended,
    Late,
}

/// Hands on the first outcome of each id until all have come, the stream ends or the deadline is
/// over. Outcomes that no one asked for are dropped.
async fn answers(
    ids: &[String],
    mut outcomes: BoxStream<'_, Outcome>,
    deadline: Instant,
    mut hand_on: impl FnMut(String, Result<Fetched, Error>),
) -> End {
    let mut awaited: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    while !awaited.is_empty() {
        match timeout_at(deadline, outcomes.next()).await {
            Ok(Some((id, outcome))) => {
                if awaited.remove(id.as_str()) {
                    hand_on(id, outcome);
                }
            }
            Ok(None) => return End::Ended,
            Err(_) => return End::Late,
        }
        // A stream that is always ready meets no timer, and would keep the thread to itself.
        if !awaited.is_empty() && Instant::now() >= deadline {
            return End::Late;
        }
        tokio::task::coop::consume_budget().await;
    }
    End::Ended
}

/// How long there is until the deadline, to a tenth of a second, for messages.
fn time_until(deadline: Instant) -> Duration {
    let time = deadline.saturating_duration_since(Instant::now());
    match u64::try_from(time.as_millis()) {
        Ok(millis @ 1000..) => Duration::from_millis(millis.saturating_add(50) / 100 * 100),
        _ => time,
    }
}

#[cfg(test)]
mod tests;

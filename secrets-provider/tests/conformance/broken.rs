//! For each case a store that is broken in this one way, which the case must catch. A case without
//! such a store would pass here, and this test would fail.

use std::collections::BTreeSet;
use std::fmt;
use std::future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt as _, stream};
use secrets_provider::backend::conformance::{Capability, Case, CaseResult, Failure, Harness, run};
use secrets_provider::{Backend, BoxFuture, BoxStream, Error, ErrorKind, Fetched, Outcome};
use tokio::sync::Semaphore;

use crate::model::{Model, Value, Version, fetched, name_of};

/// The model, except for what one case asks for.
pub(crate) struct Broken {
    case: Case,
    model: Model,
    lacks: Vec<Capability>,
    reads: AtomicU64,
    running: AtomicUsize,
    permits: Semaphore,
    one_at_a_time: tokio::sync::Mutex<()>,
    hanging: Mutex<BTreeSet<String>>,
}

impl Broken {
    pub(crate) fn new(case: Case) -> Self {
        Self {
            case,
            model: Model::default(),
            lacks: match case {
                Case::LacksWhatItDeclares => vec![Capability::Changes],
                _ => Vec::new(),
            },
            reads: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            permits: Semaphore::new(1),
            one_at_a_time: tokio::sync::Mutex::default(),
            hanging: Mutex::default(),
        }
    }

    fn is(&self, case: Case) -> bool {
        self.case == case
    }

    async fn outcomes(&self, ids: &[String]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for id in ids {
            let answered = match self.case {
                Case::AnswersByTheIdAsked => name_of(id).to_owned(),
                _ => id.clone(),
            };
            outcomes.push((answered, self.outcome(id).await));
        }
        outcomes
    }

    async fn outcome(&self, id: &str) -> Result<Fetched, Error> {
        if self.is(Case::SurvivesDeadline) && !self.begins(id) {
            // As if it joined a read of the same secret that was dropped long ago.
            future::pending::<()>().await;
        }
        match self.model.versions(id).await {
            Ok(versions) => Ok(self.changed(name_of(id), &versions)),
            Err(error) => self.misreported(id, error),
        }
    }

    /// Whether no read of this secret hangs yet; if this one will, it is remembered.
    fn begins(&self, id: &str) -> bool {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        match self.model.is_stalled(id) {
            true => hanging.insert(id.to_owned()),
            false => !hanging.contains(id),
        }
    }

    fn changed(&self, name: &str, versions: &[Version]) -> Fetched {
        let mut name = name;
        let mut version = versions[versions.len() - 1].clone();
        match (self.case, &mut version.value) {
            (Case::ReturnsTheName, _) => name = name.rsplit('/').next().expect("a last part"),
            (Case::ReturnsExactText, Value::Text(text)) => *text = text.trim().to_owned(),
            (Case::ReturnsLargeText, Value::Text(text)) => text.truncate(4096),
            (Case::ReturnsExactBinary, Value::Binary(bytes)) => {
                version.value = Value::Text(String::from_utf8_lossy(bytes).into_owned());
            }
            (Case::GivesNewValueNewVersion, _) => version.number = 1,
            (Case::SharesNoVersion, _) => version.number %= 3,
            (Case::GivesRecreatedSecretNewVersion, _) => version.number = versions.len() as u64,
            (Case::KeepsVersionOfUnchanged, _) => {
                version.number = self.reads.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        fetched(name, &version)
    }

    fn misreported(&self, id: &str, error: Error) -> Result<Fetched, Error> {
        let as_kind = |kind| Err(Error::new(kind, format!("`{id}`: {kind}")).with_secret(id));
        let state = self.model.state();
        match (self.case, error.kind()) {
            (Case::ReportsAbsentAsNotFound, ErrorKind::NotFound) => {
                as_kind(ErrorKind::AccessDenied)
            }
            (Case::ReportsSimilarNamesAsNotFound, ErrorKind::NotFound) => {
                match state.secrets.iter().find(|(name, _)| name.starts_with(id)) {
                    Some((name, versions)) => Ok(fetched(name, &versions[0])),
                    None => Err(error),
                }
            }
            (Case::NamesTheSecretInErrors, kind) => Err(Error::new(kind, "it cannot be read")),
            (Case::ReportsDeletedAsNotFound, ErrorKind::NotFound) => {
                state.deleted.get(id).map(|last| fetched(id, last)).ok_or(error)
            }
            (Case::ReportsDenied, ErrorKind::AccessDenied) => as_kind(ErrorKind::NotFound),
            (Case::ReportsMalformed, ErrorKind::Malformed) => as_kind(ErrorKind::NotFound),
            (Case::ShowsNoValueInErrors, ErrorKind::Malformed) => {
                let shown = shown(&state.secrets[id][0].value);
                Err(Error::new(ErrorKind::Malformed, format!("`{id}` is not JSON: {shown}")))
            }
            _ => Err(error),
        }
    }

    fn listed(&self, prefix: &str, mut names: Vec<String>) -> Result<Vec<String>, Error> {
        match self.case {
            Case::ListsExactNames => names.iter_mut().for_each(|name| name.make_ascii_lowercase()),
            Case::ListsNestedNames => {
                names.retain(|name| name[prefix.len()..].matches('/').count() < 2);
            }
            Case::ListsSecretNamedAsPrefix => names.retain(|name| name != prefix),
            Case::KeepsPrefixBoundary => names.iter_mut().for_each(|name| {
                *name = format!("{prefix}/{}", name[prefix.len()..].trim_start_matches('/'));
            }),
            Case::ListsNothingBelowUnusedPrefix if names.is_empty() => {
                return Err(Error::new(ErrorKind::Unavailable, "there is nothing there"));
            }
            Case::ListsMany => names.truncate(100),
            _ => {}
        }
        Ok(names)
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Binary(bytes) => format!("{bytes:?}"),
    }
}

/// Counts a call that runs, until it ends or is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backend for Broken {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            if self.is(Case::SurvivesDroppedList) {
                self.permits.acquire().await.expect("an open semaphore").forget();
            }
            let names = self.model.list(prefix).await;
            if self.is(Case::SurvivesDroppedList) {
                self.permits.add_permits(1);
            }
            match names {
                Err(_) if self.is(Case::ReportsDeniedList) => Ok(Vec::new()),
                names => self.listed(prefix, names?),
            }
        })
    }

    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        match self.case {
            Case::ListsSomeExistingNames => {
                Box::pin(future::ready(Ok(vec![format!("{prefix}/example")])))
            }
            _ => self.list(prefix),
        }
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let outcomes = async move {
            let _turn = match self.case {
                Case::StallsOnlyOneFetch => Some(self.one_at_a_time.lock().await),
                _ => None,
            };
            let others = self.running.fetch_add(1, Ordering::Relaxed);
            let _running = Running(&self.running);
            if self.is(Case::AnswersConcurrentCalls) && others > 0 {
                let busy = || Err(Error::new(ErrorKind::Unavailable, "busy"));
                return ids.iter().map(|id| (id.clone(), busy())).collect();
            }
            if self.is(Case::SurvivesDroppedFetch) {
                self.permits.acquire().await.expect("an open semaphore").forget();
            }
            let mut outcomes = match self.case {
                Case::ReturnsMany => self.outcomes(&ids[..ids.len().min(100)]).await,
                _ => self.outcomes(ids).await,
            };
            if self.is(Case::SurvivesDroppedFetch) {
                self.permits.add_permits(1);
            }
            match self.case {
                Case::AnswersEachIdOnce => outcomes.extend(outcomes.clone()),
                Case::AnswersOnlyWhatWasAsked => {
                    let state = self.model.state();
                    let starts = |name: &&String| {
                        ids.iter().any(|id| name.starts_with(id)) && !ids.contains(name)
                    };
                    let more = state.secrets.iter().filter(|(name, _)| starts(name));
                    outcomes
                        .extend(more.map(|(name, all)| (name.clone(), Ok(fetched(name, &all[0])))));
                }
                _ => {}
            }
            outcomes
        };
        Box::pin(stream::once(outcomes).flat_map(stream::iter))
    }

    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        match self.case {
            Case::SignalsChange => Some(Box::pin(stream::pending())),
            _ => self.model.changes(),
        }
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        match self.case {
            Case::ReturnsPrevious => Box::pin(stream::empty()),
            _ => self.model.fetch_previous(ids),
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.model.state();
        let values = state.secrets.values().map(|all| shown(&all[0].value));
        match self.case {
            Case::ShowsNoValueInDebug => f.debug_list().entries(values).finish(),
            _ => f.write_str("Broken"),
        }
    }
}

impl Harness for Broken {
    fn backend(&self) -> &dyn Backend {
        self
    }

    async fn put(&self, name: &str, text: &str) {
        self.model.put(name, text).await;
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.model.put_binary(name, bytes).await;
    }

    async fn delete(&self, name: &str) {
        self.model.delete(name).await;
    }

    async fn deny(&self, name: &str) {
        self.model.deny(name).await;
    }

    async fn deny_list(&self) {
        self.model.deny_list().await;
    }

    async fn allow_list(&self) {
        self.model.allow_list().await;
    }

    async fn corrupt(&self, name: &str) {
        self.model.corrupt(name).await;
    }

    async fn stall(&self, name: &str) {
        self.model.stall(name).await;
    }

    async fn resume(&self, name: &str) {
        self.model.resume(name).await;
    }

    async fn other_id(&self, name: &str) -> String {
        self.model.other_id(name).await
    }

    fn lacks(&self) -> Vec<Capability> {
        self.lacks.clone()
    }
}

/// The failure of a store that is broken in the way of this case.
pub(crate) async fn failure(case: Case) -> Option<Failure> {
    match run(case, &Broken::new(case)).await {
        CaseResult::Failed(failure) => Some(failure),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn each_case_fails_the_store_that_is_broken_in_its_way() {
    for case in Case::ALL {
        let failure = failure(*case).await;
        assert_eq!(failure.map(|failure| failure.case()), Some(*case), "`{case}` passed");
    }
}

/// Notices a case that fails every store: a defect fails its own case and a few that it touches.
#[tokio::test(start_paused = true)]
async fn a_defect_fails_few_other_cases() {
    for defect in Case::ALL {
        let mut failed = Vec::new();
        for case in Case::ALL {
            if let CaseResult::Failed(failure) = run(*case, &Broken::new(*defect)).await {
                failed.push(failure.case().as_str());
            }
        }
        assert!(failed.len() <= 5, "the defect of `{defect}` fails {failed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_that_is_not_true_fails() {
    for capability in [Capability::Changes, Capability::Previous, Capability::List] {
        let harness = Broken { lacks: vec![capability], ..Broken::new(Case::LacksWhatItDeclares) };
        let result = run(Case::LacksWhatItDeclares, &harness).await;
        assert!(matches!(result, CaseResult::Failed(_)), "`{capability}`: {result:?}");
    }
}

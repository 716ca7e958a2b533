//! The background task: when secrets are read again, what counts as new, and check before swap
//! (rules R1 to R5).
//!
//! [`start`] reads the secrets for the first time and spawns the [`Refresher`], which owns
//! everything that changes: the secrets in use, what is missing, the schedule and the search for
//! newer values. One refresh is in `cycle`; what it reads is a [`Scope`]. Handles and task share a
//! [`Cell`] and a [`Handle`]. Nothing in here is public but triggers and the answers to requests.

pub(crate) mod candidate;
pub(crate) mod cell;
pub(crate) mod change_log;
mod conflicts;
mod cycle;
mod deleted;
mod due;
pub(crate) mod followers;
pub(crate) mod handle;
pub(crate) mod hints;
mod missing;
mod reading;
mod refresher;
mod rotation;
mod secrets;
mod source;
pub(crate) mod trigger;
mod waiting;
mod watched_file;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::Instant;

use candidate::Pipeline;
use cell::Cell;
use handle::{Change, Handle};
use refresher::Refresher;
use source::Source;
use trigger::Trigger;
use waiting::Waiting;

use crate::error::Error;
use crate::load::fetch::{Failures, FetchResult, Fetcher, Known, Scope};
use crate::load::notify::Notifier;
use crate::load::retry::schedule::Schedule;
use crate::load::retry::search::Search;
use crate::observe::status::{SourceStatus, Status};
use crate::observe::{events, metrics};

/// One source of secrets: how it is read, when, and who announces changes of its secrets.
pub(crate) struct Input {
    pub(crate) fetcher: Fetcher,
    pub(crate) schedule: Schedule,
    pub(crate) notifier: Notifier,
}

/// Reads the secrets of every source for the first time, makes settings of them, and spawns the
/// task that refreshes them. There is at least one source. The future that comes with the triggers
/// is awaited when that task has ended; before that, no shutdown is complete.
pub(crate) async fn start<T>(
    inputs: Vec<Input>,
    pipeline: Pipeline<T>,
    max_staleness: Option<Duration>,
    (triggers, at_end): (Vec<BoxStream<'static, Trigger>>, BoxFuture<'static, ()>),
) -> Result<(Arc<Cell<T>>, Handle), Error>
where
    T: Send + Sync + 'static,
{
    metrics::describe();
    // It is the same for all sources.
    let search = inputs.first().map(|input| input.schedule.search).unwrap_or_default();
    let (handle, task) = Handle::new(search.within);
    let reads = join_all(inputs.iter().map(|input| first_read(&input.fetcher))).await;
    let (mut sources, mut statuses) = (Vec::new(), Vec::new());
    let (mut errors, mut fatal, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for (input, read) in inputs.into_iter().zip(reads) {
        let First { result, failures_logged } = match read {
            Ok(first) => first,
            Err(error) => {
                fatal.push(error);
                continue;
            }
        };
        let Input { fetcher, schedule, notifier } = input;
        let error = result.error();
        let name = fetcher.source_name().unwrap_or_default().into();
        let mut status = SourceStatus::started(name, schedule.interval, max_staleness);
        error.iter().for_each(|error| status.record_failure(error));
        errors.extend(error);
        unread.push((fetcher.clone(), result.clone()));
        let subscription = handle.subscribe(&notifier);
        let source = Source::started(fetcher, schedule, result, failures_logged, subscription);
        if source.missing.is_on_fallback() {
            status.record_start_on_fallback();
        }
        status.set_fallback(source.missing.is_on_fallback());
        status.set_failover(source.fetcher.failover());
        statuses.push(status);
        sources.push(source);
    }
    if let Some(error) = Error::all(fatal) {
        // What else could not be read is worth knowing, too.
        return Err(error.beside(Error::all(errors)));
    }
    for source in &sources {
        source.fetcher.log_first(source.used.iter().map(|(_, secret)| secret));
    }
    let secrets = sources.iter().map(|source| source.used.each_once()).collect();
    let candidate =
        pipeline.run(secrets).await.map_err(|rejection| rejection.beside(Error::all(errors)))?;
    unread.iter().for_each(|(fetcher, result)| fetcher.warn_of_fallback(result));
    drop(unread);
    let count = sources.iter().map(|source| source.used.len()).sum();
    let fetchers = sources.iter().map(|source| source.fetcher.clone()).collect();
    let mut status = Status::of_sources(statuses, max_staleness);
    status.set_cache_ttl(sources.iter().filter_map(|source| source.fetcher.cache_ttl()).max());
    let cell = Arc::new(Cell::new(candidate.value, status));
    let refresher = Refresher {
        sources,
        pipeline,
        cell: cell.clone(),
        tree: candidate.tree,
        search: Search::new("settings", search),
        waiting: Waiting::default(),
        changes: task.changes.clone(),
    };
    refresher.record_start();
    events::settings_loaded(1, count);
    cell.explain(candidate.sources);
    cell.warn_of_overlooked(&[]);
    follow_status(&cell);
    let release = release(cell.clone(), fetchers, task.changes);
    let ending = cell.clone();
    handle::spawn(
        task.stopped,
        refresher.run(task.queue, triggers),
        events::refresher_panicked,
        async move {
            ending.status().set_next_attempt(None);
            at_end.await;
        },
        release,
    );
    Ok((cell, handle))
}

/// The first read of a source.
struct First {
    result: FetchResult,
    failures_logged: Failures,
}

/// Reads a source for the first time. An error is one that settings cannot start with.
async fn first_read(fetcher: &Fetcher) -> Result<First, Error> {
    let begun = Instant::now();
    let result = fetcher.read(&Scope::everything(), &Known::default()).await;
    let result = result.inspect_err(metrics::record_failure)?;
    let mut failures_logged = Failures::default();
    failures_logged.log(&result, false);
    result.error().iter().for_each(metrics::record_failure);
    match result.fatal_error() {
        Some(error) => Err(fetcher.with_suggestions(error, begun).await),
        None => Ok(First { result, failures_logged }),
    }
}

/// Lets the stores end what they hold for the secrets, once the task has let go of them. The end of
/// the task is announced after that.
async fn release<T: Send + Sync + 'static>(
    cell: Arc<Cell<T>>,
    fetchers: Vec<Fetcher>,
    announced: watch::Sender<Option<Change>>,
) {
    let of_source = |fetcher: &Fetcher| -> Vec<String> {
        let status = cell.status();
        let secrets = status.secrets().iter();
        let of_source = secrets.filter(|secret| secret.source() == fetcher.source_name());
        of_source.map(|secret| secret.name().to_owned()).collect()
    };
    let ids: Vec<_> = fetchers.iter().map(of_source).collect();
    join_all(fetchers.iter().zip(&ids).map(|(fetcher, ids)| fetcher.release(ids))).await;
    drop(announced);
}

/// Has the metrics follow the status for as long as the settings exist.
fn follow_status<T: Send + Sync + 'static>(cell: &Arc<Cell<T>>) {
    let cell = Arc::downgrade(cell);
    // A recorder is foreign code: it is not called while the status is locked.
    metrics::watch(move || cell.upgrade().map(|cell| cell.status().clone()));
}

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
pub(crate) mod followers;
pub(crate) mod handle;
pub(crate) mod hints;
mod missing;
mod refresher;
mod rotation;
mod secrets;
pub(crate) mod trigger;
mod watched_file;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::time::Instant;

use candidate::Pipeline;
use cell::Cell;
use handle::Handle;
use hints::Hints;
use missing::Missing;
use refresher::{Listing, Refresher};
use rotation::RotationSchedule;
use secrets::Secrets;
use trigger::Trigger;

use crate::error::Error;
use crate::load::fetch::{Failures, Fetcher, Known, Scope};
use crate::load::notify::Notifier;
use crate::load::retry::schedule::Schedule;
use crate::load::retry::search::Search;
use crate::observe::status::Status;
use crate::observe::{events, metrics};

/// Reads the secrets for the first time, makes settings of them, and spawns the task that refreshes
/// them.
pub(crate) async fn start<T>(
    fetcher: Fetcher,
    pipeline: Pipeline<T>,
    schedule: Schedule,
    max_staleness: Option<Duration>,
    triggers: Vec<BoxStream<'static, Trigger>>,
    notifier: &Notifier,
) -> Result<(Arc<Cell<T>>, Handle), Error>
where
    T: Send + Sync + 'static,
{
    metrics::describe();
    let begun = Instant::now();
    let result = fetcher.read(&Scope::everything(), &Known::default()).await;
    let result = result.inspect_err(metrics::record_failure)?;
    let mut failures_logged = Failures::default();
    failures_logged.log(&result, false);
    let error = result.error();
    error.iter().for_each(metrics::record_failure);
    if let Some(error) = result.fatal_error() {
        return Err(fetcher.with_suggestions(error, begun).await);
    }
    let missing = Missing::at_start(&result, schedule, Instant::now());
    let read = result.outcomes.iter().filter_map(|(id, outcome)| {
        let secret = outcome.as_ref().ok()?;
        Some((id.clone(), secret.clone()))
    });
    let used: Secrets = read.collect();
    fetcher.log_first(used.iter().map(|(_, secret)| secret));
    let candidate = pipeline
        .run(used.each_once())
        .await
        .map_err(|rejection| rejection.beside(error.clone()))?;
    fetcher.warn_of_fallback(&result);
    let snapshot = candidate.snapshot;
    let mut status = Status::started(Some(schedule.interval), max_staleness);
    let secrets = missing.statuses(snapshot.secrets(), &used, &fetcher, schedule);
    status.set_secrets(secrets, missing.is_on_fallback());
    if missing.is_on_fallback() {
        status.record_start_on_fallback();
    }
    status.set_calls(fetcher.calls());
    if let Some(error) = &error {
        status.record_failure(error);
    }
    events::settings_loaded(1, used.len());

    let cell = Arc::new(Cell::new(candidate.value, status));
    cell.explain(candidate.sources);
    cell.warn_of_overlooked(&[]);
    watch(&cell);
    let (handle, task) = Handle::new(schedule.search.within);
    let mut rotation = RotationSchedule::default();
    rotation.renewed(used.ids().cloned());
    let refresher = Refresher {
        _subscription: handle.subscribe(notifier),
        listing: Listing { names: result.listed, at: Instant::now() },
        fetcher,
        pipeline,
        schedule,
        cell: cell.clone(),
        changes: task.changes,
        used,
        snapshot,
        missing,
        tree: candidate.tree,
        // A start on fallback is tried again as soon as after any other failure.
        failures: error.is_some().into(),
        failures_logged,
        failure_logged: None,
        rejection_logged: None,
        all_checked: true,
        hints: Hints::default(),
        search: Search::new("settings", schedule.search),
        rotation,
    };
    let ending = cell.clone();
    handle::spawn(
        task.stopped,
        refresher.run(task.queue, triggers),
        events::refresher_panicked,
        move || ending.status().set_next_attempt(None),
    );
    Ok((cell, handle))
}

/// Has the metrics follow the status for as long as the settings exist.
fn watch<T: Send + Sync + 'static>(cell: &Arc<Cell<T>>) {
    let cell = Arc::downgrade(cell);
    // A recorder is foreign code: it is not called while the status is locked.
    metrics::watch(move || cell.upgrade().map(|cell| cell.status().clone()));
}

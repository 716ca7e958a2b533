//! The background task: when to look, and for whom (rules R3 to R5). What one look comes to is in `cycle`.

pub(crate) mod change_log;
mod cycle;
pub(crate) mod missing;
mod rotation;
pub(crate) mod schedule;
mod search;
pub(crate) mod trigger;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::SelectAll;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::TARGET;
use crate::backend::{BoxFuture, BoxStream, Fetched};
use crate::engine::missing::{Gaps, Held};
use crate::engine::schedule::Schedule;
use crate::error::{Error, ErrorKind};
use crate::layers::explain::Explanation;
use crate::live::{Cell, Change, Engine, Live, Origin, Refreshed, Reply, Request};
use crate::load::fetch::{Look, Memory, Source, each_once};
use crate::load::snapshot::{SecretVersion, Snapshot};
use crate::observe::events;
use crate::observe::metrics;
use crate::observe::status::Status;
use crate::tree::Table;
use trigger::Trigger;

use rotation::Windows;
use search::Pursuit;

/// How far apart refreshes are that triggers ask for.
const APART: Duration = Duration::from_secs(1);

/// How many triggers that wait together are taken as one.
const TOGETHER: usize = 1024;

/// Settings made of one set of secrets, checked, not yet served.
pub(crate) struct Candidate<T> {
    pub(crate) value: Arc<T>,
    pub(crate) tree: Table,
    pub(crate) snapshot: Snapshot,
    pub(crate) explanation: Explanation,
}

/// Makes a candidate: places, merges, extracts, checks. The user's code is in it, so it may panic.
pub(crate) type Build<T> = Box<dyn Fn(&[Fetched]) -> Result<Candidate<T>, Error> + Send + Sync>;

/// A check that takes its time, but comes to an end, and does not panic.
pub(crate) type Probe<T> =
    Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// How settings are made of secrets, and tried out.
pub(crate) struct Ways<T> {
    pub(crate) build: Build<T>,
    pub(crate) probes: Vec<Probe<T>>,
}

/// Reads the secrets for the first time, and spawns the task that reads them again.
pub(crate) async fn start<T>(
    source: Source,
    ways: Ways<T>,
    schedule: Schedule,
    max_staleness: Option<Duration>,
    triggers: Vec<BoxStream<'static, Trigger>>,
) -> Result<Live<T>, Error>
where
    T: Send + Sync + 'static,
{
    metrics::describe();
    let begun = Instant::now();
    let reading = source.read(&Memory::default()).await;
    events::denied(&reading);
    events::absent(&reading);
    let trouble = reading.trouble();
    trouble.iter().for_each(metrics::failed);
    if let Some(error) = reading.failure() {
        return Err(source.advised(error, begun).await);
    }
    let gaps = Gaps::at_start(&reading, schedule, Instant::now());
    let read =
        |(id, outcome): (&String, &Result<Fetched, _>)| Some((id.clone(), outcome.clone().ok()?));
    let held: Held = reading.outcomes.iter().filter_map(read).collect();
    held.values().for_each(|secret| events::fetched(secret, true));
    let candidate = ways
        .checked(&each_once(held.values()))
        .await
        .map_err(|error| error.beside(trouble.clone()))?;
    source.warn_of_fallback(&reading);
    let served = candidate.snapshot.secrets().to_vec();
    let mut status = Status::started(Some(schedule.interval), max_staleness);
    status.describe(gaps.statuses(&served, &held, &source), gaps.fallback());
    status.called(source.calls());
    if let Some(trouble) = &trouble {
        status.failed(trouble);
    }
    tracing::info!(target: TARGET, generation = 1, secrets = held.len(), "settings_loaded");

    let cell = Arc::new(Cell::new(candidate.value, status));
    cell.explain(candidate.explanation);
    metrics::watch(&cell);
    let (changes_sender, changes) = watch::channel(None);
    let (stop, mut stopped) = watch::channel(false);
    let (requests, queue) = mpsc::unbounded_channel();
    let mut windows = Windows::default();
    windows.renewed(held.keys().cloned());
    let refresher = Refresher {
        names: Names { listed: reading.listed, at: Instant::now() },
        source,
        ways,
        schedule,
        cell: cell.clone(),
        changes: changes_sender,
        held,
        served,
        gaps,
        tree: candidate.tree,
        // A start on fallback is tried again as soon as any other failure.
        failures: trouble.is_some().into(),
        checked: true,
        pursuit: Pursuit::new(schedule.pursuit),
        windows,
    };
    let ending = cell.clone();
    tokio::spawn(async move {
        let mut refreshing = pin!(AssertUnwindSafe(refresher.run(queue, triggers)).catch_unwind());
        tokio::select! {
            // The last handle is gone, or `shutdown` was called.
            _ = stopped.wait_for(|stop| *stop) => {}
            ended = &mut refreshing => if ended.is_err() {
                tracing::error!(target: TARGET, "refresher_panicked");
            }
        }
        // Whoever waits for the end is told by the refresher's, which comes after.
        ending.status().due(None);
    });
    let patience = schedule.pursuit.within;
    Ok(Live::assemble(cell, Engine { requests, stop, changes, origin: Origin::Secrets, patience }))
}

pub(crate) fn panicked(what: &str) -> Error {
    Error::new(ErrorKind::Rejected, format!("{what} the settings panicked"))
        .with_hint("the panic's own message went where the process's panic hook sends it")
}

struct Refresher<T> {
    source: Source,
    ways: Ways<T>,
    schedule: Schedule,
    cell: Arc<Cell<T>>,
    changes: watch::Sender<Option<Change>>,
    /// The secrets of the live generation, by the name or ARN they are asked for: what new ones are held against,
    /// and what stands in for those that cannot be read.
    held: Held,
    served: Vec<SecretVersion>,
    gaps: Gaps,
    /// The live generation's merged layers, to tell which keys a new one changes.
    tree: Table,
    failures: u32,
    /// The look that is under way, or the last one, told of every secret in use how it is.
    checked: bool,
    names: Names,
    pursuit: Pursuit,
    windows: Windows,
}

/// The names that the last listing found, and when.
struct Names {
    listed: Option<Vec<String>>,
    at: Instant,
}

/// Why a cycle begins.
enum Wake {
    /// It is time.
    Due,
    /// Someone asks for everything, or says that something changed.
    Everything,
    /// It is time, out of turn.
    Early,
    /// Newer values are searched for.
    Search,
}

impl<T: Send + Sync + 'static> Refresher<T> {
    async fn run(
        mut self,
        mut queue: mpsc::UnboundedReceiver<Request>,
        triggers: Vec<BoxStream<'static, Trigger>>,
    ) {
        let first = match self.failures {
            0 => self.schedule.first(fastrand::f64()),
            failures => self.schedule.retry(failures, fastrand::f64()),
        };
        let mut next = Instant::now() + first;
        let mut triggers = triggers.into_iter().collect::<SelectAll<_>>();
        triggers.push(std::future::pending::<Trigger>().into_stream().boxed());
        let mut signals = trigger::endless(self.signals());
        // The next refresh that a trigger may ask for.
        let mut free = Instant::now();
        loop {
            self.windows.ask(&self.source);
            let wait = next.saturating_duration_since(Instant::now());
            next = next.min(Instant::now() + self.windows.mindful(wait, fastrand::f64()));
            self.cell.status().due(Some(next));

            let mut replies = Vec::new();
            let search = self.pursuit.due();
            let wake = tokio::select! {
                request = queue.recv() => match request {
                    Some(request) => match self.take(request, &mut replies) {
                        Some(wake) => wake,
                        None => continue,
                    },
                    None => return,
                },
                () = sleep_until(next) => Wake::Due,
                () = self.windows.told() => continue,
                () = sleep_until(search.unwrap_or(next)), if search.is_some() => Wake::Search,
                _ = signals.next() => {
                    // A backend with no end of signals must not keep the thread to itself.
                    tokio::task::yield_now().await;
                    together(&mut signals).await;
                    Wake::Everything
                }
                trigger = async { sleep_until(free).await; triggers.next().await } => {
                    free = Instant::now() + APART;
                    let mut all = trigger.into_iter().collect::<Vec<_>>();
                    all.extend(together(&mut triggers).await);
                    for trigger in &all {
                        tracing::debug!(target: TARGET, reason = trigger.reason(), "refresh_triggered");
                    }
                    if all.iter().any(|trigger| trigger.names) { Wake::Everything } else { Wake::Early }
                }
            };
            // Whoever asked before the first call goes out is served by it.
            let mut everything = matches!(wake, Wake::Everything);
            while let Ok(request) = queue.try_recv() {
                everything |= matches!(self.take(request, &mut replies), Some(Wake::Everything));
            }
            let wake = if everything { Wake::Everything } else { wake };
            if matches!(wake, Wake::Search)
                && self.pursuit.due().is_none_or(|due| due > Instant::now())
            {
                continue;
            }
            self.cell.status().due(None);
            let result = self.cycle(&wake).await;
            self.pursue(&wake, &result);
            next = match wake {
                // A search has a schedule of its own.
                Wake::Search => next.max(Instant::now()),
                _ => Instant::now() + self.wait_after(&result),
            };
            for reply in replies {
                // Whoever asked may have gone.
                let _ = reply.send(result.clone());
            }
        }
    }

    /// The backend's own signals.
    fn signals(&self) -> impl futures_util::Stream<Item = Trigger> + Send + 'static {
        let signals = catch_unwind(AssertUnwindSafe(|| self.source.changes())).ok().flatten();
        let signals = signals.unwrap_or_else(|| Box::pin(futures_util::stream::empty()));
        signals.map(|()| Trigger::new("backend"))
    }

    /// Takes up a request; tells what is to be done about it now.
    fn take(&mut self, request: Request, replies: &mut Vec<Reply>) -> Option<Wake> {
        match request {
            Request::Refresh(reply) => {
                replies.push(reply);
                Some(Wake::Everything)
            }
            Request::Past(waiting) => {
                let generation = self.cell.status().generation();
                let journal = self.cell.journal();
                self.pursuit.ask(waiting, generation, &journal, Instant::now());
                let due = self.pursuit.due()?;
                (due <= Instant::now()).then_some(Wake::Search)
            }
        }
    }

    /// Tells the search for newer settings what a cycle came to.
    fn pursue(&mut self, wake: &Wake, result: &Result<Refreshed, Error>) {
        let generation = self.cell.status().generation();
        self.pursuit.refreshed(generation, &self.cell.journal());
        // Any refresh is as good as a try that was due.
        if matches!(wake, Wake::Search)
            || self.pursuit.due().is_some_and(|due| due <= Instant::now())
        {
            self.pursuit.tried(generation, result.as_ref().err(), Instant::now(), fastrand::f64());
        }
    }

    fn wait_after(&mut self, result: &Result<Refreshed, Error>) -> Duration {
        match result {
            Ok(_) => {
                if self.failures > 0 {
                    tracing::info!(target: TARGET, attempts = self.failures, "refresh_recovered");
                }
                self.failures = 0;
                self.schedule.next(fastrand::f64())
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let wait = self.schedule.retry(self.failures, fastrand::f64());
                tracing::warn!(
                    target: TARGET,
                    attempts = self.failures,
                    error.kind = %error.kind(),
                    error.message = %error,
                    next_try_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "refresh_failed"
                );
                wait
            }
        }
    }

    /// What a cycle should look for.
    fn look_for(&self, wake: &Wake) -> Look {
        // Looks that come oftener because a secret is about to rotate are for values.
        let names_last =
            self.schedule.rediscover.max(self.windows.names_last(self.schedule.interval));
        let lasting = self.names.at.elapsed() < names_last;
        match (wake, &self.names.listed) {
            (Wake::Search, _) => Look::Held,
            (Wake::Due | Wake::Early, Some(names)) if lasting => Look::Values(names.clone()),
            _ => Look::Everything,
        }
    }
}

/// All items that are there already.
async fn together<S: futures_util::Stream + Unpin>(stream: &mut S) -> Vec<S::Item> {
    let mut items = Vec::new();
    // Otherwise tokio has each stream pause after some items, however many there are.
    let all = tokio::task::coop::unconstrained(async {
        while items.len() < TOGETHER
            && let Some(Some(item)) = stream.next().now_or_never()
        {
            items.push(item);
        }
    });
    all.await;
    items
}

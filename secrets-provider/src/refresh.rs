//! The background task: when to look, what counts as new, and check before swap (rules R1 to R3, R5).

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use crate::TARGET;
use crate::backend::{BoxStream, Fetched};
use crate::error::{Error, ErrorKind};
use crate::events;
use crate::explain::Explanation;
use crate::fetch::{Memory, Source, each_once};
use crate::gaps::{Gaps, Held};
use crate::live::{Cell, Change, Engine, Live, Refreshed, Reply};
use crate::schedule::Schedule;
use crate::snapshot::{SecretVersion, Snapshot};
use crate::status::Status;
use crate::tree::Table;

/// Settings made of one set of secrets, checked, not yet served.
pub(crate) struct Candidate<T> {
    pub(crate) value: T,
    pub(crate) tree: Table,
    pub(crate) snapshot: Snapshot,
    pub(crate) explanation: Explanation,
}

/// Makes a candidate: places, merges, extracts, checks. The user's code is in it, so it may panic.
pub(crate) type Build<T> = Box<dyn Fn(&[Fetched]) -> Result<Candidate<T>, Error> + Send + Sync>;

/// Reads the secrets for the first time, and spawns the task that reads them again.
pub(crate) async fn start<T>(source: Source, build: Build<T>, schedule: Schedule) -> Result<Live<T>, Error>
where
    T: Send + Sync + 'static,
{
    let begun = Instant::now();
    let reading = source.read(&Memory::default()).await;
    events::denied(&reading);
    events::absent(&reading);
    if let Some(error) = reading.failure() {
        return Err(source.advised(error, begun).await);
    }
    let trouble = reading.trouble();
    let gaps = Gaps::at_start(&reading, schedule, Instant::now());
    let read = |(id, outcome): (&String, &Result<Fetched, _>)| Some((id.clone(), outcome.clone().ok()?));
    let held: Held = reading.outcomes.iter().filter_map(read).collect();
    held.values().for_each(|secret| events::fetched(secret, true));
    let candidate =
        checked(&build, &each_once(held.values())).map_err(|error| error.beside(trouble.clone()))?;
    source.warn_of_fallback(&reading);
    let served = candidate.snapshot.secrets().to_vec();
    let mut status = Status::started(Some(schedule.interval));
    status.describe(gaps.statuses(&served, &held, &source), gaps.fallback());
    if let Some(trouble) = &trouble {
        status.failed(trouble);
    }
    tracing::info!(target: TARGET, generation = 1, secrets = held.len(), "settings_loaded");

    let cell = Arc::new(Cell::new(candidate.value, status));
    cell.explain(candidate.explanation);
    let (changes_sender, changes) = watch::channel(None);
    let (stop, mut stopped) = watch::channel(false);
    let (requests, queue) = mpsc::unbounded_channel();
    let refresher = Refresher {
        source,
        build,
        schedule,
        cell: cell.clone(),
        changes: changes_sender,
        held,
        served,
        gaps,
        tree: candidate.tree,
        // A start on fallback is tried again as soon as any other failure.
        failures: trouble.is_some().into(),
    };
    tokio::spawn(async move {
        tokio::select! {
            // The last handle is gone, or `shutdown` was called.
            _ = stopped.wait_for(|stop| *stop) => {}
            () = refresher.run(queue) => {}
        }
    });
    Ok(Live::assemble(cell, Engine { requests, stop, changes, constant: false }))
}

/// A candidate, or why there is none; a panic in the user's code is one reason, and its payload is not repeated.
fn checked<T>(build: &Build<T>, secrets: &[Fetched]) -> Result<Candidate<T>, Error> {
    catch_unwind(AssertUnwindSafe(|| build(secrets)))
        .unwrap_or_else(|_| Err(panicked("extracting or checking")))
}

fn panicked(what: &str) -> Error {
    Error::new(ErrorKind::Rejected, format!("{what} the settings panicked"))
        .with_hint("the panic's own message went where the process's panic hook sends it")
}

/// How many signals of a backend that wait together are taken as one.
const SIGNALS: usize = 1024;

/// A backend's signals, which may end or panic, as a stream that then is silent.
fn endless(signals: Option<BoxStream<'static, ()>>) -> impl Stream<Item = ()> + Send + Unpin {
    let signals = signals.unwrap_or_else(|| Box::pin(stream::pending()));
    Box::pin(
        AssertUnwindSafe(signals)
            .catch_unwind()
            .filter_map(async |signal| signal.ok())
            .chain(stream::pending()),
    )
}

struct Refresher<T> {
    source: Source,
    build: Build<T>,
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
}

impl<T: Send + Sync + 'static> Refresher<T> {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Reply>) {
        let first = match self.failures {
            0 => self.schedule.first(fastrand::f64()),
            failures => self.schedule.retry(failures, fastrand::f64()),
        };
        let mut next = Instant::now() + first;
        let mut signals = endless(self.source.changes());
        loop {
            let mut replies = Vec::new();
            // Whoever asks, or says that something changed, means everything, even what was denied a moment ago.
            let mut all = true;
            tokio::select! {
                reply = queue.recv() => match reply {
                    Some(reply) => replies.push(reply),
                    None => return,
                },
                () = sleep_until(next) => all = false,
                // A backend with no end of signals must not keep the thread to itself.
                _ = signals.next() => tokio::task::yield_now().await,
            }
            if all {
                // Signals that came together are one.
                let _ =
                    signals.by_ref().take(SIGNALS).fold((), |(), ()| std::future::ready(())).now_or_never();
            }
            // Whoever asked before the first call goes out is served by it.
            while let Ok(reply) = queue.try_recv() {
                replies.push(reply);
            }
            all |= !replies.is_empty();
            let result = self.cycle(all).await;
            next = Instant::now() + self.wait_after(&result);
            for reply in replies {
                // Whoever asked may have gone.
                let _ = reply.send(result.clone());
            }
        }
    }

    fn wait_after(&mut self, result: &Result<Refreshed, Error>) -> std::time::Duration {
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

    /// One refresh, whatever happens in it; of `all` secrets, if those too that rest.
    async fn cycle(&mut self, all: bool) -> Result<Refreshed, Error> {
        let span =
            tracing::info_span!(target: TARGET, "refresh", generation = self.cell.status().generation());
        let cycle = AssertUnwindSafe(self.look(all)).catch_unwind().instrument(span);
        let result = cycle.await.unwrap_or_else(|_| Err(panicked("reading or dropping")));
        let secrets = self.gaps.statuses(&self.served, &self.held, &self.source);
        let mut status = self.cell.status();
        status.describe(secrets, self.gaps.fallback());
        match &result {
            Ok(_) => status.succeeded(),
            Err(error) => status.failed(error),
        }
        result
    }

    /// Reads, and swaps if anything is new.
    async fn look(&mut self, all: bool) -> Result<Refreshed, Error> {
        let memory = self.gaps.memory(&self.held, all, Instant::now());
        let reading = self.source.read(&memory).await;
        events::denied(&reading);
        events::absent(&reading);
        self.gaps.note(&reading, &self.held, self.schedule, Instant::now());
        let trouble = reading.trouble();
        let listed = reading.problem.is_none();

        let mut found = self.held.clone();
        for (id, outcome) in reading.outcomes {
            if let Ok(secret) = outcome {
                let known = self.held.get(&id).is_some_and(|held| held.versions() == secret.versions());
                events::fetched(&secret, !known);
                found.insert(id, secret);
            }
        }
        // What could not be read may be the reason for a refusal.
        let refreshed = self.apply(found, listed).map_err(|error| error.beside(trouble.clone()))?;
        match trouble {
            Some(error) => Err(error),
            None => Ok(refreshed),
        }
    }

    fn apply(&mut self, found: Held, listed: bool) -> Result<Refreshed, Error> {
        let versions = |secrets: &Held| -> BTreeSet<_> {
            let versions = |secret: &Fetched| {
                let (version, previous) = secret.versions();
                (secret.identity().to_owned(), version.to_owned(), previous.map(str::to_owned))
            };
            secrets.values().map(versions).collect()
        };
        if versions(&found) == versions(&self.held) {
            self.held = found;
            self.gaps.closed(&self.held, listed);
            return Ok(Refreshed { generation: self.cell.status().generation(), changed: false });
        }
        let candidate = checked(&self.build, &each_once(found.values())).inspect_err(|error| {
            let generation = self.cell.status().generation();
            tracing::error!(target: TARGET, generation, error.kind = %error.kind(), error.message = %error, "settings_rejected");
        })?;
        let keys = self.tree.changed_keys(&candidate.tree);
        self.held = found;
        self.served = candidate.snapshot.secrets().to_vec();
        self.tree = candidate.tree;
        self.gaps.closed(&self.held, listed);
        let secrets = self.gaps.statuses(&self.served, &self.held, &self.source);
        let (generation, old) = self.cell.swap(Arc::new(candidate.value), |status| {
            status.swapped();
            status.describe(secrets, self.gaps.fallback());
            self.cell.explain(candidate.explanation);
        });
        tracing::info!(target: TARGET, generation, keys = keys.join(","), "settings_changed");
        self.changes.send_replace(Some(Change { generation, keys }));
        // A panic in it is the user's, and no failed refresh.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        Ok(Refreshed { generation, changed: true })
    }
}

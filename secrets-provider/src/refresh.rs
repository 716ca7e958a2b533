//! The background task: when to look, what counts as new, and check before swap (rules R1 to R3, R5).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use crate::TARGET;
use crate::backend::Fetched;
use crate::error::{Error, ErrorKind};
use crate::explain::Explanation;
use crate::fetch::{Reading, Source, each_once};
use crate::live::{Cell, Change, Engine, Live, Refreshed, Reply};
use crate::schedule::Schedule;
use crate::snapshot::Snapshot;
use crate::status::{SecretStatus, Status};
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
    let reading = source.read(&[]).await;
    if let Some(error) = reading.errors() {
        log_denied(&reading);
        return Err(source.advised(error, begun).await);
    }
    let held: BTreeMap<String, Fetched> =
        reading.outcomes.into_iter().filter_map(|(id, outcome)| Some((id, outcome.ok()?))).collect();
    held.values().for_each(|secret| log_fetched(secret, true));
    let candidate = checked(&build, &each_once(held.values()))?;
    let status = Status::started(1, secret_statuses(&candidate.snapshot, &BTreeMap::new()));
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
        tree: candidate.tree,
        failures: 0,
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

struct Refresher<T> {
    source: Source,
    build: Build<T>,
    schedule: Schedule,
    cell: Arc<Cell<T>>,
    changes: watch::Sender<Option<Change>>,
    /// The secrets of the live generation, by the name or ARN they are asked for: what new ones are held against,
    /// and what stands in for those that cannot be read.
    held: BTreeMap<String, Fetched>,
    /// The live generation's merged layers, to tell which keys a new one changes.
    tree: Table,
    failures: u32,
}

impl<T: Send + Sync + 'static> Refresher<T> {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Reply>) {
        let mut next = Instant::now() + self.schedule.first(fastrand::f64());
        loop {
            let mut replies = Vec::new();
            tokio::select! {
                reply = queue.recv() => match reply {
                    Some(reply) => replies.push(reply),
                    None => return,
                },
                () = sleep_until(next) => {}
            }
            // Whoever asked before the first call goes out is served by it.
            while let Ok(reply) = queue.try_recv() {
                replies.push(reply);
            }
            let result = self.cycle().await;
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

    /// One refresh, whatever happens in it.
    async fn cycle(&mut self) -> Result<Refreshed, Error> {
        let span =
            tracing::info_span!(target: TARGET, "refresh", generation = self.cell.status().generation());
        let cycle = AssertUnwindSafe(self.look()).catch_unwind().instrument(span);
        let result = cycle.await.unwrap_or_else(|_| Err(panicked("reading or dropping")));
        let mut status = self.cell.status();
        match &result {
            Ok(_) => status.succeeded(),
            Err(error) => status.failed(error),
        }
        result
    }

    /// Reads, and swaps if anything is new.
    async fn look(&mut self) -> Result<Refreshed, Error> {
        let known: Vec<String> = self.held.keys().cloned().collect();
        let reading = self.source.read(&known).await;
        log_denied(&reading);
        let trouble = reading.errors();

        let mut found = self.held.clone();
        let mut failed = BTreeMap::new();
        for (id, outcome) in reading.outcomes {
            match outcome {
                Ok(secret) => {
                    let known = self.held.get(&id).is_some_and(|held| held.versions() == secret.versions());
                    log_fetched(&secret, !known);
                    found.insert(id, secret);
                }
                Err(error) => {
                    let name = self.held.get(&id).map_or(id, |held| held.name().to_owned());
                    failed.insert(name, error.kind());
                }
            }
        }
        // A refusal says more than what could not be read beside it.
        let refreshed = self.apply(found, &failed)?;
        match trouble {
            Some(error) => Err(error),
            None => Ok(refreshed),
        }
    }

    fn apply(
        &mut self,
        found: BTreeMap<String, Fetched>,
        failed: &BTreeMap<String, ErrorKind>,
    ) -> Result<Refreshed, Error> {
        let versions = |(_, secret): (&String, &Fetched)| {
            let (version, previous) = secret.versions();
            (secret.identity().to_owned(), version.to_owned(), previous.map(str::to_owned))
        };
        if found.iter().map(versions).eq(self.held.iter().map(versions)) {
            let mut status = self.cell.status();
            status.mark(failed);
            return Ok(Refreshed { generation: status.generation(), changed: false });
        }
        let candidate = checked(&self.build, &each_once(found.values())).inspect_err(|error| {
            let mut status = self.cell.status();
            status.mark(failed);
            let generation = status.generation();
            tracing::error!(target: TARGET, generation, error.kind = %error.kind(), error.message = %error, "settings_rejected");
        })?;
        let keys = self.tree.changed_keys(&candidate.tree);
        let secrets = secret_statuses(&candidate.snapshot, failed);
        self.held = found;
        self.tree = candidate.tree;
        let generation = self.cell.swap(Arc::new(candidate.value), |status| {
            status.swapped(secrets);
            self.cell.explain(candidate.explanation);
        });
        tracing::info!(target: TARGET, generation, keys = keys.join(","), "settings_changed");
        self.changes.send_replace(Some(Change { generation, keys }));
        Ok(Refreshed { generation, changed: true })
    }
}

fn secret_statuses(snapshot: &Snapshot, failed: &BTreeMap<String, ErrorKind>) -> Vec<SecretStatus> {
    let secrets = snapshot.secrets().iter().map(|secret| SecretStatus {
        name: secret.name().to_owned(),
        key_path: secret.key_path().to_owned(),
        version_id: secret.version_id().to_owned(),
        error: failed.get(secret.name()).copied(),
    });
    secrets.collect()
}

/// Every value that is read leaves a trace, with its version.
fn log_fetched(secret: &Fetched, new: bool) {
    let (secret, version_id) = (secret.name(), secret.version_id());
    if new {
        tracing::info!(target: TARGET, secret, version_id, "secret_fetched");
    } else {
        tracing::debug!(target: TARGET, secret, version_id, "secret_fetched");
    }
}

fn log_denied(reading: &Reading) {
    let Some(error) = reading.errors() else { return };
    for error in error.errors().iter().filter(|error| error.kind() == ErrorKind::AccessDenied) {
        tracing::error!(
            target: TARGET,
            secret = error.secret(),
            error.kind = %error.kind(),
            hint = error.hint(),
            "secret_access_denied"
        );
    }
}

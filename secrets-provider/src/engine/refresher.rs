//! The task's loop: what wakes it, what it reads then, and when it wakes next (rules R3 to R5).
//!
//! A wake-up is a [`Scope`]: what has to be read because of it. Requests that come together are
//! merged into one scope and served by one read. The loop waits for requests, the interval, the
//! backend's own signals, triggers, a search for newer values, and answers about rotation dates; it
//! never waits for a reader.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::candidate::Pipeline;
use super::cell::Cell;
use super::handle::{Change, Request};
use super::hints::{Hint, Hints};
use super::missing::Missing;
use super::rotation::RotationSchedule;
use super::secrets::Secrets;
use super::trigger::{self, Asks, Trigger};
use crate::error::Error;
use crate::load::fetch::{Failures, Fetcher, Scope};
use crate::load::notify::Subscriber;
use crate::load::retry::answer::{Refreshed, Reply};
use crate::load::retry::schedule::Schedule;
use crate::load::retry::search::Search;
use crate::load::snapshot::Snapshot;
use crate::observe::events;
use crate::tree::Table;
use crate::unwind;

/// The least time between two refreshes that triggers cause.
const TRIGGER_MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How many waiting triggers are taken as one.
const MAX_BATCHED_TRIGGERS: usize = 1024;

/// Everything that changes from one refresh to the next.
pub(super) struct Refresher<T> {
    pub(super) fetcher: Fetcher,
    pub(super) pipeline: Pipeline<T>,
    pub(super) schedule: Schedule,
    pub(super) cell: Arc<Cell<T>>,
    pub(super) changes: watch::Sender<Option<Change>>,
    /// The secrets of the live generation.
    pub(super) used: Secrets,
    /// The same as a tree, with where each has its place.
    pub(super) snapshot: Snapshot,
    pub(super) missing: Missing,
    /// The live generation's merged layers, with which a new one is compared to find the keys that
    /// change.
    pub(super) tree: Arc<Table>,
    pub(super) failures: u32,
    /// The failures of single secrets that are in the log.
    pub(super) failures_logged: Failures,
    /// The failure of a refresh that is in the log, by its fingerprint.
    pub(super) failure_logged: Option<u64>,
    /// The rejection that is in the log, by its fingerprint.
    pub(super) rejection_logged: Option<u64>,
    /// Whether the last read, or the one that is running, has found out about every secret in use.
    pub(super) all_checked: bool,
    pub(super) listing: Listing,
    pub(super) search: Search,
    pub(super) hints: Hints,
    pub(super) rotation: RotationSchedule,
    /// Hears of secrets that this program rotates.
    pub(super) _subscription: Arc<Subscriber>,
}

/// The names that the last listing found, and when.
pub(super) struct Listing {
    pub(super) names: Option<Vec<String>>,
    pub(super) at: Instant,
}

impl<T: Send + Sync + 'static> Refresher<T> {
    pub(super) async fn run(
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
        let mut signals = trigger::fuse_quietly(self.signals());
        let mut triggers_allowed_at = Instant::now();
        loop {
            self.rotation.ask(&self.fetcher);
            let wait = next.saturating_duration_since(Instant::now());
            next = next.min(Instant::now() + self.rotation.shorten(wait, fastrand::f64()));
            self.cell.status().set_next_attempt(Some(next));

            let mut replies = Vec::new();
            let search_due = self.search.due();
            let hints_due = self.hints.due();
            let scope = tokio::select! {
                request = queue.recv() => match request {
                    Some(request) => match self.accept(request, &mut replies) {
                        Some(scope) => scope,
                        None => continue,
                    },
                    None => return,
                },
                () = sleep_until(next) => Scope::due(),
                () = self.rotation.answered() => continue,
                () = sleep_until(search_due.unwrap_or(next)), if search_due.is_some() => {
                    Scope::in_use()
                }
                () = sleep_until(hints_due.unwrap_or(next)), if hints_due.is_some() => {
                    Scope::Only(self.hints.take_due(Instant::now()))
                }
                _ = signals.next() => {
                    // A backend with endless signals must not keep the thread to itself.
                    tokio::task::yield_now().await;
                    drain_ready(&mut signals).await;
                    Scope::everything()
                }
                trigger = async { sleep_until(triggers_allowed_at).await; triggers.next().await } => {
                    let more = drain_ready(&mut triggers).await;
                    let Some(scope) = self.triggered(trigger.into_iter().chain(more)) else {
                        // Endless hints that are ignored must not keep the thread to themselves.
                        tokio::task::yield_now().await;
                        continue;
                    };
                    triggers_allowed_at = Instant::now() + TRIGGER_MIN_INTERVAL;
                    scope
                }
            };
            // Requests that came before the first call goes out are served by it.
            let mut scope = scope;
            while let Ok(request) = queue.try_recv() {
                match self.accept(request, &mut replies) {
                    // A search that begins now waits for its own turn if something else is read
                    // first.
                    Some(Scope::InUse) | None => {}
                    Some(more) => scope = scope.and(more),
                }
            }
            if scope == Scope::InUse && self.search.due().is_none_or(|due| due > Instant::now()) {
                continue;
            }
            self.cell.status().set_next_attempt(None);
            let result = self.refresh(&scope).await;
            self.update_search(&scope, &result);
            next = match scope.is_partial() {
                // A partial read has a schedule of its own.
                true => next.max(Instant::now()),
                false => Instant::now() + self.wait_after(&result),
            };
            for reply in replies {
                reply.send(result.clone());
            }
        }
    }

    /// The backend's own signals.
    fn signals(&self) -> impl Stream<Item = Trigger> + Send + 'static {
        let signals = unwind::catch(|| self.fetcher.changes()).ok().flatten();
        let signals = signals.unwrap_or_else(|| Box::pin(futures_util::stream::empty()));
        signals.map(|()| Trigger::new("backend"))
    }

    /// Takes a request, and returns what has to be read for it now.
    fn accept(&mut self, request: Request, replies: &mut Vec<Reply>) -> Option<Scope> {
        match request {
            Request::Refresh(reply) => {
                replies.push(reply);
                Some(Scope::everything())
            }
            Request::Changed(hint, reply) => {
                let scope = self.hear(&[hint]);
                match scope {
                    Some(_) => replies.push(reply),
                    None => reply.send(Ok(self.unchanged())),
                }
                scope
            }
            Request::Past(waiting) => {
                let generation = self.cell.status().generation();
                let change_log = self.cell.change_log();
                let last_change = |path: &str| change_log.last_change(path);
                self.search.ask(waiting, generation, last_change, Instant::now());
                let due = self.search.due()?;
                (due <= Instant::now()).then_some(Scope::in_use())
            }
        }
    }

    /// What triggers that came together ask for, if anything.
    fn triggered(&mut self, triggers: impl Iterator<Item = Trigger>) -> Option<Scope> {
        let mut scope = None;
        let mut hints = Vec::new();
        for trigger in triggers {
            match &trigger.asks {
                Asks::Secret(hint) => hints.push(hint.clone()),
                Asks::Read(asked) => {
                    events::refresh_triggered(trigger.reason());
                    scope = [scope, Some(asked.clone())].into_iter().flatten().reduce(Scope::and);
                }
            }
        }
        [scope, self.hear(&hints)].into_iter().flatten().reduce(Scope::and)
    }

    /// What hints ask for, if they are not ignored.
    fn hear(&mut self, hints: &[Hint]) -> Option<Scope> {
        if hints.is_empty() {
            return None;
        }
        let selector = self.fetcher.selector(self.used.ids());
        let mut ids = BTreeSet::new();
        let mut ignored = 0;
        for hint in hints {
            let of_hint = self.hints.hear(hint, &selector, &self.used);
            ignored += usize::from(of_hint.is_empty());
            ids.extend(of_hint);
        }
        if ignored > 0 {
            events::hints_ignored(ignored);
        }
        (!ids.is_empty()).then(|| {
            events::secrets_hinted(&ids);
            Scope::Only(ids)
        })
    }

    /// Lets the search for newer settings know what a refresh found.
    fn update_search(&mut self, scope: &Scope, result: &Result<Refreshed, Error>) {
        let generation = self.cell.status().generation();
        let change_log = self.cell.change_log();
        self.search.refreshed(generation, |path| change_log.last_change(path));
        drop(change_log);
        // Any refresh is as good as a try that was due.
        if *scope == Scope::InUse || self.search.due().is_some_and(|due| due <= Instant::now()) {
            self.search.tried(generation, result.as_ref().err(), Instant::now(), fastrand::f64());
        }
    }

    fn wait_after(&mut self, result: &Result<Refreshed, Error>) -> Duration {
        match result {
            Ok(_) => {
                if self.failures > 0 {
                    events::refresh_recovered(self.failures);
                }
                self.failures = 0;
                self.failure_logged = None;
                self.schedule.next(fastrand::f64())
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let wait = self.schedule.retry(self.failures, fastrand::f64());
                let failure = Some(error.fingerprint());
                let repeated = self.failure_logged == failure;
                self.failure_logged = failure;
                events::refresh_failed(self.failures, error, repeated, wait);
                wait
            }
        }
    }

    /// The last listing, if it is still valid.
    pub(super) fn valid_listing(&self) -> Option<Vec<String>> {
        // Reads that come more often because a secret is about to rotate are for values, not for
        // names.
        let rotating = self.rotation.listing_lasts(self.schedule.interval);
        let valid = self.listing.at.elapsed() < self.schedule.rediscover.max(rotating);
        self.listing.names.clone().filter(|_| valid)
    }
}

/// All items that are ready now, up to a bound.
async fn drain_ready<S: Stream + Unpin>(stream: &mut S) -> Vec<S::Item> {
    let mut items = Vec::new();
    // Otherwise tokio has each stream pause after some items, however many are ready.
    let drain = tokio::task::coop::unconstrained(async {
        while items.len() < MAX_BATCHED_TRIGGERS
            && let Some(Some(item)) = stream.next().now_or_never()
        {
            items.push(item);
        }
    });
    drain.await;
    items
}

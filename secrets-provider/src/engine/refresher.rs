//! The task's loop: what wakes it, what it reads then, and when it wakes next (rules R3 to R5).
//!
//! A wake-up is a [`Scope`] for one source or for all: what has to be read because of it. Requests
//! that come together are merged into one scope and served by one read. The loop waits for
//! requests, for what each source waits for, triggers, and a search for newer values; it never waits
//! for a reader.
//!
//! Sources are read side by side. Those that are read for the same reason are applied together, so
//! that what rotated at once is one generation; but one that hangs holds up the others by a second
//! at most. While every source is being read, requests and triggers wait; the first one hurries the
//! reads, which take their time where nobody waits.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, select, select_all};
use futures_util::stream::{self, BoxStream, FuturesUnordered, Peekable, SelectAll};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::coop;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::candidate::Pipeline;
use super::cell::Cell;
use super::handle::{Change, Request};
use super::hints::Hint;
use super::reading::Read;
use super::source::Source;
use super::trigger::{Asks, Trigger};
use super::waiting::Waiting;
use crate::error::Error;
use crate::load::fetch::Scope;
use crate::load::retry::answer::{Refreshed, Reply};
use crate::load::retry::search::Search;
use crate::observe::events;
use crate::observe::status::DerivedStatus;
use crate::tree::Table;

/// The least time between two refreshes that triggers cause.
const TRIGGER_MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked whether what was built from a replaced value was rebuilt.
const REPLACED_POLL: Duration = Duration::from_secs(1);

/// How many waiting triggers are taken as one.
const MAX_BATCHED_TRIGGERS: usize = 1024;

/// How long a source that was read waits for the others that are read for the same reason.
const MAX_GATHERING: Duration = Duration::from_secs(1);

/// What a read finds within this time counts as of one moment.
const ONE_MOMENT: Duration = Duration::from_secs(1);

/// Everything that changes from one refresh to the next.
pub(super) struct Refresher<T> {
    /// The sources, the lowest first.
    pub(super) sources: Vec<Source>,
    pub(super) pipeline: Pipeline<T>,
    pub(super) cell: Arc<Cell<T>>,
    pub(super) changes: watch::Sender<Option<Change>>,
    /// The live generation's merged layers, with which a new one is compared to find the keys that
    /// change.
    pub(super) tree: Arc<Table>,
    pub(super) search: Search,
    pub(super) waiting: Waiting,
}

/// The reads under way.
type Reads = FuturesUnordered<BoxFuture<'static, Read>>;

/// What the loop woke up for.
enum Wake {
    Request(Option<Request>),
    Source(usize, Option<Scope>),
    Signal(usize),
    Search,
    Triggers(Vec<Trigger>),
    Hurry,
    LetGo,
    Read(Option<Read>),
}

/// The requests, of which the next one can be seen before it is taken.
type Requests = Peekable<BoxStream<'static, Request>>;

/// The triggers, likewise.
type Triggers = Peekable<SelectAll<BoxStream<'static, Trigger>>>;

impl<T: Send + Sync + 'static> Refresher<T> {
    pub(super) async fn run(
        mut self,
        mut queue: mpsc::UnboundedReceiver<Request>,
        triggers: Vec<BoxStream<'static, Trigger>>,
    ) {
        self.sources.iter_mut().for_each(Source::begin);
        let mut queue = stream::poll_fn(move |cx| queue.poll_recv(cx)).boxed().peekable();
        let mut triggers = triggers.into_iter().collect::<SelectAll<_>>();
        triggers.push(std::future::pending::<Trigger>().into_stream().boxed());
        let mut triggers = triggers.peekable();
        let mut triggers_allowed_at = Instant::now();
        let mut is_hurried = false;
        let mut reads = Reads::new();
        let (mut batch, mut gathered) = (0, 0);
        loop {
            self.sources.iter_mut().filter(|source| !source.is_read()).for_each(Source::plan_next);
            let (next, keeps_replaced) = {
                let idle = || self.sources.iter().filter(|source| !source.is_read());
                let keeps_replaced = idle().any(|source| !source.replaced.is_empty());
                (idle().map(|source| source.next).min(), keeps_replaced)
            };
            let is_idle = next.is_some();
            is_hurried &= !is_idle;
            self.cell.status().set_next_attempt(next);

            let search_due = self.search.due().filter(|_| is_idle);
            let (wakes, signals): (Vec<_>, Vec<_>) =
                self.sources.iter_mut().map(Source::waits).unzip();
            // In a fixed order, so that the same inputs make the same reads. What is first comes
            // rarely; what is last may be endless, and keeps nothing else waiting.
            let wake = tokio::select! {
                biased;
                read = reads.next(), if !reads.is_empty() => Wake::Read(read),
                (scope, index, _) = select_all(wakes) => Wake::Source(index, scope),
                () = sleep_until(search_due.unwrap_or_else(Instant::now)), if search_due.is_some() => {
                    Wake::Search
                }
                () = sleep(REPLACED_POLL), if keeps_replaced => Wake::LetGo,
                wake = asked(&mut queue, &mut triggers, triggers_allowed_at, is_idle),
                    if is_idle || !is_hurried => wake,
                ((), index, _) = select_all(signals) => Wake::Signal(index),
            };
            match wake {
                Wake::Request(Some(request)) => self.accept(request, true),
                Wake::Request(None) => return,
                Wake::Source(_, None) => continue,
                Wake::Source(index, Some(scope)) => self.sources[index].pend(scope, None),
                Wake::Search => self.pend_search(),
                Wake::Signal(index) => {
                    // A backend with endless signals must not keep the thread to itself, nor keep
                    // those of other sources waiting.
                    tokio::task::yield_now().await;
                    for (other, source) in self.sources.iter_mut().enumerate() {
                        if source.take_signals().await || other == index {
                            source.pend(Scope::everything(), None);
                        }
                    }
                }
                Wake::Hurry => {
                    is_hurried = true;
                    self.sources.iter().for_each(Source::hurry);
                    continue;
                }
                Wake::LetGo => {
                    self.let_go();
                    continue;
                }
                Wake::Triggers(mut woken) => {
                    woken.extend(drain_ready(&mut triggers).await);
                    if !self.triggered(&woken) {
                        // Endless hints that are ignored must not keep the thread to themselves.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    triggers_allowed_at = Instant::now() + TRIGGER_MIN_INTERVAL;
                }
                Wake::Read(read) => {
                    let Some(read) = read else { continue };
                    let batch = Some(read.batch);
                    let of_batch =
                        self.sources.iter().filter(|source| source.batch() == batch).count();
                    let done = gather(read, &mut reads, of_batch).await;
                    let is_first = done.iter().any(|read| read.batch > gathered);
                    gathered = done.iter().map(|read| read.batch).fold(gathered, u64::max);
                    self.apply_reads(done, is_first).await;
                }
            }
            // Requests that came before the first call goes out are served by it.
            while self.sources.iter().any(|source| !source.is_read() && source.pending.is_some())
                && let Some(Some(request)) = coop::unconstrained(queue.next()).now_or_never()
            {
                self.accept(request, false);
            }
            let searches = self.search.due().is_some_and(|due| due <= Instant::now());
            batch += 1;
            for (index, source) in self.sources.iter_mut().enumerate() {
                if source.is_read() {
                    continue;
                }
                if source.pending == Some(Scope::InUse) && source.asked.is_empty() && !searches {
                    source.pending = None;
                }
                if let Some(scope) = source.pending.take() {
                    let generation = self.cell.status().generation();
                    let again = !scope.is_partial() && std::mem::take(&mut source.reads_again);
                    reads.push(source.read(index, scope, batch, generation));
                    if again || self.search.due().is_some() {
                        source.hurry();
                    }
                }
            }
        }
    }

    /// Sets the status of a start.
    pub(super) fn record_start(&self) {
        let (secrets, calls) = (self.secret_statuses(), self.calls());
        let mut status = self.cell.status();
        status.set_secrets(secrets);
        status.set_calls(calls);
        self.record_fallback(&mut status);
    }

    /// Takes a request, and notes what has to be read for it. One that is not the `first` came
    /// while something else was about to be read.
    fn accept(&mut self, request: Request, first: bool) {
        match request {
            Request::Refresh(reply) => {
                let request = self.waiting.add(reply, self.sources.len());
                for source in &mut self.sources {
                    source.pend(Scope::everything(), Some(request));
                }
            }
            Request::Changed(hint, reply) => {
                let heard = self.hear(&[hint]);
                self.pend_hinted(heard, Some(reply));
            }
            Request::Past(waiting) => {
                let generation = self.cell.status().generation();
                let change_log = self.cell.change_log();
                let last_change = |path: &str| change_log.last_change(path);
                let path = waiting.path.clone();
                self.search.ask(waiting, generation, last_change, Instant::now());
                drop(change_log);
                let Some(due) = self.search.due() else { return };
                self.sources.iter().for_each(|source| {
                    source.refuse(&path);
                    source.hurry();
                });
                // A search that begins now waits for its own turn if something else is read first.
                if first && due <= Instant::now() {
                    self.pend_search();
                }
            }
        }
    }

    /// Has the secrets in use read again, of each source that is not being read.
    fn pend_search(&mut self) {
        for source in self.sources.iter_mut().filter(|source| !source.is_read()) {
            source.pend(Scope::in_use(), None);
        }
    }

    /// Notes what triggers that came together ask for. Returns whether that is anything.
    fn triggered(&mut self, triggers: &[Trigger]) -> bool {
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
        if let Some(scope) = &scope {
            self.sources.iter_mut().for_each(|source| source.pend(scope.clone(), None));
        }
        let heard = self.hear(&hints);
        self.pend_hinted(heard, None) || scope.is_some()
    }

    /// The ids that hints ask for, of each source.
    fn hear(&mut self, hints: &[Hint]) -> Vec<BTreeSet<String>> {
        if hints.is_empty() {
            return vec![BTreeSet::new(); self.sources.len()];
        }
        let by_hint = self.sources.iter_mut().map(|source| source.hear(hints));
        let by_hint: Vec<Vec<Vec<String>>> = by_hint.collect();
        let is_ignored = |hint: &usize| by_hint.iter().all(|ids| ids[*hint].is_empty());
        let ignored = (0..hints.len()).filter(is_ignored).count();
        let heard: Vec<BTreeSet<String>> =
            by_hint.into_iter().map(|ids| ids.into_iter().flatten().collect()).collect();
        if ignored > 0 {
            events::hints_ignored(ignored);
        }
        let ids: BTreeSet<String> = heard.iter().flatten().cloned().collect();
        if !ids.is_empty() {
            events::secrets_hinted(&ids);
        }
        heard
    }

    /// Has these ids of each source read, for this request. Returns whether there are any.
    fn pend_hinted(&mut self, heard: Vec<BTreeSet<String>>, reply: Option<Reply>) -> bool {
        let sources = heard.iter().filter(|ids| !ids.is_empty()).count();
        let request = match reply {
            Some(reply) if sources == 0 => {
                reply.send(Ok(self.unchanged()));
                None
            }
            reply => reply.map(|reply| self.waiting.add(reply, sources)),
        };
        let hinted = self.sources.iter_mut().zip(heard).filter(|(_, ids)| !ids.is_empty());
        hinted.for_each(|(source, ids)| source.pend(Scope::Only(ids), request));
        sources > 0
    }

    /// Makes settings of what was read, and sets when each source is read next. The first reads of
    /// a search, or of what is as good, are a try of it.
    async fn apply_reads(&mut self, reads: Vec<Read>, is_first: bool) {
        self.cell.status().set_next_attempt(None);
        let mut answered = Vec::new();
        let mut scopes = Vec::new();
        let mut took = Vec::new();
        for read in &reads {
            let reading = self.sources[read.source].reading.take();
            answered.push(reading.map(|reading| reading.requests).unwrap_or_default());
            scopes.push((read.source, read.scope.clone()));
            took.push(read.begun.elapsed());
        }
        let before = self.cell.status().generation();
        let results = self.finish(reads).await;
        let errors = || results.iter().filter_map(|result| result.as_ref().err());
        let error = Error::all(errors().cloned());
        let searched = is_first && scopes.iter().any(|(_, scope)| *scope == Scope::InUse);
        self.update_search(searched, is_first, error.as_ref());
        let generation = self.cell.status().generation();
        let answered = answered.iter().zip(took);
        for (((index, scope), (requests, took)), result) in
            scopes.iter().zip(answered).zip(&results)
        {
            let source = &mut self.sources[*index];
            source.schedule_next(scope, result.as_ref().err());
            if generation > before && took > ONE_MOMENT && result.is_ok() && !scope.is_partial() {
                source.read_again();
            }
            self.waiting.read(requests, result, generation);
        }
    }

    /// Lets the search for newer settings know what a refresh found.
    fn update_search(&mut self, searched: bool, is_first: bool, error: Option<&Error>) {
        let generation = self.cell.status().generation();
        let change_log = self.cell.change_log();
        self.search.refreshed(generation, |path| change_log.last_change(path));
        drop(change_log);
        // Any refresh is as good as a try that was due.
        let was_due = || self.search.due().is_some_and(|due| due <= Instant::now());
        if searched || is_first && was_due() {
            self.search.tried(generation, error, Instant::now(), fastrand::f64());
        }
    }

    /// Lets go of replaced values that nothing is built from any more.
    fn let_go(&mut self) {
        let derived = self.cell.derived();
        let change_log = self.cell.change_log();
        let is_behind = |derived: &&DerivedStatus| {
            derived.ended_at.is_none() && change_log.last_change(&derived.path) > derived.built_from
        };
        let oldest = derived.iter().filter(is_behind).map(|derived| derived.built_from).min();
        drop(change_log);
        self.sources.iter_mut().for_each(|source| source.replaced.let_go(oldest));
    }

    pub(super) fn unchanged(&self) -> Refreshed {
        Refreshed { generation: self.cell.status().generation(), changed: false }
    }
}

/// Waits for what is asked for. If no source is `idle`, it has to wait itself, and is not taken.
async fn asked(
    queue: &mut Requests,
    triggers: &mut Triggers,
    triggers_allowed_at: Instant,
    idle: bool,
) -> Wake {
    if !idle {
        select(Pin::new(queue).peek(), Pin::new(triggers).peek()).await;
        return Wake::Hurry;
    }
    tokio::select! {
        biased;
        request = queue.next() => Wake::Request(request),
        trigger = async { sleep_until(triggers_allowed_at).await; triggers.next().await } => {
            Wake::Triggers(trigger.into_iter().collect())
        }
    }
}

/// A read that has ended, with the others of its batch, of so many in all, that end within a
/// second.
async fn gather(read: Read, reads: &mut Reads, of_batch: usize) -> Vec<Read> {
    let (batch, until) = (read.batch, Instant::now() + MAX_GATHERING);
    let mut done = vec![read];
    while done.iter().filter(|read| read.batch == batch).count() < of_batch
        && let Ok(Some(read)) = timeout_at(until, reads.next()).await
    {
        done.push(read);
    }
    done
}

/// All items that are ready now, up to a bound.
pub(super) async fn drain_ready<S: Stream + Unpin>(stream: &mut S) -> Vec<S::Item> {
    let mut items = Vec::new();
    // Otherwise tokio has each stream pause after some items, however many are ready.
    let drain = coop::unconstrained(async {
        while items.len() < MAX_BATCHED_TRIGGERS
            && let Some(Some(item)) = stream.next().now_or_never()
        {
            items.push(item);
        }
    });
    drain.await;
    items
}

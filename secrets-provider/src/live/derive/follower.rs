//! The task that keeps a derived value in step with its settings.
//!
//! It wakes at each change of the settings, when a request comes, and when a failed build is due
//! again. Requests go up to the settings first; the answer comes back here, and the caller is
//! answered once the value is rebuilt.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::engine::cell::{Cell, DerivedState};
use crate::engine::handle::{Change, Request, ended, not_driven};
use crate::error::{Error, ErrorKind};
use crate::load::rejected::Rejected;
use crate::load::retry::answer::{Refreshed, Reply, Waiting};
use crate::load::retry::schedule::{Budget, Schedule};
use crate::load::retry::task_runtime::TaskRuntime;
use crate::observe::events;
use crate::observe::status::LastError;
use crate::tree::names::Shown;
use crate::unwind::{self, Panicked};

/// How long one build may take.
pub(super) const BUILD_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest wait between two builds that fail.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Makes a value of settings: the user's code.
pub(super) type Build<T, U> =
    Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<U, Rejected>> + Send + Sync>;

/// Runs a build, which may fail, panic or hang.
pub(super) async fn run<T, U>(build: &Build<T, U>, settings: Arc<T>) -> Result<Arc<U>, Error> {
    let failed = |what: String| Error::new(ErrorKind::Rejected, what);
    // The closure itself may panic too, before there is a future.
    let building = unwind::catch_future(async { build(settings).await });
    match timeout(BUILD_TIMEOUT, building).await {
        Ok(Ok(Ok(value))) => Ok(Arc::new(value)),
        Ok(Ok(Err(rejected))) => Err(failed(format!("build failed: {rejected}"))),
        Ok(Err(panic)) => Err(panicked(panic)),
        Err(_) => Err(failed(format!("build took longer than {BUILD_TIMEOUT:?}"))),
    }
}

fn panicked(panic: Panicked) -> Error {
    panic.rejection("build")
}

/// The task's state.
pub(super) struct Follower<T, U> {
    /// For the log.
    label: String,
    path: String,
    build: Build<T, U>,
    from: Arc<Cell<T>>,
    ask: mpsc::UnboundedSender<Request>,
    /// The runtime that refreshes the settings, which may not be that of this task.
    runtime: TaskRuntime,
    cell: Arc<Cell<U>>,
    state: Arc<DerivedState>,
    changes: watch::Sender<Option<Change>>,
    /// The generation of the settings that was built from last, successfully or not.
    tried: u64,
    /// How many builds have failed since the keys last changed.
    attempts: u32,
    /// How many builds there have been.
    builds: u64,
    /// When a failed build is tried again.
    retry_at: Option<Instant>,
    waiting: Vec<Waiter>,
    /// How many callers have waited so far.
    waiters: u64,
}

/// A caller that waits for the next build.
struct Waiter {
    number: u64,
    waiting: Waiting,
    /// Once newer settings have come: how many builds had failed by then.
    failures: Option<u32>,
}

/// A request that was passed on to the settings, and their answer.
type PassedOn = BoxFuture<'static, (Asked, Result<Refreshed, Error>)>;

/// What to do with an answer.
enum Asked {
    /// Pass it back. Holds the derived value's generation and the number of builds when the request
    /// came.
    Refresh { reply: Reply, generation: u64, builds: u64 },
    /// It concerns the waiter with this number.
    Past(u64),
}

impl<T: Send + Sync + 'static, U: Send + Sync + 'static> Follower<T, U> {
    /// Follows the settings in `from`, which `ask` reaches on `runtime`, and keeps `cell`, whose
    /// value was built from the generation `built_from`.
    pub(super) fn new(
        (label, path): (String, String),
        build: Build<T, U>,
        (from, ask, runtime): (Arc<Cell<T>>, mpsc::UnboundedSender<Request>, TaskRuntime),
        (cell, state): (Arc<Cell<U>>, Arc<DerivedState>),
        changes: watch::Sender<Option<Change>>,
        built_from: u64,
    ) -> Self {
        Self {
            label,
            path,
            build,
            from,
            ask,
            runtime,
            cell,
            state,
            changes,
            tried: built_from,
            attempts: 0,
            builds: 0,
            retry_at: None,
            waiting: Vec::new(),
            waiters: 0,
        }
    }

    pub(super) async fn run(
        mut self,
        mut upstream: watch::Receiver<Option<Change>>,
        mut queue: mpsc::UnboundedReceiver<Request>,
    ) {
        let mut passed_on = FuturesUnordered::<PassedOn>::new();
        let mut ended = false;
        loop {
            let retry_at = self.retry_at;
            // In a fixed order, so that the same inputs make the same builds.
            tokio::select! {
                biased;
                changed = upstream.changed(), if !ended => match changed {
                    Ok(()) => self.follow().await,
                    // Without the settings' refresher there is nothing to follow, but a failed
                    // build is still retried.
                    Err(_) => ended = true,
                },
                () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => {
                    self.follow().await;
                }
                Some((asked, answer)) = passed_on.next() => self.answered(asked, answer).await,
                request = queue.recv() => match request {
                    Some(request) => passed_on.extend(self.pass_on(request)),
                    None => return,
                },
            }
            if ended && self.retry_at.is_none() {
                return;
            }
        }
    }

    /// Asks the settings for what a caller wants of the derived value.
    fn pass_on(&mut self, request: Request) -> Option<PassedOn> {
        let generation = self.generation();
        let (reply, answer) = Reply::channel();
        let (asked, request) = match request {
            Request::Refresh(caller) => {
                let asked = Asked::Refresh { reply: caller, generation, builds: self.builds };
                (asked, Request::Refresh(reply))
            }
            Request::Changed(hint, caller) => {
                let asked = Asked::Refresh { reply: caller, generation, builds: self.builds };
                (asked, Request::Changed(hint, reply))
            }
            Request::Past(waiting) if generation > waiting.seen => {
                waiting.reply.send(Ok(Refreshed { generation, changed: true }));
                return None;
            }
            // Newer than what was built from last, even if that build failed: those settings are
            // not wanted either.
            Request::Past(waiting) => {
                self.waiters += 1;
                self.waiting.push(Waiter { number: self.waiters, waiting, failures: None });
                let (seen, path) = (self.tried, self.path.clone());
                (Asked::Past(self.waiters), Request::Past(Waiting { seen, path, reply }))
            }
        };
        let sent = self.ask.send(request);
        let runtime = self.runtime.clone();
        Some(Box::pin(async move {
            let answer = match sent {
                Ok(()) => match runtime.run_while_driven(answer).await {
                    Some(answer) => answer.unwrap_or_else(|_| Err(ended())),
                    None => Err(not_driven()),
                },
                Err(_) => Err(ended()),
            };
            (asked, answer)
        }))
    }

    /// Handles the settings' answer: rebuilds if needed, then answers the caller.
    async fn answered(&mut self, asked: Asked, answer: Result<Refreshed, Error>) {
        if let (Asked::Past(number), Ok(_)) = (&asked, &answer) {
            let failures = self.state.lock().failures;
            self.waiting.iter_mut().filter(|waiter| waiter.number == *number).for_each(|waiter| {
                waiter.failures = Some(failures);
            });
        }
        if let Asked::Refresh { builds, .. } = asked
            && self.builds == builds
        {
            // A refresh that is asked for happens now, not when the next try is due.
            self.retry_at = None;
        }
        self.follow().await;
        match (asked, answer) {
            (Asked::Refresh { reply, generation: before, .. }, answer) => {
                let generation = self.generation();
                let refreshed = Refreshed { generation, changed: generation > before };
                // Some secrets may have failed while others were refreshed.
                reply.send(answer.and_then(|_| self.up_to_date()).map(|()| refreshed));
            }
            (Asked::Past(number), Err(error)) => {
                let failed = self.waiting.extract_if(.., |waiter| waiter.number == number);
                failed.for_each(|waiter| waiter.waiting.reply.send(Err(error.clone())));
            }
            (Asked::Past(_), Ok(_)) => {}
        }
    }

    fn up_to_date(&self) -> Result<(), Error> {
        let status = self.state.lock();
        match &status.last_error {
            Some(error) if status.failures > 0 => Err(error.error().clone()),
            _ => Ok(()),
        }
    }

    /// Answers the callers that a build has served, and those whose newer settings have failed to
    /// build a few times.
    fn settle(&mut self) {
        let generation = self.generation();
        let failures = self.state.lock().failures;
        let few = Budget::default().tries;
        let failed = self.up_to_date().err();
        for waiter in std::mem::take(&mut self.waiting) {
            let gives_up =
                waiter.failures.is_some_and(|before| failures.saturating_sub(before) >= few);
            match &failed {
                _ if generation > waiter.waiting.seen => {
                    waiter.waiting.reply.send(Ok(Refreshed { generation, changed: true }));
                }
                Some(error) if gives_up => waiter.waiting.reply.send(Err(error.clone())),
                _ if waiter.waiting.reply.is_closed() => {}
                _ => self.waiting.push(waiter),
            }
        }
    }

    fn generation(&self) -> u64 {
        self.cell.status().generation()
    }

    /// Rebuilds if a key at or below the path has changed.
    async fn follow(&mut self) {
        // The log first: what changes in between is in the settings, and is not built for twice.
        let changed = self.from.change_log().last_change(&self.path);
        let (settings, generation) = self.from.pair();
        let due = changed > self.state.lock().built_from;
        let untried = changed > self.tried;
        let resting = !untried && self.retry_at.is_some_and(|at| Instant::now() < at);
        if !due {
            self.retry_at = None;
        } else if !resting {
            if untried {
                self.attempts = 0;
            }
            self.tried = generation;
            self.builds += 1;
            // What the build leaves behind is dropped here, which may run the user's code.
            let building = unwind::catch_future(run(&self.build, settings)).await;
            match building.unwrap_or_else(|panic| Err(panicked(panic))) {
                Ok(value) => self.swap(value, generation),
                Err(error) => self.failed(&error),
            }
            return self.settle();
        }
        // This may be the last handle to a generation that has been replaced meanwhile.
        unwind::drop_quietly(settings);
        self.settle();
    }

    fn swap(&mut self, value: Arc<U>, built_from: u64) {
        self.retry_at = None;
        let (generation, old) = self.cell.swap(value, None, |status| {
            status.record_swap();
            let mut state = self.state.lock();
            state.generation = status.generation();
            state.built_from = built_from;
            state.built_at = Instant::now();
            state.failures = 0;
            state.failing_since = None;
        });
        events::derived_rebuilt(&self.label, &self.path, generation, built_from);
        self.changes.send_replace(Some(Change {
            generation,
            keys: vec![self.path.clone()],
            // The program's own text.
            shown: vec![Shown { path: self.path.clone(), count: 1 }],
        }));
        // Dropping it is the user's code and may take long.
        drop(tokio::task::spawn_blocking(move || drop(old)));
    }

    fn failed(&mut self, error: &Error) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        let before = state.last_error.replace(LastError::new(error));
        let repeated = state.failing_since.is_some()
            && before.is_some_and(|last| last.error().fingerprint() == error.fingerprint());
        state.failing_since.get_or_insert_with(Instant::now);
        let failures = state.failures;
        drop(state);
        self.attempts = self.attempts.saturating_add(1);
        let wait = Schedule::backoff(self.attempts, MAX_BACKOFF, fastrand::f64());
        self.retry_at = Some(Instant::now() + wait);
        events::derived_build_failed(&self.label, &self.path, failures, error, repeated, wait);
    }
}

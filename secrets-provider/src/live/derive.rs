//! What is made of settings, such as a pool, and made anew when they change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Cell, Change, Engine, Live, Origin, Refreshed, Rejected, Reply, Request, Waiting, ended,
};
use crate::TARGET;
use crate::backend::BoxFuture;
use crate::engine::change_log;
use crate::engine::schedule::{Budget, Schedule};
use crate::error::{Error, ErrorKind};
use crate::observe::status::{DerivedStatus, LastError, Status};

/// How long one build may take.
const LONGEST_BUILD: Duration = Duration::from_secs(60);

/// The longest wait between two builds that fail.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What is told of a derived value, in its own status and in that of its settings.
pub(crate) struct Built(Mutex<DerivedStatus>);

impl Built {
    pub(crate) fn status(&self) -> DerivedStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, DerivedStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Live<T> {
    /// Something that is made of the settings and costs more than a field: a pool, a client, a verifier. It is built
    /// now, and rebuilt when a key at or below `path` (dotted, `""` for every key) changes its value; changes elsewhere
    /// leave it alone. What comes back is itself a [`Live`]: the extractors take it, and [`refresh_past`] and
    /// [`with_fresh`] wait for the next build.
    ///
    /// The old one is served until the new one is ready; then our hold on it ends on a thread for blocking work, and it
    /// lives on until its last user is done. A build that fails, panics or takes longer than a minute is tried again, with
    /// exponential backoff up to a minute, and at once when the keys change again, while the old one stays;
    /// [`Status::derived`] and the event `derived_build_failed` tell of it.
    ///
    /// Keys are the merged settings' own, as [`explain`](Self::explain) shows them; case and separators do not matter.
    ///
    /// **Settings and pool of one request** are each one generation, not necessarily the same: between a swap and the end
    /// of the build, a request sees the new settings and the old pool. Where both must agree, derive a struct that
    /// holds both (the build is given the settings as an `Arc`).
    ///
    /// It keeps the settings' refresher alive, and stops following them when its last handle is dropped.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use secrets_provider::{Live, Memory, Rejected, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { database: Database }
    /// #[derive(serde::Deserialize)]
    /// struct Database { host: String, password: String }
    ///
    /// struct Pool { host: String }
    ///
    /// async fn connect(settings: Arc<Settings>) -> Result<Pool, Rejected> {
    ///     Ok(Pool { host: settings.database.host.clone() })
    /// }
    ///
    /// # let secrets = Memory::new();
    /// # secrets.put("app/database", r#"{"host": "db.internal", "password": "p"}"#);
    /// let settings: Live<Settings> = SecretsManager::prefix("app").backend(secrets).live().await?;
    /// let pool: Live<Pool> = settings.derive("database", connect).await?;
    /// assert_eq!(pool.load().host, "db.internal");
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// `Rejected`, if the first build fails, panics or takes too long: with the [`Rejected`]'s own text, which may be
    /// shown. Rebuild a foreign error into it rather than pass it on: drivers quote connection strings.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    ///
    /// [`refresh_past`]: Self::refresh_past
    /// [`with_fresh`]: Self::with_fresh
    /// [`Status::derived`]: crate::Status::derived
    pub async fn derive<U, F, Fut>(
        &self,
        path: impl Into<String>,
        build: F,
    ) -> Result<Live<U>, Error>
    where
        U: Send + Sync + 'static,
        F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, Rejected>> + Send + 'static,
    {
        let path = path.into();
        let build: Build<T, U> = Box::new(move |settings| build(settings).boxed());
        // Before the settings are looked at: a change during the first build is one that was missed.
        let mut upstream = self.engine.changes.clone();
        upstream.mark_unchanged();
        let (settings, built_from) = self.pair();
        let value = built(&build, settings).await?;
        let explanation = self.explanation();
        let known = explanation.keys().iter().any(|key| change_log::concerns(key.key(), &path));
        if !path.is_empty() && !known && !explanation.keys().is_empty() {
            tracing::warn!(
                target: TARGET,
                path,
                hint = "no key of the settings is at or below it, so nothing would rebuild it; `explain` shows the keys",
                "derive_matches_nothing"
            );
        }

        let status = DerivedStatus {
            path: path.clone(),
            generation: 1,
            built_from,
            built_at: Instant::now(),
            failures: 0,
            failing_since: None,
            last_error: None,
            ended_at: None,
        };
        let built = Arc::new(Built(Mutex::new(status)));
        {
            let mut derived = self.cell.derived.lock().unwrap_or_else(PoisonError::into_inner);
            derived.retain(|built| built.strong_count() > 0);
            derived.push(Arc::downgrade(&built));
        }
        let cell = Arc::new(Cell::new(value, Status::started(None, None)));
        let (requests, queue) = mpsc::unbounded_channel();
        let (stop, mut stopped) = watch::channel(false);
        let (changes_sender, changes) = watch::channel(None);
        let follower = Follower {
            path,
            build,
            from: self.cell.clone(),
            ask: self.engine.requests.clone(),
            cell: cell.clone(),
            built: built.clone(),
            changes: changes_sender,
            tried: built_from,
            attempts: 0,
            builds: 0,
            retry_at: None,
            waiting: Vec::new(),
            asked: 0,
        };
        let ending = built.clone();
        tokio::spawn(async move {
            let mut following =
                pin!(AssertUnwindSafe(follower.run(upstream, queue)).catch_unwind());
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => {}
                ended = &mut following => if ended.is_err() {
                    tracing::error!(target: TARGET, "derived_follower_panicked");
                }
            }
            // Whoever waits for the end is told by the follower's, which comes after.
            ending.lock().ended_at = Some(Instant::now());
        });
        let origin = Origin::Derived { from: Box::new(self.clone()), built };
        // A build comes after the search.
        let patience = self.engine.patience + LONGEST_BUILD;
        Ok(Live::assemble(cell, Engine { requests, stop, changes, origin, patience }))
    }
}

type Build<T, U> = Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<U, Rejected>> + Send + Sync>;

/// A value, or why there is none: the user's code may fail, panic or hang.
async fn built<T, U>(build: &Build<T, U>, settings: Arc<T>) -> Result<Arc<U>, Error> {
    let refused = |what: String| Error::new(ErrorKind::Rejected, what);
    // The closure itself may panic too, before there is a future.
    let building = AssertUnwindSafe(async { build(settings).await }).catch_unwind();
    match timeout(LONGEST_BUILD, building).await {
        Ok(Ok(Ok(value))) => Ok(Arc::new(value)),
        Ok(Ok(Err(rejected))) => Err(refused(format!("build failed: {rejected}"))),
        Ok(Err(_)) => Err(panicked()),
        Err(_) => Err(refused(format!("build took longer than {LONGEST_BUILD:?}"))),
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Rejected, "build panicked")
        .with_hint("the panic's own message went where the process's panic hook sends it")
}

/// The task that keeps a derived value abreast of its settings.
struct Follower<T, U> {
    path: String,
    build: Build<T, U>,
    from: Arc<Cell<T>>,
    ask: mpsc::UnboundedSender<Request>,
    cell: Arc<Cell<U>>,
    built: Arc<Built>,
    changes: watch::Sender<Option<Change>>,
    /// The generation of the settings that the last build was of, be it that it failed.
    tried: u64,
    /// How many builds of what changed last have failed.
    attempts: u32,
    /// How many builds there were.
    builds: u64,
    /// When a build that failed is tried again.
    retry_at: Option<Instant>,
    waiting: Vec<Waiter>,
    /// How many have waited so far.
    asked: u64,
}

/// Someone who waits for the next build.
struct Waiter {
    number: u64,
    waiting: Waiting,
    /// Newer settings have come for it, and that many builds had failed by then.
    failures: Option<u32>,
}

/// What was passed on to the settings, and its answer from there.
type Passed = BoxFuture<'static, (Asked, Result<Refreshed, Error>)>;

/// What is to become of an answer.
enum Asked {
    /// It is passed back, with the derived value's generation held against that when the request came; and the number
    /// of builds until then.
    Refresh(Reply, u64, u64),
    /// It concerns the waiter of this number.
    Past(u64),
}

impl<T: Send + Sync + 'static, U: Send + Sync + 'static> Follower<T, U> {
    async fn run(
        mut self,
        mut upstream: watch::Receiver<Option<Change>>,
        mut queue: mpsc::UnboundedReceiver<Request>,
    ) {
        let mut passed = FuturesUnordered::<Passed>::new();
        let mut ended = false;
        loop {
            let retry_at = self.retry_at;
            tokio::select! {
                changed = upstream.changed(), if !ended => match changed {
                    Ok(()) => self.follow().await,
                    // Without its settings' refresher there is nothing to follow, but what failed is still retried.
                    Err(_) => ended = true,
                },
                request = queue.recv() => match request {
                    Some(request) => passed.extend(self.pass(request)),
                    None => return,
                },
                Some((asked, answer)) = passed.next() => self.answered(asked, answer).await,
                () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => {
                    self.follow().await;
                }
            }
            if ended && self.retry_at.is_none() {
                return;
            }
        }
    }

    /// Asks the settings for what is wanted of the derived value.
    fn pass(&mut self, request: Request) -> Option<Passed> {
        let generation = self.generation();
        let (reply, answer) = oneshot::channel();
        let (asked, upwards) = match request {
            Request::Refresh(replied) => {
                (Asked::Refresh(replied, generation, self.builds), Request::Refresh(reply))
            }
            Request::Past(waiting) if generation > waiting.seen => {
                reply_with(waiting.reply, Ok(Refreshed { generation, changed: true }));
                return None;
            }
            // Newer than what was built of last, even in vain: if that was refused, it is not what is wanted.
            Request::Past(waiting) => {
                self.asked += 1;
                self.waiting.push(Waiter { number: self.asked, waiting, failures: None });
                let (seen, path) = (self.tried, self.path.clone());
                (Asked::Past(self.asked), Request::Past(Waiting { seen, path, reply }))
            }
        };
        let sent = self.ask.send(upwards);
        Some(Box::pin(async move {
            let answer = match sent {
                Ok(()) => answer.await.unwrap_or_else(|_| Err(ended())),
                Err(_) => Err(ended()),
            };
            (asked, answer)
        }))
    }

    /// The settings have answered: what is made of them is brought up to them, and whoever asked is told.
    async fn answered(&mut self, asked: Asked, answer: Result<Refreshed, Error>) {
        if let (Asked::Past(number), Ok(_)) = (&asked, &answer) {
            let failures = self.built.lock().failures;
            self.waiting.iter_mut().filter(|waiter| waiter.number == *number).for_each(|waiter| {
                waiter.failures = Some(failures);
            });
        }
        if let Asked::Refresh(_, _, before) = asked
            && self.builds == before
        {
            // Whoever asks for it means now, whenever the next try is due.
            self.retry_at = None;
        }
        self.follow().await;
        match (asked, answer) {
            (Asked::Refresh(reply, before, _), answer) => {
                let generation = self.generation();
                let refreshed = Refreshed { generation, changed: generation > before };
                // Some secrets may have failed while others were refreshed.
                reply_with(reply, answer.and_then(|_| self.up_to_date()).map(|()| refreshed));
            }
            (Asked::Past(number), Err(error)) => {
                let in_vain = self.waiting.extract_if(.., |waiter| waiter.number == number);
                in_vain.for_each(|waiter| reply_with(waiter.waiting.reply, Err(error.clone())));
            }
            (Asked::Past(_), Ok(_)) => {}
        }
    }

    fn up_to_date(&self) -> Result<(), Error> {
        let status = self.built.lock();
        match &status.last_error {
            Some(error) if status.failures > 0 => {
                Err(Error::new(error.kind(), error.message().to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Answers those whose wish is fulfilled, and those for whom newer settings came, but a few builds of them failed.
    fn settle(&mut self) {
        let generation = self.generation();
        let failures = self.built.lock().failures;
        let few = Budget::default().tries;
        let failed = self.up_to_date().err();
        for waiter in std::mem::take(&mut self.waiting) {
            let in_vain =
                waiter.failures.is_some_and(|before| failures.saturating_sub(before) >= few);
            match &failed {
                _ if generation > waiter.waiting.seen => {
                    reply_with(waiter.waiting.reply, Ok(Refreshed { generation, changed: true }));
                }
                Some(error) if in_vain => reply_with(waiter.waiting.reply, Err(error.clone())),
                _ if waiter.waiting.reply.is_closed() => {}
                _ => self.waiting.push(waiter),
            }
        }
    }

    fn generation(&self) -> u64 {
        self.cell.status().generation()
    }

    /// Rebuilds, if the settings have changed where it matters.
    async fn follow(&mut self) {
        let (settings, generation) = {
            let status = self.from.status();
            (self.from.value.load_full(), status.generation())
        };
        let changed = self.from.journal().last_change(&self.path);
        let due = changed > self.built.lock().built_from;
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
            // What the build leaves behind is dropped here, and that is the user's code, too.
            let building = AssertUnwindSafe(built(&self.build, settings)).catch_unwind();
            match building.await.unwrap_or_else(|_| Err(panicked())) {
                Ok(value) => self.swap(value, generation),
                Err(error) => self.failed(&error),
            }
            return self.settle();
        }
        // These may be the last to hold a generation that has been replaced meanwhile.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(settings)));
        self.settle();
    }

    fn swap(&mut self, value: Arc<U>, built_from: u64) {
        self.retry_at = None;
        let (generation, old) = self.cell.swap(value, None, |status| {
            status.swapped();
            let mut built = self.built.lock();
            built.generation = status.generation();
            built.built_from = built_from;
            built.built_at = Instant::now();
            built.failures = 0;
            built.failing_since = None;
        });
        tracing::info!(target: TARGET, path = self.path, generation, built_from, "derived_rebuilt");
        self.changes.send_replace(Some(Change { generation, keys: vec![self.path.clone()] }));
        // Its end may take its time, and is the user's code.
        drop(tokio::task::spawn_blocking(move || drop(old)));
    }

    fn failed(&mut self, error: &Error) {
        let mut built = self.built.lock();
        built.failures = built.failures.saturating_add(1);
        built.failing_since.get_or_insert_with(Instant::now);
        built.last_error = Some(LastError::new(error));
        let failures = built.failures;
        drop(built);
        self.attempts = self.attempts.saturating_add(1);
        let wait = Schedule::backoff(self.attempts, LONGEST_WAIT, fastrand::f64());
        self.retry_at = Some(Instant::now() + wait);
        tracing::error!(
            target: TARGET,
            path = self.path,
            attempts = failures,
            error.message = %error,
            next_try_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "derived_build_failed"
        );
    }
}

/// Whoever asked may have gone.
fn reply_with(reply: Reply, result: Result<Refreshed, Error>) {
    let _ = reply.send(result);
}

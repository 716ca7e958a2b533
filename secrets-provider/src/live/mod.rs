//! The handle that handlers hold: the current settings, lock-free, and whatever keeps them current.

mod builder;
mod changes;
mod derive;
mod fresh;
mod reader;
mod view;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

pub use builder::{LiveBuilder, Rejected};
pub use changes::{Change, Changes};
pub use fresh::Retry;

pub use reader::Reader;

pub use view::{Mapped, Part, View};

use derive::Built;

use crate::engine::change_log::Journal;
use crate::error::{Error, ErrorKind};
use crate::layers::explain::Explanation;
use crate::load::manager::SecretsManager;
use crate::observe::status::{DerivedStatus, Status};

/// Settings that stay current: a cheap handle, to be cloned into application state.
///
/// Readers are never blocked and never see half of a change: [`load`](Self::load) and [`current`](Self::current)
/// return one whole generation. A background task refreshes them; it stops when the last handle is dropped.
///
/// Read once per request and pass the value on: two loads may see two generations. The extractors of
/// `secrets-provider-axum` and `secrets-provider-actix` do that.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use secrets_provider::{Live, Memory, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: String }
///
/// let secrets = Memory::new();
/// secrets.put("gaara/prod/jwt-secret", "first");
/// let settings: Live<Settings> = SecretsManager::prefix("gaara/prod").backend(secrets.clone()).live().await?;
/// assert_eq!(settings.load().jwt_secret, "first");
///
/// secrets.put("gaara/prod/jwt-secret", "second");
/// assert!(settings.refresh().await?.changed());
/// assert_eq!(settings.load().jwt_secret, "second");
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
#[must_use = "with its last handle the refreshing ends"]
pub struct Live<T> {
    cell: Arc<Cell<T>>,
    engine: Arc<Engine>,
}

/// The value and what is told about it.
pub(crate) struct Cell<T> {
    value: ArcSwap<T>,
    /// Held while a swap happens too, so that value and status can be read as a pair.
    status: Mutex<Status>,
    /// Where the value's keys come from. Changed while the status is held.
    explanation: ArcSwap<Explanation>,
    /// When each key last changed. Changed while the status is held.
    journal: Mutex<Journal>,
    /// What is made of the value, as long as someone has it.
    derived: Mutex<Vec<Weak<Built>>>,
}

impl<T> Cell<T> {
    pub(crate) fn new(value: Arc<T>, status: Status) -> Self {
        Self {
            value: ArcSwap::new(value),
            status: Mutex::new(status),
            explanation: ArcSwap::default(),
            journal: Mutex::new(Journal::started()),
            derived: Mutex::default(),
        }
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How all stands that is made of the value and still in use.
    fn derived(&self) -> Vec<DerivedStatus> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        derived.retain(|built| built.strong_count() > 0);
        derived.iter().filter_map(Weak::upgrade).map(|built| built.status()).collect()
    }

    /// Says where the value's keys come from: before it is shared, or in a swap's `update`.
    pub(crate) fn explain(&self, explanation: Explanation) {
        self.explanation.store(Arc::new(explanation));
    }

    /// Swaps the value in, and changes the status in the same moment. The old one comes back: its `Drop` is the user's
    /// code, and may run when all else is done. `keys` are those that changed; unknown, if `None`.
    pub(crate) fn swap(
        &self,
        value: Arc<T>,
        keys: Option<&[String]>,
        update: impl FnOnce(&mut Status),
    ) -> (u64, Arc<T>) {
        let mut status = self.status();
        let old = self.value.swap(value);
        update(&mut status);
        let mut journal = self.journal();
        match keys {
            Some(keys) => journal.note(status.generation(), keys),
            None => journal.note_whole(status.generation()),
        }
        (status.generation(), old)
    }
}

/// The handles' side of the background task. Whoever drops the last one stops it.
pub(crate) struct Engine {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) stop: watch::Sender<bool>,
    /// Closed when the task has ended.
    pub(crate) changes: watch::Receiver<Option<Change>>,
    pub(crate) origin: Origin,
    /// How long a search may last at most.
    pub(crate) patience: Duration,
}

/// What a value is made of.
pub(crate) enum Origin {
    /// Of itself: there is nothing to refresh.
    Constant,
    /// Of secrets.
    Secrets,
    /// Of another value, which is kept alive.
    Derived { from: Box<dyn Upstream>, built: Arc<Built> },
}

/// Settings that something is made of.
pub(crate) trait Upstream: Send + Sync {
    fn status(&self) -> Status;
    fn explanation(&self) -> Arc<Explanation>;
    /// Nothing will ever change in it.
    fn is_constant(&self) -> bool;
    /// Nothing will change in it any more.
    fn has_ended(&self) -> bool;
}

impl<T: Send + Sync> Upstream for Live<T> {
    fn status(&self) -> Status {
        Live::status(self)
    }

    fn explanation(&self) -> Arc<Explanation> {
        self.explanation()
    }

    fn is_constant(&self) -> bool {
        self.is_constant()
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }
}

/// What a background task is asked for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A refresh of everything.
    Refresh(Reply),
    /// Something newer than was seen.
    Past(Waiting),
}

/// Someone who waits until a key at or below a path is newer than in the generation that was seen.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) seen: u64,
    pub(crate) path: String,
    pub(crate) reply: Reply,
}

/// Where an answer goes.
pub(crate) type Reply = oneshot::Sender<Result<Refreshed, Error>>;

/// What a refresh came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refreshed {
    pub(crate) generation: u64,
    pub(crate) changed: bool,
}

impl Refreshed {
    /// The number of the generation that is live after it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it brought a new generation.
    pub fn changed(&self) -> bool {
        self.changed
    }
}

/// One generation, borrowed: what [`Live::load`] returns. Short-lived: keep it out of `.await` and structs, where
/// [`Live::current`] belongs.
pub struct Guard<T>(arc_swap::Guard<Arc<T>>);

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<T> Live<T> {
    /// Says how the settings are made and kept current, beyond what [`SecretsManager::live`] assumes.
    pub fn builder(manager: SecretsManager) -> LiveBuilder<T> {
        LiveBuilder::new(manager)
    }

    /// Settings that never change, for tests and for programs without secrets. Needs no runtime.
    ///
    /// ```
    /// use secrets_provider::Live;
    ///
    /// let port = Live::constant(8080);
    /// assert_eq!(*port.load(), 8080);
    /// ```
    pub fn constant(value: T) -> Self {
        let (requests, _) = mpsc::unbounded_channel();
        let (_, changes) = watch::channel(None);
        let engine = Engine {
            requests,
            stop: watch::Sender::new(true),
            changes,
            origin: Origin::Constant,
            patience: Duration::ZERO,
        };
        Self::assemble(Arc::new(Cell::new(Arc::new(value), Status::started(None, None))), engine)
    }

    pub(crate) fn assemble(cell: Arc<Cell<T>>, engine: Engine) -> Self {
        Self { cell, engine: Arc::new(engine) }
    }

    /// The current settings, borrowed: lock-free, no allocation.
    pub fn load(&self) -> Guard<T> {
        Guard(self.cell.value.load())
    }

    /// The current settings, shared: to hold across `.await`, for as long as one piece of work lasts.
    pub fn current(&self) -> Arc<T> {
        self.cell.value.load_full()
    }

    /// Generation, health, last error, each secret's version, what was derived, and the calls made.
    ///
    /// Of a [derived](Self::derive) value: generation and change are its own, all else is of the settings that it is
    /// made of; its health is worse where its builds fail, or it was shut down.
    pub fn status(&self) -> Status {
        let own = self.cell.status().clone();
        self.whole(own)
    }

    /// Settings and status of the same moment, which two calls would not be. Takes a short lock.
    pub fn current_with_status(&self) -> (Arc<T>, Status) {
        let (value, own) = {
            let status = self.cell.status();
            (self.cell.value.load_full(), status.clone())
        };
        (value, self.whole(own))
    }

    /// What the cell itself knows, and what stands above and below it.
    fn whole(&self, own: Status) -> Status {
        let below = self.cell.derived();
        match &self.engine.origin {
            Origin::Derived { from, built } => {
                let built = DerivedStatus { generation: own.generation(), ..built.status() };
                from.status().of_derived(built, below)
            }
            Origin::Constant | Origin::Secrets => own.with_derived(below),
        }
    }

    /// The current value and its generation.
    fn pair(&self) -> (Arc<T>, u64) {
        let status = self.cell.status();
        (self.cell.value.load_full(), status.generation())
    }

    fn is_constant(&self) -> bool {
        match &self.engine.origin {
            Origin::Constant => true,
            Origin::Secrets => false,
            Origin::Derived { from, .. } => from.is_constant(),
        }
    }

    /// Whether the task is gone that kept it current.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.engine.origin {
            Origin::Constant => false,
            Origin::Secrets => self.engine.changes.has_changed().is_err(),
            Origin::Derived { from, .. } => {
                !from.is_constant() && self.engine.changes.has_changed().is_err()
                    || from.has_ended()
            }
        }
    }

    /// Status and explanation of the same generation, which two calls may not be.
    pub(crate) fn status_with_explanation(&self) -> (Status, Arc<Explanation>) {
        let (own, explanation) = {
            let status = self.cell.status();
            (status.clone(), self.explanation())
        };
        (self.whole(own), explanation)
    }

    fn explanation(&self) -> Arc<Explanation> {
        match &self.engine.origin {
            Origin::Derived { from, .. } => from.explanation(),
            Origin::Constant | Origin::Secrets => self.cell.explanation.load_full(),
        }
    }

    /// Where each key of the current settings comes from (the layer, the variable, the secret and its version) and
    /// what it hides, such as a variable that a secret overrides. No values. Empty for a
    /// [`constant`](Self::constant).
    ///
    /// Of a `Figment` or `Config` that [`layers`](LiveBuilder::layers) returned, only the outcome is known: what its
    /// layers hide of each other is not, but what they hide of the secrets is.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use secrets_provider::{Live, Memory, SecretsManager};
    /// # #[derive(serde::Deserialize)] struct Settings { jwt_secret: String }
    /// # let memory = Memory::new();
    /// # memory.put("gaara/prod/jwt-secret", "s");
    /// let manager = SecretsManager::prefix("gaara/prod").backend(memory);
    /// let settings: Live<Settings> = manager.live().await?;
    /// let explanation = settings.explain();
    /// println!("{explanation}");
    /// assert_eq!(explanation.key("jwt_secret").unwrap().source().name(), "gaara/prod/jwt-secret");
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    ///
    /// Of a [derived](Self::derive) value, it is that of the settings that it is made of.
    pub fn explain(&self) -> Explanation {
        Explanation::clone(&self.explanation())
    }

    /// A stream of changes from now on. A slow reader skips to the newest; it never holds up a refresh. It ends
    /// with the background task, which it does not keep alive.
    pub fn changes(&self) -> Changes {
        Changes::new(self.engine.changes.clone())
    }

    /// Refreshes now, and waits for what comes of it. Joins a refresh that is asked for but has not begun; one that
    /// is already under way may have read too early, so the next one is waited for.
    ///
    /// # Errors
    ///
    /// What could not be read, or why the new values were refused; the last good ones stay. Where only some secrets
    /// failed, the others have gone ahead. `Unavailable`, if the background task has ended.
    /// A [derived](Self::derive) value refreshes the settings that it is made of, and waits until it is rebuilt, where
    /// it must be; a build that failed is tried again at once.
    ///
    /// Nothing limits how often this is asked for, but that requests which come together are one refresh.
    pub async fn refresh(&self) -> Result<Refreshed, Error> {
        if self.is_constant() {
            return Ok(Refreshed { generation: self.pair().1, changed: false });
        }
        self.engine.ask(Request::Refresh).await
    }

    /// Stops the background task and waits until it is gone. The last settings can still be read. A
    /// [derived](Self::derive) value stops following its settings, which go on.
    pub async fn shutdown(&self) {
        self.engine.stop.send_replace(true);
        let mut changes = self.engine.changes.clone();
        while changes.changed().await.is_ok() {}
    }

    /// Whether two handles are of the same settings.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl Engine {
    /// Asks the background task, and waits for its answer.
    async fn ask(&self, request: impl FnOnce(Reply) -> Request) -> Result<Refreshed, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unavailable, "the background refresh has ended")
        .with_hint("`shutdown` was called, or the runtime that it ran on is gone")
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone(), engine: self.engine.clone() }
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("status", &self.status()).finish_non_exhaustive()
    }
}

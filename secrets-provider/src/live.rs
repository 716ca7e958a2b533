//! The handle that handlers hold: the current settings, lock-free, and whatever keeps them current.

mod builder;
mod changes;
mod stack;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

pub use builder::{LiveBuilder, Rejected};
pub use changes::{Change, Changes};
pub use stack::LayerStack;

use crate::error::{Error, ErrorKind};
use crate::explain::Explanation;
use crate::manager::SecretsManager;
use crate::status::Status;

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
}

impl<T> Cell<T> {
    pub(crate) fn new(value: T, status: Status) -> Self {
        let explanation = ArcSwap::default();
        Self { value: ArcSwap::from_pointee(value), status: Mutex::new(status), explanation }
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where the value's keys come from: before it is shared, or in a swap's `update`.
    pub(crate) fn explain(&self, explanation: Explanation) {
        self.explanation.store(Arc::new(explanation));
    }

    /// Swaps the value in, and changes the status in the same moment. The old one comes back: its `Drop` is the user's
    /// code, and may run when all else is done.
    pub(crate) fn swap(&self, value: Arc<T>, update: impl FnOnce(&mut Status)) -> (u64, Arc<T>) {
        let mut status = self.status();
        let old = self.value.swap(value);
        update(&mut status);
        (status.generation(), old)
    }
}

/// The handles' side of the background task. Whoever drops the last one stops it.
pub(crate) struct Engine {
    pub(crate) requests: mpsc::UnboundedSender<Reply>,
    pub(crate) stop: watch::Sender<bool>,
    /// Closed when the task has ended.
    pub(crate) changes: watch::Receiver<Option<Change>>,
    /// There is nothing to refresh.
    pub(crate) constant: bool,
}

/// Where the answer to a [`Live::refresh`] goes.
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
        let engine = Engine { requests, stop: watch::Sender::new(true), changes, constant: true };
        Self::assemble(Arc::new(Cell::new(value, Status::started(None))), engine)
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

    /// Generation, freshness, last error, and each secret's version.
    pub fn status(&self) -> Status {
        self.cell.status().clone()
    }

    /// Settings and status of the same moment, which two calls would not be. Takes a short lock.
    pub fn current_with_status(&self) -> (Arc<T>, Status) {
        let status = self.cell.status();
        (self.cell.value.load_full(), status.clone())
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
    pub fn explain(&self) -> Explanation {
        Explanation::clone(&self.cell.explanation.load())
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
    pub async fn refresh(&self) -> Result<Refreshed, Error> {
        if self.engine.constant {
            return Ok(Refreshed { generation: self.status().generation(), changed: false });
        }
        let ended = || {
            Error::new(ErrorKind::Unavailable, "the background refresh has ended")
                .with_hint("`shutdown` was called, or the runtime that it ran on is gone")
        };
        let (reply, answer) = oneshot::channel();
        self.engine.requests.send(reply).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Stops the background task and waits until it is gone. The last settings can still be read.
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

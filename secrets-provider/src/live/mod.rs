//! [`Live`], the handle that request handlers hold: the current settings, and what keeps them
//! current.
//!
//! Reading is lock-free; everything that changes the settings is in `engine`. A handle is two
//! `Arc`s: the cell with the value, and the link to the background task, which stops when the last
//! handle is dropped. Derived values are handles too, with another input. Builder, derived values,
//! views and streams of changes are in files of their own.

mod builder;
mod changes;
mod derive;
mod follow;
mod followed;
mod fresh;
#[cfg(feature = "axum")]
mod from_ref;
mod link;
mod pin;
mod reader;
mod view;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use builder::LiveBuilder;
pub use changes::Changes;
pub use pin::Pins;
pub use reader::Reader;
pub use view::{Mapped, Part, View};

use link::{Input, Link};

use crate::engine::cell::Cell;
use crate::engine::followers::{Follower, How};
use crate::engine::handle::{Handle, Request};
use crate::engine::hints::Hint;
use crate::error::Error;
use crate::layers::explain::{Explanation, Sources};
use crate::load::retry::answer::Refreshed;
use crate::observe::status::{DerivedStatus, Status};

/// Settings that stay current: a cheap handle to clone into application state.
///
/// Readers never block and never see half of a change: [`load`](Self::load) and
/// [`current`](Self::current) return one whole generation. A background task refreshes the settings
/// and stops when the last handle is dropped.
///
/// Read once per request and pass the value on, because two loads may see two generations. The
/// extractors of `secrets-provider-axum` and `secrets-provider-actix` do that.
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
#[must_use = "the refresher stops when the last handle is dropped"]
pub struct Live<T> {
    cell: Arc<Cell<T>>,
    link: Arc<Link>,
}

/// One generation, borrowed: what [`Live::load`] returns. Short-lived: do not hold it across
/// `.await` or in a struct; use [`Live::current`] there.
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
    /// Settings that never change, for tests and for programs without secrets. Needs no runtime.
    ///
    /// ```
    /// use secrets_provider::Live;
    ///
    /// let port = Live::constant(8080);
    /// assert_eq!(*port.load(), 8080);
    /// ```
    pub fn constant(value: T) -> Self {
        let cell = Cell::new(Arc::new(value), Status::started(None, None));
        Self::new(Arc::new(cell), Handle::without_task(), Input::Constant)
    }

    fn new(cell: Arc<Cell<T>>, handle: Handle, input: Input) -> Self {
        Self { cell, link: Arc::new(Link { handle, input }) }
    }

    /// The current settings, borrowed: lock-free, no allocation.
    pub fn load(&self) -> Guard<T> {
        Guard(self.cell.value.load())
    }

    /// The current settings, shared: to hold across `.await`, for as long as one piece of work
    /// takes.
    pub fn current(&self) -> Arc<T> {
        self.cell.value.load_full()
    }

    /// Generation, health, last error, each secret's version, the derived values, and the calls
    /// made.
    ///
    /// For a [derived](Self::derive) value, generation and time of change are its own, and the rest
    /// is that of the settings it is derived from. Its health is worse than theirs if its builds
    /// fail or it was shut down.
    pub fn status(&self) -> Status {
        let own = self.cell.status().clone();
        self.full_status(own)
    }

    /// Settings and status of the same moment; two calls could see two generations. Takes a short
    /// lock.
    pub fn current_with_status(&self) -> (Arc<T>, Status) {
        let (value, own) = {
            let status = self.cell.status();
            (self.cell.value.load_full(), status.clone())
        };
        (value, self.full_status(own))
    }

    /// The cell's own status, with that of the settings above it and of the values derived from it.
    fn full_status(&self, own: Status) -> Status {
        let below = self.cell.derived();
        match &self.link.input {
            Input::Derived { from, state } => {
                let own = DerivedStatus { generation: own.generation(), ..state.status() };
                from.status().of_derived(own, below)
            }
            Input::Constant | Input::Secrets => own.with_derived(below),
        }
    }

    fn pair(&self) -> (Arc<T>, u64) {
        self.cell.pair()
    }

    fn is_constant(&self) -> bool {
        match &self.link.input {
            Input::Constant => true,
            Input::Secrets => false,
            Input::Derived { from, .. } => from.is_constant(),
        }
    }

    /// Whether the task that kept the value current has ended.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.link.input {
            Input::Constant => false,
            Input::Secrets => self.link.handle.has_ended(),
            Input::Derived { from, .. } => {
                !from.is_constant() && self.link.handle.has_ended() || from.has_ended()
            }
        }
    }

    /// Status and explanation of the same generation; two calls could see two.
    pub(crate) fn status_with_explanation(&self) -> (Status, Arc<Explanation>) {
        let (own, sources) = {
            let status = self.cell.status();
            (status.clone(), self.sources())
        };
        // Made while the status is not locked.
        (self.full_status(own), self.with_followers(sources.explanation()))
    }

    /// What explains the settings: for a derived value, those that it is derived from.
    fn sources(&self) -> Arc<Sources> {
        match &self.link.input {
            Input::Derived { from, .. } => from.sources(),
            Input::Constant | Input::Secrets => self.cell.sources(),
        }
    }

    /// Where each key of the current settings comes from (the layer, the variable, the secret and
    /// its version) and what it hides, such as a variable that a secret overrides. No values. Empty
    /// for a [`constant`](Self::constant).
    ///
    /// If [`layers`](LiveBuilder::layers) returns a `Figment` or a `Config`, the secrets that its
    /// layers hide are shown, and what the secrets hide of its layers; not what its layers hide of
    /// each other. For that, its closure is called again without secrets.
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
    /// It is made when it is first asked for in each generation, in a time that grows with the
    /// number of keys times its logarithm.
    ///
    /// It also has who [follows](crate::ExplainedKey::followed_by) each key, so that a value that
    /// the program reads once at its start, and would use after a rotation, can be seen.
    ///
    /// For a [derived](Self::derive) value, this explains the settings that it is derived from.
    pub fn explain(&self) -> Explanation {
        Arc::unwrap_or_clone(self.with_followers(self.sources().explanation()))
    }

    /// A stream of the changes from now on. A slow reader skips to the newest and never delays a
    /// refresh. The stream ends with the background task, which it does not keep alive.
    pub fn changes(&self) -> Changes {
        let follower = Follower { how: How::Changes, path: String::new() };
        Changes::new(self.link.handle.changes.clone(), self.cell.followers().add(follower))
    }

    /// Refreshes now and waits for the result. Also reads the layers below the secrets again, such
    /// as an edited `.env` file, which the periodic refresh does only when a secret is new. Joins a
    /// refresh that was requested but has not begun. A refresh that is already running may have
    /// read too early, so this waits for the next one.
    ///
    /// A [derived](Self::derive) value refreshes the settings that it is derived from and waits
    /// until it is rebuilt, if it has to be. A build that failed is tried again at once.
    ///
    /// Requests that come together are one refresh. Nothing else limits how often this may be
    /// called.
    ///
    /// # Errors
    ///
    /// What could not be read, or why the new values were rejected; the last good ones stay. If
    /// only some secrets failed, the others were refreshed. `Unavailable` if the background task
    /// has ended, or if its tokio runtime runs nothing for some seconds, such as a current-thread
    /// runtime outside of `block_on`.
    pub async fn refresh(&self) -> Result<Refreshed, Error> {
        if self.is_constant() {
            return Ok(Refreshed { generation: self.pair().1, changed: false });
        }
        self.link.handle.ask(Request::Refresh).await
    }

    /// Reads one secret that is said to have changed, and waits for the result.
    pub(crate) async fn refresh_hinted(&self, hint: Hint) -> Result<Refreshed, Error> {
        if self.is_constant() {
            return Ok(Refreshed { generation: self.pair().1, changed: false });
        }
        self.link.handle.ask(|reply| Request::Changed(hint, reply)).await
    }

    /// Stops the background task and waits until it has ended, but no more than some seconds for a
    /// runtime that runs nothing. The last settings can still be read. A [derived](Self::derive)
    /// value stops following its settings, which are still refreshed.
    ///
    /// Then the store may end what it made for these settings
    /// ([`Backend::release`](crate::Backend::release)), such as users of a database, which takes five
    /// seconds at most. So call it when the last request is done.
    pub async fn shutdown(&self) {
        self.link.handle.shutdown().await;
    }

    /// Whether two handles share the same settings.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone(), link: self.link.clone() }
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("status", &self.status()).finish_non_exhaustive()
    }
}

//! [`Live::on_change`] and [`Live::restart_on`]: what must be done when a key changes, where no
//! value can be [derived](Live::derive).
//!
//! Both watch the same channel as a stream of changes, and ask the change log whether a key of
//! theirs has changed, so that no change is missed however many generations pass at once. The
//! closure runs in a task of its own, which ends with the refresher; the future is polled by its
//! owner. Neither can stop the refresher, whatever the program's code does.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::Live;
use crate::backend::BoxFuture;
use crate::engine::cell::Cell;
use crate::engine::change_log;
use crate::engine::followers::{Follower, How};
use crate::engine::handle::Change;
use crate::observe::events;
use crate::unwind;

/// How many closures of [`Live::on_change`] one [`Live`] runs. A program has a few of them, so more
/// are from a call in a handler.
const MAX_CLOSURES: usize = 1000;

impl<T: Send + Sync + 'static> Live<T> {
    /// Calls a closure with the new settings whenever a key at or below `path` (dotted; `""` for
    /// each new generation) has changed its value: to hand a new login to a pool that takes it, to
    /// empty a cache. If something is made of the settings, use [`derive`](Self::derive), which
    /// also retries what fails.
    ///
    /// There is no handle to keep: the closure is kept until the last handle of these settings is
    /// dropped, or [`shutdown`](Self::shutdown) is called. It does not keep the settings refreshed
    /// (unless it owns a handle). One call runs at a time, after the new settings are served, and
    /// changes that come during a call are one more call. The closure runs on the runtime of the
    /// refresher, so it should not block: spawn what takes long. If it panics, the event
    /// `on_change_panicked` is logged, once until a call succeeds, and it is called again at the
    /// next change.
    ///
    /// Readers may see the new settings a moment before the closure is called. An operation under
    /// [`with_fresh`](Self::with_fresh) should therefore use the settings that it is given.
    ///
    /// It is not called for the settings of now. Call this first and read the settings afterwards,
    /// so that no change falls in between.
    ///
    /// Keys are those of the merged settings, as [`explain`](Self::explain) shows them; case and
    /// separators do not matter. If there is none at or below the path, the event
    /// `followed_path_unknown` warns. One `Live` calls at most a thousand closures; a further one
    /// is dropped, with the event `on_change_refused`. For a [`constant`](Self::constant), nothing
    /// is ever called.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use secrets_provider::{Live, Memory, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { smtp_password: String }
    ///
    /// # let secrets = Memory::new();
    /// # secrets.put("app/smtp-password", "first");
    /// let settings: Live<Settings> = SecretsManager::prefix("app").backend(secrets.clone()).live().await?;
    /// let (logins, mut new_logins) = tokio::sync::mpsc::unbounded_channel();
    /// settings.on_change("smtp_password", move |settings| {
    ///     let _ = logins.send(settings.smtp_password.clone());
    /// });
    ///
    /// secrets.put("app/smtp-password", "second");
    /// settings.refresh().await?;
    /// assert_eq!(new_logins.recv().await.unwrap(), "second");
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn on_change(&self, path: impl Into<String>, act: impl FnMut(Arc<T>) + Send + 'static) {
        if self.is_constant() {
            return;
        }
        let path = path.into();
        self.warn_if_unknown("on_change", &path);
        let Some(follower) = self
            .cell
            .followers()
            .add_below(MAX_CLOSURES, Follower { how: How::OnChange, path: path.clone() })
        else {
            return events::on_change_refused(&path, MAX_CLOSURES);
        };
        let watched = Watched::new(self, vec![path]);
        self.link.handle.runtime.spawn(async move {
            let _follower = follower;
            call_at_changes(watched, act).await;
        });
    }

    /// A future that completes when a key at or below one of these paths (dotted) has changed its
    /// value: to end the process gracefully, and have it started again, for what cannot be replaced
    /// while it runs, such as the key of sessions. Hand it to `with_graceful_shutdown` of axum or
    /// to a `select!`. The event `restart_requested` names the path.
    ///
    /// What counts are changes from this call on, whenever the future is first polled. It keeps the
    /// settings refreshed, as a handle does. It never completes for a
    /// [`constant`](Self::constant), or after [`shutdown`](Self::shutdown).
    ///
    /// Processes notice a change at their own times, within one interval
    /// ([`refresh_every`](crate::LiveBuilder::refresh_every)), which is also how far apart their
    /// restarts are; a push brings them together, unless it is spread. A path at which there is no
    /// key is reported by the event `followed_path_unknown`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use secrets_provider::{Live, Memory, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { application: Application }
    /// #[derive(serde::Deserialize)]
    /// struct Application { hmac_secret: String }
    ///
    /// # let secrets = Memory::new();
    /// # secrets.put("app/application", r#"{"hmac_secret": "first"}"#);
    /// let settings: Live<Settings> = SecretsManager::prefix("app").backend(secrets.clone()).live().await?;
    /// let restart = settings.restart_on(["application.hmac_secret"]);
    /// // axum::serve(listener, app).with_graceful_shutdown(restart).await
    ///
    /// secrets.put("app/application", r#"{"hmac_secret": "second"}"#);
    /// settings.refresh().await?;
    /// restart.await;
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    #[must_use = "it does nothing unless it is awaited"]
    pub fn restart_on<I>(&self, paths: I) -> BoxFuture<'static, ()>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let paths: Vec<String> = paths.into_iter().map(Into::into).collect();
        let followers: Vec<_> = paths
            .iter()
            .map(|path| {
                self.warn_if_unknown("restart_on", path);
                self.cell.followers().add(Follower { how: How::RestartOn, path: path.clone() })
            })
            .collect();
        let mut watched = Watched::new(self, paths);
        let live = self.clone();
        async move {
            let _kept = (live, followers);
            match watched.changed().await {
                Some((path, generation)) => events::restart_requested(&path, generation),
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}

impl<T> Live<T> {
    /// Warns of a path that no key of the settings is at or below.
    fn warn_if_unknown(&self, by: &str, path: &str) {
        if !self.has_key_at(path) {
            events::followed_path_unknown(by, path);
        }
    }

    /// Whether a key of the settings is at or below this path, as far as is known.
    pub(super) fn has_key_at(&self, path: &str) -> bool {
        // A constant or a derived value has no keys of its own.
        let explanation = self.cell.sources().explanation();
        let mut keys = explanation.keys().iter();
        path.is_empty()
            || explanation.keys().is_empty()
            || keys.any(|key| change_log::may_concern(key.key(), path))
    }
}

/// Paths whose changes someone waits for.
struct Watched<T> {
    cell: Arc<Cell<T>>,
    changes: watch::Receiver<Option<Change>>,
    paths: Vec<String>,
    /// The generation up to which all changes were seen.
    seen: u64,
}

impl<T> Watched<T> {
    fn new(live: &Live<T>, paths: Vec<String>) -> Self {
        let mut changes = live.link.handle.changes.clone();
        // Before the generation is read, so that no change falls in between.
        changes.mark_unchanged();
        let seen = live.cell.status().generation();
        Self { cell: live.cell.clone(), changes, paths, seen }
    }

    /// The first of the paths that has changed, and a generation that has its change, once there is
    /// one; `None` if the settings no longer change.
    async fn changed(&mut self) -> Option<(String, u64)> {
        while self.changes.changed().await.is_ok() {
            let changed = {
                let log = self.cell.change_log();
                self.paths.iter().find(|path| log.last_change(path) > self.seen).cloned()
            };
            if let Some(path) = changed {
                self.seen = self.cell.status().generation();
                return Some((path, self.seen));
            }
        }
        None
    }
}

async fn call_at_changes<T>(mut watched: Watched<T>, mut act: impl FnMut(Arc<T>)) {
    let mut is_panicking = false;
    while let Some((path, _)) = watched.changed().await {
        // At least as new as what `changed` has seen; what is newer comes once more.
        let (settings, generation) = watched.cell.pair();
        watched.seen = generation;
        let called = unwind::catch(|| act(settings));
        if called.is_err() && !is_panicking {
            events::on_change_panicked(&path);
        }
        is_panicking = called.is_err();
    }
    unwind::drop_quietly(act);
}

//! [`Live::derive`]: what is made of settings, such as a pool, and rebuilt when they change.
//!
//! A derived value is a [`Live`] of its own with a task of its own, the [`Follower`], which wakes
//! at each change of the settings and rebuilds if a key at or below its path has changed.

mod follower;

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use self::follower::{BUILD_TIMEOUT, Build, Follower, run};
use super::{Input, Live};
use crate::engine::cell::{Cell, DerivedState};
use crate::engine::handle::{self, Handle};
use crate::error::Error;
use crate::load::rejected::Rejected;
use crate::observe::events;
use crate::observe::status::{DerivedStatus, Status};

impl<T: Send + Sync + 'static> Live<T> {
    /// A value that is made of the settings and is expensive to make: a pool, a client, a verifier.
    /// It is built now, and rebuilt when a key at or below `path` (dotted; `""` for every key)
    /// changes its value; other changes do not concern it. The result is itself a [`Live`]: the
    /// extractors take it, and [`refresh_past`] and [`with_fresh`] wait for the next build.
    ///
    /// The old value is served until the new one is ready. Then this handle releases it on a thread
    /// for blocking work, and it lives until its last user drops it. A build that fails, panics or
    /// takes longer than a minute is tried again with exponential backoff up to a minute, and at
    /// once when the keys change again. Meanwhile the old value stays, and [`Status::derived`] and
    /// the event `derived_build_failed` report the failure.
    ///
    /// Keys are those of the merged settings, as [`explain`](Self::explain) shows them; case and
    /// separators do not matter.
    ///
    /// **Settings and pool of one request** are each of one generation, but not necessarily of the
    /// same: between a swap and the end of the build, a request sees the new settings and the old
    /// pool. If both must agree, derive a struct that holds both (the build receives the settings
    /// as an `Arc`).
    ///
    /// The derived value keeps the settings' refresher running, and stops following them when its
    /// last handle is dropped.
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
    /// `Rejected` if the first build fails, panics or takes too long. The message contains the
    /// [`Rejected`]'s own text, so do not put a driver's error into it: drivers quote connection
    /// strings.
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
        self.derived(path.clone(), path, build).await
    }

    /// The same as [`derive`](Self::derive), with a name of the program's choice: the log, the
    /// status ([`DerivedStatus::label`](crate::DerivedStatus::label)) and the status page show it
    /// beside the path. It distinguishes several values that follow one path. It is shown as it is,
    /// so put no value into it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use secrets_provider::{Live, Memory, SecretsManager};
    /// # #[derive(serde::Deserialize)] struct Settings { database_url: String }
    /// # let secrets = Memory::new();
    /// # secrets.put("app/database-url", "postgres://app@db/app");
    /// # let settings: Live<Settings> = SecretsManager::prefix("app").backend(secrets).live().await?;
    /// let _readers = settings.derive_named("readers", "database_url", async |_|
    /// Ok(16_u16)).await?; let _writer = settings.derive_named("writer", "database_url", async |_|
    /// Ok(1_u16)).await?; let status = settings.status(); let labels: Vec<_> =
    /// status.derived().iter().map(|derived| derived.label()).collect(); assert_eq!(labels,
    /// ["readers", "writer"]);
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`derive`](Self::derive).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn derive_named<U, F, Fut>(
        &self,
        label: impl Into<String>,
        path: impl Into<String>,
        build: F,
    ) -> Result<Live<U>, Error>
    where
        U: Send + Sync + 'static,
        F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, Rejected>> + Send + 'static,
    {
        self.derived(label.into(), path.into(), build).await
    }

    async fn derived<U, F, Fut>(
        &self,
        label: String,
        path: String,
        build: F,
    ) -> Result<Live<U>, Error>
    where
        U: Send + Sync + 'static,
        F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, Rejected>> + Send + 'static,
    {
        let build: Build<T, U> = Box::new(move |settings| build(settings).boxed());
        // Before the settings are read, so that a change during the first build is not missed.
        let mut upstream = self.link.handle.changes.clone();
        upstream.mark_unchanged();
        let (settings, built_from) = self.pair();
        let value = run(&build, settings).await?;
        if !self.has_key_at(&path) {
            events::derive_matches_nothing(&label, &path);
        }

        let state = Arc::new(DerivedState::new(DerivedStatus {
            label: label.clone(),
            path: path.clone(),
            generation: 1,
            built_from,
            built_at: Instant::now(),
            failures: 0,
            failing_since: None,
            last_error: None,
            ended_at: None,
        }));
        self.cell.add_derived(&state);
        let cell = Arc::new(Cell::new(value, Status::started(None, None)));
        // A build comes after the search.
        let (handle, task) = Handle::new(self.link.handle.search_timeout + BUILD_TIMEOUT);
        let follower = Follower::new(
            (label, path),
            build,
            {
                let handle = &self.link.handle;
                (self.cell.clone(), handle.requests.clone(), handle.runtime.clone())
            },
            (cell.clone(), state.clone()),
            task.changes,
            built_from,
        );
        let ending = state.clone();
        handle::spawn(
            task.stopped,
            follower.run(upstream, task.queue),
            events::derived_follower_panicked,
            async move { ending.lock().ended_at = Some(Instant::now()) },
            std::future::ready(()),
        );
        let input = Input::Derived { from: Box::new(self.clone()), state };
        Ok(Live::new(cell, handle, input))
    }
}

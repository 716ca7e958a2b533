//! What to do when credentials were just refused: wait for newer settings, and run the operation
//! again.
//!
//! A database learns of a new password before Secrets Manager names it `AWSCURRENT`, so a request
//! may meet a refusal that newer settings will mend within seconds. The search for them is run by
//! the engine, by the rules of `load/retry/search`; the attempts are counted in `load/retry/fresh`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Live;
use crate::engine::handle::Request;
use crate::error::{Error, ErrorKind};
use crate::load::retry::answer::Waiting;
use crate::load::retry::fresh::{self, Retry, Source};

/// How much longer than its budget to wait for a search, which ends with an answer of its own.
const SEARCH_GRACE: Duration = Duration::from_secs(1);

impl<T> Live<T> {
    /// Waits for settings that are newer than `seen`, whose credentials were just refused. Returns
    /// at once if there are newer settings already. Otherwise the secrets are read now, in one
    /// fetch for all callers, and again a few times within a budget, because a database learns of a
    /// new password before `AWSCURRENT` names it. The budget is five reads over 30 s unless
    /// [`refresh_past_budget`](crate::LiveBuilder::refresh_past_budget) sets another.
    ///
    /// A storm of failing requests costs no more than that: all wait for the same reads, and names
    /// are not listed. After a search that found nothing, the next one begins only after a rest as
    /// long as the budget; until then this returns that search's error at once.
    ///
    /// For a [derived](Self::derive) value such as a pool, this waits for one that was built from
    /// newer settings.
    ///
    /// # Errors
    ///
    /// `Unavailable` if nothing newer came within the budget, together with what failed meanwhile;
    /// always for a [`constant`](Self::constant); and once the background task has ended.
    pub async fn refresh_past(&self, seen: &Arc<T>) -> Result<Arc<T>, Error> {
        let (current, generation) = self.pair();
        if !Arc::ptr_eq(&current, seen) {
            return Ok(current);
        }
        drop(current);
        if self.is_constant() {
            return Err(Error::new(ErrorKind::Unavailable, "these settings are constant")
                .with_hint("no secret is behind them, so there is nothing newer to wait for"));
        }
        let asking = self
            .link
            .handle
            .ask(|reply| Request::Past(Waiting { seen: generation, path: String::new(), reply }));
        let (limit, begun) = (self.link.handle.search_timeout, Instant::now());
        match timeout(limit + SEARCH_GRACE, asking).await {
            Ok(answer) => answer.map(|_| self.current()),
            Err(_) => {
                let message = format!(
                    "no newer settings came within {limit:?}: the store does not answer in time"
                );
                let status = self.status();
                let recent = status.last_error().filter(|error| error.instant() >= begun);
                let recent =
                    recent.map(|error| Error::new(error.kind(), error.message().to_owned()));
                Err(Error::new(ErrorKind::Unavailable, message).beside(recent))
            }
        }
    }

    /// Runs an operation with the current settings, and again with newer ones when its error says
    /// that the credentials were refused.
    ///
    /// The second closure decides about an error: `true` to retry with newer settings, which are
    /// waited for as in [`refresh_past`](Self::refresh_past); `false` to give up; or a [`Retry`]
    /// for errors such as a lost connection, after which the same settings are worth another try.
    /// At most five attempts are made. If they all fail, or no newer settings come, this returns
    /// the operation's own last error; `status` says why no newer settings came.
    ///
    /// **Use it only for operations that may run twice**, such as a read, or a write with an
    /// idempotency key. A transaction whose COMMIT was cut off may have been carried out.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use secrets_provider::{Live, Memory, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { password: String }
    ///
    /// # let secrets = Memory::new();
    /// # secrets.put("app/password", "old");
    /// let settings: Live<Settings> = SecretsManager::prefix("app").backend(secrets.clone()).live().await?;
    /// # secrets.put("app/password", "new");
    /// let log_in = |settings: Arc<Settings>| async move {
    ///     if settings.password == "new" { Ok("welcome") } else { Err("authentication failed") }
    /// };
    /// let answer = settings.with_fresh(log_in, |error| *error == "authentication failed").await;
    /// assert_eq!(answer, Ok("welcome"));
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub async fn with_fresh<O, E, Fut, R>(
        &self,
        operation: impl Fn(Arc<T>) -> Fut,
        retry: impl Fn(&E) -> R,
    ) -> Result<O, E>
    where
        Fut: Future<Output = Result<O, E>>,
        R: Into<Retry>,
    {
        fresh::with_fresh(self.current(), self, operation, retry).await
    }
}

impl<T> Source for Live<T> {
    type Value = Arc<T>;

    async fn current(&self) -> Option<Arc<T>> {
        Some(Self::current(self))
    }

    async fn newer(&self, seen: &Arc<T>) -> Option<Arc<T>> {
        self.refresh_past(seen).await.ok()
    }
}

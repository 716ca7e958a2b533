//! What to do when the credentials in hand have just been refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Live, Request, Waiting};
use crate::error::{Error, ErrorKind};

/// The most attempts that [`Live::with_fresh`] makes at one operation.
const ATTEMPTS: u32 = 5;

/// How much longer than its budget a search is waited for: it ends with an answer of its own.
const GRACE: Duration = Duration::from_secs(1);

/// What to do about an error of an operation: what the second closure of [`Live::with_fresh`] returns, where a `bool`
/// is not enough. `true` is [`Fresh`](Self::Fresh), `false` is [`No`](Self::No).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Nothing: newer settings would not help.
    No,
    /// Try again at once with the settings of that moment: a connection was lost, a pool was closed.
    Now,
    /// Try again with newer settings, and wait for them: the credentials were refused.
    Fresh,
}

impl From<bool> for Retry {
    fn from(refused: bool) -> Self {
        if refused { Self::Fresh } else { Self::No }
    }
}

impl<T> Live<T> {
    /// Newer settings than those whose credentials were just refused. Returns at once, if there are newer ones
    /// already. Otherwise the secrets are read now, by one fetch for all who ask, and again a few times within a
    /// budget, because a database learns of a new password before `AWSCURRENT` names it: by default five times over
    /// 30 s, or as [`refresh_past_budget`](crate::LiveBuilder::refresh_past_budget) says.
    ///
    /// A storm of failing requests costs no more than that: all wait for the same reads, names are not listed, and
    /// after a search in vain the next one begins only after a rest as long as the budget; until then this returns that
    /// search's error at once.
    ///
    /// Of a [derived](Self::derive) value, such as a pool: the next one, built of newer settings.
    ///
    /// # Errors
    ///
    /// `Unavailable`, if nothing newer came within the budget, with what failed meanwhile; always, for a
    /// [`constant`](Self::constant), and once the background task has ended.
    pub async fn refresh_past(&self, seen: &Arc<T>) -> Result<Arc<T>, Error> {
        let (current, generation) = self.pair();
        if !Arc::ptr_eq(&current, seen) {
            return Ok(current);
        }
        drop(current);
        if self.is_constant() {
            return Err(Error::new(ErrorKind::Unavailable, "these settings are constant")
                .with_hint("there is no secret that newer ones could come from"));
        }
        let asking = self
            .engine
            .ask(|reply| Request::Past(Waiting { seen: generation, path: String::new(), reply }));
        let (patience, begun) = (self.engine.patience, Instant::now());
        match timeout(patience + GRACE, asking).await {
            Ok(answer) => answer.map(|_| self.current()),
            Err(_) => {
                let message = format!(
                    "no newer settings came within {patience:?}: the store does not answer in time"
                );
                let status = self.status();
                let met = status.last_error().filter(|error| error.instant() >= begun);
                let met = met.map(|error| Error::new(error.kind(), error.message().to_owned()));
                Err(Error::new(ErrorKind::Unavailable, message).beside(met))
            }
        }
    }

    /// Runs an operation with the current settings, and again with newer ones when its error says that the
    /// credentials were refused.
    ///
    /// The second closure tells what to do about an error: `true` to retry with newer settings, which are waited for as
    /// by [`refresh_past`](Self::refresh_past); `false` to give up; or a [`Retry`], for errors such as a lost
    /// connection, after which the same settings are worth another try. Five attempts are made at most. The operation's
    /// own last error is returned, also where no newer settings came; `status` tells why they did not.
    ///
    /// **Only for what may run twice.** A read may, and a write with an idempotency key; a transaction whose COMMIT was
    /// cut off may have been carried out.
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
        let mut settings = self.current();
        for _ in 1..ATTEMPTS {
            let error = match operation(settings.clone()).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            settings = match retry(&error).into() {
                Retry::No => return Err(error),
                Retry::Now => self.current(),
                Retry::Fresh => match self.refresh_past(&settings).await {
                    Ok(newer) => newer,
                    Err(_) => return Err(error),
                },
            };
        }
        operation(settings).await
    }
}

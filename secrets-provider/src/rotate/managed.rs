//! [`SecretsManager::rotate`]: the store's own rotation, awaited.
//!
//! AWS answers RotateSecret before the rotation function runs, and says nowhere in its API that a
//! rotation failed: its pending version stays where it is. So the labels are read until the new
//! version is current, with growing waits and a bound.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::random;
use super::rotated::Rotated;
use crate::backend::{BoxFuture, Labels, Writer};
use crate::error::{Error, ErrorKind};
use crate::load::manager::{MAX_DURATION, SecretsManager};
use crate::observe::events;
use crate::unwind;

/// How long to wait for a rotation unless [`StoreRotation::timeout`] says otherwise. A rotation
/// function may run for 15 minutes at each of its four steps, but those for databases need seconds.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How long the new version may be without a label: an answer may lag behind, and a managed rotation
/// labels it when it begins.
const UNSEEN: Duration = Duration::from_secs(10);

/// The wait before the second look; each one is half as long again, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(10);

impl SecretsManager {
    /// Starts the store's own rotation of a secret (`RotateSecret`), and waits until the new
    /// version is current, five minutes at most unless [`timeout`](StoreRotation::timeout) says
    /// otherwise. Give the name below the prefix, or a name or ARN with [`names`](Self::names). For
    /// a secret without a rotation function, see [`rotation`](Self::rotation).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example() -> Result<(), secrets_provider::Error> {
    /// let manager = secrets_provider::SecretsManager::prefix("gaara/prod");
    /// let rotated = manager.rotate("database/primary").await?;
    /// println!("{} replaced {}", rotated.version_id(), rotated.previous_version_id());
    ///
    /// let slow = manager.rotate("warehouse").timeout(Duration::from_secs(3600)).await?;
    /// # Ok(()) }
    /// ```
    pub fn rotate(&self, name: impl AsRef<str>) -> StoreRotation {
        let (manager, name) = (self.clone(), name.as_ref().to_owned());
        StoreRotation { manager, name, timeout: DEFAULT_TIMEOUT }
    }
}

/// A rotation by the store itself, which [`SecretsManager::rotate`] describes and `.await` starts.
///
/// Afterwards, each [`Live`](crate::Live) and [`Lookup`](crate::Lookup) of the manager or its clones
/// reads the secret at once. If the future is dropped, the rotation goes on, and nothing waits for
/// it.
///
/// In AWS, the caller needs `secretsmanager:RotateSecret` and `secretsmanager:DescribeSecret` on the
/// secret, and `lambda:InvokeFunction` on its rotation function.
///
/// # Errors
///
/// - `Conflict` if an earlier rotation is still in progress;
/// - `Rejected` if the rotation failed: its pending version is gone, or another one became current;
/// - `Unavailable` if it is not finished within the time. It may be slow, or have failed: AWS's API
///   does not say which;
/// - `Config` if the secret has no rotation function;
/// - those of the store.
///
/// # Panics
///
/// Outside a tokio runtime.
#[must_use = "nothing is rotated before it is awaited"]
pub struct StoreRotation {
    manager: SecretsManager,
    name: String,
    timeout: Duration,
}

impl StoreRotation {
    /// How long to wait until the new version is current. Default five minutes, at most a year. The
    /// rotation goes on after that.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_DURATION);
        self
    }

    async fn run(self) -> Result<Rotated, Error> {
        let Self { manager, name, timeout } = self;
        let id = manager.id_of(&name)?;
        let outcome = manager.rotated(&id, timeout).await;
        match &outcome {
            Ok(rotated) => {
                let Rotated { version_id, previous_version_id, .. } = rotated;
                events::secret_rotated(&id, version_id, previous_version_id, false);
                manager.notifier().changed(&id).await;
            }
            Err(error) => events::secret_rotation_failed(&id, error),
        }
        outcome
    }
}

impl IntoFuture for StoreRotation {
    type Output = Result<Rotated, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

impl fmt::Debug for StoreRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreRotation")
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .field("manager", &self.manager)
            .finish()
    }
}

impl SecretsManager {
    async fn rotated(&self, id: &str, limit: Duration) -> Result<Rotated, Error> {
        let backend = self.connected()?;
        let error =
            |kind, what: &str| Error::new(kind, format!("secret `{id}`: {what}")).with_secret(id);
        let writer = backend.writer().ok_or_else(|| {
            let what = format!("it is in {}, where nothing is rotated", backend.store_name());
            error(ErrorKind::Config, &what)
        })?;
        let before = self.labels_of(writer, id).await?;
        let token = random_version_id()?;
        let start = self.bounded(id, writer.start_rotation(id, &token));
        if let Err(error) = start.await {
            // Only the answer may be missing.
            let labels = match error.is_transient() {
                true => self.labels_of(writer, id).await.ok(),
                false => None,
            };
            let began = |Labels { current, pending, .. }: Labels| {
                current == token || pending.as_ref() == Some(&token)
            };
            if !labels.is_some_and(began) {
                return Err(error);
            }
        }

        let begun = Instant::now();
        let mut seen = false;
        let mut wait = FIRST_WAIT;
        loop {
            // The rotation goes on whether or not it can be watched for a moment.
            let labels = match self.labels_of(writer, id).await {
                Err(error) if error.is_transient() && begun.elapsed() < limit => None,
                labels => Some(labels?),
            };
            if let Some(labels) = labels {
                if labels.current == token {
                    return Ok(Rotated {
                        version_id: token,
                        previous_version_id: before.current,
                        resumed: false,
                    });
                }
                seen |= labels.pending.as_deref() == Some(&token);
                let is_gone = labels.pending.as_deref() != Some(&token)
                    && (seen || labels.current != before.current || begun.elapsed() >= UNSEEN);
                if is_gone {
                    let what =
                        "its rotation failed: the new version is neither current nor pending";
                    return Err(error(ErrorKind::Rejected, what).with_hint(
                        "another version was made current meanwhile, or the rotation was cancelled",
                    ));
                }
                if begun.elapsed() >= limit {
                    let what = format!(
                        "its rotation is not finished after {limit:?}, and version `{token}` not \
                         current: it may be slow, or have failed"
                    );
                    return Err(error(ErrorKind::Unavailable, &what).with_hint(
                        "a slow rotation goes on, and `.rotate(..).timeout(..)` waits longer for \
                         it. One that failed is in the log of the rotation function, and in \
                         CloudTrail as RotationFailed; no other one starts while AWSPENDING is on \
                         that version: take it off with `aws secretsmanager \
                         update-secret-version-stage --version-stage AWSPENDING \
                         --remove-from-version-id ..`",
                    ));
                }
            }
            let left = limit.saturating_sub(begun.elapsed());
            sleep(wait.min(left)).await;
            wait = (wait * 3 / 2).min(MAX_WAIT);
        }
    }

    async fn labels_of(&self, writer: &dyn Writer, id: &str) -> Result<Labels, Error> {
        self.bounded(id, writer.labels(id)).await
    }

    /// One call of the store, within its time.
    async fn bounded<R>(
        &self,
        id: &str,
        call: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        let limit = self.call_timeout();
        match timeout(limit, unwind::catch_future(call)).await {
            Ok(result) => result.map_err(|panic| panic.rejection("the backend"))?,
            Err(_) => {
                let message = format!("secret `{id}`: no answer within {limit:?}");
                Err(Error::new(ErrorKind::Unavailable, message)
                    .with_secret(id)
                    .with_hint("`.timeout(..)` sets the limit"))
            }
        }
    }
}

/// An id for the new version, as a UUID looks.
fn random_version_id() -> Result<String, Error> {
    let bytes = random::bytes::<16>()?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}

//! [`SecretsManager::rotate`]: the store's own rotation, awaited.
//!
//! AWS answers RotateSecret before the rotation function runs, and says nowhere in its API that a
//! rotation failed: its pending version stays where it is. So the labels are read until the new
//! version is current, with growing waits and a bound.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::random;
use super::rotated::Rotated;
use crate::backend::{Labels, Writer};
use crate::error::{Error, ErrorKind};
use crate::load::manager::SecretsManager;
use crate::observe::events;
use crate::unwind;

/// How long a rotation may take. A rotation function may run for 15 minutes at each of its four
/// steps, but those for databases need seconds.
const MAX_ROTATION: Duration = Duration::from_secs(5 * 60);

/// How long the new version may be without a label: an answer may lag behind, and a managed rotation
/// labels it when it begins.
const UNSEEN: Duration = Duration::from_secs(10);

/// The wait before the second look; each one is half as long again, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(10);

impl SecretsManager {
    /// Starts the store's own rotation of a secret (`RotateSecret`), and waits until the new
    /// version is current, five minutes at most. Give the name below the prefix, or a name or ARN
    /// with [`names`](Self::names). For a secret without a rotation function, see
    /// [`rotation`](Self::rotation).
    ///
    /// Afterwards, each [`Live`](crate::Live) and [`Lookup`](crate::Lookup) of this manager or its
    /// clones reads the secret at once.
    ///
    /// In AWS, the caller needs `secretsmanager:RotateSecret` and `secretsmanager:DescribeSecret`
    /// on the secret, and `lambda:InvokeFunction` on its rotation function.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), secrets_provider::Error> {
    /// let manager = secrets_provider::SecretsManager::prefix("gaara/prod");
    /// let rotated = manager.rotate("database/primary").await?;
    /// println!("{} replaced {}", rotated.version_id(), rotated.previous_version_id());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - `Conflict` if an earlier rotation is still in progress;
    /// - `Rejected` if the rotation failed: its pending version is left behind, or gone. A rotation
    ///   that takes more than five minutes cannot be distinguished from a failed one;
    /// - `Config` if the secret has no rotation function;
    /// - those of the store.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn rotate(&self, name: impl AsRef<str>) -> Result<Rotated, Error> {
        let id = self.id_of(name.as_ref())?;
        let outcome = self.rotated(&id).await;
        match &outcome {
            Ok(rotated) => {
                let Rotated { version_id, previous_version_id, .. } = rotated;
                events::secret_rotated(&id, version_id, previous_version_id, false);
                self.notifier().changed(&id).await;
            }
            Err(error) => events::secret_rotation_failed(&id, error),
        }
        outcome
    }

    async fn rotated(&self, id: &str) -> Result<Rotated, Error> {
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
                Err(error) if error.is_transient() && begun.elapsed() < MAX_ROTATION => None,
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
                if seen && begun.elapsed() >= MAX_ROTATION {
                    let what = format!(
                        "its rotation failed, or takes more than {MAX_ROTATION:?}: AWSPENDING is \
                         left on version `{token}`"
                    );
                    return Err(error(ErrorKind::Rejected, &what).with_hint(
                        "look at the log of the rotation function, and at the event \
                         RotationFailed in CloudTrail. No other rotation starts while AWSPENDING is on \
                         that version: take it off with `aws secretsmanager \
                         update-secret-version-stage --version-stage AWSPENDING \
                         --remove-from-version-id ..`",
                    ));
                }
            }
            sleep(wait).await;
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

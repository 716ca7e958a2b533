//! Push (feature `sqs`): changes of secrets that AWS announces through a queue.
//!
//! [`Push`] describes the queue, [`LiveBuilder::push`](crate::LiveBuilder::push) takes it. The
//! messages become hints (`envelope`, `receive`), as those of
//! [`Trigger::secret`](crate::Trigger::secret) are, so that the engine does with them what it does
//! with any; `sqs` receives them. `setup` writes the template of what has to exist in AWS. Polling goes on beside it, and is all there is when the queue
//! fails.

mod envelope;
mod receive;
mod setup;
mod sqs;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;

use receive::{Options, Queue};
use sqs::{Access, Sqs};

use crate::engine::trigger::Trigger;
use crate::error::Error;
use crate::load::manager::SecretsManager;
use crate::observe::status::Progress;

/// The spread unless [`Push::spread`] says otherwise.
const DEFAULT_SPREAD: Duration = Duration::from_millis(1500);

/// The longest spread.
const MAX_SPREAD: Duration = Duration::from_secs(3600);

/// A queue by which AWS announces that secrets changed (feature `sqs`), for
/// [`LiveBuilder::push`](crate::LiveBuilder::push).
///
/// Secrets Manager sends the event `Secret Label Updated` when AWSCURRENT moves, so a rule of
/// EventBridge with an SQS queue as its target makes a rotation known within about a second. Each
/// message names one secret and its version; that secret is read, as with
/// [`Trigger::secret`](crate::Trigger::secret), and messages are deleted as soon as they are taken.
/// Events of CloudTrail and messages wrapped by SNS are understood too; anything else is deleted,
/// counted in [`PushStatus::unknown`](crate::PushStatus::unknown), and logged once.
///
/// **One queue for each replica**: SQS gives a message to one receiver only. Replicas that share a
/// queue each see some of the changes, and the others at the interval.
///
/// Nothing depends on it. While the queue cannot be received, [`Status::push`](crate::Status::push)
/// says why, and the interval finds what changed. The program's role needs `sqs:ReceiveMessage` and
/// `sqs:DeleteMessage` on the queue. [The page on push](crate::docs::push) has the rule, the queue
/// and their policies.
///
/// ```no_run
/// # async fn start() -> Result<(), secrets_provider::Error> {
/// use std::time::Duration;
/// use secrets_provider::{Live, Push, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: String }
///
/// let queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/gaara-secret-changes";
/// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("gaara/prod"))
///     .push(Push::queue(queue))
///     // In case that a message is lost.
///     .refresh_every(Duration::from_secs(15 * 60))
///     .start()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "give it to `LiveBuilder::push`"]
pub struct Push {
    url: String,
    spread: Duration,
    client: Option<Box<aws_sdk_sqs::Client>>,
}

impl Push {
    /// The queue with this URL, which exists and which only this replica receives.
    pub fn queue(url: impl Into<String>) -> Self {
        Self { url: url.into(), spread: DEFAULT_SPREAD, client: None }
    }

    /// Spreads the reads that a change causes over this time, evenly at random, so that a fleet
    /// stays below the quota of 10,000 `GetSecretValue` calls a second. Default 1.5 s, which is
    /// enough for 10,000 replicas; at most an hour. A single replica may take zero.
    pub fn spread(mut self, spread: Duration) -> Self {
        self.spread = spread.min(MAX_SPREAD);
        self
    }

    /// Receives by this client, whose limit for an attempt must exceed 20 s. By default, a client
    /// is made of the manager's configuration: the SDK's own, with what only `.env` sets, or that
    /// of [`SecretsManager::aws_config`](crate::SecretsManager::aws_config); in the region that the
    /// queue's URL names.
    pub fn client(mut self, client: aws_sdk_sqs::Client) -> Self {
        self.client = Some(Box::new(client));
        self
    }

    /// The hints, and the state of the queue.
    pub(crate) fn hints(
        self,
        manager: &SecretsManager,
    ) -> Result<(impl Stream<Item = Trigger> + Send + 'static, Arc<Progress>), Error> {
        let access = match self.client {
            Some(client) => Access::Client(client),
            None => Access::Store(manager.store()),
        };
        let queue: Arc<dyn Queue> = Arc::new(Sqs::new(&self.url, access)?);
        let progress = Arc::new(Progress::new(self.url));
        let options = Options { label: manager.label().to_owned(), spread: self.spread };
        Ok((receive::hints(queue, options, progress.clone()), progress))
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("queue", &self.url)
            .field("spread", &self.spread)
            .finish_non_exhaustive()
    }
}

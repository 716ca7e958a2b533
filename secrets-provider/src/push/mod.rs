//! Push (feature `sqs`): changes of secrets that AWS announces through a queue.
//!
//! [`Push`] describes the queue, [`LiveBuilder::push`](crate::LiveBuilder::push) takes it. The
//! messages become hints (`envelope`, `receive`), as those of
//! [`Trigger::secret`](crate::Trigger::secret) are, so that the engine does with them what it does
//! with any; `sqs` receives them, and `topic` makes a queue first, which `own` names and `sweep`
//! removes if a replica could not. `calls` has the clients of both services. `setup` writes the
//! template of what has to exist in AWS. `peers` passes hints on to other replicas. Polling goes on
//! beside it, and is all there is when the queue fails.

mod address;
mod calls;
mod envelope;
mod own;
mod passing;
mod peers;
mod receive;
mod setup;
mod sqs;
mod sweep;
mod topic;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use secrecy::SecretString;

use calls::Clients;
use own::TopicArn;
use peers::{Forwarder, Peers};
use receive::{Options, Queue};
use sqs::Sqs;
use topic::Topic;

use crate::engine::trigger::{self, Trigger};
use crate::error::Error;
use crate::load::manager::SecretsManager;
use crate::observe::status::{PeersProgress, Progress};

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
/// **One queue for each replica**: SQS gives a message to one receiver only. [`Push::topic`] makes
/// one for each. Replicas that share a queue each see some of the changes, and the others at the
/// interval, unless they pass hints on to each other: [`Push::peers`].
///
/// Nothing depends on it. While the queue cannot be received, [`Status::push`](crate::Status::push)
/// says why, and the interval finds what changed. [The page on push](crate::docs::push) has the
/// rule, the topic, the queue and their policies, and what the program's role needs.
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
    source: Option<Source>,
    spread: Option<Duration>,
    client: Option<Box<aws_sdk_sqs::Client>>,
    sns_client: Option<Box<aws_sdk_sns::Client>>,
    peers: Option<Peers>,
}

/// Where hints come from.
#[derive(Debug, Clone)]
enum Source {
    /// A queue, by its URL.
    Queue(String),
    /// A topic, by its ARN.
    Topic(String),
}

impl Push {
    /// How many characters of a topic's name are in the names of its replicas' own queues, which have
    /// 80 at most: `secrets-provider-TOPIC-RANDOM`. A policy that allows these queues by name has to
    /// cut a longer name in the same way.
    ///
    /// ```
    /// # use secrets_provider::Push;
    /// let topic = "gaara-secret-changes";
    /// let own = topic.get(..Push::MAX_OF_TOPIC).unwrap_or(topic);
    /// assert_eq!(format!("secrets-provider-{own}-*"), "secrets-provider-gaara-secret-changes-*");
    /// ```
    pub const MAX_OF_TOPIC: usize = 42;

    /// The queue with this URL, which exists and which only this replica receives.
    /// The program's role needs `sqs:ReceiveMessage` and `sqs:DeleteMessage` on it.
    pub fn queue(url: impl Into<String>) -> Self {
        Self::of(Some(Source::Queue(url.into())), None)
    }

    /// The topic of SNS with this ARN, which every replica gets all messages of: each makes a queue
    /// of its own, and subscribes it to the topic. For any number of replicas.
    ///
    /// - The queue is called `secrets-provider-`, the topic's name, and twenty random digits. It is
    ///   in the topic's region and the program's account, keeps messages for five minutes, and lets
    ///   only this topic send to it. Its tags say the host, the program, and until when it is used.
    /// - It is made after the first read, in about two seconds. Then the secrets are read once more,
    ///   within the [`spread`](Self::spread), because what changed in between was not announced.
    /// - When the settings [shut down](crate::Live::shutdown), or the last handle is dropped, the
    ///   subscription and the queue are deleted, within five seconds. Wait for the shutdown, or
    ///   else the runtime may end before.
    /// - A queue that vanishes is made again, once a minute at most. Every half an hour the tags are
    ///   renewed, and so is a subscription that someone deleted.
    /// - The queue of a replica that died is removed by another one, with its subscription, some time
    ///   after its tag says that it is not used: two hours. Each replica looks at twenty queues
    ///   within a minute of its start, and about every six hours.
    ///
    /// The program's role needs what [`SecretsManager::push_setup`] has as `TopicReaderPolicy`. As
    /// long as a call is denied, [`Status::push`](crate::Status::push) is `denied`, and its error
    /// names what is missing. A fleet starts as fast as SNS subscribes queues: about a hundred a
    /// second in an account.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), secrets_provider::Error> {
    /// use std::time::Duration;
    /// use secrets_provider::{Live, Push, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { jwt_secret: String }
    ///
    /// let topic = "arn:aws:sns:eu-west-1:111122223333:gaara-secret-changes";
    /// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("gaara/prod"))
    ///     .push(Push::topic(topic))
    ///     .refresh_every(Duration::from_secs(15 * 60))
    ///     .start()
    ///     .await?;
    /// // Serve requests; at the end, delete the queue.
    /// settings.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn topic(arn: impl Into<String>) -> Self {
        Self::of(Some(Source::Topic(arn.into())), None)
    }

    fn of(source: Option<Source>, peers: Option<Peers>) -> Self {
        Self { source, spread: None, client: None, sns_client: None, peers }
    }

    /// Passes each hint on to the other replicas, by `POST /refresh` with this token: for replicas
    /// that share one queue, or one stream of [`Trigger::secret`](crate::Trigger::secret). They
    /// mount the refresh route of `secrets-provider-axum` or `-actix`, and have the same token.
    ///
    /// `addresses` is `host:port`, such as the name of a headless service; each of its addresses
    /// gets the hint, IPv4 and IPv6. It is resolved at each hint. Several may be given with commas
    /// between them; `host:port/internal/refresh` if the route is nested. A replica's own address
    /// may be among them: a hint with a version is a repeat for it, and nothing is read.
    ///
    /// - A hint that came from a peer is not passed on, so there is no echo. One that names the same
    ///   version as the one before is passed on once a minute, one without a version once a second.
    ///   Triggers that name no secret are not passed on.
    /// - At most 100 peers get hints, 32 at a time, each within 3 s and with one retry. A hint that
    ///   does not arrive is counted in [`Status::peers`](crate::Status::peers), and the peer finds
    ///   the change at its interval.
    /// - **Plain HTTP**, because a peer is called by its address, for which no certificate is made.
    ///   The token is visible to whoever reads the network; what it allows is a refresh. No proxy is
    ///   used, and no redirect is followed.
    ///
    /// With a queue that is received too, the default [`spread`](Self::spread) is zero.
    ///
    /// ```no_run
    /// # async fn start(token: String) -> Result<(), secrets_provider::Error> {
    /// use secrets_provider::{Live, Push, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { jwt_secret: String }
    ///
    /// let queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/gaara-secret-changes";
    /// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("gaara/prod"))
    ///     .push(Push::queue(queue))
    ///     .push(Push::peers("gaara.svc:8081", token))
    ///     .start()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn peers(addresses: impl Into<String>, token: impl Into<SecretString>) -> Self {
        let peers = Peers { addresses: addresses.into(), token: token.into() };
        Self::of(None, Some(peers))
    }

    /// Both; of two queues, or two descriptions of peers, the later one.
    pub(crate) fn and(self, later: Self) -> Self {
        let peers = later.peers.or(self.peers);
        match later.source {
            Some(_) => Self { peers, ..later },
            None => Self { peers, ..self },
        }
    }

    /// Spreads the reads that a change causes over this time, evenly at random, so that a fleet
    /// stays below the quota of 10,000 `GetSecretValue` calls a second. Default 1.5 s, which is
    /// enough for 10,000 replicas; at most an hour. A single replica may take zero.
    pub fn spread(mut self, spread: Duration) -> Self {
        self.spread = Some(spread.min(MAX_SPREAD));
        self
    }

    /// Receives by this client, whose limit for an attempt must exceed 20 s. By default, a client
    /// is made of the manager's configuration: the SDK's own, with what only `.env` sets, or that
    /// of [`SecretsManager::aws_config`](crate::SecretsManager::aws_config); in the region that the
    /// queue's URL or the topic's ARN names.
    pub fn client(mut self, client: aws_sdk_sqs::Client) -> Self {
        self.client = Some(Box::new(client));
        self
    }

    /// Subscribes to a [`topic`](Self::topic) by this client. By default, one is made as that of
    /// SQS is.
    pub fn sns_client(mut self, client: aws_sdk_sns::Client) -> Self {
        self.sns_client = Some(Box::new(client));
        self
    }

    /// What to receive and where to pass it on. Nothing is called yet.
    ///
    /// # Errors
    ///
    /// `Config` if the queue's URL, an address or the token cannot be used.
    pub(crate) fn start(self, manager: &SecretsManager) -> Result<Pushing, Error> {
        let default = if self.peers.is_some() { Duration::ZERO } else { DEFAULT_SPREAD };
        let spread = self.spread.unwrap_or(default);
        let forwarder = self.peers.map(Peers::forwarder).transpose()?.map(Arc::new);
        let Some(source) = self.source else {
            return Ok(Pushing { forwarder, ..Pushing::default() });
        };
        let (sqs, sns) = (self.client.map(|client| *client), self.sns_client.map(|client| *client));
        let clients =
            |region: Option<&str>| Arc::new(Clients::new(manager.store(), region, sqs, sns));
        let mut topic = None;
        let (name, queue): (String, Arc<dyn Queue>) = match source {
            Source::Queue(url) => {
                sqs::check(&url)?;
                let clients = clients(sqs::region(&url));
                (url.clone(), Arc::new(Sqs::new(url, clients)))
            }
            Source::Topic(arn) => {
                let parsed = TopicArn::parse(&arn)?;
                let clients = clients(Some(parsed.region()));
                (arn, topic.insert(Arc::new(Topic::new(parsed, clients))).clone())
            }
        };
        let progress = Arc::new(Progress::new(name));
        let plan = manager.description().choice.plan()?;
        let options = Options { label: manager.label().to_owned(), spread, plan };
        let hints = trigger::fuse_quietly(receive::hints(queue, options, progress.clone()));
        Ok(Pushing { hints: Some(hints), progress: Some(progress), topic, forwarder })
    }
}

/// A [`Push`] at work.
#[derive(Default)]
pub(crate) struct Pushing {
    hints: Option<BoxStream<'static, Trigger>>,
    progress: Option<Arc<Progress>>,
    topic: Option<Arc<Topic>>,
    forwarder: Option<Arc<Forwarder>>,
}

impl Pushing {
    /// The states of the queue and of the peers.
    pub(crate) fn progress(&self) -> (Option<Arc<Progress>>, Option<Arc<PeersProgress>>) {
        (self.progress.clone(), self.forwarder.as_ref().map(|forwarder| forwarder.progress()))
    }

    /// What there is to do once the settings are not refreshed any more.
    pub(crate) fn ending(&self) -> BoxFuture<'static, ()> {
        let topic = self.topic.clone();
        async move {
            if let Some(topic) = topic {
                topic.close().await;
            }
        }
        .boxed()
    }

    /// These triggers and those of the queue; peers are informed of the hints among all of them.
    pub(crate) fn triggers(
        self,
        triggers: Vec<BoxStream<'static, Trigger>>,
    ) -> Vec<BoxStream<'static, Trigger>> {
        let all = triggers.into_iter().chain(self.hints);
        match &self.forwarder {
            Some(forwarder) => all.map(|triggers| forwarder.watch(triggers)).collect(),
            None => all.collect(),
        }
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("source", &self.source)
            .field("spread", &self.spread)
            .field("peers", &self.peers.as_ref().map(Peers::shown))
            .finish_non_exhaustive()
    }
}

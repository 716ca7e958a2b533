//! A queue of this replica's own, subscribed to a topic of SNS.
//!
//! It is made at the first receive, in steps that are kept, so that a step which fails is tried
//! again by itself and no second queue is left behind. The steps run in a task of their own: a
//! receive that is given up does not cut one off. Beside receiving, the tags are renewed, and a
//! subscription that someone deleted is made again; a queue that vanishes is made again too.
//! [`Topic::close`] deletes what there is. `calls` has the calls, `own` the names; `sweep` removes
//! the queues of replicas that could not do this.

mod calls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as BlockingMutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::calls::Clients;
use super::own::TopicArn;
use super::receive::{Ends, Queue, Received};
use super::sqs::{self, Sqs};
use super::sweep;
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::unwind::lock;

/// How long messages are kept, in seconds. A hint is worth nothing later: the interval has found
/// the change by then.
pub(super) const RETENTION: u32 = 300;

/// A queue may not be used before this time
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>).
const SETTLING: Duration = Duration::from_secs(1);

/// How often the tags are renewed: often enough that a renewal may fail a few times.
const RENEWAL: Duration = Duration::from_secs(30 * 60);

/// The wait after a renewal that failed.
const RENEWAL_RETRY: Duration = Duration::from_secs(60);

/// The least time between two queues, so that something which deletes each does not make many.
const MIN_BETWEEN_QUEUES: Duration = Duration::from_secs(60);

/// How long the deletion of the queue may take when the program stops.
const CLOSING: Duration = Duration::from_secs(5);

/// A topic, by its ARN, and this replica's queue for it.
pub(super) struct Topic {
    shared: Arc<Shared>,
    sweeper: BlockingMutex<Option<Ends>>,
}

pub(super) struct Shared {
    pub(super) topic: TopicArn,
    pub(super) clients: Arc<Clients>,
    /// As errors call the topic.
    subject: String,
    own: Mutex<Own>,
    /// Nothing is made any more.
    closed: AtomicBool,
}

/// What of the queue exists.
#[derive(Default)]
struct Own {
    /// Chosen before the queue is made: the call may be answered too late.
    name: Option<String>,
    queue: Option<Arc<Sqs>>,
    subscription: Option<String>,
    /// Of the queue before, which has vanished.
    left: Option<String>,
    last_made: Option<Instant>,
    /// Set once everything has been made.
    renew_at: Option<Instant>,
}

/// A queue that can be received.
struct Ready {
    queue: Arc<Sqs>,
    /// It was subscribed just now: what happened before sent no message to it.
    is_new: bool,
    /// Why the renewal failed.
    trouble: Option<Error>,
}

impl Topic {
    pub(super) fn new(topic: TopicArn, clients: Arc<Clients>) -> Self {
        let shared = Shared {
            subject: format!("topic `{}`", topic.as_str()),
            topic,
            clients,
            own: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), sweeper: BlockingMutex::default() }
    }

    /// The queue, with all that it needs.
    async fn ready(&self) -> Result<Ready, Error> {
        let shared = self.shared.clone();
        let not_before = {
            let own = shared.own.lock().await;
            if let Some(queue) = own.queue.clone().filter(|_| !own.is_due()) {
                return Ok(Ready { queue, is_new: false, trouble: None });
            }
            own.not_before()
        };
        sleep_until(not_before).await;
        // By itself, so that no call is cut off whose answer says what has to be deleted.
        let making = tokio::spawn(async move {
            let mut own = shared.own.lock().await;
            let made = own.advance(&shared).await;
            if shared.closed.load(Ordering::Acquire) {
                // `close` may not have waited for it.
                let _ = own.delete(&shared).await;
            }
            made
        });
        let made = making.await;
        made.map_err(|_| Error::new(ErrorKind::Unavailable, "a client of the SDK panicked"))?
    }

    async fn received(&self) -> Result<Received, Error> {
        let ready = self.ready().await;
        if self.is_closed() {
            return std::future::pending().await;
        }
        let Ready { queue, is_new, trouble } = ready?;
        if is_new {
            lock(&self.sweeper).get_or_insert_with(|| {
                Ends::with(tokio::spawn(sweep::now_and_then(self.shared.clone())))
            });
            return Ok(Received { messages: Vec::new(), may_have_missed: true, trouble });
        }
        match queue.receive().await {
            Ok(received) => Ok(Received { trouble, ..received }),
            Err(_) if self.is_closed() => std::future::pending().await,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.shared.own.lock().await.forget(queue.url());
                Err(self.shared.queue_is_gone())
            }
            Err(error) => Err(error),
        }
    }

    fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Deletes the subscription and the queue. Takes a few seconds at most.
    pub(super) async fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        lock(&self.sweeper).take();
        let topic = self.shared.topic.as_str();
        let deleting = async {
            let mut own = self.shared.own.lock().await;
            own.delete(&self.shared).await
        };
        match timeout(CLOSING, deleting).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(queue))) => events::push_queue_deleted(topic, &queue),
            Ok(Err(error)) => events::push_queue_not_deleted(topic, &error),
            Err(_) => {
                let message = format!("{}: the queue was not deleted in time", self.shared.subject);
                let error = Error::new(ErrorKind::Unavailable, message);
                events::push_queue_not_deleted(topic, &error);
            }
        }
    }
}

impl Queue for Topic {
    fn receive(&self) -> BoxFuture<'_, Result<Received, Error>> {
        self.received().boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let queue = self.shared.own.lock().await.queue.clone();
            match queue {
                Some(queue) => queue.delete(receipts).await,
                // Gone with the queue.
                None => Ok(()),
            }
        }
        .boxed()
    }
}

impl Own {
    /// When the next queue may be made, if there is none.
    fn not_before(&self) -> Instant {
        let between = self.last_made.filter(|_| self.name.is_none());
        between.map_or_else(Instant::now, |last| last + MIN_BETWEEN_QUEUES)
    }

    /// Whether there is something to make or to renew.
    fn is_due(&self) -> bool {
        self.renew_at.is_none_or(|at| at <= Instant::now())
    }

    /// Takes the steps that are missing, or renews what is due.
    async fn advance(&mut self, shared: &Shared) -> Result<Ready, Error> {
        if shared.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, "the queue is not used any more"));
        }
        match self.queue.clone().filter(|_| self.renew_at.is_some()) {
            Some(queue) => self.renew(shared, queue).await,
            None => self.make(shared).await,
        }
    }

    async fn make(&mut self, shared: &Shared) -> Result<Ready, Error> {
        if let Some(left) = self.left.take() {
            // If that fails, SNS drops the messages for the queue that is gone.
            let _ = shared.unsubscribe(&left).await;
        }
        let name = || shared.topic.queue_name(fastrand::u128(..));
        let name = self.name.get_or_insert_with(name);
        let queue = match &self.queue {
            Some(queue) => queue.clone(),
            None => {
                let url = shared.create(name).await?;
                self.last_made = Some(Instant::now());
                let queue = Arc::new(Sqs::new(url, shared.clients.clone()));
                self.queue = Some(queue.clone());
                sleep(SETTLING).await;
                queue
            }
        };
        let arn = shared.arn_of(&queue)?;
        self.subscribe_and_tag(shared, &queue, &arn).await?;
        self.renew_at = Some(Instant::now() + jittered(RENEWAL));
        events::push_queue_made(shared.topic.as_str(), sqs::path(queue.url()).unwrap_or_default());
        Ok(Ready { queue, is_new: true, trouble: None })
    }

    /// Subscribes again, which does nothing if there is the subscription, and renews the tags. A
    /// failure does not keep the queue from being received.
    async fn renew(&mut self, shared: &Shared, queue: Arc<Sqs>) -> Result<Ready, Error> {
        let before = self.subscription.clone();
        let arn = shared.arn_of(&queue)?;
        let trouble = self.subscribe_and_tag(shared, &queue, &arn).await.err();
        if self.queue.is_none() {
            return Err(shared.queue_is_gone());
        }
        let wait = if trouble.is_none() { RENEWAL } else { RENEWAL_RETRY };
        self.renew_at = Some(Instant::now() + jittered(wait));
        Ok(Ready { queue, is_new: self.subscription != before, trouble })
    }

    async fn subscribe_and_tag(
        &mut self,
        shared: &Shared,
        queue: &Sqs,
        arn: &str,
    ) -> Result<(), Error> {
        self.subscription = Some(shared.subscribe(arn).await?);
        let tagged = shared.tag(queue, self.subscription.as_deref()).await;
        if tagged.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            self.forget(queue.url());
        }
        tagged
    }

    /// Notes that a queue is gone.
    fn forget(&mut self, url: &str) {
        if self.queue.as_ref().is_some_and(|queue| queue.url() == url) {
            let left = self.subscription.take();
            *self = Self { left, last_made: self.last_made, ..Self::default() };
        }
    }

    /// The path of the queue that was deleted, if there was one.
    async fn delete(&mut self, shared: &Shared) -> Result<Option<String>, Error> {
        let left = self.subscription.take().or(self.left.take());
        let queue = self.queue.take();
        let unsubscribing = async {
            match &left {
                Some(subscription) => shared.unsubscribe(subscription).await,
                None => Ok(()),
            }
        };
        let deleting = async {
            match &queue {
                Some(queue) => shared.delete_queue(queue.url()).await,
                None => Ok(()),
            }
        };
        let (unsubscribed, deleted) = tokio::join!(unsubscribing, deleting);
        unsubscribed.and(deleted)?;
        Ok(queue.and_then(|queue| sqs::path(queue.url()).map(str::to_owned)))
    }
}

impl Shared {
    /// The URL of this replica's own queue.
    pub(super) async fn own_url(&self) -> Option<String> {
        self.own.lock().await.queue.as_ref().map(|queue| queue.url().to_owned())
    }
}

/// Up to a fifth earlier.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 - fastrand::f64() / 5.0)
}

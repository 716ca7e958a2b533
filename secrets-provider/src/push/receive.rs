//! The task that receives a queue's messages and hands hints on.
//!
//! One receive is in flight. What it brings is gathered, and deleted before the next one; the first
//! hint of a group sets a random wait within the spread, so that a fleet does not read at the same
//! moment, and what comes meanwhile joins it. The task runs beside the refresher, so that a refresh
//! that takes long delays no receive; it ends with the stream of its hints. If receiving fails, it
//! is tried again after 1 s to 60 s, and polling stays in charge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::envelope::{Said, read};
use crate::engine::hints::Hint;
use crate::engine::trigger::Trigger;
use crate::error::{Error, ErrorKind};
use crate::load::fetch::Selector;
use crate::load::plan::Plan;
use crate::observe::events;
use crate::observe::status::Progress;
use crate::unwind;

/// The waits after a failed receive: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a deletion may take.
const DELETION: Duration = Duration::from_secs(5);

/// A receive that finds nothing takes longer than this, because it waits.
const QUICK: Duration = Duration::from_secs(1);

/// How many secrets are gathered at most; hints for more are dropped, and the interval finds them.
const MAX_GATHERED: usize = 1024;

/// A message of a queue.
pub(super) struct Message {
    pub(super) body: String,
    /// What deletes it.
    pub(super) receipt: Option<String>,
}

/// What a receive brings.
#[derive(Default)]
pub(super) struct Received {
    pub(super) messages: Vec<Message>,
    /// The queue gets messages only since now, so changes of before are to be looked for.
    pub(super) may_have_missed: bool,
    /// What failed beside the receive, and may hinder later ones.
    pub(super) trouble: Option<Error>,
}

/// A queue of messages.
pub(super) trait Queue: Send + Sync + 'static {
    /// Waits for messages, for some seconds. An empty result is no failure.
    fn receive(&self) -> BoxFuture<'_, Result<Received, Error>>;

    /// Deletes messages. What fails is logged and comes again, which does no harm.
    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<(), Error>>;
}

/// How a queue is received.
pub(super) struct Options {
    /// The label of the versions that are read.
    pub(super) label: String,
    pub(super) spread: Duration,
    /// What is selected: hints of other secrets are ignored.
    pub(super) plan: Plan,
}

/// The hints of a queue, from when the stream is polled first, which is in a runtime.
pub(super) fn hints(
    queue: Arc<dyn Queue>,
    options: Options,
    progress: Arc<Progress>,
) -> impl Stream<Item = Trigger> + Send + 'static {
    let starting = async move {
        let (sender, receiver) = mpsc::channel(1);
        let ended = progress.clone();
        let receiving = unwind::catch_future(run(queue, options, progress, sender));
        let task = Ends::with(tokio::spawn(async move {
            if let Err(panic) = receiving.await {
                events::trigger_panicked();
                ended.failed(&panic.rejection("receiving the queue"));
            }
        }));
        stream::unfold((receiver, task), async |(mut receiver, task)| {
            let triggers: Vec<Trigger> = mpsc::Receiver::recv(&mut receiver).await?;
            Some((stream::iter(triggers), (receiver, task)))
        })
        .flatten()
    };
    starting.into_stream().flatten()
}

/// A task that ends when this is dropped.
pub(super) struct Ends(JoinHandle<()>);

impl Ends {
    pub(super) fn with(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What has come and was not handed on yet, by secret and version.
#[derive(Default)]
struct Gathered {
    hints: BTreeMap<(String, Option<String>), Hint>,
    /// Whether changes are to be looked for that no hint names.
    may_have_missed: bool,
    due: Option<Instant>,
}

impl Gathered {
    /// Whether there is room for the hint.
    fn add(&mut self, hint: Hint, spread: Duration) -> bool {
        let key = (hint.secret.clone(), hint.version.clone());
        let fits = self.hints.len() < MAX_GATHERED || self.hints.contains_key(&key);
        if fits {
            self.begin(spread);
            // The first event's time: it is how long the change has waited.
            self.hints.entry(key).or_insert(hint);
        }
        fits
    }

    fn look_for_missed(&mut self, spread: Duration) {
        self.begin(spread);
        self.may_have_missed = true;
    }

    fn begin(&mut self, spread: Duration) {
        self.due.get_or_insert_with(|| Instant::now() + spread.mul_f64(fastrand::f64()));
    }

    fn take(&mut self) -> Vec<Trigger> {
        self.due = None;
        let missed = std::mem::take(&mut self.may_have_missed).then(Trigger::subscribed);
        let hints = std::mem::take(&mut self.hints).into_values().map(Trigger::hinted);
        missed.into_iter().chain(hints).collect()
    }
}

async fn run(
    queue: Arc<dyn Queue>,
    options: Options,
    progress: Arc<Progress>,
    sender: Sender<Vec<Trigger>>,
) {
    let mut gathered = Gathered::default();
    // How often in a row a receive failed, or came back empty at once, as no queue does.
    let mut failures: u32 = 0;
    let mut begun = Instant::now();
    let mut received = receive(&queue, &progress, Vec::new(), Duration::ZERO);
    loop {
        let due = gathered.due;
        let hand_on = async {
            sleep_until(due.unwrap_or_else(Instant::now)).await;
            sender.reserve().await
        };
        tokio::select! {
            permit = hand_on, if due.is_some() => match permit {
                Ok(permit) => permit.send(gathered.take()),
                // The settings are gone.
                Err(_) => return,
            },
            result = &mut received => {
                let mut receipts = Vec::new();
                let wait = match result {
                    Ok(received) => {
                        if progress.connected() {
                            events::push_connected(progress.queue());
                        }
                        let is_quick = begun.elapsed() < QUICK && !received.may_have_missed;
                        failures = match received.messages.is_empty() && is_quick {
                            true => failures.saturating_add(1),
                            false => 0,
                        };
                        receipts = taken(received, &options, &progress, &mut gathered);
                        if failures > 0 { backoff(failures) } else { Duration::ZERO }
                    }
                    Err(error) => {
                        failures = failures.saturating_add(1);
                        let repeated = !progress.failed(&error);
                        let wait = backoff(failures);
                        events::push_failed(progress.queue(), &error, repeated, wait);
                        wait
                    }
                };
                begun = Instant::now() + wait;
                received = receive(&queue, &progress, receipts, wait);
            }
        }
    }
}

/// Gathers what a receive brought, and returns what deletes it.
fn taken(
    received: Received,
    options: &Options,
    progress: &Progress,
    gathered: &mut Gathered,
) -> Vec<String> {
    let Received { messages, may_have_missed, trouble } = received;
    if may_have_missed {
        gathered.look_for_missed(options.spread);
    }
    if let Some(error) = trouble {
        let repeated = !progress.troubled(&error);
        events::push_queue_not_renewed(progress.queue(), &error, repeated);
    }
    if messages.is_empty() {
        return Vec::new();
    }
    let selector = Selector::of_names(&options.plan);
    let mut receipts = Vec::new();
    for Message { body, receipt } in messages {
        receipts.extend(receipt);
        match read(&body, &options.label) {
            Said::Changed(hint) if hint.is_possible() => {
                progress.hinted();
                // What is not selected must not take the room of what is.
                if !selector.ids(&hint.secret).is_empty() && !gathered.add(hint, options.spread) {
                    let first = progress.dropped();
                    events::push_hint_dropped(progress.queue(), first);
                }
            }
            Said::Unrelated => {}
            Said::Changed(_) | Said::Unknown => {
                let first = progress.unknown();
                events::push_message_unknown(progress.queue(), first);
            }
        }
    }
    receipts
}

/// Deletes what came before, waits, and receives. What came is handed on first, so that a deletion
/// that takes long delays no hint; a hint that is lost afterwards is found by the interval.
fn receive(
    queue: &Arc<dyn Queue>,
    progress: &Arc<Progress>,
    receipts: Vec<String>,
    wait: Duration,
) -> BoxFuture<'static, Result<Received, Error>> {
    let (queue, progress) = (queue.clone(), progress.clone());
    async move {
        if !receipts.is_empty() {
            let deleted = timeout(DELETION, unwind::catch_future(queue.delete(receipts))).await;
            let deleted = deleted.map_or_else(
                |_| Err(Error::new(ErrorKind::Unavailable, "messages were not deleted in time")),
                |deleted| {
                    deleted.unwrap_or_else(|panic| Err(panic.rejection("the queue's client")))
                },
            );
            if let Err(error) = deleted {
                let repeated = !progress.troubled(&error);
                events::push_messages_not_deleted(progress.queue(), &error, repeated);
            }
        }
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let received = unwind::catch_future(queue.receive()).await;
        received.map_err(|panic| panic.rejection("the queue's client"))?
    }
    .boxed()
}

/// Doubling, with half of it at random.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    let wait = first.saturating_mul(1 << (failures - 1).min(10)).min(longest);
    wait.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests;

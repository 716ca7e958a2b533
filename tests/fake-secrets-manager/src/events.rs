//! The events that Secrets Manager sends when a label moves, and the queues that get them.
//!
//! Only what a test made a queue for: there is no bus and no rule. An event comes for every label
//! but AWSPENDING and AWSPREVIOUS, and none for a secret that is created. Whether AWS sends one
//! then is not documented; MiniStack does not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::{ApiError, ApiResult};
use crate::secret::{PENDING, PREVIOUS, Secret};
use crate::shared::Shared;
use crate::state::{ACCOUNT, REGION};

/// For how long a message that was received is not seen by others.
const VISIBILITY: Duration = Duration::from_secs(30);

const MAX_WAIT: u64 = 20;

const MAX_MESSAGES: usize = 10;

/// The queues, and who waits for messages.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_name: BTreeMap<String, Queue>,
    pub(crate) arrived: Arc<Notify>,
}

#[derive(Debug)]
struct Queue {
    /// Whose events it gets.
    prefix: String,
    messages: VecDeque<Message>,
}

#[derive(Debug)]
struct Message {
    id: String,
    body: String,
    receipt: Option<String>,
    visible_at: Instant,
}

impl Queues {
    pub(crate) fn create(&mut self, name: &str, prefix: &str) {
        let queue = Queue { prefix: prefix.to_owned(), messages: VecDeque::new() };
        self.by_name.insert(name.to_owned(), queue);
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.by_name.remove(name);
        // Whoever waits finds that it is gone.
        self.arrived.notify_waiters();
    }

    pub(crate) fn len(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).map(|queue| queue.messages.len())
    }

    /// Whether there is such a queue.
    pub(crate) fn send(&mut self, name: &str, body: String) -> bool {
        let queue = self.by_name.get_mut(name);
        queue.map(|queue| queue.add(body)).inspect(|()| self.arrived.notify_waiters()).is_some()
    }

    /// Sends an event for each label that has moved.
    pub(crate) fn changed(&mut self, before: &Secret, after: &Secret, at: SystemTime) {
        for (label, version) in after.versions.iter().flat_map(|version| {
            version.labels.iter().map(move |label| (label.as_str(), version.id.as_str()))
        }) {
            let had = before.labelled(label).map(|version| version.id.as_str());
            if had == Some(version) || [PENDING, PREVIOUS].contains(&label) {
                continue;
            }
            let event = event(after, label, version, at);
            for queue in self.by_name.values_mut().filter(|q| after.name.starts_with(&q.prefix)) {
                queue.add(event.clone());
            }
            self.arrived.notify_waiters();
        }
    }

    /// What can be received now.
    fn take(&mut self, name: &str, most: usize) -> ApiResult<Vec<Json>> {
        let queue = self.by_name.get_mut(name).ok_or_else(no_queue)?;
        let now = Instant::now();
        let visible = queue.messages.iter_mut().filter(|message| message.visible_at <= now);
        let taken = visible.take(most).map(|message| {
            let receipt = uuid::Uuid::new_v4().to_string();
            message.receipt = Some(receipt.clone());
            message.visible_at = now + VISIBILITY;
            json!({"MessageId": message.id, "ReceiptHandle": receipt, "Body": message.body})
        });
        Ok(taken.collect())
    }

    fn remove(&mut self, name: &str, receipt: &str) -> ApiResult<()> {
        let queue = self.by_name.get_mut(name).ok_or_else(no_queue)?;
        queue.messages.retain(|message| message.receipt.as_deref() != Some(receipt));
        Ok(())
    }
}

impl Queue {
    fn add(&mut self, body: String) {
        let id = uuid::Uuid::new_v4().to_string();
        self.messages.push_back(Message { id, body, receipt: None, visible_at: Instant::now() });
    }
}

fn event(secret: &Secret, label: &str, version: &str, at: SystemTime) -> String {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let at = DateTime::from_secs(i64::try_from(at).unwrap_or_default());
    json!({
        "version": "0",
        "id": uuid::Uuid::new_v4().to_string(),
        "detail-type": "Secret Label Updated",
        "source": "aws.secretsmanager",
        "account": ACCOUNT,
        "time": at.fmt(Format::DateTime).unwrap_or_default(),
        "region": REGION,
        "resources": [secret.arn],
        "detail": {"name": secret.name, "labelUpdated": label, "versionId": version},
    })
    .to_string()
}

fn no_queue() -> ApiError {
    let code = "com.amazonaws.sqs#QueueDoesNotExist";
    ApiError::new(code, 400, "The specified queue does not exist.")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    queue_url: String,
    #[serde(default)]
    wait_time_seconds: u64,
    max_number_of_messages: Option<usize>,
    receipt_handle: Option<String>,
    #[serde(default)]
    entries: Vec<Entry>,
    message_body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    receipt_handle: String,
}

/// Runs an operation of SQS.
pub(crate) async fn run(shared: &Shared, operation: &str, body: &[u8]) -> ApiResult<Json> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|_| ApiError::invalid_parameter("The request is not valid."))?;
    let name = request.queue_url.rsplit('/').next().unwrap_or_default();
    match operation {
        "ReceiveMessage" => {
            let most = request.max_number_of_messages.unwrap_or(1).clamp(1, MAX_MESSAGES);
            let wait = Duration::from_secs(request.wait_time_seconds.min(MAX_WAIT));
            let messages = receive(shared, name, most, Instant::now() + wait).await?;
            Ok(if messages.is_empty() { json!({}) } else { json!({"Messages": messages}) })
        }
        "DeleteMessage" => {
            let receipt = request.receipt_handle.unwrap_or_default();
            shared.state().queues.remove(name, &receipt).map(|()| json!({}))
        }
        "DeleteMessageBatch" => {
            let mut done = Vec::new();
            for Entry { id, receipt_handle } in request.entries {
                shared.state().queues.remove(name, &receipt_handle)?;
                done.push(json!({"Id": id}));
            }
            Ok(json!({"Successful": done, "Failed": []}))
        }
        "SendMessage" => {
            match shared.state().queues.send(name, request.message_body.unwrap_or_default()) {
                true => Ok(json!({"MessageId": uuid::Uuid::new_v4().to_string()})),
                false => Err(no_queue()),
            }
        }
        _ => Err(ApiError::new("UnknownOperationException", 400, "")),
    }
}

/// Waits until there is a message, or the time is over.
async fn receive(shared: &Shared, name: &str, most: usize, until: Instant) -> ApiResult<Vec<Json>> {
    loop {
        let arrived = shared.state().queues.arrived.clone();
        // Listens before it looks, so that no message is missed in between.
        let arrived = arrived.notified();
        tokio::pin!(arrived);
        arrived.as_mut().enable();
        let messages = shared.state().queues.take(name, most)?;
        if !messages.is_empty() || timeout_at(until, arrived).await.is_err() {
            return Ok(messages);
        }
    }
}

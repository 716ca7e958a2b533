//! The events that Secrets Manager sends when a label moves, and the queues that get them.
//!
//! Only what a test made a queue or a topic for: there is no bus and no rule. An event comes for
//! every label but AWSPENDING and AWSPREVIOUS, and none for a secret that is created. Whether AWS
//! sends one then is not documented; MiniStack does not. Clients may make queues of their own, which
//! get what a topic sends (`topics`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::policy::{Decision, Policy, Request as PolicyRequest};
use crate::secret::{PENDING, PREVIOUS, Secret};
use crate::shared::Shared;
use crate::state::{ACCOUNT, REGION};
use crate::topics::{Delivery, Topics};

/// For how long a message that was received is not seen by others.
const VISIBILITY: Duration = Duration::from_secs(30);

const MAX_WAIT: u64 = 20;

const MAX_MESSAGES: usize = 10;

/// The queues, and who waits for messages.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_name: BTreeMap<String, Queue>,
    pub(crate) topics: Topics,
    pub(crate) arrived: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whose events it gets, without any rule or topic.
    prefix: Option<String>,
    messages: VecDeque<Message>,
    attributes: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
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
        let queue = Queue { prefix: Some(prefix.to_owned()), ..Queue::default() };
        self.by_name.insert(name.to_owned(), queue);
    }

    /// Makes a queue as a client does. One that exists must have the same attributes.
    pub(crate) fn make(
        &mut self,
        name: &str,
        attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> ApiResult<()> {
        match self.by_name.get(name) {
            Some(queue) if queue.attributes == attributes => Ok(()),
            Some(_) => Err(ApiError::new("QueueNameExists", 400, "It has other attributes.")),
            None => {
                let queue = Queue { attributes, tags, ..Queue::default() };
                self.by_name.insert(name.to_owned(), queue);
                Ok(())
            }
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Whether there is such a queue.
    pub(crate) fn tag(&mut self, name: &str, key: &str, value: &str) -> bool {
        let queue = self.by_name.get_mut(name);
        queue.map(|queue| queue.tags.insert(key.to_owned(), value.to_owned())).is_some()
    }

    pub(crate) fn tags(&self, name: &str) -> Option<BTreeMap<String, String>> {
        self.by_name.get(name).map(|queue| queue.tags.clone())
    }

    pub(crate) fn attributes(&self, name: &str) -> Option<BTreeMap<String, String>> {
        self.by_name.get(name).map(|queue| queue.attributes.clone())
    }

    fn of(&mut self, name: &str) -> ApiResult<&mut Queue> {
        self.by_name.get_mut(name).ok_or_else(no_queue)
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
            let gets = |queue: &&mut Queue| {
                queue.prefix.as_ref().is_some_and(|prefix| after.name.starts_with(prefix))
            };
            for queue in self.by_name.values_mut().filter(gets) {
                queue.add(event.clone());
            }
            for Delivery { topic, queue, body } in self.topics.deliveries(&after.name, &event) {
                let queue_name = queue.rsplit(':').next().unwrap_or_default();
                // What the queue's policy does not allow is dropped, and so is what has no queue.
                let queue_of = self.by_name.get_mut(queue_name);
                if let Some(of_name) = queue_of.filter(|q| q.admits(&topic, &queue)) {
                    of_name.add(body);
                }
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
            let receipt = crate::state::random_id();
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
    /// Whether its policy lets the topic send to it.
    fn admits(&self, topic: &str, arn: &str) -> bool {
        let policy = self.attributes.get("Policy").and_then(|text| Policy::of_resource(text).ok());
        let context = BTreeMap::from([("aws:sourcearn".to_owned(), topic.to_owned())]);
        let request = PolicyRequest { action: "sqs:SendMessage", resource: arn, context };
        policy.is_some_and(|policy| policy.decide(&request) == Decision::Allowed)
    }

    fn add(&mut self, body: String) {
        let id = crate::state::random_id();
        self.messages.push_back(Message { id, body, receipt: None, visible_at: Instant::now() });
    }
}

fn event(secret: &Secret, label: &str, version: &str, at: SystemTime) -> String {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let at = DateTime::from_secs(i64::try_from(at).unwrap_or_default());
    json!({
        "version": "0",
        "id": crate::state::random_id(),
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
    #[serde(default)]
    queue_url: String,
    queue_name: Option<String>,
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, alias = "tags")]
    tags: BTreeMap<String, String>,
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

/// The ARN of a queue.
pub(crate) fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// Runs an operation of SQS.
pub(crate) async fn run(
    shared: &Shared,
    caller: Caller,
    operation: &str,
    body: &[u8],
) -> ApiResult<Json> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|_| ApiError::invalid_parameter("The request is not valid."))?;
    let of_url = || request.queue_url.rsplit('/').next().unwrap_or_default().to_owned();
    let name = request.queue_name.clone().unwrap_or_else(of_url);
    let resource = if operation == "ListQueues" { "*".to_owned() } else { queue_arn(&name) };
    let actions: &[&str] = match operation {
        "DeleteMessageBatch" => &["DeleteMessage"],
        "CreateQueue" if !request.tags.is_empty() => &["CreateQueue", "TagQueue"],
        _ => &[operation],
    };
    for action in actions {
        shared.state().authorize_messaging(caller, &format!("sqs:{action}"), &resource)?;
    }
    let url = |name: &str| json!(format!("{}/{ACCOUNT}/{name}", shared.origin_of_queues()));
    match operation {
        "ReceiveMessage" => {
            let most = request.max_number_of_messages.unwrap_or(1).clamp(1, MAX_MESSAGES);
            let wait = Duration::from_secs(request.wait_time_seconds.min(MAX_WAIT));
            let messages = receive(shared, &name, most, Instant::now() + wait).await?;
            return Ok(if messages.is_empty() { json!({}) } else { json!({"Messages": messages}) });
        }
        "SendMessage" => {
            let body = request.message_body.unwrap_or_default();
            return match shared.state().queues.send(&name, body) {
                true => Ok(json!({"MessageId": crate::state::random_id()})),
                false => Err(no_queue()),
            };
        }
        _ => {}
    }
    let mut state = shared.state();
    let queues = &mut state.queues;
    match operation {
        "CreateQueue" => {
            queues.make(&name, request.attributes, request.tags)?;
            Ok(json!({"QueueUrl": url(&name)}))
        }
        "SetQueueAttributes" => {
            queues.of(&name)?.attributes.extend(request.attributes);
            Ok(json!({}))
        }
        "TagQueue" => {
            queues.of(&name)?.tags.extend(request.tags);
            Ok(json!({}))
        }
        "ListQueueTags" => Ok(json!({"Tags": queues.of(&name)?.tags})),
        "ListQueues" => {
            let after = request.next_token.unwrap_or_default();
            let is_next =
                |name: &&String| name.starts_with(&request.queue_name_prefix) && **name > after;
            let names: Vec<&String> = queues.by_name.keys().filter(is_next).collect();
            let page = request.max_results.unwrap_or(1000).min(names.len());
            let urls: Vec<Json> = names[..page].iter().map(|name| url(name)).collect();
            let more = (page < names.len()).then(|| names[page - 1]);
            Ok(json!({"QueueUrls": urls, "NextToken": more}))
        }
        "DeleteQueue" => {
            queues.of(&name)?;
            queues.delete(&name);
            Ok(json!({}))
        }
        "DeleteMessage" => {
            let receipt = request.receipt_handle.unwrap_or_default();
            queues.remove(&name, &receipt).map(|()| json!({}))
        }
        "DeleteMessageBatch" => {
            let mut done = Vec::new();
            for Entry { id, receipt_handle } in request.entries {
                queues.remove(&name, &receipt_handle)?;
                done.push(json!({"Id": id}));
            }
            Ok(json!({"Successful": done, "Failed": []}))
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

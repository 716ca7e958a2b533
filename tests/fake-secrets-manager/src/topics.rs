//! Topics of SNS that get the events, and the subscriptions of queues to them.
//!
//! The protocol is the older one of AWS: a form in, XML out.

use std::collections::BTreeMap;

use serde_json::json;

use crate::access::Caller;
use crate::error::{ApiError, ApiResult};
use crate::shared::Shared;
use crate::state::{ACCOUNT, REGION};

/// The topics, by their ARNs.
#[derive(Debug, Default)]
pub(crate) struct Topics(BTreeMap<String, Topic>);

#[derive(Debug)]
struct Topic {
    /// Whose events it gets.
    prefix: String,
    /// By their ARNs.
    subscriptions: BTreeMap<String, Subscription>,
}

#[derive(Debug)]
struct Subscription {
    /// The queue's ARN.
    endpoint: String,
    raw: bool,
}

/// A message for a queue.
pub(crate) struct Delivery {
    pub(crate) topic: String,
    /// The queue's ARN.
    pub(crate) queue: String,
    pub(crate) body: String,
}

impl Topics {
    /// The ARN of a new topic.
    pub(crate) fn create(&mut self, name: &str, prefix: &str) -> String {
        let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}");
        let topic = Topic { prefix: prefix.to_owned(), subscriptions: BTreeMap::new() };
        self.0.insert(arn.clone(), topic);
        arn
    }

    /// The ARNs of the queues that are subscribed.
    pub(crate) fn endpoints(&self, topic: &str) -> Vec<String> {
        let subscriptions = self.0.get(topic).into_iter().flat_map(|t| t.subscriptions.values());
        subscriptions.map(|subscription| subscription.endpoint.clone()).collect()
    }

    pub(crate) fn unsubscribe_all(&mut self, topic: &str) {
        if let Some(topic) = self.0.get_mut(topic) {
            topic.subscriptions.clear();
        }
    }

    /// The messages that an event causes.
    pub(crate) fn deliveries(&self, secret: &str, event: &str) -> Vec<Delivery> {
        let of_topic = |(arn, topic): (&String, &Topic)| {
            let of_subscription = |subscription: &Subscription| Delivery {
                topic: arn.clone(),
                queue: subscription.endpoint.clone(),
                body: match subscription.raw {
                    true => event.to_owned(),
                    false => json!({"Type": "Notification", "TopicArn": arn, "Message": event})
                        .to_string(),
                },
            };
            topic.subscriptions.values().map(of_subscription).collect::<Vec<_>>()
        };
        let topics = self.0.iter().filter(|(_, topic)| secret.starts_with(&topic.prefix));
        topics.flat_map(of_topic).collect()
    }

    /// The ARN of the subscription: of the one that the queue has, if it has one.
    pub(crate) fn subscribe(&mut self, topic: &str, queue: &str, raw: bool) -> ApiResult<String> {
        let of_topic = self.0.get_mut(topic).ok_or_else(not_found)?;
        let same = of_topic.subscriptions.iter().find(|(_, other)| other.endpoint == queue);
        if let Some((arn, _)) = same {
            return Ok(arn.clone());
        }
        let arn = format!("{topic}:{}", crate::state::random_id());
        let subscription = Subscription { endpoint: queue.to_owned(), raw };
        of_topic.subscriptions.insert(arn.clone(), subscription);
        Ok(arn)
    }

    fn unsubscribe(&mut self, subscription: &str) -> ApiResult<()> {
        let removed = self.0.values_mut().find_map(|t| t.subscriptions.remove(subscription));
        removed.map(drop).ok_or_else(not_found)
    }
}

fn not_found() -> ApiError {
    ApiError::new("NotFound", 404, "Topic or subscription does not exist")
}

/// The operation that a form names.
pub(crate) fn operation(body: &[u8]) -> Option<String> {
    let mut pairs = form_urlencoded::parse(body);
    pairs.find(|(key, _)| key == "Action").map(|(_, operation)| operation.into_owned())
}

/// Runs an operation of SNS, and returns the XML of its answer.
pub(crate) fn run(
    shared: &Shared,
    caller: Caller,
    operation: &str,
    body: &[u8],
) -> ApiResult<String> {
    let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let of = |key: &str| form.get(key).map(String::as_str).unwrap_or_default();
    let mut state = shared.state();
    let result = match operation {
        "Subscribe" => {
            let topic = of("TopicArn");
            state.authorize_messaging(caller, "sns:Subscribe", topic)?;
            let raw = (1..10).any(|n| {
                of(&format!("Attributes.entry.{n}.key")) == "RawMessageDelivery"
                    && of(&format!("Attributes.entry.{n}.value")) == "true"
            });
            let arn = state.queues.topics.subscribe(topic, of("Endpoint"), raw)?;
            format!("<SubscribeResult><SubscriptionArn>{arn}</SubscriptionArn></SubscribeResult>")
        }
        "Unsubscribe" => {
            // IAM knows no resource for it.
            state.authorize_messaging(caller, "sns:Unsubscribe", "*")?;
            state.queues.topics.unsubscribe(of("SubscriptionArn"))?;
            String::new()
        }
        _ => return Err(ApiError::new("InvalidAction", 400, "")),
    };
    Ok(format!(
        "<{operation}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">{result}\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        crate::state::random_id()
    ))
}

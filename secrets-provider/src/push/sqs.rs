//! A queue of SQS: long polls of twenty seconds, and deletions.
//!
//! The first poll is short, so that it is known soon whether the queue answers. `calls` has the
//! client, and the words of errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::calls::{Call, Clients, kind_of};
use super::receive::{Message, Queue, Received};
use crate::error::{Error, ErrorKind, escape};

/// How long one receive waits for a message, in seconds: the longest that SQS allows
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
const WAIT: i32 = 20;

/// How long the first one waits, and the one after a failure.
const FIRST_WAIT: i32 = 2;

/// How many messages one receive takes: the most that SQS allows.
const MAX_MESSAGES: i32 = 10;

/// A queue, by its URL.
pub(super) struct Sqs {
    url: String,
    /// As errors call it.
    subject: String,
    clients: Arc<Clients>,
    /// Whether the last receive succeeded.
    answers: AtomicBool,
}

impl Sqs {
    pub(super) fn new(url: String, clients: Arc<Clients>) -> Self {
        let subject = format!("queue `{}`", escape(path(&url).unwrap_or(&url)));
        Self { url, subject, clients, answers: AtomicBool::new(false) }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn failed<E>(&self, action: &str, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let actions = format!("`sqs:{action}`");
        let call = Call {
            service: "sqs",
            action,
            subject: &self.subject,
            region: region(&self.url),
            needs: (&actions, "the queue"),
        };
        call.failed(error)
    }

    async fn received(&self) -> Result<Received, Error> {
        let wait = if self.answers.load(Ordering::Relaxed) { WAIT } else { FIRST_WAIT };
        let call = self.clients.sqs().await?.receive_message().queue_url(&self.url);
        let call = call.wait_time_seconds(wait).max_number_of_messages(MAX_MESSAGES);
        let answer = call.send().await.map_err(|error| self.failed("ReceiveMessage", &error))?;
        let message = |message: aws_sdk_sqs::types::Message| Message {
            body: message.body.unwrap_or_default(),
            receipt: message.receipt_handle,
        };
        let messages = answer.messages.unwrap_or_default().into_iter().map(message).collect();
        Ok(Received { messages, ..Received::default() })
    }

    async fn deleted(&self, receipts: Vec<String>) -> Result<(), Error> {
        let entry = |(at, receipt): (usize, String)| {
            let entry = DeleteMessageBatchRequestEntry::builder();
            entry.id(at.to_string()).receipt_handle(receipt).build().ok()
        };
        let entries = receipts.into_iter().enumerate().filter_map(entry).collect();
        let call = self.clients.sqs().await?.delete_message_batch().queue_url(&self.url);
        let call = call.set_entries(Some(entries)).send();
        let answer = call.await.map_err(|error| self.failed("DeleteMessage", &error))?;
        match answer.failed.first() {
            None => Ok(()),
            Some(failed) => {
                let message = format!("a message was not deleted: {}", escape(&failed.code));
                Err(Error::new(kind_of(&failed.code), message))
            }
        }
    }
}

impl Queue for Sqs {
    fn receive(&self) -> BoxFuture<'_, Result<Received, Error>> {
        async move {
            let received = self.received().await;
            self.answers.store(received.is_ok(), Ordering::Relaxed);
            received
        }
        .boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<(), Error>> {
        self.deleted(receipts).boxed()
    }
}

/// Checks what a program gives as the URL of a queue.
///
/// # Errors
///
/// `Config` if it is none.
pub(super) fn check(url: &str) -> Result<(), Error> {
    if path(url).is_some() {
        return Ok(());
    }
    let message = format!("`{}` is not the URL of an SQS queue", escape(url));
    Err(Error::new(ErrorKind::Config, message).with_hint(
        "give the queue's URL, such as \
         `https://sqs.eu-west-1.amazonaws.com/111122223333/secret-changes`; an ARN or a name is \
         not enough",
    ))
}

/// The account and the name at the end of a queue's URL, with a slash between them.
pub(super) fn path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, path) = rest.split_once('/')?;
    let (account, name) = path.split_once('/')?;
    let is_part = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace());
    ([host, account, name].into_iter().all(is_part) && !name.contains(['/', '?'])).then_some(path)
}

/// The region in the host of a queue's URL, if it says one: after `sqs` or `sqs-fips`, as the
/// endpoints of regions, FIPS, dual stack and VPCs have it; before `queue`, as older ones do
/// (<https://docs.aws.amazon.com/general/latest/gr/sqs-service.html>).
pub(super) fn region(url: &str) -> Option<&str> {
    let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let after = |pair: &&[&'_ str]| matches!(pair[0], "sqs" | "sqs-fips") && is_region(pair[1]);
    match labels.windows(2).find(after) {
        Some(pair) => Some(pair[1]),
        None if labels.get(1) == Some(&"queue") && is_region(labels[0]) => Some(labels[0]),
        None if host == "queue.amazonaws.com" => Some("us-east-1"),
        None => None,
    }
}

/// Whether a label may be a region: `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    label.chars().all(plain)
        && label.contains('-')
        && label.rsplit('-').next().is_some_and(|end| end.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_by_a_url() {
        const AWS: &str = "https://sqs.eu-west-1.amazonaws.com/111122223333/secret-changes";
        for (url, of_name, of_region) in [
            (AWS, Some("111122223333/secret-changes"), Some("eu-west-1")),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/q.fifo",
                Some("1/q.fifo"),
                Some("cn-north-1"),
            ),
            (
                "https://sqs-fips.us-gov-west-1.amazonaws.com/1/q",
                Some("1/q"),
                Some("us-gov-west-1"),
            ),
            ("https://sqs.us-east-2.api.aws/1/q", Some("1/q"), Some("us-east-2")),
            ("https://sqs-fips.us-east-2.api.aws/1/q", Some("1/q"), Some("us-east-2")),
            (
                "https://sqs.cn-north-1.api.amazonwebservices.com.cn/1/q",
                Some("1/q"),
                Some("cn-north-1"),
            ),
            (
                "https://vpce-1a2b-3c.sqs.eu-west-1.vpce.amazonaws.com/1/q",
                Some("1/q"),
                Some("eu-west-1"),
            ),
            (
                "https://vpce-1a2b-3c-eu-west-1a.sqs.eu-west-1.vpce.amazonaws.com:443/1/q",
                Some("1/q"),
                Some("eu-west-1"),
            ),
            ("https://sqs.us-iso-east-1.c2s.ic.gov/1/q", Some("1/q"), Some("us-iso-east-1")),
            ("https://eu-west-1.queue.amazonaws.com/1/q", Some("1/q"), Some("eu-west-1")),
            ("https://queue.amazonaws.com/1/q", Some("1/q"), Some("us-east-1")),
            ("http://localhost:4566/000000000000/q", Some("000000000000/q"), None),
            ("https://sqs.internal.example/1/q", Some("1/q"), None),
            ("secret-changes", None, None),
            ("arn:aws:sqs:eu-west-1:111122223333:secret-changes", None, None),
            ("https://sqs.eu-west-1.amazonaws.com/", None, Some("eu-west-1")),
            ("https://sqs.eu-west-1.amazonaws.com/1/a/b", None, Some("eu-west-1")),
            ("https://sqs.eu-west-1.amazonaws.com/1/ a", None, Some("eu-west-1")),
            ("", None, None),
        ] {
            assert_eq!((path(url), region(url)), (of_name, of_region), "{url}");
            assert_eq!(check(url).is_ok(), of_name.is_some(), "{url}");
        }
    }
}

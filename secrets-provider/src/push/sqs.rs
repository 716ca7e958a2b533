//! A queue of SQS: long polls of twenty seconds, and deletions.
//!
//! The client is made at the first receive, on the runtime of the refresh, from the configuration
//! of the manager or one that the program gives. Its limits are its own: one for a single attempt
//! below the wait would cut every poll. Errors are in our words; the SDK's may quote anything.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Builder, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::receive::{Message, Queue};
use crate::backend::store::Store;
use crate::error::{Error, ErrorKind, escape};
use crate::unwind;

/// How long one receive waits for a message, in seconds: the longest that SQS allows
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
const WAIT: i32 = 20;

/// How many messages one receive takes: the most that SQS allows.
const MAX_MESSAGES: i32 = 10;

/// How long one attempt may take: the wait, and time for the network.
const ATTEMPT: Duration = Duration::from_secs(30);

/// Where the client comes from.
pub(super) enum Access {
    Client(Box<Client>),
    /// The configuration of the secrets' own store, loaded at the first receive.
    Store(Arc<dyn Store>),
}

/// A queue, by its URL.
pub(super) struct Sqs {
    url: String,
    access: Access,
    client: OnceCell<Client>,
}

impl Sqs {
    /// # Errors
    ///
    /// `Config` if this is no URL of a queue.
    pub(super) fn new(url: &str, access: Access) -> Result<Self, Error> {
        if name(url).is_none() {
            let message = format!("`{}` is not the URL of an SQS queue", escape(url));
            return Err(Error::new(ErrorKind::Config, message).with_hint(
                "give the queue's URL, such as \
                 `https://sqs.eu-west-1.amazonaws.com/111122223333/secret-changes`; an ARN or a \
                 name is not enough",
            ));
        }
        Ok(Self { url: url.to_owned(), access, client: OnceCell::new() })
    }

    async fn client(&self) -> Result<&Client, Error> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Error> {
        let store = match &self.access {
            Access::Client(client) => return Ok(Client::clone(client)),
            Access::Store(store) => store,
        };
        let config = unwind::catch_future(store.sdk_config()).await;
        let config = config.map_err(|panic| panic.rejection("loading the AWS configuration"))??;
        let mut builder = Builder::from(&config).timeout_config(timeouts());
        // A queue may be in another region than the secrets.
        if let Some(region) = region(&self.url) {
            builder = builder.region(Region::new(region.to_owned()));
        }
        Ok(Client::from_conf(builder.build()))
    }

    fn failed<E>(&self, action: &str, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let queue = escape(name(&self.url).unwrap_or(&self.url)).into_owned();
        let what = |what: &str| format!("queue `{queue}`: {action}: {what}");
        let SdkError::ServiceError(context) = error else {
            let no_answer = "no answer";
            return Error::new(ErrorKind::Unavailable, what(no_answer)).with_hint(
                "check the network and, in a VPC, the interface endpoint of SQS; secrets are read \
                 at the interval meanwhile",
            );
        };
        let code = context.err().code().unwrap_or_default();
        let kind = kind_of(code);
        let code = if code.is_empty() { "an error without a code" } else { code };
        let error = Error::new(kind, what(&escape(code)));
        match kind {
            ErrorKind::AccessDenied => error.with_hint(format!(
                "allow `sqs:{action}` on the queue to the program's role; a queue under a customer \
                 managed key also needs `kms:Decrypt`"
            )),
            ErrorKind::NotFound => error.with_hint(
                "check the queue's URL, its region and its account; a queue that was made again \
                 within a minute of its deletion needs that minute",
            ),
            _ => error,
        }
    }
}

impl Queue for Sqs {
    fn receive(&self) -> BoxFuture<'_, Result<Vec<Message>, Error>> {
        async move {
            let call = self.client().await?.receive_message().queue_url(&self.url);
            let call = call.wait_time_seconds(WAIT).max_number_of_messages(MAX_MESSAGES);
            let answer =
                call.send().await.map_err(|error| self.failed("ReceiveMessage", &error))?;
            let messages = answer.messages.unwrap_or_default().into_iter();
            let message = |message: aws_sdk_sqs::types::Message| Message {
                body: message.body.unwrap_or_default(),
                receipt: message.receipt_handle,
            };
            Ok(messages.map(message).collect())
        }
        .boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let entry = |(at, receipt): (usize, String)| {
                let entry = DeleteMessageBatchRequestEntry::builder();
                entry.id(at.to_string()).receipt_handle(receipt).build().ok()
            };
            let entries = receipts.into_iter().enumerate().filter_map(entry).collect();
            let call = self.client().await?.delete_message_batch().queue_url(&self.url);
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
        .boxed()
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT)
        // The program's own configuration may have a shorter one, for other services.
        .read_timeout(ATTEMPT)
        .operation_timeout(ATTEMPT * 2)
        .build()
}

/// What a code of SQS means, with or without the ending and the prefix of its older protocol.
fn kind_of(code: &str) -> ErrorKind {
    let denied =
        ["AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSecurity"];
    let also_denied = ["ExpiredToken", "UnrecognizedClient", "KmsAccessDenied", "InvalidAddress"];
    let has = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
    match () {
        () if has(&["QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently"]) => {
            ErrorKind::NotFound
        }
        () if has(&denied) || has(&also_denied) => ErrorKind::AccessDenied,
        () if has(&["Throttl", "TooManyRequests", "OverLimit"]) => ErrorKind::Throttled,
        () => ErrorKind::Unavailable,
    }
}

/// The account and the name at the end of a queue's URL.
fn name(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, path) = rest.split_once('/')?;
    let (account, name) = path.split_once('/')?;
    let is_part = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace());
    ([host, account, name].into_iter().all(is_part) && !name.contains(['/', '?'])).then_some(path)
}

/// The region in the host of a queue's URL, if it is one of AWS.
fn region(url: &str) -> Option<&str> {
    let host = url.split("://").nth(1)?.split('/').next()?;
    let (region, domain) = host.strip_prefix("sqs.")?.split_once('.')?;
    domain.starts_with("amazonaws.com").then_some(region)
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
            ("http://localhost:4566/000000000000/q", Some("000000000000/q"), None),
            ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/1/q", Some("1/q"), None),
            ("secret-changes", None, None),
            ("arn:aws:sqs:eu-west-1:111122223333:secret-changes", None, None),
            ("https://sqs.eu-west-1.amazonaws.com/", None, Some("eu-west-1")),
            ("https://sqs.eu-west-1.amazonaws.com/1/a/b", None, Some("eu-west-1")),
            ("https://sqs.eu-west-1.amazonaws.com/1/ a", None, Some("eu-west-1")),
            ("", None, None),
        ] {
            assert_eq!((name(url), region(url)), (of_name, of_region), "{url}");
        }
    }

    #[test]
    fn codes_of_both_protocols_have_a_meaning() {
        for (code, kind) in [
            ("AccessDenied", ErrorKind::AccessDenied),
            ("AccessDeniedException", ErrorKind::AccessDenied),
            ("ExpiredToken", ErrorKind::AccessDenied),
            ("com.amazonaws.sqs#QueueDoesNotExist", ErrorKind::NotFound),
            ("AWS.SimpleQueueService.NonExistentQueue", ErrorKind::NotFound),
            ("AWS.SimpleQueueService.QueueDeletedRecently", ErrorKind::NotFound),
            ("RequestThrottled", ErrorKind::Throttled),
            ("ThrottlingException", ErrorKind::Throttled),
            ("OverLimit", ErrorKind::Throttled),
            ("InternalError", ErrorKind::Unavailable),
            ("", ErrorKind::Unavailable),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }
}

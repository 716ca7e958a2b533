//! The clients of SQS and SNS, and the errors of their calls.
//!
//! Clients are made at the first call, on the runtime of the refresh, from the configuration of the
//! manager or by the program. Their limits are their own: one for a single attempt below the wait
//! of a receive would cut every poll. Errors are in our words; the SDK's may quote anything.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{Region, StalledStreamProtectionConfig};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::SdkConfig;
use tokio::sync::OnceCell;

use crate::backend::aws;
use crate::backend::store::Store;
use crate::error::{Error, ErrorKind, escape};
use crate::unwind;

/// How long one attempt of a receive may take: the wait, and time for the network.
const ATTEMPT: Duration = Duration::from_secs(30);

/// The same for other calls, which do not wait.
const SHORT_ATTEMPT: Duration = Duration::from_secs(10);

/// Where clients come from.
pub(super) struct Clients {
    /// The configuration of the secrets' own store, for clients that are not given.
    store: Arc<dyn Store>,
    /// The region, if the queue's URL or the topic's ARN says it.
    region: Option<String>,
    sqs: OnceCell<aws_sdk_sqs::Client>,
    sns: OnceCell<aws_sdk_sns::Client>,
}

impl Clients {
    pub(super) fn new(
        store: Arc<dyn Store>,
        region: Option<&str>,
        sqs: Option<aws_sdk_sqs::Client>,
        sns: Option<aws_sdk_sns::Client>,
    ) -> Self {
        let region = region.map(str::to_owned);
        Self { store, region, sqs: OnceCell::new_with(sqs), sns: OnceCell::new_with(sns) }
    }

    pub(super) async fn sqs(&self) -> Result<&aws_sdk_sqs::Client, Error> {
        let connect = async || {
            let config = self.config().await?;
            // A long poll is silent for as long as the protection allows. Its own limit is enough.
            let silence = StalledStreamProtectionConfig::disabled();
            let mut builder = aws_sdk_sqs::config::Builder::from(&config)
                .timeout_config(timeouts(ATTEMPT))
                .stalled_stream_protection(silence);
            if let Some(region) = &self.region {
                builder = builder.region(Region::new(region.clone()));
            }
            if let Some(url) = self.store.endpoint_of("sqs") {
                builder = builder.endpoint_url(url);
            }
            Ok(aws_sdk_sqs::Client::from_conf(builder.build()))
        };
        self.sqs.get_or_try_init(connect).await
    }

    pub(super) async fn sns(&self) -> Result<&aws_sdk_sns::Client, Error> {
        let connect = async || {
            let config = self.config().await?;
            let mut builder =
                aws_sdk_sns::config::Builder::from(&config).timeout_config(timeouts(SHORT_ATTEMPT));
            if let Some(region) = &self.region {
                builder = builder.region(Region::new(region.clone()));
            }
            if let Some(url) = self.store.endpoint_of("sns") {
                builder = builder.endpoint_url(url);
            }
            Ok(aws_sdk_sns::Client::from_conf(builder.build()))
        };
        self.sns.get_or_try_init(connect).await
    }

    async fn config(&self) -> Result<SdkConfig, Error> {
        let config = unwind::catch_future(self.store.sdk_config()).await;
        config.map_err(|panic| panic.rejection("loading the AWS configuration"))?
    }
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(attempt)
        // The program's own configuration may have a shorter one, for other services.
        .read_timeout(attempt)
        .operation_timeout(attempt * 2)
        .build()
}

/// A call that may fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// As endpoints are named after it, and IAM's actions: `sqs` or `sns`.
    pub(super) service: &'static str,
    pub(super) action: &'a str,
    /// What it is about, such as `` queue `1/changes` ``.
    pub(super) subject: &'a str,
    pub(super) region: Option<&'a str>,
    /// The IAM actions that the call needs, and the resource to allow them on.
    pub(super) needs: (&'a str, &'a str),
}

impl Call<'_> {
    /// The error of the call.
    pub(super) fn failed<E>(self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Self { service, action, subject, region, needs: (actions, resource) } = self;
        let what = |what: &str| format!("{subject}: {action}: {what}");
        let meanwhile = "secrets are read at the interval meanwhile";
        // What names the endpoint, the proxy or the credentials is worded as for secrets.
        if let Some(error) = aws::without_answer(service, action, region, error) {
            let hint = match error.hint() {
                Some(hint) => format!("{hint}; {meanwhile}"),
                None => meanwhile.to_owned(),
            };
            let message = format!("{subject}: {}", error.summary());
            return Error::new(error.kind(), message).with_hint(hint);
        }
        let SdkError::ServiceError(context) = error else {
            return Error::new(ErrorKind::Unavailable, what("no valid answer")).with_hint(format!(
                "check AWS_ENDPOINT_URL, and any proxy or load balancer in between; {meanwhile}"
            ));
        };
        let code = context.err().code().unwrap_or_default();
        let kind = kind_of(code);
        let code = if code.is_empty() { "an error without a code" } else { code };
        let error = Error::new(kind, what(&escape(code)));
        match kind {
            ErrorKind::AccessDenied => error.with_hint(format!(
                "allow {actions} on {resource} to the program's role; a queue under a customer \
                 managed key also needs `kms:Decrypt`"
            )),
            ErrorKind::NotFound if service == "sns" => {
                error.with_hint("check the topic's ARN: its region, account and name")
            }
            ErrorKind::NotFound => error.with_hint(
                "check the queue's URL, its region and its account; a queue that was made again \
                 within a minute of its deletion needs that minute",
            ),
            _ => error,
        }
    }
}

/// What a code of SQS or SNS means, with or without the ending and the prefix of older protocols.
pub(super) fn kind_of(code: &str) -> ErrorKind {
    let denied = [
        "AccessDenied",
        "AuthorizationError",
        "ExpiredToken",
        "InvalidAddress",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
    ];
    let has = |parts: &[&str]| parts.iter().any(|part| code.contains(part));
    match () {
        () if has(&["QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently"]) => {
            ErrorKind::NotFound
        }
        () if code == "NotFound" || code == "NotFoundException" => ErrorKind::NotFound,
        () if has(&denied) => ErrorKind::AccessDenied,
        () if has(&["Throttl", "TooManyRequests", "OverLimit", "LimitExceeded"]) => {
            ErrorKind::Throttled
        }
        () if has(&["InvalidParameter", "InvalidAttribute"]) => ErrorKind::Config,
        () => ErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    #[test]
    fn a_call_without_an_answer_is_named_by_its_cause() {
        type Failed = SdkError<ReceiveMessageError, HttpResponse>;
        let unreached = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Failed::dispatch_failure(ConnectorError::io(cause))
        };
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (failed, expected, kind) in [
            (unreached(refused.into()), "refuses connections", ErrorKind::Unavailable),
            (unreached("dns error: hunter2".into()), "is not found by DNS", ErrorKind::Unavailable),
            (
                unreached("invalid peer certificate: UnknownIssuer hunter2".into()),
                "TLS certificate is not trusted",
                ErrorKind::Config,
            ),
            (
                unreached("received corrupt message of type InvalidContentType".into()),
                "does not speak TLS",
                ErrorKind::Config,
            ),
            (Failed::timeout_error("hunter2"), "no answer in time", ErrorKind::Unavailable),
        ] {
            let call = Call {
                service: "sqs",
                action: "ReceiveMessage",
                subject: "queue `1/q`",
                region: Some("eu-west-1"),
                needs: ("`sqs:ReceiveMessage`", "the queue"),
            };
            let error = call.failed(&failed);
            assert_eq!(error.kind(), kind, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("queue `1/q`: ReceiveMessage: "), "{text}");
            assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
            if kind == ErrorKind::Unavailable {
                assert!(text.contains("`com.amazonaws.eu-west-1.sqs`"), "{text}");
            }
        }
    }

    #[test]
    fn codes_of_all_protocols_have_a_meaning() {
        for (code, kind) in [
            ("AccessDenied", ErrorKind::AccessDenied),
            ("AccessDeniedException", ErrorKind::AccessDenied),
            ("AuthorizationError", ErrorKind::AccessDenied),
            ("AuthorizationErrorException", ErrorKind::AccessDenied),
            ("KmsAccessDenied", ErrorKind::AccessDenied),
            ("KMSAccessDeniedException", ErrorKind::AccessDenied),
            ("ExpiredToken", ErrorKind::AccessDenied),
            ("com.amazonaws.sqs#QueueDoesNotExist", ErrorKind::NotFound),
            ("AWS.SimpleQueueService.NonExistentQueue", ErrorKind::NotFound),
            ("AWS.SimpleQueueService.QueueDeletedRecently", ErrorKind::NotFound),
            ("NotFound", ErrorKind::NotFound),
            ("InvalidParameter", ErrorKind::Config),
            ("RequestThrottled", ErrorKind::Throttled),
            ("ThrottlingException", ErrorKind::Throttled),
            ("Throttled", ErrorKind::Throttled),
            ("OverLimit", ErrorKind::Throttled),
            ("SubscriptionLimitExceeded", ErrorKind::Throttled),
            ("InternalError", ErrorKind::Unavailable),
            ("", ErrorKind::Unavailable),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }
}

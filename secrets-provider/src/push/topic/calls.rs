//! The calls for a replica's own queue, and their errors.

use std::time::SystemTime;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::super::calls::Call;
use super::super::own;
use super::super::sqs::{self, Sqs};
use super::{RETENTION, Shared};
use crate::error::{Error, ErrorKind};

impl Shared {
    fn failed_call<E>(
        &self,
        (service, action): (&'static str, &str),
        error: &SdkError<E, HttpResponse>,
    ) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // Making one with tags needs both.
        let actions = match action {
            "CreateQueue" => "`sqs:CreateQueue` and `sqs:TagQueue`".to_owned(),
            action => format!("`{service}:{action}`"),
        };
        let resource = match action {
            "Subscribe" => self.topic.as_str().to_owned(),
            "Unsubscribe" | "ListQueues" => "`*`".to_owned(),
            _ => self.topic.queues(),
        };
        let region = Some(self.topic.region());
        let call =
            Call { service, action, subject: &self.subject, region, needs: (&actions, &resource) };
        call.failed(error)
    }

    /// The error of a call of SQS.
    pub(in crate::push) fn failed<E>(
        &self,
        action: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.failed_call(("sqs", action), error)
    }

    pub(super) fn queue_is_gone(&self) -> Error {
        let message = format!("{}: the queue of this replica is gone", self.subject);
        Error::new(ErrorKind::Unavailable, message)
            .with_hint("another one is made; find out what deletes queues")
    }

    pub(super) fn arn_of(&self, queue: &Sqs) -> Result<String, Error> {
        let path = sqs::path(queue.url()).and_then(|path| path.split_once('/'));
        let Some((account, name)) = path else {
            let message = format!("{}: CreateQueue answers without a URL", self.subject);
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        Ok(self.topic.queue_arn(account, name))
    }

    /// The URL of the queue. Repeated with the same name, it is the same queue.
    pub(super) async fn create(&self, name: &str) -> Result<String, Error> {
        let mut call = self.clients.sqs().await?.create_queue().queue_name(name);
        for (key, value) in own::tags(SystemTime::now(), None) {
            call = call.tags(key, value);
        }
        let retention = RETENTION.to_string();
        let call = call
            .attributes(QueueAttributeName::MessageRetentionPeriod, retention)
            .attributes(QueueAttributeName::ReceiveMessageWaitTimeSeconds, "20")
            .attributes(QueueAttributeName::SqsManagedSseEnabled, "true")
            // From the beginning: a change of attributes takes up to a minute.
            .attributes(QueueAttributeName::Policy, self.topic.queue_policy(name));
        let answer = call.send().await.map_err(|error| self.failed("CreateQueue", &error))?;
        let url = answer.queue_url.filter(|url| sqs::path(url).is_some());
        url.ok_or_else(|| {
            let message = format!("{}: CreateQueue answers without a URL", self.subject);
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    /// The subscription's ARN: that of the present one, if there is one.
    pub(super) async fn subscribe(&self, queue_arn: &str) -> Result<String, Error> {
        let call = self.clients.sns().await?.subscribe().topic_arn(self.topic.as_str());
        let call = call.protocol("sqs").endpoint(queue_arn).return_subscription_arn(true);
        let call = call.attributes("RawMessageDelivery", "true").send();
        let answer = call.await.map_err(|error| self.failed_call(("sns", "Subscribe"), &error))?;
        answer.subscription_arn.ok_or_else(|| {
            let message = format!("{}: Subscribe answers without an ARN", self.subject);
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    pub(super) async fn tag(&self, queue: &Sqs, subscription: Option<&str>) -> Result<(), Error> {
        let mut call = self.clients.sqs().await?.tag_queue().queue_url(queue.url());
        for (key, value) in own::tags(SystemTime::now(), subscription) {
            call = call.tags(key, value);
        }
        call.send().await.map_err(|error| self.failed("TagQueue", &error))?;
        Ok(())
    }

    pub(in crate::push) async fn unsubscribe(&self, subscription: &str) -> Result<(), Error> {
        let call = self.clients.sns().await?.unsubscribe().subscription_arn(subscription).send();
        gone(call.await.map_err(|error| self.failed_call(("sns", "Unsubscribe"), &error)))
    }

    pub(in crate::push) async fn delete_queue(&self, url: &str) -> Result<(), Error> {
        let call = self.clients.sqs().await?.delete_queue().queue_url(url).send();
        gone(call.await.map_err(|error| self.failed("DeleteQueue", &error)))
    }
}

/// What is not there any more need not be deleted.
fn gone<T>(deleted: Result<T, Error>) -> Result<(), Error> {
    match deleted {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! The calls of a rotation: DescribeSecret, GetSecretValue by version, PutSecretValue,
//! UpdateSecretVersionStage and RotateSecret.
//!
//! An answer that says "someone else came first" is the kind `Conflict`. The SDK does not retry
//! UpdateSecretVersionStage: a second attempt after a lost answer would be refused as stale and
//! look like a lost race. What an open outcome means is for the caller to find out by the labels.

use std::collections::HashMap;

use aws_sdk_secretsmanager::config;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::primitives::Blob;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::FutureExt as _;

use super::answer::{fetched, payload};
use super::error::{Call, NOT_AWS};
use super::{Aws, location};
use crate::backend::BoxFuture;
use crate::backend::writer::{Labels, Writer};
use crate::error::{Error, ErrorKind};
use crate::secret::{Fetched, Payload};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";

impl Writer for Aws {
    fn labels<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Labels, Error>> {
        async move {
            let client = self.client().await?;
            let call = client.describe_secret().secret_id(id).customize();
            let answer = call.interceptor(self.counter.of("DescribeSecret")).send().await;
            let location = location(client);
            let call =
                Call { action: "DescribeSecret", id: Some(id), stage: None, location: &location };
            let answer = answer.map_err(|error| call.failed(&error))?;
            if answer.deleted_date.is_some() {
                // DescribeSecret answers for a deleted secret too.
                return Err(call.refused(
                    Some("InvalidRequestException"),
                    Some("marked for deletion"),
                    None,
                ));
            }
            let versions = answer.version_ids_to_stages.unwrap_or_default();
            let current = holder(&versions, CURRENT).ok_or_else(|| {
                call.refused(
                    Some("ResourceNotFoundException"),
                    Some("no value for staging label: AWSCURRENT"),
                    None,
                )
            })?;
            // Managed rotation has no function of the account's own, only a service that owns the
            // secret.
            let by_aws = answer.rotation_enabled == Some(true) || answer.owning_service.is_some();
            Ok(Labels::new(current)
                .with_pending(holder(&versions, PENDING))
                .with_previous(holder(&versions, PREVIOUS))
                .with_rotation_by_store(by_aws))
        }
        .boxed()
    }

    fn version<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Fetched>, Error>> {
        async move {
            let client = self.client().await?;
            let call = client.get_secret_value().secret_id(id).version_id(version_id).customize();
            let answer = call.interceptor(self.counter.of("GetSecretValue")).send().await;
            let location = location(client);
            let call =
                Call { action: "GetSecretValue", id: Some(id), stage: None, location: &location };
            let answer = match answer {
                Ok(answer) => answer,
                // A missing version has the code of a missing secret. The labels are read first, so
                // the secret is there.
                Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
                Err(error) => return Err(call.failed(&error)),
            };
            let payload = payload(answer.secret_string, answer.secret_binary);
            let secret = fetched(id, answer.name, answer.arn, answer.version_id, payload)?;
            if secret.version_id() != version_id {
                let message = format!("secret `{id}`: the answer is about another version");
                return Err(Error::new(ErrorKind::Unavailable, message)
                    .with_secret(id)
                    .with_hint(NOT_AWS));
            }
            Ok(Some(secret))
        }
        .boxed()
    }

    fn put_pending<'a>(
        &'a self,
        id: &'a str,
        pending: &'a Fetched,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let client = self.client().await?;
            let call = client
                .put_secret_value()
                .secret_id(id)
                .client_request_token(pending.version_id())
                .version_stages(PENDING);
            let call = match pending.payload() {
                Payload::Text(text) => call.secret_string(text.as_str()),
                Payload::Binary(bytes) => call.secret_binary(Blob::new(bytes.to_vec())),
            };
            let call = call.customize().interceptor(self.counter.of("PutSecretValue"));
            let answer = call.send().await;
            let location = location(client);
            let call =
                Call { action: "PutSecretValue", id: Some(id), stage: None, location: &location };
            answer.map(drop).map_err(|error| match error.code() {
                Some("ResourceExistsException") => call.came_second("the version exists already"),
                Some("LimitExceededException") => call.too_many_versions(),
                _ => call.failed(&error),
            })
        }
        .boxed()
    }

    fn make_current<'a>(
        &'a self,
        id: &'a str,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.update_stage(id, CURRENT, from, Some(to)).boxed()
    }

    fn remove_pending<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.update_stage(id, PENDING, version_id, None).boxed()
    }

    fn start_rotation<'a>(
        &'a self,
        id: &'a str,
        version_id: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let client = self.client().await?;
            let call = client.rotate_secret().secret_id(id).client_request_token(version_id);
            let call = call.customize().interceptor(self.counter.of("RotateSecret"));
            let answer = call.send().await;
            let location = location(client);
            let call =
                Call { action: "RotateSecret", id: Some(id), stage: None, location: &location };
            answer.map(drop).map_err(|error| call.not_rotated(&error))
        }
        .boxed()
    }
}

impl Aws {
    async fn update_stage(
        &self,
        id: &str,
        label: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        let call = client
            .update_secret_version_stage()
            .secret_id(id)
            .version_stage(label)
            .remove_from_version_id(from)
            .set_move_to_version_id(to.map(str::to_owned));
        let once = config::Builder::new().retry_config(RetryConfig::disabled());
        let call = call.customize().config_override(once);
        let call = call.interceptor(self.counter.of("UpdateSecretVersionStage"));
        let answer = call.send().await;
        let location = location(client);
        let call = Call {
            action: "UpdateSecretVersionStage",
            id: Some(id),
            stage: None,
            location: &location,
        };
        answer.map(drop).map_err(|error| match error.code() {
            // The ids of this crate's calls are of versions that exist, so what is wrong is that
            // the label is not where it was.
            Some("InvalidParameterException") => call.came_second("the label has moved"),
            _ => call.failed(&error),
        })
    }
}

fn holder(versions: &HashMap<String, Vec<String>>, label: &str) -> Option<String> {
    let mut versions = versions.iter();
    let (id, _) = versions.find(|(_, labels)| labels.iter().any(|other| other == label))?;
    Some(id.clone())
}

impl Call<'_> {
    /// The error of a call that another program came before.
    fn came_second(self, what: &str) -> Error {
        self.error(ErrorKind::Conflict, what).with_hint("another program rotates the secret, too")
    }

    fn too_many_versions(self) -> Error {
        self.error(ErrorKind::Throttled, "the secret has too many versions").with_hint(
            "Secrets Manager keeps a hundred versions, and each for a day: rotate less often",
        )
    }

    /// Why the store's own rotation did not start.
    fn not_rotated<E>(self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let message = error.message().unwrap_or_default().to_ascii_lowercase();
        match error.code() {
            Some("InvalidRequestException") if message.contains("previous rotation") => self
                .error(ErrorKind::Conflict, "a rotation of it is already in progress")
                .with_hint(
                    "AWSPENDING is on a version that is not AWSCURRENT, and AWS tries that \
                     rotation again; if it never ends, look at the log of the rotation function",
                ),
            Some("InvalidRequestException") if message.contains("lambda") => {
                self.error(ErrorKind::Config, "no rotation is set up for it").with_hint(
                    "set one up with `aws secretsmanager rotate-secret --rotation-lambda-arn ..`, \
                     or rotate it by this program: `manager.rotation(..)`",
                )
            }
            Some("AccessDeniedException") if message.contains("lambda") => self
                .error(ErrorKind::Config, "Secrets Manager may not call its rotation function")
                .with_hint(
                    "allow the principal `secretsmanager.amazonaws.com` to call \
                     `lambda:InvokeFunction` in the function's policy",
                ),
            _ => self.failed(error),
        }
    }
}

//! Calls of AWS that the library has no method for, by the client that it hands out: facts about a
//! secret, versions by id, and writing.
//!
//! The SDK's errors quote answers, so they are rebuilt: only their codes are used.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::Blob;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, ErrorKind, SecretsManager};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::output::printable;
use crate::select::Selection;
use crate::table::Row;

/// What a secret holds.
pub(crate) enum Payload {
    Text(SecretString),
    Binary(Zeroizing<Vec<u8>>),
}

impl Payload {
    /// The bytes of either.
    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Text(text) => Zeroizing::new(text.expose_secret().as_bytes().to_vec()),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// The facts about a secret.
#[derive(Debug, Default)]
pub(crate) struct Described(pub(crate) Option<Box<DescribeSecretOutput>>);

impl Described {
    /// Each version with its labels, by its id.
    pub(crate) fn versions(&self) -> BTreeMap<String, Vec<String>> {
        let versions = self.0.as_ref().and_then(|facts| facts.version_ids_to_stages.clone());
        versions.unwrap_or_default().into_iter().collect()
    }

    pub(crate) fn versions_json(&self) -> Value {
        json!(self.versions())
    }

    /// The versions as rows of a table.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let versions = self.versions().into_iter();
        versions
            .map(|(id, labels)| Row::new(["has", &printable(&id), &printable(&labels.join(", "))]))
            .collect()
    }
}

/// Whether this is the id of a version rather than a label. Ids have 32 to 64 characters.
pub(crate) fn is_version_id(text: &str) -> bool {
    (32..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-')
}

/// What AWS knows about a secret, apart from its value.
pub(crate) async fn describe(selection: &Selection, id: &str) -> Result<Described, Error> {
    let client = selection.client().await?;
    let answer = client.describe_secret().secret_id(id).send().await;
    let answer = answer.map_err(|error| refused("DescribeSecret", id, &error))?;
    Ok(Described(Some(Box::new(answer))))
}

/// The name of a secret, and the value of one of its versions.
pub(crate) async fn version(
    manager: &SecretsManager,
    id: &str,
    version_id: &str,
) -> Result<(String, Payload), Error> {
    let client = manager.sdk_client().await?;
    let answer = client.get_secret_value().secret_id(id).version_id(version_id).send().await;
    let answer = answer.map_err(|error| refused("GetSecretValue", id, &error))?;
    let payload = match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => Payload::Text(text.into()),
        (None, Some(bytes)) => Payload::Binary(Zeroizing::new(bytes.into_inner())),
        (None, None) => Payload::Text(SecretString::default()),
    };
    Ok((answer.name.unwrap_or_else(|| id.to_owned()), payload))
}

/// The error of a call, without anything that a server wrote but its code.
pub(crate) fn refused<E: ProvideErrorMetadata, R>(
    action: &str,
    id: &str,
    error: &SdkError<E, R>,
) -> Error {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let (kind, what, hint) = match code {
        "ResourceNotFoundException" => {
            (ErrorKind::NotFound, "does not exist", "check the name, the region and the account")
        }
        "ResourceExistsException" => {
            (ErrorKind::Conflict, "exists already", "leave out what creates it")
        }
        "AccessDeniedException" | "AccessDenied" => {
            (ErrorKind::AccessDenied, "access is denied", "allow the action in the caller's policy")
        }
        "DecryptionFailure" | "EncryptionFailure" | "KMSAccessDeniedException" => {
            (ErrorKind::Kms, "its KMS key cannot be used", "check the key and its policy")
        }
        "ThrottlingException" | "LimitExceededException" => {
            (ErrorKind::Throttled, "there are too many calls or versions", "try again later")
        }
        "InvalidRequestException" => (
            ErrorKind::Invalid,
            "the secret is in a state that does not allow it",
            "it may be scheduled for deletion, or owned by another service",
        ),
        "InvalidParameterException" | "ValidationException" => {
            (ErrorKind::Invalid, "a parameter is not valid", "check the name, version and label")
        }
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" => {
            (ErrorKind::AccessDenied, "the credentials are not valid", "sign in again")
        }
        _ => (
            ErrorKind::Unavailable,
            "Secrets Manager did not answer",
            "`secrets-provider doctor` looks for the cause",
        ),
    };
    let message = format!("secret `{}`: {action}: {what}", printable(id));
    Error::new(kind, message).with_secret(id).with_hint(format!("{hint} (secretsmanager:{action})"))
}

/// A moment as `2026-11-25T14:21:59Z`.
pub(crate) fn time(moment: SystemTime) -> String {
    let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX);
    date(&aws_sdk_secretsmanager::primitives::DateTime::from_secs(seconds))
}

/// The same of the SDK's type.
pub(crate) fn date(moment: &aws_sdk_secretsmanager::primitives::DateTime) -> String {
    let whole = aws_sdk_secretsmanager::primitives::DateTime::from_secs(moment.secs());
    whole
        .fmt(aws_sdk_secretsmanager::primitives::DateTimeFormat::DateTime)
        .unwrap_or_else(|_| "at an unknown time".to_owned())
}

/// Which version a write made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) version_id: String,
    pub(crate) created: bool,
}

/// The label of a version that is written before it becomes current.
const WRITTEN: &str = "SECRETS_PROVIDER_PUT";

/// Makes a secret.
pub(crate) async fn create(client: &Client, id: &str, value: &[u8]) -> Result<Written, Error> {
    let call = client.create_secret().name(id);
    let call = match std::str::from_utf8(value) {
        Ok(text) => call.secret_string(text),
        Err(_) => call.secret_binary(Blob::new(value)),
    };
    let answer = call.send().await.map_err(|error| refused("CreateSecret", id, &error))?;
    Ok(Written { version_id: answer.version_id.unwrap_or_default(), created: true })
}

/// Gives a secret a new current version.
pub(crate) async fn put(client: &Client, id: &str, value: &[u8]) -> Result<Written, Error> {
    let call = client.put_secret_value().secret_id(id);
    let call = match std::str::from_utf8(value) {
        Ok(text) => call.secret_string(text),
        Err(_) => call.secret_binary(Blob::new(value)),
    };
    let answer = call.send().await.map_err(|error| refused("PutSecretValue", id, &error))?;
    Ok(Written { version_id: answer.version_id.unwrap_or_default(), created: false })
}

/// Gives a secret a new current version in place of the one that was read, and of no other: so what
/// another program has stored meanwhile is not lost.
pub(crate) async fn replace(
    client: &Client,
    id: &str,
    read: &str,
    value: &[u8],
) -> Result<Written, Error> {
    let call = client.put_secret_value().secret_id(id);
    let call = match std::str::from_utf8(value) {
        Ok(text) => call.secret_string(text),
        Err(_) => call.secret_binary(Blob::new(value)),
    };
    let answer = call
        .version_stages(WRITTEN)
        .send()
        .await
        .map_err(|error| refused("PutSecretValue", id, &error))?;
    let version_id = answer.version_id.unwrap_or_default();
    let moved = client
        .update_secret_version_stage()
        .secret_id(id)
        .version_stage("AWSCURRENT")
        .remove_from_version_id(read)
        .move_to_version_id(&version_id)
        .send()
        .await;
    let label = client.update_secret_version_stage().secret_id(id).version_stage(WRITTEN);
    // Without the label, AWS drops a version that is not used; with it, nothing is wrong.
    let _ = label.remove_from_version_id(&version_id).send().await;
    match moved {
        Ok(_) => Ok(Written { version_id, created: false }),
        Err(error) if error.code() == Some("InvalidParameterException") => {
            let message =
                format!("secret `{}`: another program has stored a new version", printable(id));
            Err(Error::new(ErrorKind::Conflict, message)
                .with_secret(id)
                .with_hint("nothing was changed; run the command again"))
        }
        Err(error) => Err(refused("UpdateSecretVersionStage", id, &error)),
    }
}

/// The current value of a secret and its version; `None` if there is no such secret.
pub(crate) async fn current(client: &Client, id: &str) -> Result<Option<(String, Payload)>, Error> {
    let answer = match client.get_secret_value().secret_id(id).send().await {
        Ok(answer) => answer,
        Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
        Err(error) => return Err(refused("GetSecretValue", id, &error)),
    };
    let payload = match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => Payload::Text(text.into()),
        (None, Some(bytes)) => Payload::Binary(Zeroizing::new(bytes.into_inner())),
        (None, None) => Payload::Text(SecretString::default()),
    };
    Ok(Some((answer.version_id.unwrap_or_default(), payload)))
}

//! The SDK's errors in our words. Theirs quote whole responses in `Debug`, and servers' messages are not ours to
//! vouch for: kind, error code and request id are all that is kept.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::{Error, ErrorKind};

/// Why a BatchGetSecretValue gave no answer at all.
#[derive(Debug)]
pub(super) enum Whole {
    /// It is not allowed, or not known, here: that will not change by itself.
    Refused,
    /// It failed for another reason: single calls may do.
    Failed,
    /// Nothing can be reached, so single calls would fail too.
    Unreachable(Error),
}

/// A failed call, about one secret or about none.
pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, action: &str, id: Option<&str>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let request_id = context.raw().headers().get("x-amzn-requestid").unwrap_or_default();
            let error = of_code(error.code(), error.message(), Some(context.raw().status().as_u16()), action, id);
            tracing::debug!(
                target: crate::TARGET,
                operation = action,
                secret = id,
                error.kind = %error.kind(),
                request_id = error_text(request_id),
                "call_failed"
            );
            error
        }
        SdkError::ConstructionFailure(_) => about(id, ErrorKind::Config, action, "the request cannot be built")
            .with_hint("check the region's name and the endpoint's URL"),
        SdkError::TimeoutError(_) => about(id, ErrorKind::Unavailable, action, "no answer in time"),
        SdkError::DispatchFailure(failure) if failure.as_connector_error().is_some_and(|error| from_credentials(error)) => {
            about(id, ErrorKind::Unavailable, action, "no AWS credentials could be loaded").with_hint(
                "the SDK looks at the environment (AWS_ACCESS_KEY_ID, …), the AWS profile, web identity, and the \
                 metadata of container and instance",
            )
        }
        SdkError::DispatchFailure(failure) => {
            let what = if failure.is_timeout() { "no connection in time" } else { "the endpoint cannot be reached" };
            about(id, ErrorKind::Unavailable, action, what)
                .with_hint("check region, endpoint, network and, in a VPC without internet, the interface endpoint")
        }
        _ => about(id, ErrorKind::Unavailable, action, "the answer was cut off or makes no sense"),
    }
}

/// A whole batch that failed: whether it is worth trying again, and whether single calls are.
pub(super) fn of_batch<E>(error: &SdkError<E, HttpResponse>) -> Whole
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let reason = of(error, "BatchGetSecretValue", None);
    match error {
        SdkError::ServiceError(_) => match error.code() {
            Some("UnknownOperationException" | "NotImplemented") => Whole::Refused,
            Some("AccessDeniedException" | "AccessDenied") if reason.kind() == ErrorKind::AccessDenied => {
                Whole::Refused
            }
            // Single calls would be made with the same credentials, which may be renewed by the next time.
            Some(code) if is_about_credentials(code) => Whole::Unreachable(reason),
            _ => Whole::Failed,
        },
        SdkError::ResponseError(_) => Whole::Failed,
        _ => Whole::Unreachable(reason),
    }
}

/// An error by the code that Secrets Manager gave it. Nearly all come as HTTP 400, so the status tells little
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>).
pub(super) fn of_code(
    code: Option<&str>,
    message: Option<&str>,
    status: Option<u16>,
    action: &str,
    id: Option<&str>,
) -> Error {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    let code = code.unwrap_or_default();
    match code {
        "ResourceNotFoundException" if message.contains("staging label") => {
            about(id, ErrorKind::NotFound, action, "no version of it is labelled AWSCURRENT")
                .with_hint("put a value into it, or move the label AWSCURRENT to the version meant")
        }
        "ResourceNotFoundException" => about(id, ErrorKind::NotFound, action, "there is no such secret")
            .with_hint("check name, region and account; a secret of another account needs its full ARN"),
        "AccessDeniedException" | "AccessDenied" if message.contains("kms") => kms(id, action),
        "AccessDeniedException" | "AccessDenied" => {
            let target = if action == "ListSecrets" { "`*`" } else { "this secret" };
            about(id, ErrorKind::AccessDenied, action, "access denied")
                .with_hint(format!("allow `secretsmanager:{action}` on {target} in the IAM policy"))
        }
        "DecryptionFailure" | "DecryptionFailureException" => kms(id, action),
        "InvalidRequestException" if message.contains("delet") => {
            about(id, ErrorKind::PendingDeletion, action, "it is scheduled for deletion")
                .with_hint("restore it: `aws secretsmanager restore-secret`")
        }
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "SlowDown"
        | "BandwidthLimitExceeded" => about(id, ErrorKind::Throttled, action, "throttled")
            .with_hint("refresh less often, or raise the quota"),
        _ if is_about_credentials(code) => {
            let what = format!("the AWS credentials are not accepted ({code})");
            about(id, ErrorKind::AccessDenied, action, &what)
                .with_hint("renew them, and check the machine's clock")
        }
        "InvalidParameterException" | "ValidationException" | "InvalidRequestException" => {
            about(id, ErrorKind::Config, action, &format!("the request is not accepted ({code})"))
        }
        "" if status == Some(200) => {
            about(id, ErrorKind::Unavailable, action, "the answer was cut off or makes no sense")
        }
        _ => {
            let what = match (error_text(code), status) {
                ("", Some(status)) => format!("failed with HTTP {status}"),
                ("", None) => "failed".to_owned(),
                (code, _) => format!("failed ({code})"),
            };
            let kind = match status {
                Some(403) => ErrorKind::AccessDenied,
                Some(429) => ErrorKind::Throttled,
                _ => ErrorKind::Unavailable,
            };
            about(id, kind, action, &what)
        }
    }
}

/// Whether a code says that the credentials themselves are not accepted.
fn is_about_credentials(code: &str) -> bool {
    matches!(
        code,
        "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
    )
}

fn kms(id: Option<&str>, action: &str) -> Error {
    about(id, ErrorKind::Kms, action, "its KMS key cannot be used").with_hint(
        "allow `kms:Decrypt` on the key (in the key's policy too, for another account), and check that it is enabled",
    )
}

fn about(id: Option<&str>, kind: ErrorKind, action: &str, what: &str) -> Error {
    match id {
        Some(id) => Error::new(kind, format!("secret `{id}`: {what} ({action})")).with_secret(id),
        None => Error::new(kind, format!("{action}: {what}")),
    }
}

/// A code or id as a server gave it, if it looks like one; servers may send anything.
fn error_text(text: &str) -> &str {
    let plain =
        text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if plain { text } else { "" }
}

fn from_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(this) = error {
        if this.is::<CredentialsError>() {
            return true;
        }
        error = this.source();
    }
    false
}

//! The SDK's errors in our words. Theirs quote whole responses in `Debug`, and servers' messages are not ours to
//! vouch for: kind, error code and request id are all that is kept, and of a denial who refused it.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::denied;
use crate::backend::iam::Scope;
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::secret::id::is_arn;

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

/// The call that failed: what was asked, of which secret if of one, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) action: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) scope: &'a Scope,
}

/// What answers in place of AWS, as its answers have codes and are whole.
const IN_BETWEEN: &str = "Secrets Manager does not answer so: look at what is in between, a proxy or load balancer, and \
                          at AWS_ENDPOINT_URL";

impl Call<'_> {
    /// A failed call.
    pub(super) fn failed<E>(self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let request_id =
                    context.raw().headers().get("x-amzn-requestid").unwrap_or_default();
                let status = context.raw().status().as_u16();
                let error = self.refused(error.code(), error.message(), Some(status));
                let request_id = error_text(request_id);
                events::call_failed(self.action, self.id, error.kind(), request_id);
                error
            }
            SdkError::ConstructionFailure(_) => self
                .error(ErrorKind::Config, "the request cannot be built")
                .with_hint("check the region's name and the endpoint's URL"),
            SdkError::TimeoutError(_) => self
                .error(ErrorKind::Unavailable, "no answer in time")
                .with_hint(self.unreachable()),
            SdkError::DispatchFailure(failure) => {
                if let Some(error) =
                    failure.as_connector_error().and_then(|error| credentials_error(error))
                {
                    return self.without_credentials(error);
                }
                if failure.as_connector_error().is_some_and(|error| without_provider(error)) {
                    return self
                        .error(ErrorKind::Config, "the given AWS configuration has no credentials")
                        .with_hint(
                            "give it a credentials provider; `aws_config::load_defaults` sets one",
                        );
                }
                let what = if failure.is_timeout() {
                    "no connection in time"
                } else {
                    "the endpoint cannot be reached"
                };
                self.error(ErrorKind::Unavailable, what).with_hint(self.unreachable())
            }
            _ => self
                .error(ErrorKind::Unavailable, "the answer was cut off or makes no sense")
                .with_hint(IN_BETWEEN),
        }
    }

    /// A failed BatchGetSecretValue: whether it is worth trying again, and whether single calls are.
    pub(super) fn failed_batch<E>(self, error: &SdkError<E, HttpResponse>) -> Whole
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let reason = self.failed(error);
        match error {
            SdkError::ServiceError(_) => match error.code() {
                Some("UnknownOperationException" | "NotImplemented") => Whole::Refused,
                Some("AccessDeniedException" | "AccessDenied")
                    if reason.kind() == ErrorKind::AccessDenied =>
                {
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
    pub(super) fn refused(
        self,
        code: Option<&str>,
        message: Option<&str>,
        status: Option<u16>,
    ) -> Error {
        let message = message.unwrap_or_default().to_ascii_lowercase();
        let code = code.unwrap_or_default();
        match code {
            "ResourceNotFoundException" if message.contains("staging label") => self
                .error(ErrorKind::NotFound, "no version of it is labelled AWSCURRENT")
                .with_hint(
                    "put a value into it, or move the label to the version meant: \
                     `aws secretsmanager update-secret-version-stage`",
                ),
            "ResourceNotFoundException" => self.not_found(),
            "AccessDeniedException" | "AccessDenied" => match self.id {
                Some(id) if message.contains("kms") => self
                    .error(ErrorKind::Kms, "its KMS key may not be used")
                    .with_hint(denied::kms_hint(id, self.scope, &message)),
                _ => self
                    .error(ErrorKind::AccessDenied, "access denied")
                    .with_hint(denied::hint(self.action, self.id, self.scope, &message)),
            },
            "DecryptionFailure" | "DecryptionFailureException" => {
                self.error(ErrorKind::Kms, "its KMS key cannot decrypt it").with_hint(format!(
                    "the key is disabled, scheduled for deletion or gone: `aws secretsmanager describe-secret \
                     --secret-id {}` names it as KmsKeyId, `aws kms describe-key` tells its state, `aws kms enable-key` \
                     or `aws kms cancel-key-deletion` brings it back",
                    self.id.unwrap_or("<name>")
                ))
            }
            "InvalidRequestException" if message.contains("delet") => self
                .error(ErrorKind::PendingDeletion, "it is scheduled for deletion")
                .with_hint(format!(
                    "restore it with `aws secretsmanager restore-secret --secret-id {}`, or ask for it no more",
                    self.id.unwrap_or("<name>")
                )),
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "SlowDown"
            | "BandwidthLimitExceeded" => self.error(ErrorKind::Throttled, "throttled").with_hint(format!(
                "the quota for {} is one for the whole account and region: refresh less often, start fewer \
                 replicas at once, or have it raised",
                self.action
            )),
            _ if is_about_credentials(code) => {
                let what = format!("the AWS credentials are not accepted ({code})");
                self.error(ErrorKind::AccessDenied, &what).with_hint(
                    "renew them; check the machine's clock, and that the account has this region enabled",
                )
                .of_caller()
            }
            "InvalidParameterException" | "ValidationException" | "InvalidRequestException" => self
                .error(ErrorKind::Config, &format!("the request is not accepted ({code})"))
                .with_hint("a secret's name has ASCII letters, digits and `/_+=.@-`; an ARN is given whole"),
            "" if status == Some(200) => self
                .error(ErrorKind::Unavailable, "the answer was cut off or makes no sense")
                .with_hint(IN_BETWEEN),
            _ => self.unknown(error_text(code), status),
        }
    }

    fn unknown(self, code: &str, status: Option<u16>) -> Error {
        let what = match (code, status) {
            ("", Some(status)) => format!("failed with HTTP {status}"),
            ("", None) => "failed".to_owned(),
            (code, _) => format!("failed ({code})"),
        };
        let kind = match status {
            Some(403) => ErrorKind::AccessDenied,
            Some(429) => ErrorKind::Throttled,
            _ => ErrorKind::Unavailable,
        };
        let error = self.error(kind, &what);
        match (code, status) {
            // A proxy that refuses says nothing of the secret.
            ("", _) => error.with_hint(IN_BETWEEN).of_caller(),
            (_, Some(500..)) => error.with_hint(
                "the failure is on the side of AWS, and was when the SDK tried again; the AWS Health Dashboard tells \
                 of outages",
            ),
            _ => error,
        }
    }

    fn not_found(self) -> Error {
        let place = self.scope.region().map_or_else(String::new, |region| format!(" in {region}"));
        let by_arn = self.id.is_some_and(is_arn);
        self.error(ErrorKind::NotFound, &format!("there is no such secret{place}")).with_hint(
            match by_arn {
                true => "check the ARN; a secret that was deleted and created anew has another one",
                false => {
                    "check name, region and account; a secret of another account needs its full ARN"
                }
            },
        )
    }

    fn without_credentials(self, error: &CredentialsError) -> Error {
        let what = match error {
            CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found",
            CredentialsError::ProviderTimedOut(_) => "AWS credentials did not come in time",
            CredentialsError::InvalidConfiguration(_) => {
                "the configuration of AWS credentials makes no sense"
            }
            _ => "AWS credentials could not be loaded",
        };
        self.error(ErrorKind::Unavailable, what).with_hint(
            "unless told otherwise, the SDK looks, in this order, at the environment (AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY), the AWS profile (AWS_PROFILE; one with `sso` or `credential_process` needs the \
             feature of that name), web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN), the container \
             (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and the instance's metadata",
        )
    }

    fn unreachable(self) -> String {
        format!(
            "check region, AWS_ENDPOINT_URL, DNS and network; a VPC without internet access needs the interface \
             endpoint `{}` with private DNS, and a security group on it that lets in port 443",
            self.scope.endpoint_service()
        )
    }

    fn error(self, kind: ErrorKind, what: &str) -> Error {
        let action = self.action;
        match self.id {
            Some(id) => {
                Error::new(kind, format!("secret `{id}`: {what} ({action})")).with_secret(id)
            }
            None => Error::new(kind, format!("{action}: {what}")),
        }
    }
}

/// A code or id as a server gave it, if it looks like one; servers may send anything.
fn error_text(text: &str) -> &str {
    let plain = text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if plain { text } else { "" }
}

/// Whether nothing was there to sign with. The SDK's type for that is private, so its words have to do.
fn without_provider(error: &(dyn std::error::Error + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).any(|text| text.contains("auth scheme"))
}

fn credentials_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a CredentialsError> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
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

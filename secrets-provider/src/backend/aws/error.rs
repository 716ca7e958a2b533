//! The SDK's errors in our words.
//!
//! The SDK's own errors quote whole responses in `Debug`, and a server's message may contain
//! anything. So only kind, error code and request id are kept, and for a denial which policy
//! refused the call. `codes` has what the codes of Secrets Manager mean; all wording of this
//! backend's failed calls is in this file, in `denied`, and for calls without an answer in
//! `unanswered`.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::denied;
use super::setup::Setup;
use super::unreached::{RoleRefusal, credentials_error, without_provider};
use super::variables::ENDPOINTS;
use crate::backend::codes::{Meaning, meaning};
use crate::backend::iam::Location;
use crate::error::{Error, ErrorKind, escape};
use crate::observe::events;
use crate::secret::id::{Arn, is_arn};

/// Why a BatchGetSecretValue failed as a whole.
#[derive(Debug)]
pub(super) enum BatchFailure {
    /// The operation is not allowed or not known, which will not change by itself.
    Refused,
    /// It was throttled. Single calls have a quota of their own.
    Throttled,
    /// It failed for another reason. Single calls may succeed.
    Failed,
    /// The endpoint cannot be reached, so single calls would fail too.
    Unreachable(Error),
}

/// A call that failed: the operation, the secret if it was about one, and where the call went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) action: &'a str,
    pub(super) id: Option<&'a str>,
    /// The staging label, if it is not AWSCURRENT.
    pub(super) stage: Option<&'a str>,
    pub(super) location: &'a Location,
}

/// The hint for an answer that Secrets Manager does not give: its own have codes and are complete.
pub(super) const NOT_AWS: &str = "Secrets Manager does not answer like this: check AWS_ENDPOINT_URL, and any \
                       proxy or load balancer in between";

/// The hint for a caller who is refused, for any secret.
const REFUSED_CALLER: &str = "renew the keys; check the machine's clock, and that the account has \
                              this region and Secrets Manager enabled";

const UNREADABLE: &str = "the answer is incomplete or not valid";

impl Call<'_> {
    /// The error of a failed call.
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
                .without_answer("no answer in time", Setup::with_dotenv().route_to(self.location)),
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
                self.unreached(failure.as_connector_error(), !failure.is_timeout())
            }
            _ => self.error(ErrorKind::Unavailable, UNREADABLE).with_hint(NOT_AWS),
        }
    }

    /// Why a BatchGetSecretValue failed, which decides whether batches or single calls are worth
    /// another try.
    pub(super) fn failed_batch<E>(self, error: &SdkError<E, HttpResponse>) -> BatchFailure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let reason = self.failed(error);
        match error {
            SdkError::ServiceError(_) => match error.code() {
                Some("UnknownOperationException" | "UnknownOperation" | "NotImplemented") => {
                    BatchFailure::Refused
                }
                code => match meaning(code.unwrap_or_default(), "") {
                    Some(Meaning::Denied) if reason.kind() == ErrorKind::AccessDenied => {
                        BatchFailure::Refused
                    }
                    // Single calls would use the same credentials and the same connection, which
                    // may be mended before the next fetch.
                    Some(Meaning::BadCredentials | Meaning::Garbled) => {
                        BatchFailure::Unreachable(reason)
                    }
                    None if code.is_some() && reason.is_of_caller() => {
                        BatchFailure::Unreachable(reason)
                    }
                    Some(Meaning::Throttled) => BatchFailure::Throttled,
                    _ => BatchFailure::Failed,
                },
            },
            SdkError::ResponseError(_) => BatchFailure::Failed,
            _ => BatchFailure::Unreachable(reason),
        }
    }

    /// The error for a code of Secrets Manager. Nearly all come as HTTP 400, so the status says
    /// little (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>).
    pub(super) fn refused(
        self,
        code: Option<&str>,
        message: Option<&str>,
        status: Option<u16>,
    ) -> Error {
        let message = message.unwrap_or_default().to_ascii_lowercase();
        let code = code.unwrap_or_default();
        match meaning(code, &message) {
            Some(meaning) => self.meant(meaning, code, &message),
            None if code.is_empty() && status == Some(200) => {
                self.error(ErrorKind::Unavailable, UNREADABLE).with_hint(NOT_AWS)
            }
            None => self.unknown(error_text(code), status),
        }
    }

    /// The error for a code's meaning, with the message in lower case.
    fn meant(self, meaning: Meaning, code: &str, message: &str) -> Error {
        match meaning {
            Meaning::NotFound => self.not_found(),
            Meaning::NoCurrentVersion => {
                let label = escape(self.stage.unwrap_or("AWSCURRENT"));
                self.error(ErrorKind::NotFound, &format!("it has no version labelled {label}"))
                    .with_hint(
                        "put a value into it, or move the label to the right version: \
                         `aws secretsmanager update-secret-version-stage`",
                    )
            }
            Meaning::Denied => {
                match self.id {
                    Some(id) if message.contains("kms") => self
                        .error(ErrorKind::Kms, "its KMS key may not be used")
                        .key_denied()
                        .with_hint(denied::kms_hint(id, self.location, message)),
                    _ => self
                        .error(ErrorKind::AccessDenied, "access denied")
                        .with_hint(denied::hint(self.action, self.id, self.location, message)),
                }
            }
            Meaning::CannotDecrypt => {
                let encrypts = code.starts_with("Encryption");
                let what = if encrypts { "encrypt" } else { "decrypt" };
                let what = format!("its KMS key cannot {what} it");
                self.error(ErrorKind::Kms, &what).with_hint(format!(
                    "the key is disabled, scheduled for deletion or deleted: `aws secretsmanager \
                     describe-secret --secret-id {}` shows it as KmsKeyId, `aws kms describe-key` \
                     shows its state, `aws kms enable-key` or `aws kms cancel-key-deletion` \
                     restores it",
                    self.id.unwrap_or("<name>")
                ))
            }
            Meaning::PendingDeletion => self
                .error(ErrorKind::PendingDeletion, "it is scheduled for deletion")
                .with_hint(format!(
                    "restore it with `aws secretsmanager restore-secret --secret-id {}`, \
                     or no longer ask for it",
                    self.id.unwrap_or("<name>")
                )),
            Meaning::Throttled => self.error(ErrorKind::Throttled, "throttled").with_hint(format!(
                "the quota for {} covers the whole account and region: refresh less often, \
                     start fewer replicas at once, or have the quota raised",
                self.action
            )),
            Meaning::BadCredentials => {
                let what = format!("the AWS credentials are not accepted ({code})");
                let setup = Setup::with_dotenv();
                let slip = setup.token_slip().or_else(|| setup.misnamed(&ENDPOINTS));
                let hint = match slip {
                    Some((slip, hint)) => format!("{slip}: {hint}; {REFUSED_CALLER}"),
                    None => REFUSED_CALLER.to_owned(),
                };
                self.error(ErrorKind::AccessDenied, &what).with_hint(hint).of_caller()
            }
            Meaning::Garbled => self
                .error(ErrorKind::Config, &format!("the request is not understood ({code})"))
                .with_hint(NOT_AWS),
            Meaning::BadRequest => {
                let slip = self.id.and_then(|id| arn_slip(id, self.location));
                let name = "a secret's name consists of ASCII letters, digits and `/_+=.@-`; give \
                            an ARN in full";
                self.error(ErrorKind::Config, &format!("the request is not accepted ({code})"))
                    .with_hint(slip.unwrap_or_else(|| name.to_owned()))
            }
        }
    }

    fn unknown(self, code: &str, status: Option<u16>) -> Error {
        let what = match (code, status) {
            ("", Some(status)) => format!("failed with HTTP {status}"),
            ("", None) => "failed".to_owned(),
            (code, _) => format!("failed ({code})"),
        };
        if status == Some(401) && !code.is_empty() {
            return self
                .error(ErrorKind::AccessDenied, &what)
                .with_hint(REFUSED_CALLER)
                .of_caller();
        }
        let kind = match status {
            Some(401 | 403) => ErrorKind::AccessDenied,
            Some(429) => ErrorKind::Throttled,
            _ => ErrorKind::Unavailable,
        };
        let error = self.error(kind, &what);
        match (code, status) {
            // A proxy that refuses says nothing about the secret.
            ("", _) => self.answered_by_proxy(error, status),
            (_, Some(500..)) => error.with_hint(
                "AWS failed, and failed again when the SDK retried; the AWS Health Dashboard lists \
                 outages",
            ),
            _ => error,
        }
    }

    fn not_found(self) -> Error {
        let place =
            self.location.region().map_or_else(String::new, |region| format!(" in {region}"));
        let by_arn = self.id.is_some_and(is_arn);
        if let Some(hint) = self.id.and_then(|id| arn_slip(id, self.location)) {
            return self
                .error(ErrorKind::NotFound, &format!("there is no such secret{place}"))
                .with_hint(hint);
        }
        self.error(ErrorKind::NotFound, &format!("there is no such secret{place}")).with_hint(
            match by_arn {
                true => {
                    "check the ARN; a secret that was deleted and created again has another one"
                }
                false => {
                    "check name, region and account; a secret of another account needs its full ARN"
                }
            },
        )
    }

    fn without_credentials(self, error: &CredentialsError) -> Error {
        let what = match error {
            CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found",
            CredentialsError::ProviderTimedOut(_) => "AWS credentials were not loaded in time",
            CredentialsError::InvalidConfiguration(_) => {
                "the configuration of AWS credentials is not valid"
            }
            _ => "AWS credentials could not be loaded",
        };
        let setup = Setup::with_dotenv();
        if let Some((cause, hint)) = setup.no_credentials() {
            // The cause first: it is what someone has to mend.
            let message = format!("{cause} ({what})");
            return self.error(ErrorKind::Config, &message).with_hint(hint);
        }
        if let Some(error) = self.credentials_behind_proxy(error, &setup, what) {
            return error;
        }
        if let Some(refusal) = RoleRefusal::of(error) {
            let (what, hint) = setup.refused_role(refusal);
            return self.error(ErrorKind::AccessDenied, &what).with_hint(hint).of_caller();
        }
        let not_loaded = matches!(error, CredentialsError::CredentialsNotLoaded(_));
        let invalid = matches!(error, CredentialsError::InvalidConfiguration(_));
        let kind = match invalid || (not_loaded && setup.asks_no_server()) {
            true => ErrorKind::Config,
            false => ErrorKind::Unavailable,
        };
        if let Some((cause, hint)) = setup.profile_without_credentials() {
            return self.error(kind, &format!("{cause} ({what})")).with_hint(hint);
        }
        let server = setup.server_hint(self.location.region());
        self.error(kind, what).with_hint(format!(
            "{server}by default, the SDK tries, in this order, the environment (AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY), the AWS profile (AWS_PROFILE; one with `sso` or \
             `credential_process` needs the feature of that name), web identity \
             (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN), the container \
             (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and the instance's metadata"
        ))
    }

    pub(super) fn unreachable(self) -> String {
        format!(
            "check region, AWS_ENDPOINT_URL, DNS and network; a VPC without internet access needs \
             the interface endpoint `{}` with private DNS, and a security group that allows port \
             443",
            self.location.endpoint_service()
        )
    }

    pub(super) fn error(self, kind: ErrorKind, what: &str) -> Error {
        let action = self.action;
        match self.id {
            Some(id) => {
                Error::new(kind, format!("secret `{id}`: {what} ({action})")).with_secret(id)
            }
            None => Error::new(kind, format!("{action}: {what}")),
        }
    }
}

/// What is wrong with an ARN, as far as it shows: another partition or region than the client's.
fn arn_slip(id: &str, location: &Location) -> Option<String> {
    let arn = Arn::parse(id)?;
    if arn.partition != location.partition() && location.region().is_some() {
        return Some(format!(
            "the ARN is of the partition `{}`, and the client's is `{}`, which has other accounts \
             and endpoints: set AWS_REGION and credentials of the ARN's partition",
            arn.partition,
            location.partition()
        ));
    }
    let ours = location.region()?;
    (arn.region != ours && !arn.region.is_empty()).then(|| {
        format!(
            "the ARN is of another region than the client's, which is {ours}: set AWS_REGION to \
             the ARN's region, or name a replica in {ours}"
        )
    })
}

/// A code or id from a server, if it looks like one; a server may send anything.
fn error_text(text: &str) -> &str {
    let plain = text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if plain { text } else { "" }
}

//! The errors of [`ParameterStore`](super::ParameterStore), in its words.
//!
//! Of the SDK's errors, only kinds and codes are read: their texts may quote anything.

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::super::error::Call as OfAws;
use super::super::unreached::{credentials_error, without_provider};
use crate::backend::codes::{Meaning, meaning};
use crate::backend::iam::Location;
use crate::error::{Error, ErrorKind, escape};

/// A call that failed: the operation, and the name or path that it was about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) action: &'a str,
    pub(super) name: &'a str,
    pub(super) by_path: bool,
}

/// A call for several parameters that failed as a whole.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether one of the parameters may be the reason, so that the others can be read alone.
    pub(super) of_one: bool,
}

impl Call<'_> {
    /// Why a call for several parameters failed.
    pub(super) fn failed_group<E>(
        self,
        location: &Location,
        error: &SdkError<E, HttpResponse>,
    ) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answered = match error {
            SdkError::ResponseError(_) => true,
            SdkError::ServiceError(context) => context.raw().status().is_success(),
            _ => false,
        };
        let error = self.failed(location, error);
        let is_refused =
            matches!(error.kind(), ErrorKind::AccessDenied | ErrorKind::Kms | ErrorKind::Config);
        let of_one = answered || is_refused && !error.is_of_caller();
        Failure { error, of_one }
    }

    pub(super) fn failed<E>(self, location: &Location, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let no_answer = || {
            self.error(ErrorKind::Unavailable, "no answer").with_hint(format!(
                "check region, AWS_ENDPOINT_URL_SSM, DNS and network; a VPC without internet \
                 access needs the interface endpoint `com.amazonaws.{}.ssm`",
                location.region().unwrap_or("<region>")
            ))
        };
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                self.refused(error.code().unwrap_or_default(), error.message(), status)
            }
            SdkError::TimeoutError(_) => no_answer(),
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                // It is about credentials, which are the same for every service.
                Some(cause) if credentials_error(cause).is_some() || without_provider(cause) => {
                    OfAws { action: self.action, id: None, stage: None, location }.failed(error)
                }
                _ => no_answer(),
            },
            SdkError::ConstructionFailure(_) => self
                .error(ErrorKind::Config, "the request cannot be built")
                .with_hint("check the region's name and the endpoint's URL"),
            _ => self.unreadable(),
        }
    }

    fn error(self, kind: ErrorKind, what: &str) -> Error {
        let Self { action, name, by_path } = self;
        let subject = if by_path { "path" } else { "parameter" };
        Error::new(kind, format!("{subject} `{name}`: {what} ({action})"))
    }

    fn unreadable(self) -> Error {
        self.error(ErrorKind::Unavailable, "the answer is incomplete or not valid").with_hint(
            "Parameter Store does not answer like this: check AWS_ENDPOINT_URL_SSM, and any proxy \
             in between",
        )
    }

    /// The error for a code of Systems Manager.
    fn refused(self, code: &str, message: Option<&str>, status: u16) -> Error {
        let message = message.unwrap_or_default().to_ascii_lowercase();
        let denied_key = || {
            self.error(ErrorKind::Kms, "its KMS key may not be used").key_denied().with_hint(
                "allow kms:Decrypt on the key that encrypts it, in the policy of the role and in \
                 that of the key; `iam_policy()` prints the statement",
            )
        };
        match (code, meaning(code, &message)) {
            ("ParameterNotFound", _) => absent(self.name),
            ("InvalidKeyId", _) => self
                .error(ErrorKind::Kms, "its KMS key cannot decrypt it")
                .with_hint("the key is disabled or deleted: `aws kms describe-key` shows it"),
            (_, Some(Meaning::Denied)) if message.contains("kms") => denied_key(),
            (_, Some(Meaning::Denied)) => {
                let action = self.action;
                self.error(ErrorKind::AccessDenied, "access denied").with_hint(format!(
                    "allow ssm:{action} on it: `iam_policy()` prints the policy; a path is allowed \
                     with everything below it"
                ))
            }
            (_, Some(Meaning::BadCredentials)) => {
                let what = format!("the AWS credentials are not accepted ({})", escape(code));
                self.error(ErrorKind::AccessDenied, &what)
                    .with_hint("renew the keys, and check the machine's clock")
                    .of_caller()
            }
            (_, Some(Meaning::Throttled)) => self.error(ErrorKind::Throttled, "throttled").with_hint(
                "an account has 40 calls a second in each region for all its readers: refresh less \
                 often, or turn on higher throughput: `aws ssm update-service-setting`",
            ),
            (_, Some(Meaning::BadRequest)) => self
                .error(ErrorKind::Config, &format!("the name is not accepted ({})", escape(code)))
                .with_hint("a name has ASCII letters, digits and `/_.-`, and fifteen levels"),
            _ if code.is_empty() => self.unreadable(),
            _ => {
                let kind = match status {
                    429 => ErrorKind::Throttled,
                    _ => ErrorKind::Unavailable,
                };
                self.error(kind, &format!("failed ({})", escape(code)))
            }
        }
    }
}

/// There is no such parameter.
pub(super) fn absent(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("parameter `{name}`: there is no such parameter"))
        .with_secret(name)
        .with_hint("check name, region and account: a name with a slash begins with one in AWS")
}

/// The answer says nothing about a name.
pub(super) fn left_out(name: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("parameter `{name}`: the answer leaves it out"))
        .with_secret(name)
}

//! The errors of [`Agent`](super::Agent): what failed, whether it was the agent or AWS behind it,
//! and what to do about it.
//!
//! They name secrets, the address and codes that this crate knows. The agent's own texts are not
//! shown.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::answer::{MAX_VALUE_BYTES, Refusal, Unfit};
use crate::backend::codes::{Meaning, meaning};
use crate::backend::http::chain;
use crate::error::{Error, ErrorKind, escape};

/// What to do about a prefix.
pub(super) const GIVE_NAMES: &str = "name the secrets: `SecretsManager::names([..])`, or \
                                     `.only([..])` after the prefix";

const CHECK_AGENT: &str = "check that the agent runs, and its port; in Lambda, that the layer of \
                           the extension is attached";

/// A read, for the words of its error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    /// Where the agent is.
    pub(super) base: &'a str,
    pub(super) role: Option<&'a str>,
    /// Whether the version before the current one is read.
    pub(super) previous: bool,
}

impl Call<'_> {
    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("secret `{}`: {what}", self.id))
    }

    fn of_agent(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("the agent at `{}` {what}", self.base))
    }

    /// The error of an answer that is no value.
    pub(super) fn refused(&self, refusal: &Refusal, status: u16) -> Error {
        let unavailable = |what: &str| self.of_agent(ErrorKind::Unavailable, what);
        match refusal {
            Refusal::OfAws { code, message } => self.of_aws(code, message),
            Refusal::Token => self.token_refused(),
            Refusal::NotReady => unavailable("does not serve yet").with_hint(
                "in Lambda, the extension serves invocations only: load settings in the first one, \
                 not while the function is initialized",
            ),
            Refusal::Busy => self
                .of_agent(ErrorKind::Throttled, "has as many connections as it takes")
                .with_hint("raise `max_conn` in its configuration, or find who keeps them"),
            Refusal::Role => {
                let role = self.role.map_or("its role".to_owned(), |role| format!("`{role}`"));
                self.of_agent(ErrorKind::AccessDenied, &format!("may not assume {role}"))
                    .of_caller()
                    .with_hint(
                        "let the agent's own role call sts:AssumeRole on it, and the role's trust \
                         policy name the agent's role",
                    )
            }
            Refusal::NoRole => self
                .of_agent(ErrorKind::Config, "does not accept the ARN of the role")
                .with_hint("give `role(..)` an ARN such as `arn:aws:iam::123456789012:role/app`"),
            Refusal::TooManyRoles => self
                .of_agent(ErrorKind::Config, "has as many roles as it takes, which is 20")
                .with_hint("use fewer roles, and restart the agent: it forgets none"),
            Refusal::Forwarded => self
                .of_agent(ErrorKind::Config, "refuses what comes through a proxy")
                .with_hint("give the agent's own address, on this machine"),
            Refusal::UnknownParameter | Refusal::Other => {
                let kind = match status {
                    500..=599 => ErrorKind::Unavailable,
                    _ => ErrorKind::Config,
                };
                self.of_agent(kind, &format!("answered with the status {status}")).with_hint(
                    "check that the address is the agent's, and not that of another server",
                )
            }
        }
    }

    /// The error of AWS that the agent passed on.
    fn of_aws(&self, code: &str, message: &str) -> Error {
        let id = self.id;
        match meaning(code, message) {
            Some(Meaning::NotFound) => self
                .error(ErrorKind::NotFound, "there is no such secret")
                .with_hint("check the name, and the agent's region and account"),
            Some(Meaning::NoCurrentVersion) => {
                let label = if self.previous { "AWSPREVIOUS" } else { "AWSCURRENT" };
                self.error(ErrorKind::NotFound, &format!("it has no version labelled {label}"))
                    .with_hint("put a value into it")
            }
            Some(Meaning::Denied) if message.contains("kms") => self
                .error(ErrorKind::Kms, "its KMS key may not be used by the agent's role")
                .key_denied()
                .with_hint("allow kms:Decrypt: `iam_policy()` prints the agent's policy"),
            Some(Meaning::Denied) => {
                self.error(ErrorKind::AccessDenied, "access denied to the agent's role").with_hint(
                    "allow secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on it: \
                     `iam_policy()` prints the agent's policy",
                )
            }
            Some(Meaning::CannotDecrypt) => self
                .error(ErrorKind::Kms, "its KMS key cannot decrypt it")
                .with_hint("the key is disabled or deleted: `aws kms describe-key` shows it"),
            Some(Meaning::PendingDeletion) => self
                .error(ErrorKind::PendingDeletion, "it is scheduled for deletion")
                .with_hint(format!(
                    "restore it with `aws secretsmanager restore-secret --secret-id {id}`, or no \
                     longer ask for it"
                )),
            Some(Meaning::Throttled) => self
                .error(ErrorKind::Throttled, "throttled")
                .with_hint("the quota covers the whole account and region: refresh less often"),
            Some(Meaning::BadCredentials) => self
                .of_agent(ErrorKind::AccessDenied, "has AWS credentials that are not accepted")
                .of_caller()
                .with_hint("check the role of the machine or task that the agent runs in"),
            Some(Meaning::BadRequest) => self
                .error(ErrorKind::Config, "the name is not accepted")
                .with_hint("a name has ASCII letters, digits and `/_+=.@!-`; give an ARN in full"),
            Some(Meaning::Garbled) | None => {
                let code = match code.bytes().all(|c| c.is_ascii_alphanumeric()) {
                    true if code.len() <= 64 => escape(code),
                    _ => "an unknown code".into(),
                };
                self.error(ErrorKind::Unavailable, &format!("the agent failed ({code})"))
                    .with_hint("the agent could not ask AWS: its log says more")
            }
        }
    }

    /// The token is refused, and its source has no other.
    pub(super) fn token_refused(&self) -> Error {
        self.of_agent(ErrorKind::AccessDenied, "refuses the token").of_caller().with_hint(
            "set AWS_TOKEN to the token's file, such as `file:///var/run/awssmatoken`: the agent \
             makes a new one at each start; in Lambda, leave AWS_SESSION_TOKEN as it is",
        )
    }

    /// The answer holds no secret.
    pub(super) fn unfit(&self, unfit: Unfit) -> Error {
        match unfit {
            Unfit::Incomplete => {
                self.error(ErrorKind::Unavailable, "the agent's answer is incomplete or not valid")
            }
            Unfit::Another => {
                self.error(ErrorKind::Unavailable, "the agent's answer is about another secret")
            }
            Unfit::TooLong => {
                let what = format!("the value is longer than {MAX_VALUE_BYTES} bytes");
                self.error(ErrorKind::Malformed, &what)
            }
        }
        .with_hint("check that the address is the agent's, and not that of another server")
    }

    /// No connection, or one that broke before the answer.
    pub(super) fn unreached(&self, error: &(dyn StdError + 'static)) -> Error {
        let kind = chain(error).find_map(|cause| cause.downcast_ref::<io::Error>());
        let what = match kind.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => "refused the connection: nothing listens",
            Some(io::ErrorKind::TimedOut) => "did not accept a connection in time",
            _ => "could not be reached, or closed the connection",
        };
        self.of_agent(ErrorKind::Unavailable, what).with_hint(CHECK_AGENT)
    }

    pub(super) fn cut_off(&self) -> Error {
        self.of_agent(ErrorKind::Unavailable, "closed the connection in its answer")
            .with_hint(CHECK_AGENT)
    }

    pub(super) fn too_long(&self, limit: usize) -> Error {
        self.of_agent(ErrorKind::Unavailable, &format!("sent more than {limit} bytes"))
    }

    pub(super) fn late(&self, limit: Duration) -> Error {
        self.of_agent(ErrorKind::Unavailable, &format!("did not answer within {limit:?}"))
            .with_hint("the agent may be waiting for AWS: its log says more")
    }

    pub(super) fn unusable_name(&self) -> Error {
        self.error(ErrorKind::Config, "its name is too long for a URL")
    }
}

/// Names are not listed.
pub(super) fn lists_nothing(prefix: &str) -> Error {
    let message = format!(
        "prefix `{prefix}`: AWS's agent reads secrets by name, and cannot list those below a prefix"
    );
    Error::new(ErrorKind::Config, message).with_hint(GIVE_NAMES)
}

pub(super) fn no_token() -> Error {
    let message = "no token for AWS's agent: AWS_TOKEN, AWS_SESSION_TOKEN and \
                   AWS_CONTAINER_AUTHORIZATION_TOKEN are not set";
    Error::new(ErrorKind::Config, message).of_caller().with_hint(
        "set AWS_TOKEN to the token's file, such as `file:///var/run/awssmatoken`; in Lambda, \
         AWS_SESSION_TOKEN is set",
    )
}

pub(super) fn no_token_in(path: &Path) -> Error {
    let message = format!("the token of AWS's agent in `{}` cannot be read", path.display());
    Error::new(ErrorKind::Config, message).of_caller().with_hint(
        "the agent makes the file at its start; let this user read it, which the group \
         `aws-wcp-token` may",
    )
}

pub(super) fn no_token_at_all() -> Error {
    let message = "the token of AWS's agent has characters that no token has";
    Error::new(ErrorKind::Config, message)
        .of_caller()
        .with_hint("give the token by itself, or its file as `file:///path`")
}

pub(super) fn shutting_down() -> Error {
    Error::new(ErrorKind::Unavailable, "the tokio runtime is shutting down")
}

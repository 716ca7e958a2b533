//! What the reads of two regions say where they fail.

use std::time::Duration;

use super::Regions;
use crate::backend::Backend as _;
use crate::error::{Error, ErrorKind};

impl Regions {
    /// The error where neither region answers.
    pub(super) fn neither(&self, first: Option<Error>, replica: Error) -> Error {
        let replica = replica.in_region(&self.region);
        match first {
            Some(first) => first.in_region(self.first_name()).beside(Some(replica)),
            None => replica,
        }
    }

    pub(super) fn late(&self, limit: Duration) -> Error {
        let message = format!("no answer within {limit:?}");
        Error::new(ErrorKind::Unavailable, message).with_hint(self.timeout_hint())
    }

    /// The replica has no value of a secret that the first region had one of.
    pub(super) fn not_there(&self, id: &str, error: &Error) -> Error {
        let message = format!(
            "{}; it is asked for there because {} gives no answer",
            error.summary(),
            self.first_name()
        );
        let error = Error::new(ErrorKind::Unavailable, message).with_secret(id);
        let region = &self.region;
        error.with_hint(format!(
            "replicate it, by `aws secretsmanager replicate-secret-to-regions --secret-id {id} \
             --add-replica-regions Region={region}`, and allow reading it there: \
             `iam_policy()` has both regions"
        ))
    }

    /// The replica has a version that is no longer the current one.
    pub(super) fn older(&self, id: &str) -> Error {
        let (first, region) = (self.first_name(), &self.region);
        let message = format!(
            "secret `{id}`: its replica in {region} has a version that was replaced in {first}, \
             which gives no answer"
        );
        Error::new(ErrorKind::Unavailable, message)
            .with_secret(id)
            .with_hint("the replica lags behind; until it has caught up, the value in use stays")
    }
}

/// Whether a failure is the answer that the secret is not there, or not for this caller.
pub(super) fn is_about_secret(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::AccessDenied | ErrorKind::Kms | ErrorKind::PendingDeletion
    )
}

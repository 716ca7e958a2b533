//! What is logged of secrets: names, versions and kinds of failure.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::TARGET;
use crate::backend::Fetched;
use crate::error::{Error, ErrorKind};
use crate::load::fetch::Reading;
use crate::load::required::Verdict;
use crate::observe::metrics;

/// Every value that is read leaves a trace, with its version.
pub(crate) fn fetched(secret: &Fetched, new: bool) {
    let (secret, version_id) = (secret.name(), secret.version_id());
    metrics::accessed(secret, new);
    if new {
        tracing::info!(target: TARGET, secret, version_id, "secret_fetched");
    } else {
        tracing::debug!(target: TARGET, secret, version_id, "secret_fetched");
    }
}

/// What is denied, but for optional secrets, of which nothing is amiss.
pub(crate) fn denied(reading: &Reading) {
    let Some(error) = reading.trouble() else { return };
    for error in error.errors().iter().filter(|error| error.kind() == ErrorKind::AccessDenied) {
        tracing::error!(
            target: TARGET,
            secret = error.secret(),
            error.kind = %error.kind(),
            hint = error.hint(),
            "secret_access_denied"
        );
    }
}

/// Which optional secrets are not there.
pub(crate) fn absent(reading: &Reading) {
    for (id, unread) in reading.unread().filter(|(_, unread)| unread.verdict == Verdict::Absent) {
        tracing::debug!(target: TARGET, secret = id, error.kind = %unread.error.kind(), "optional_secret_absent");
    }
}

/// What a manager says once in its life.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    fallback: AtomicBool,
    renames: AtomicBool,
}

impl Notices {
    pub(crate) fn of_fallback(&self, secrets: &[String], error: &Error) {
        if !self.fallback.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: TARGET,
                secrets = secrets.join(","),
                error.kind = %error.kind(),
                error.message = %error,
                "aws_unavailable_using_env_fallback"
            );
        }
    }

    /// Looks at the renames the first time alone: a secret that is deleted later on makes none of them wrong.
    pub(crate) fn of_idle_renames<R: Display>(&self, idle: impl FnOnce() -> Vec<R>) {
        if !self.renames.swap(true, Ordering::Relaxed) {
            for rename in idle() {
                tracing::warn!(
                    target: TARGET,
                    %rename,
                    hint = "the name is meant below the prefix, where there is one, and by upper and lower case",
                    "rename_matches_nothing"
                );
            }
        }
    }
}

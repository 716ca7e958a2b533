//! What one read found: a value or a reason for every secret that was asked for.
//!
//! The verdicts say what each failure means (`load/required`), so that a start and a refresh can
//! decide without looking at kinds of errors: start or fail, serve or report, fall back or not.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::load::required::Verdict;
use crate::secret::Fetched;

/// What one read found.
#[derive(Debug, Clone, Default)]
pub(crate) struct FetchResult {
    /// By the name or ARN that was asked for: the value, or why it could not be read.
    pub(crate) outcomes: BTreeMap<String, Result<Fetched, Unread>>,
    /// Selected, but left out because they rest.
    pub(crate) rested: BTreeSet<String>,
    /// Why names could not be listed, or that there is nothing to read. Known names were read all
    /// the same.
    pub(crate) listing_error: Option<Unread>,
    /// What a listing found, if there was one.
    pub(crate) listed: Option<Vec<String>>,
}

/// Why a value could not be read, and what follows from that.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) error: Error,
    pub(crate) verdict: Verdict,
}

impl FetchResult {
    /// The same, with errors that name this source of secrets.
    pub(super) fn in_source(mut self, source: &str) -> Self {
        let outcomes = self.outcomes.values_mut().filter_map(|outcome| outcome.as_mut().err());
        for unread in outcomes.chain(&mut self.listing_error) {
            unread.error = unread.error.clone().in_source(source);
        }
        self
    }

    /// Every secret that was read, in the order of the names.
    pub(crate) fn secrets(&self) -> Vec<Fetched> {
        each_once(self.outcomes.values().flatten())
    }

    /// What could not be read, except for optional secrets, as one error.
    pub(crate) fn error(&self) -> Option<Error> {
        self.errors(|verdict| verdict != Verdict::Absent)
    }

    /// Why settings cannot start from this: the whole error, if any part of it allows no fallback.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        self.errors(|verdict| verdict == Verdict::Failure).and_then(|_| self.error())
    }

    /// Why lower layers are used in place of some secrets.
    pub(crate) fn fallback_error(&self) -> Option<Error> {
        self.errors(|verdict| verdict == Verdict::Fallback)
    }

    /// What could not be read, with the name or ARN that was asked for.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&String, &Unread)> {
        self.outcomes.iter().filter_map(|(id, outcome)| Some((id, outcome.as_ref().err()?)))
    }

    fn errors(&self, counts: impl Fn(Verdict) -> bool) -> Option<Error> {
        let unread = self
            .outcomes
            .values()
            .filter_map(|outcome| outcome.as_ref().err())
            .chain(&self.listing_error);
        Error::all(
            unread.filter(|unread| counts(unread.verdict)).map(|unread| unread.error.clone()),
        )
    }
}

/// Secrets in the order of their names. One that was asked for by name and by ARN comes once.
pub(crate) fn each_once<'a>(secrets: impl IntoIterator<Item = &'a Fetched>) -> Vec<Fetched> {
    let by_identity: BTreeMap<_, _> =
        secrets.into_iter().map(|secret| (secret.identity(), secret)).collect();
    let mut secrets: Vec<Fetched> = by_identity.into_values().cloned().collect();
    secrets.sort_by(|a, b| a.name().cmp(b.name()));
    secrets
}

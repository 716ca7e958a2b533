//! One read of one source: what it asks for, and what is kept of the answer (rules R1 to R5).
//!
//! [`Source::read`] is a future of its own, so that sources are read side by side.
//! [`Source::take`] then brings what was found into the source's books. It decides nothing about
//! the settings; that is `cycle`.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::hints::Found;
use super::secrets::Secrets;
use super::source::{Reading, Source};
use crate::error::{Error, ErrorKind};
use crate::load::fetch::{FetchResult, Scope, Unread};
use crate::load::required::Verdict;
use crate::observe::events::{self, TARGET};

/// A read that has ended.
pub(super) struct Read {
    /// The source, by its index.
    pub(super) source: usize,
    pub(super) scope: Scope,
    /// Reads that began together have one number.
    pub(super) batch: u64,
    pub(super) begun: Instant,
    result: Result<FetchResult, Error>,
}

/// What a read found, as settings are made of it.
pub(super) struct Taken {
    /// The source, by its index.
    pub(super) source: usize,
    pub(super) scope: Scope,
    pub(super) result: FetchResult,
    /// The secrets of the source, with what was read in place of what is in use.
    pub(super) found: Secrets,
    pub(super) hinted: Found,
    pub(super) read_at: Instant,
    /// Whether every selected secret was covered.
    pub(super) complete: bool,
    /// Why secrets are left out because they conflict.
    pub(super) conflict: Option<Error>,
    /// Why the settings with these secrets are refused.
    pub(super) rejection: Option<Error>,
}

impl Source {
    /// Reads what a scope covers. `index` is this source's.
    pub(super) fn read(
        &mut self,
        index: usize,
        scope: Scope,
        batch: u64,
        generation: u64,
    ) -> BoxFuture<'static, Read> {
        let (wanted, is_wanted) = watch::channel(false);
        let requests = std::mem::take(&mut self.asked);
        self.reading = Some(Reading { batch, requests, wanted });
        let begun = Instant::now();
        let mut known = self.missing.known(&self.used, self.valid_listing(), self.schedule, begun);
        known.past_caches = scope.bypasses_caches();
        known.wanted = Some(is_wanted);
        let fetcher = self.fetcher.clone();
        let span = tracing::info_span!(target: TARGET, "refresh", generation);
        async move {
            let result = fetcher.read(&scope, &known).await;
            Read { source: index, scope, batch, begun, result }
        }
        .instrument(span)
        .boxed()
    }

    /// Takes in what a read found. `all_answered` is set if the store has answered for every secret
    /// in use.
    pub(super) fn take(&mut self, read: Read, all_answered: &mut bool) -> Result<Taken, Error> {
        let Read { source, scope, begun, result, .. } = read;
        let nothing = FetchResult::default();
        let now = Instant::now();
        let hinted = self.hints.found(result.as_ref().unwrap_or(&nothing), &self.used, now);
        hinted.given_up.iter().for_each(|id| events::hinted_version_not_found(id));
        let mut result = result?;
        if matches!(scope, Scope::Only(_)) {
            self.sort_out_unknown(&mut result);
        }
        if let Some(names) = result.listed.take() {
            (self.listing.names, self.listing.at) = (Some(names), begun);
            self.rotation.listed(self.used.ids());
        } else if result.listing_error.is_some() {
            // Until names can be listed again, they are not known.
            self.listing.names = None;
        }
        self.refuse_unplaceable(&mut result);
        *all_answered = self.all_answered(&result);
        let read_at = Instant::now();
        let listed = self.listing.names.as_deref().filter(|_| !scope.is_partial());
        self.missing.deleted.record(&result, listed, &self.used, read_at);
        for id in &result.rested {
            let deleted = self.missing.deleted.last_answer(id);
            result.outcomes.extend(deleted.map(|unread| (id.clone(), Err(unread))));
        }
        self.failures_logged.log(&result, scope.is_partial());
        self.missing.record(&scope, &result, &self.used, self.schedule, read_at);
        let complete = result.listing_error.is_none() && !scope.is_partial();

        let mut found = self.used.clone();
        for (id, outcome) in &result.outcomes {
            if let Ok(secret) = outcome {
                let new = !self.used.has_version(id, secret);
                events::secret_fetched(secret.name(), secret.version_id(), new, false);
                found.insert(id.clone(), secret.clone());
            }
        }
        let (conflict, rejection) = (None, None);
        Ok(Taken { source, scope, result, found, hinted, read_at, complete, conflict, rejection })
    }

    /// Hints may name secrets that were never read. Of those that have a value, each gets the id
    /// that a listing would give it; about the others there is nothing to report.
    fn sort_out_unknown(&self, result: &mut FetchResult) {
        let is_unknown = |id: &String| !self.used.contains(id) && !self.missing.contains(id);
        let unknown = result.outcomes.extract_if(.., |id, _| is_unknown(id));
        let unknown: Vec<_> = unknown.collect();
        for (id, outcome) in unknown {
            match outcome {
                Ok(secret) => {
                    result.outcomes.insert(self.fetcher.id_of(&secret, id), Ok(secret));
                }
                Err(unread) => events::hinted_secret_unread(&id, unread.error.kind()),
            }
        }
    }

    /// Whether the store has answered for every secret in use: with its value, or that it has none.
    /// It has not if a secret could not be reached, or was not covered.
    fn all_answered(&self, result: &FetchResult) -> bool {
        let is_answer = |unread: &Unread| match unread.error.kind() {
            _ if unread.verdict == Verdict::Absent => true,
            ErrorKind::Unavailable
            | ErrorKind::Throttled
            | ErrorKind::AccessDenied
            | ErrorKind::Kms => false,
            _ => true,
        };
        self.used.ids().all(|id| match result.outcomes.get(id) {
            Some(Ok(_)) => true,
            Some(Err(unread)) => is_answer(unread),
            None => result.rested.contains(id),
        })
    }

    /// Treats a secret whose new value has no place like one that cannot be read: it keeps its last
    /// good value, and does not hold up the others' rotation.
    fn refuse_unplaceable(&self, result: &mut FetchResult) {
        for (id, outcome) in &mut result.outcomes {
            if let Ok(secret) = outcome
                && !self.used.has_version(id, secret)
                && let Err(error) = self.fetcher.place(secret)
            {
                *outcome = Err(Unread { error, verdict: Verdict::Failure });
            }
        }
    }
}

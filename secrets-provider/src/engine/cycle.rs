//! One refresh: read, compare, check, swap (rules R1 and R2).
//!
//! If anything fails on the way, the live settings stay and the status says why. One secret with a
//! bad value keeps its last good one and does not hold up the others: values that fit nowhere are
//! refused one by one, and of values that conflict with each other, the new ones are left out
//! (`conflicts`).

use tokio::time::Instant;
use tracing::Instrument as _;

use super::candidate::Candidate;
use super::conflicts::without_conflicts;
use super::handle::Change;
use super::refresher::Refresher;
use super::secrets::Secrets;
use crate::error::{Error, ErrorKind};
use crate::load::fetch::{FetchResult, Scope, Unread};
use crate::load::required::Verdict;
use crate::load::retry::answer::Refreshed;
use crate::observe::events::{self, TARGET};
use crate::observe::metrics;
use crate::observe::status::SecretStatus;
use crate::unwind;

/// How many sets of deleted secrets one refresh tries to leave out.
const MAX_TRIES_WITHOUT: usize = 32;

impl<T: Send + Sync + 'static> Refresher<T> {
    /// One refresh, and its traces in status and metrics. It never panics.
    pub(super) async fn refresh(&mut self, scope: &Scope) -> Result<Refreshed, Error> {
        let generation = self.cell.status().generation();
        let span = tracing::info_span!(target: TARGET, "refresh", generation);
        self.all_checked = false;
        let result = unwind::catch_future(self.read_and_apply(scope)).instrument(span).await;
        let result =
            result.unwrap_or_else(|panic| Err(panic.rejection("making or dropping the settings")));
        let secrets = self.secret_statuses();
        let calls = self.fetcher.calls();
        let status = {
            let mut status = self.cell.status();
            status.set_secrets(secrets, self.missing.is_on_fallback());
            status.set_calls(calls);
            if self.all_checked {
                status.record_check();
            }
            match &result {
                found if scope.is_partial() => status.record_search(found.as_ref().err()),
                Ok(_) => status.record_success(),
                Err(error) => status.record_failure(error),
            }
            status.clone()
        };
        // A recorder is foreign code: it is not called while the status is locked.
        result.as_ref().err().into_iter().for_each(metrics::record_failure);
        metrics::record_status(&status);
        result
    }

    /// Reads, and swaps if anything is new.
    async fn read_and_apply(&mut self, scope: &Scope) -> Result<Refreshed, Error> {
        let begun = Instant::now();
        let known = self.missing.known(&self.used, self.valid_listing(), self.schedule, begun);
        let read = self.fetcher.read(scope, &known).await;
        let nothing = FetchResult::default();
        let hinted =
            self.hints.found(read.as_ref().unwrap_or(&nothing), &self.used, Instant::now());
        hinted.given_up.iter().for_each(|id| events::hinted_version_not_found(id));
        let mut result = read?;
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
        self.all_checked = self.all_answered(&result);
        let read_at = Instant::now();
        let listed = self.listing.names.as_deref().filter(|_| !scope.is_partial());
        self.missing.deleted.record(&result, listed, &self.used, read_at);
        for id in &result.rested {
            let deleted = self.missing.deleted.last_answer(id);
            result.outcomes.extend(deleted.map(|unread| (id.clone(), Err(unread))));
        }
        self.failures_logged.log(&result, scope.is_partial());
        self.missing.record(scope, &result, &self.used, self.schedule, read_at);
        let complete = result.listing_error.is_none() && !scope.is_partial();

        let mut found = self.used.clone();
        for (id, outcome) in &result.outcomes {
            if let Ok(secret) = outcome {
                let new = !self.used.has_version(id, secret);
                events::secret_fetched(secret.name(), secret.version_id(), new, false);
                found.insert(id.clone(), secret.clone());
            }
        }
        let reads_layers = scope.reads_layers();
        let mut conflict = None;
        let refreshed = self.apply(found, reads_layers, complete, &mut conflict).await;
        if let Some(changed_at) = hinted.changed_at
            && refreshed.as_ref().is_ok_and(Refreshed::changed)
        {
            self.cell.status().record_lag(changed_at);
        }
        let left = match complete {
            true => self.leave_out_deleted(read_at).await,
            false => None,
        };
        for id in left.iter().flatten() {
            result.outcomes.remove(id);
        }
        let error = match conflict {
            Some(conflict) => Some(conflict.beside(result.error())),
            None => result.error(),
        };
        if refreshed.is_ok() && error.is_none() {
            self.rejection_logged = None;
        }
        // What could not be read may be the reason for a rejection.
        let refreshed = refreshed.map_err(|rejection| rejection.beside(error.clone()))?;
        match (error, left) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(refreshed),
            (None, Some(_)) => Ok(Refreshed { changed: true, ..self.unchanged() }),
        }
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

    /// Leaves out the secrets that were deleted long enough ago, if the settings can do without
    /// them: together if possible, else as many as a bounded number of tries finds. Returns them,
    /// if there are any.
    async fn leave_out_deleted(&mut self, now: Instant) -> Option<Vec<String>> {
        let mut groups = vec![self.missing.deleted.leaving(self.schedule, now)];
        let mut without = self.used.clone();
        let mut accepted = None;
        let mut left = Vec::new();
        for _ in 0..MAX_TRIES_WITHOUT {
            let Some(mut group) = groups.pop().filter(|group| !group.is_empty()) else { break };
            let mut fewer = without.clone();
            group.iter().for_each(|id| drop(fewer.remove(id)));
            match self.pipeline.run(fewer.each_once()).await {
                Ok(candidate) => {
                    (accepted, without) = (Some(candidate), fewer);
                    left.append(&mut group);
                }
                Err(rejection) if is_of_settings(&rejection) => {
                    let others = group.split_off(group.len().div_ceil(2));
                    if !others.is_empty() {
                        groups.extend([others, group]);
                    } else if self.missing.deleted.needed(&group[0], self.schedule, now) {
                        events::deleted_secret_needed(&group[0], &rejection);
                    }
                }
                // It says nothing about the secrets: lower layers cannot be read, for example.
                Err(_) => break,
            }
        }
        let candidate = accepted?;
        self.missing.left(&left);
        self.swap(candidate, without, false);
        events::deleted_secrets_left_out(&left, self.schedule.forget_deleted);
        Some(left)
    }

    fn secret_statuses(&self) -> Vec<SecretStatus> {
        self.missing.statuses(self.snapshot.secrets(), &self.used, &self.fetcher, self.schedule)
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

    /// Makes settings of the secrets found, and swaps them in. If no secret is new, only a change
    /// in the layers below makes a new generation, and those are only read if `reads_layers`.
    /// `conflicts` is set if secrets are left out because they conflict.
    async fn apply(
        &mut self,
        mut found: Secrets,
        reads_layers: bool,
        complete: bool,
        conflicts: &mut Option<Error>,
    ) -> Result<Refreshed, Error> {
        if found.same_versions(&self.used) {
            self.used = found;
            self.missing.now_used(&self.used, complete);
            return match reads_layers {
                true => self.apply_layers(complete).await,
                false => Ok(self.unchanged()),
            };
        }
        let mut candidate = self.pipeline.run(found.each_once()).await;
        if let Err(rejection) = &candidate
            && rejection.kind() == ErrorKind::Conflict
            && let Err(conflict) = self.fetcher.fit_together(&found.each_once())
        {
            // New values that conflict must not hold up the others' rotation.
            found = without_conflicts(&self.used, found, |secret| self.fetcher.place(secret).ok());
            *conflicts = Some(self.log_rejection(conflict));
            if found.same_versions(&self.used) {
                return Ok(self.unchanged());
            }
            candidate = self.pipeline.run(found.each_once()).await;
        }
        let candidate = candidate.map_err(|rejection| self.log_rejection(rejection))?;
        Ok(self.swap(candidate, found, complete))
    }

    /// Reads the layers below the secrets again, and swaps if they have changed.
    async fn apply_layers(&mut self, complete: bool) -> Result<Refreshed, Error> {
        let live = self.cell.sources().merged().clone();
        let candidate = self.pipeline.rebuild(self.snapshot.clone(), live).await;
        let candidate = candidate.map_err(|rejection| self.log_rejection(rejection))?;
        let Some(candidate) = candidate else { return Ok(self.unchanged()) };
        let probed = self.pipeline.probe(&candidate).await;
        probed.map_err(|rejection| self.log_rejection(rejection))?;
        Ok(self.swap(candidate, self.used.clone(), complete))
    }

    pub(super) fn unchanged(&self) -> Refreshed {
        Refreshed { generation: self.cell.status().generation(), changed: false }
    }

    fn log_rejection(&mut self, error: Error) -> Error {
        let rejection = Some(error.fingerprint());
        let repeated = self.rejection_logged == rejection;
        self.rejection_logged = rejection;
        events::settings_rejected(self.cell.status().generation(), &error, repeated);
        error
    }

    fn swap(&mut self, candidate: Candidate<T>, found: Secrets, complete: bool) -> Refreshed {
        let keys = self.tree.changed_keys(&candidate.tree);
        // A key that is gone has a name in the generation before.
        let before = self.cell.sources();
        let paths = keys.iter().map(String::as_str);
        let shown = candidate.sources.names().counted(before.names(), paths);
        self.rotation.renewed(found.renewed_since(&self.used));
        self.used = found;
        self.snapshot = candidate.snapshot;
        self.tree = candidate.tree;
        self.missing.now_used(&self.used, complete);
        let secrets = self.secret_statuses();
        let (generation, old) =
            self.cell.swap(candidate.value, Some((&keys, &self.tree)), |status| {
                status.record_swap();
                status.set_secrets(secrets, self.missing.is_on_fallback());
                self.cell.explain(candidate.sources);
            });
        // First of all: even if something fails from here on, this generation is live, and its
        // followers must learn of it.
        self.changes.send_replace(Some(Change { generation, keys, shown: shown.clone() }));
        events::settings_changed(generation, &shown);
        self.cell.warn_of_overlooked(before.overlooked());
        metrics::record_swap();
        // A panic in it is the user's, and no failed refresh.
        unwind::drop_quietly(old);
        Refreshed { generation, changed: true }
    }
}

/// Whether settings were refused for what is in them or missing from them.
fn is_of_settings(rejection: &Error) -> bool {
    matches!(rejection.kind(), ErrorKind::Invalid | ErrorKind::Rejected | ErrorKind::Conflict)
}

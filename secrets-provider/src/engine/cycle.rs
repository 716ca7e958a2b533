//! One refresh: compare what was read, check, swap (rules R1 and R2).
//!
//! If anything fails on the way, the live settings stay and the status says why. One secret with a
//! bad value keeps its last good one and does not hold up the others: values that fit nowhere are
//! refused one by one, and of values that conflict with each other, the new ones are left out
//! (`conflicts`). Of several sources, those whose new values are refused keep their last good ones,
//! while the others go ahead.

use tokio::time::Instant;
use tracing::Instrument as _;

use super::candidate::Candidate;
use super::conflicts::without_conflicts;
use super::handle::Change;
use super::reading::{Read, Taken};
use super::refresher::Refresher;
use super::secrets::Secrets;
use crate::error::{Error, ErrorKind};
use crate::load::retry::answer::Refreshed;
use crate::observe::events::{self, TARGET};
use crate::observe::metrics;
use crate::observe::status::{Calls, SecretStatus, SourceStatus, Status};
use crate::secret::Fetched;
use crate::unwind;

/// How many sets of deleted secrets one refresh tries to leave out.
const MAX_TRIES_WITHOUT: usize = 32;

/// New secrets of one source, by its index, and whether every selected secret was read.
type Part = (usize, Secrets, bool);

impl<T: Send + Sync + 'static> Refresher<T> {
    /// Makes settings of what was read, with its traces in status and metrics. It never panics.
    /// Returns what came of each read.
    pub(super) async fn finish(&mut self, reads: Vec<Read>) -> Vec<Result<Refreshed, Error>> {
        let generation = self.cell.status().generation();
        let span = tracing::info_span!(target: TARGET, "refresh", generation);
        let of: Vec<_> = reads.iter().map(|read| (read.source, read.scope.is_partial())).collect();
        let mut answered = vec![false; reads.len()];
        let results = unwind::catch_future(self.apply_all(reads, &mut answered));
        let results = results.instrument(span).await.unwrap_or_else(|panic| {
            vec![Err(panic.rejection("making or dropping the settings")); of.len()]
        });
        let secrets = self.secret_statuses();
        let calls = self.calls();
        let status = {
            let mut status = self.cell.status();
            status.set_secrets(secrets);
            self.record_fallback(&mut status);
            status.set_calls(calls);
            for (index, source) in self.sources.iter().enumerate() {
                let failover = source.fetcher.failover();
                status.record_source(index, |source| source.set_failover(failover));
            }
            for (((source, is_partial), answered), result) in of.iter().zip(answered).zip(&results)
            {
                let record = |source: &mut SourceStatus| {
                    if answered {
                        source.record_check();
                    }
                    match result {
                        found if *is_partial => source.record_search(found.as_ref().err()),
                        Ok(_) => source.record_success(),
                        Err(error) => source.record_failure(error),
                    }
                };
                status.record_source(*source, record);
            }
            status.clone()
        };
        // A recorder is foreign code: it is not called while the status is locked.
        results.iter().flat_map(|result| result.as_ref().err()).for_each(metrics::record_failure);
        metrics::record_status(&status);
        results
    }

    /// Takes in what was read, and swaps if anything is new.
    async fn apply_all(
        &mut self,
        reads: Vec<Read>,
        answered: &mut [bool],
    ) -> Vec<Result<Refreshed, Error>> {
        let mut taken = Vec::new();
        for (read, answered) in reads.into_iter().zip(answered) {
            taken.push(self.sources[read.source].take(read, answered));
        }
        let mut parts: Vec<&mut Taken> = taken.iter_mut().flatten().collect();
        let swapped = self.apply(&mut parts).await;
        let changed = parts.iter().filter(|part| part.rejection.is_none());
        let changed_at = changed.filter_map(|part| part.hinted.changed_at).min();
        if let Some(changed_at) = changed_at.filter(|_| swapped) {
            self.cell.status().record_lag(changed_at);
        }
        let mut results = Vec::new();
        for part in taken {
            results.push(match part {
                Ok(part) => self.conclude(part, swapped).await,
                Err(error) => Err(error),
            });
        }
        results
    }

    /// What came of one read, after deleted secrets are left out.
    async fn conclude(&mut self, part: Taken, swapped: bool) -> Result<Refreshed, Error> {
        let Taken { source, mut result, read_at, complete, conflict, rejection, .. } = part;
        let left = match complete {
            true => self.leave_out_deleted(source, read_at).await,
            false => None,
        };
        for id in left.iter().flatten() {
            result.outcomes.remove(id);
        }
        let error = match conflict {
            Some(conflict) => Some(conflict.beside(result.error())),
            None => result.error(),
        };
        if rejection.is_none() && error.is_none() {
            self.sources[source].rejection_logged = None;
        }
        match (rejection, error) {
            // What could not be read may be the reason for a rejection.
            (Some(rejection), error) => Err(rejection.beside(error)),
            (None, Some(error)) => Err(error),
            (None, None) => {
                Ok(Refreshed { changed: swapped || left.is_some(), ..self.unchanged() })
            }
        }
    }

    /// Makes settings of the secrets found, and swaps them in. If no secret is new, only a change
    /// in the layers below makes a new generation, and those are only read if someone asks. Notes
    /// in each part if its secrets are refused, or left out because they conflict.
    async fn apply(&mut self, parts: &mut [&mut Taken]) -> bool {
        for part in &*parts {
            if !self.is_new(part) {
                let source = &mut self.sources[part.source];
                source.used = part.found.clone();
                source.missing.now_used(&source.used, part.complete);
            }
        }
        if !parts.iter().any(|part| self.is_new(part)) {
            return match parts.iter().any(|part| part.scope.reads_layers()) {
                true => self.apply_layers(parts).await,
                false => false,
            };
        }
        let mut candidate = self.pipeline.run(self.sets(parts)).await;
        if let Err(rejection) = &candidate
            && rejection.kind() == ErrorKind::Conflict
            && self.leave_out_conflicts(parts)
        {
            if !parts.iter().any(|part| self.is_new(part)) {
                return false;
            }
            candidate = self.pipeline.run(self.sets(parts)).await;
        }
        let new: Vec<usize> = (0..parts.len()).filter(|index| self.is_new(parts[*index])).collect();
        match candidate {
            Ok(candidate) => {
                let parts = parts.iter().map(|part| part_of(part)).collect();
                self.swap(candidate, parts);
                true
            }
            Err(rejection) if new.len() > 1 && is_of_settings(&rejection) => {
                self.apply_one_by_one(parts, &new).await
            }
            Err(rejection) => {
                for (nth, index) in new.iter().enumerate() {
                    let part = &mut parts[*index];
                    part.rejection = Some(match nth {
                        0 => self.log_rejection(part.source, rejection.clone()),
                        _ => self.sources[part.source].fetcher.naming(rejection.clone()),
                    });
                }
                false
            }
        }
    }

    /// Whether a source has other secrets than those in use.
    fn is_new(&self, part: &Taken) -> bool {
        !part.found.same_versions(&self.sources[part.source].used)
    }

    /// The secrets of all sources, with what was found in place of what is in use.
    fn sets(&self, parts: &[&mut Taken]) -> Vec<Vec<Fetched>> {
        self.sets_with(parts.iter().map(|part| (part.source, &part.found)))
    }

    fn sets_with<'a>(
        &self,
        found: impl IntoIterator<Item = (usize, &'a Secrets)>,
    ) -> Vec<Vec<Fetched>> {
        let mut secrets: Vec<&Secrets> = self.sources.iter().map(|source| &source.used).collect();
        for (source, found) in found {
            secrets[source] = found;
        }
        secrets.into_iter().map(Secrets::each_once).collect()
    }

    /// New values that conflict must not hold up the others' rotation. Returns whether there are
    /// any.
    fn leave_out_conflicts(&mut self, parts: &mut [&mut Taken]) -> bool {
        let mut any = false;
        for part in parts {
            let source = &self.sources[part.source];
            let fits = source.fetcher.fit_together(&part.found.each_once());
            if let Err(conflict) = fits {
                let found = std::mem::take(&mut part.found);
                let place = |secret: &Fetched| source.fetcher.place(secret).ok();
                part.found = without_conflicts(&source.used, found, place);
                part.conflict = Some(self.log_rejection(part.source, conflict));
                any = true;
            }
        }
        any
    }

    /// Of several sources with new secrets, whose settings together are refused, takes those that
    /// can be served: one more in each build, so as many as there are sources at most.
    async fn apply_one_by_one(&mut self, parts: &mut [&mut Taken], new: &[usize]) -> bool {
        let (mut accepted, mut served) = (Vec::new(), None);
        for index in new {
            accepted.push(*index);
            let found = accepted.iter().map(|index| (parts[*index].source, &parts[*index].found));
            let sets = self.sets_with(found);
            match self.pipeline.run(sets).await {
                Ok(candidate) => served = Some(candidate),
                Err(rejection) => {
                    accepted.pop();
                    let source = parts[*index].source;
                    parts[*index].rejection = Some(self.log_rejection(source, rejection));
                }
            }
        }
        let Some(candidate) = served else { return false };
        let parts = accepted.iter().map(|index| part_of(parts[*index])).collect();
        self.swap(candidate, parts);
        true
    }

    /// Swaps if the layers below the secrets give other settings.
    async fn apply_layers(&mut self, parts: &mut [&mut Taken]) -> bool {
        let candidate = self.pipeline.build(self.sets_with([])).await;
        let candidate = match candidate {
            Ok(candidate) if self.tree.changed_keys(&candidate.tree).is_empty() => return false,
            Ok(candidate) => self.pipeline.probe(&candidate).await.map(|()| candidate),
            Err(rejection) => Err(rejection),
        };
        match candidate {
            Ok(candidate) => {
                self.swap(candidate, Vec::new());
                true
            }
            Err(rejection) => {
                if let Some(first) = parts.first() {
                    self.log_whole_rejection(first.source, &rejection);
                }
                for part in parts {
                    part.rejection = Some(rejection.clone());
                }
                false
            }
        }
    }

    /// Leaves out the secrets of a source that were deleted long enough ago, if the settings can do
    /// without them: together if possible, else as many as a bounded number of tries finds. Returns
    /// them, if there are any.
    async fn leave_out_deleted(&mut self, source: usize, now: Instant) -> Option<Vec<String>> {
        let schedule = self.sources[source].schedule;
        let mut groups = vec![self.sources[source].missing.deleted.leaving(schedule, now)];
        let mut without = self.sources[source].used.clone();
        let mut accepted = None;
        let mut left = Vec::new();
        for _ in 0..MAX_TRIES_WITHOUT {
            let Some(mut group) = groups.pop().filter(|group| !group.is_empty()) else { break };
            let mut fewer = without.clone();
            group.iter().for_each(|id| drop(fewer.remove(id)));
            let sets = self.sets_with([(source, &fewer)]);
            match self.pipeline.run(sets).await {
                Ok(candidate) => {
                    (accepted, without) = (Some(candidate), fewer);
                    left.append(&mut group);
                }
                Err(rejection) if is_of_settings(&rejection) => {
                    let others = group.split_off(group.len().div_ceil(2));
                    let deleted = &mut self.sources[source].missing.deleted;
                    if !others.is_empty() {
                        groups.extend([others, group]);
                    } else if deleted.needed(&group[0], schedule, now) {
                        events::deleted_secret_needed(&group[0], &rejection);
                    }
                }
                // It says nothing about the secrets: lower layers cannot be read, for example.
                Err(_) => break,
            }
        }
        let candidate = accepted?;
        self.sources[source].missing.left(&left);
        self.swap(candidate, vec![(source, without, false)]);
        events::deleted_secrets_left_out(&left, schedule.forget_deleted);
        Some(left)
    }

    /// The status of every secret of every source, in the order of the names.
    pub(super) fn secret_statuses(&self) -> Vec<SecretStatus> {
        let mut statuses: Vec<_> =
            self.sources.iter().flat_map(super::source::Source::statuses).collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }

    /// The calls of all backends. What several sources share counts once.
    pub(super) fn calls(&self) -> Calls {
        let mut calls = Calls::new();
        for (index, source) in self.sources.iter().enumerate() {
            let before = &self.sources[..index];
            if before.iter().any(|other| other.fetcher.shares_backend(&source.fetcher)) {
                continue;
            }
            for (operation, count) in source.fetcher.calls() {
                *calls.entry(operation).or_default() += count;
            }
        }
        calls
    }

    pub(super) fn record_fallback(&self, status: &mut Status) {
        for (index, source) in self.sources.iter().enumerate() {
            let fallback = source.missing.is_on_fallback();
            status.record_source(index, |source| source.set_fallback(fallback));
        }
    }

    /// Logs why the secrets of a source are refused, and returns that with the source's name.
    fn log_rejection(&mut self, source: usize, error: Error) -> Error {
        let error = self.sources[source].fetcher.naming(error);
        self.log_whole_rejection(source, &error);
        error
    }

    fn log_whole_rejection(&mut self, source: usize, error: &Error) {
        let rejection = Some(error.fingerprint());
        let logged = &mut self.sources[source].rejection_logged;
        let repeated = *logged == rejection;
        *logged = rejection;
        events::settings_rejected(self.cell.status().generation(), error, repeated);
    }

    fn swap(&mut self, candidate: Candidate<T>, parts: Vec<Part>) {
        let keys = self.tree.changed_keys(&candidate.tree);
        // A key that is gone has a name in the generation before.
        let last = self.cell.sources();
        let paths = keys.iter().map(String::as_str);
        let shown = candidate.sources.names().counted(last.names(), paths);
        let mut before = Vec::new();
        for (source, found, complete) in parts {
            before.push((source, self.sources[source].used.clone()));
            self.sources[source].now_uses(found, complete);
        }
        self.tree = candidate.tree;
        let secrets = self.secret_statuses();
        let (generation, old) =
            self.cell.swap(candidate.value, Some((&keys, &self.tree)), |status| {
                status.record_swap();
                status.set_secrets(secrets);
                self.record_fallback(status);
                self.cell.explain(candidate.sources);
            });
        // First of all: even if something fails from here on, this generation is live, and its
        // followers must learn of it.
        self.changes.send_replace(Some(Change { generation, keys, shown: shown.clone() }));
        events::settings_changed(generation, &shown);
        for (source, before) in before {
            let source = &mut self.sources[source];
            source.replaced.add(generation, &before, &source.used);
        }
        self.cell.warn_of_overlooked(last.overlooked());
        metrics::record_swap();
        // A panic in it is the user's, and no failed refresh.
        unwind::drop_quietly(old);
    }
}

fn part_of(part: &Taken) -> Part {
    (part.source, part.found.clone(), part.complete)
}

/// Whether settings were refused for what is in them or missing from them.
fn is_of_settings(rejection: &Error) -> bool {
    matches!(rejection.kind(), ErrorKind::Invalid | ErrorKind::Rejected | ErrorKind::Conflict)
}

//! One look at the secrets: what counts as new, and check before swap (rules R1, R2).

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Candidate, Refresher, Wake, Ways, panicked};
use crate::TARGET;
use crate::backend::Fetched;
use crate::engine::missing::Held;
use crate::error::{Error, ErrorKind};
use crate::live::{Change, Refreshed};
use crate::load::fetch::{Look, Reading, Unread, each_once};
use crate::load::required::Verdict;
use crate::observe::events;
use crate::observe::metrics;

impl<T: Send + Sync + 'static> Ways<T> {
    /// A candidate, or why there is none; a panic in the user's code is one reason, and its payload is not repeated.
    pub(super) async fn checked(&self, secrets: &[Fetched]) -> Result<Candidate<T>, Error> {
        let candidate = catch_unwind(AssertUnwindSafe(|| (self.build)(secrets)))
            .unwrap_or_else(|_| Err(panicked("extracting or checking")))?;
        for probe in &self.probes {
            probe(candidate.value.clone()).await?;
        }
        Ok(candidate)
    }
}

impl<T: Send + Sync + 'static> Refresher<T> {
    /// One refresh, whatever happens in it.
    pub(super) async fn cycle(&mut self, wake: &Wake) -> Result<Refreshed, Error> {
        let span = tracing::info_span!(target: TARGET, "refresh", generation = self.cell.status().generation());
        self.checked = false;
        let cycle = AssertUnwindSafe(self.look(wake)).catch_unwind().instrument(span);
        let result = cycle.await.unwrap_or_else(|_| Err(panicked("reading or dropping")));
        let secrets = self.gaps.statuses(&self.served, &self.held, &self.source);
        let calls = catch_unwind(AssertUnwindSafe(|| self.source.calls())).unwrap_or_default();
        let status = {
            let mut status = self.cell.status();
            status.describe(secrets, self.gaps.fallback());
            status.called(calls);
            if self.checked {
                status.checked();
            }
            match &result {
                found if matches!(wake, Wake::Search) => status.searched(found.as_ref().err()),
                Ok(_) => status.succeeded(),
                Err(error) => status.failed(error),
            }
            status.clone()
        };
        // A recorder is somebody else's code: not under our lock.
        result.as_ref().err().into_iter().for_each(metrics::failed);
        metrics::stands(&status);
        result
    }

    /// Whether it is known of every secret in use what its value is now, or that it has none: not, if one could not be
    /// reached, or looked at.
    fn all_answered(&self, reading: &Reading) -> bool {
        let definite = |unread: &Unread| match unread.error.kind() {
            _ if unread.verdict == Verdict::Absent => true,
            ErrorKind::Unavailable
            | ErrorKind::Throttled
            | ErrorKind::AccessDenied
            | ErrorKind::Kms => false,
            _ => true,
        };
        self.held.keys().all(|id| match reading.outcomes.get(id) {
            Some(Ok(_)) => true,
            Some(Err(unread)) => definite(unread),
            None => reading.rested.contains(id),
        })
    }

    /// Reads, and swaps if anything is new.
    async fn look(&mut self, wake: &Wake) -> Result<Refreshed, Error> {
        // Whoever asks, or says that something changed, means everything, even what was denied a moment ago.
        // So does a search, of what is in use.
        let all = matches!(wake, Wake::Everything | Wake::Search);
        let mut memory = self.gaps.memory(&self.held, all, Instant::now());
        memory.look = self.look_for(wake);
        let begun = Instant::now();
        let mut reading = self.source.read(&memory).await;
        if let Some(names) = reading.listed.take() {
            (self.names.listed, self.names.at) = (Some(names), begun);
            self.windows.listed(self.held.keys());
        } else if reading.problem.is_some() {
            // Until they can be listed again, they are not known.
            self.names.listed = None;
        }
        self.refuse_misfits(&mut reading);
        self.checked = self.all_answered(&reading);
        events::denied(&reading);
        events::absent(&reading);
        match memory.look {
            // What was not asked for is not known to be amiss, or mended.
            Look::Held => self.gaps.note_some(&reading, &self.held, self.schedule, Instant::now()),
            _ => self.gaps.note(&reading, &self.held, self.schedule, Instant::now()),
        }
        let mut trouble = reading.trouble();
        let complete = reading.problem.is_none() && !matches!(memory.look, Look::Held);

        let mut found = self.held.clone();
        for (id, outcome) in reading.outcomes {
            if let Ok(secret) = outcome {
                let known =
                    self.held.get(&id).is_some_and(|held| held.versions() == secret.versions());
                events::fetched(&secret, !known);
                found.insert(id, secret);
            }
        }
        // What could not be read may be the reason for a refusal.
        let refreshed = self.apply(found, complete, &mut trouble).await;
        let refreshed = refreshed.map_err(|error| error.beside(trouble.clone()))?;
        match trouble {
            Some(error) => Err(error),
            None => Ok(refreshed),
        }
    }

    /// A secret whose new value has no place keeps its last good one, as one that cannot be read does: what is wrong
    /// with it must not hold up the others' rotation.
    fn refuse_misfits(&self, reading: &mut Reading) {
        for (id, outcome) in &mut reading.outcomes {
            let Ok(secret) = outcome else { continue };
            let known = self.held.get(id).is_some_and(|held| held.versions() == secret.versions());
            if known {
                continue;
            }
            if let Err(error) = self.source.check(secret) {
                *outcome = Err(Unread { error, verdict: Verdict::Failure });
            }
        }
    }

    async fn apply(
        &mut self,
        mut found: Held,
        complete: bool,
        trouble: &mut Option<Error>,
    ) -> Result<Refreshed, Error> {
        if versions(&found) == versions(&self.held) {
            self.held = found;
            self.gaps.closed(&self.held, complete);
            return Ok(Refreshed { generation: self.cell.status().generation(), changed: false });
        }
        let mut result = self.ways.checked(&each_once(found.values())).await;
        if let Err(error) = &result
            && error.kind() == ErrorKind::Conflict
            && let Err(conflict) = self.source.fit_together(&each_once(found.values()))
        {
            // What is new and conflicts must not hold up the others' rotation.
            found = self.without_conflicts(found);
            *trouble = Some(self.rejected(conflict).beside(trouble.take()));
            if versions(&found) == versions(&self.held) {
                return Ok(Refreshed {
                    generation: self.cell.status().generation(),
                    changed: false,
                });
            }
            result = self.ways.checked(&each_once(found.values())).await;
        }
        let candidate = result.map_err(|error| self.rejected(error))?;
        Ok(self.swap(candidate, found, complete))
    }

    /// What is in use, with what was found new as far as it conflicts with nothing, in the order of the names.
    fn without_conflicts(&self, found: Held) -> Held {
        let mut fitting = self.held.clone();
        for (id, secret) in found {
            let before = fitting.insert(id.clone(), secret);
            if self.source.fit_together(&each_once(fitting.values())).is_err() {
                match before {
                    Some(before) => fitting.insert(id, before),
                    None => fitting.remove(&id),
                };
            }
        }
        fitting
    }

    fn rejected(&self, error: Error) -> Error {
        let generation = self.cell.status().generation();
        tracing::error!(target: TARGET, generation, error.kind = %error.kind(), error.message = %error, "settings_rejected");
        error
    }

    fn swap(&mut self, candidate: Candidate<T>, found: Held, complete: bool) -> Refreshed {
        let keys = self.tree.changed_keys(&candidate.tree);
        let renewed = |(id, secret): &(&String, &Fetched)| {
            self.held.get(*id).is_none_or(|held| held.version_id() != secret.version_id())
        };
        self.windows.renewed(found.iter().filter(renewed).map(|(id, _)| id.clone()));
        self.held = found;
        self.served = candidate.snapshot.secrets().to_vec();
        self.tree = candidate.tree;
        self.gaps.closed(&self.held, complete);
        let secrets = self.gaps.statuses(&self.served, &self.held, &self.source);
        let (generation, old) = self.cell.swap(candidate.value, Some(&keys), |status| {
            status.swapped();
            status.describe(secrets, self.gaps.fallback());
            self.cell.explain(candidate.explanation);
        });
        // First of all: whatever fails from here on, this is live, and whoever follows it must hear of it.
        self.changes.send_replace(Some(Change { generation, keys: keys.clone() }));
        tracing::info!(target: TARGET, generation, keys = keys.join(","), "settings_changed");
        metrics::swapped();
        // A panic in it is the user's, and no failed refresh.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        Refreshed { generation, changed: true }
    }
}

/// What tells whether anything is new.
fn versions(secrets: &Held) -> BTreeSet<(String, String, Option<String>)> {
    let versions = |secret: &Fetched| {
        let (version, previous) = secret.versions();
        (secret.identity().to_owned(), version.to_owned(), previous.map(str::to_owned))
    };
    secrets.values().map(versions).collect()
}

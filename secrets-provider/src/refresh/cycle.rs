//! One look at the secrets: what counts as new, and check before swap (rules R1, R2).

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Candidate, Refresher, Wake, Ways, panicked};
use crate::TARGET;
use crate::backend::Fetched;
use crate::error::{Error, ErrorKind};
use crate::events;
use crate::fetch::{Look, Reading, Unread, each_once};
use crate::gaps::Held;
use crate::live::{Change, Refreshed};
use crate::meter;
use crate::policy::Verdict;

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
        let span =
            tracing::info_span!(target: TARGET, "refresh", generation = self.cell.status().generation());
        let cycle = AssertUnwindSafe(self.look(wake)).catch_unwind().instrument(span);
        let result = cycle.await.unwrap_or_else(|_| Err(panicked("reading or dropping")));
        let secrets = self.gaps.statuses(&self.served, &self.held, &self.source);
        let calls = self.source.calls();
        let (before, now) = {
            let mut status = self.cell.status();
            let before = status.calls().clone();
            status.describe(secrets, self.gaps.fallback());
            status.called(calls.clone());
            match &result {
                // Not everything was looked at.
                Ok(_) if matches!(wake, Wake::Search) => {}
                Ok(_) => status.succeeded(),
                Err(error) => status.failed(error),
            }
            (before, status.clone())
        };
        meter::called(&before, &calls);
        if let Err(error) = &result {
            meter::failed(error);
        }
        meter::stands(&now);
        result
    }

    /// Reads, and swaps if anything is new.
    async fn look(&mut self, wake: &Wake) -> Result<Refreshed, Error> {
        // Whoever asks, or says that something changed, means everything, even what was denied a moment ago.
        let all = matches!(wake, Wake::Everything);
        let mut memory = self.gaps.memory(&self.held, all, Instant::now());
        memory.look = self.look_for(wake);
        let begun = Instant::now();
        let mut reading = self.source.read(&memory).await;
        if let Some(names) = reading.listed.take() {
            (self.names.listed, self.names.at) = (Some(names), begun);
            self.windows.listed(self.held.keys());
        }
        self.refuse_misfits(&mut reading);
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
                let known = self.held.get(&id).is_some_and(|held| held.versions() == secret.versions());
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
            && let Some(without) = self.without_newcomers(&found)
        {
            // A secret that was added must not hold up the others' rotation.
            let conflict = error.clone();
            found = without;
            if versions(&found) == versions(&self.held) {
                return Err(self.rejected(conflict));
            }
            result = self.ways.checked(&each_once(found.values())).await;
            *trouble = Some(conflict.beside(trouble.take()));
        }
        let candidate = result.map_err(|error| self.rejected(error))?;
        Ok(self.swap(candidate, found, complete))
    }

    /// What was found but for secrets that are not in use yet, if there are such.
    fn without_newcomers(&self, found: &Held) -> Option<Held> {
        let old: Held = found
            .iter()
            .filter(|(id, _)| self.held.contains_key(*id))
            .map(|(id, secret)| (id.clone(), secret.clone()))
            .collect();
        (old.len() < found.len()).then_some(old)
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
        tracing::info!(target: TARGET, generation, keys = keys.join(","), "settings_changed");
        meter::swapped();
        self.changes.send_replace(Some(Change { generation, keys }));
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

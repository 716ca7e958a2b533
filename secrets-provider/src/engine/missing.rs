//! What the live settings lack, from one refresh to the next (rules R2 and R5): optional secrets
//! that are absent, secrets that failed or were deleted, and those that lower layers replace.
//!
//! The refresher records every read here, asks what the next read should know, and takes each
//! secret's status from it. Pure except for the clock, which is passed in.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::engine::deleted::Deleted;
use crate::engine::secrets::Secrets;
use crate::error::ErrorKind;
use crate::load::fetch::{FetchResult, Fetcher, Known, Scope};
use crate::load::required::{Verdict, denied};
use crate::load::retry::schedule::Schedule;
use crate::observe::status::{SecretState, SecretStatus};
use crate::secret::SecretVersion;

#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Since the start, names could not be listed, or there were none.
    everything: bool,
    /// Why the last refresh could not read a secret that settings need.
    failed: BTreeMap<String, ErrorKind>,
    /// Never read: lower layers are used. Stays until the secret is in use or no longer selected.
    fallback: BTreeMap<String, ErrorKind>,
    absent: BTreeMap<String, Absence>,
    pub(super) deleted: Deleted,
}

/// An optional secret that is not there, or no longer.
#[derive(Debug, Clone, Copy)]
struct Absence {
    kind: ErrorKind,
    /// How often in a row it was denied.
    denials: u32,
    /// Until then it is not read.
    rests_until: Option<Instant>,
}

impl Missing {
    /// What the first reading lacks.
    pub(crate) fn at_start(result: &FetchResult, schedule: Schedule, now: Instant) -> Self {
        let mut missing = Self { everything: result.listing_error.is_some(), ..Self::default() };
        missing.record(&Scope::everything(), result, &Secrets::default(), schedule, now);
        missing
    }

    /// What a further read lacks. A partial read says nothing about the secrets that it did not
    /// cover.
    pub(crate) fn record(
        &mut self,
        scope: &Scope,
        result: &FetchResult,
        used: &Secrets,
        schedule: Schedule,
        now: Instant,
    ) {
        if scope.is_partial() {
            return self.record_outcomes(result, used, schedule, now);
        }
        self.failed.clear();
        self.record_outcomes(result, used, schedule, now);
        if result.listing_error.is_none() {
            let selected =
                |id: &String| result.outcomes.contains_key(id) || result.rested.contains(id);
            self.fallback.retain(|id, _| selected(id));
            self.absent.retain(|id, _| selected(id));
        }
    }

    fn record_outcomes(
        &mut self,
        result: &FetchResult,
        used: &Secrets,
        schedule: Schedule,
        now: Instant,
    ) {
        for (id, outcome) in &result.outcomes {
            match outcome {
                Ok(_) => {
                    self.absent.remove(id);
                    self.failed.remove(id);
                }
                Err(unread) if unread.verdict == Verdict::Absent => {
                    let kind = unread.error.kind();
                    let before = self.absent.get(id).map_or(0, |absence| absence.denials);
                    let denials = if denied(kind) { before.saturating_add(1) } else { 0 };
                    let rests_until = (denials > 0).then(|| now + schedule.rest(denials));
                    self.absent.insert(id.clone(), Absence { kind, denials, rests_until });
                }
                Err(unread) => {
                    self.absent.remove(id);
                    let kind = unread.error.kind();
                    self.failed.insert(id.clone(), kind);
                    if unread.verdict == Verdict::Fallback && !used.contains(id) {
                        self.fallback.insert(id.clone(), kind);
                    }
                }
            }
        }
    }

    /// Whether it is known that this secret is missing.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.failed.contains_key(id)
            || self.fallback.contains_key(id)
            || self.absent.contains_key(id)
    }

    /// These deleted secrets are no longer in use.
    pub(crate) fn left(&mut self, ids: &[String]) {
        self.deleted.left(ids);
        for id in ids {
            self.failed.remove(id);
            self.fallback.remove(id);
            self.absent.remove(id);
        }
    }

    /// These secrets are in use now; `complete` if every selected secret was read.
    pub(crate) fn now_used(&mut self, used: &Secrets, complete: bool) {
        self.fallback.retain(|id, _| !used.contains(id));
        self.everything &= !complete;
    }

    /// Whether lower layers are used in place of a secret that settings need.
    pub(crate) fn is_on_fallback(&self) -> bool {
        self.everything || !self.fallback.is_empty()
    }

    /// What the next read should know; `listed` is the last listing, if it is still valid.
    pub(crate) fn known(
        &self,
        used: &Secrets,
        listed: Option<Vec<String>>,
        schedule: Schedule,
        now: Instant,
    ) -> Known {
        let resting = |absence: &Absence| absence.rests_until.is_some_and(|until| now < until);
        let resting = self.absent.iter().filter(|(_, absence)| resting(absence));
        Known {
            past_caches: false,
            wanted: None,
            in_use: used.ids().cloned().collect(),
            awaited: self.fallback.keys().cloned().collect(),
            resting: resting.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>(),
            deleted: self.deleted.not_asked(schedule, now),
            listed,
        }
    }

    /// The status of every secret, in the order of the names: those served, and those missing.
    pub(crate) fn statuses(
        &self,
        served: &[SecretVersion],
        used: &Secrets,
        fetcher: &Fetcher,
        schedule: Schedule,
    ) -> Vec<SecretStatus> {
        let absent =
            self.absent.iter().map(|(id, absence)| (id, (absence.kind, SecretState::Absent)));
        let failed = self.failed.iter().map(|(id, kind)| (id, (*kind, SecretState::Unread)));
        let fallback = self.fallback.iter().map(|(id, kind)| (id, (*kind, SecretState::Fallback)));
        // Later entries win: a secret on fallback that has failed since is still on fallback.
        let unread: BTreeMap<_, _> = absent.chain(failed).chain(fallback).collect();

        let source = fetcher.source_name().map(str::to_owned);
        let mut errors = BTreeMap::new();
        let mut deleted = BTreeMap::new();
        let mut missing = Vec::new();
        for (id, (kind, state)) in unread {
            match used.get(id) {
                Some(secret) => {
                    errors.insert(secret.name(), kind);
                    deleted.extend(Some(secret.name()).zip(self.deleted.times(id, schedule)));
                }
                None => missing.push(SecretStatus {
                    name: id.clone(),
                    key_path: fetcher.key_path(id),
                    version_id: String::new(),
                    state,
                    error: Some(kind),
                    deleted_since: None,
                    leaves_at: None,
                    arn: None,
                    lease: None,
                    source: source.clone(),
                    changed_at: None,
                }),
            }
        }
        let arns: BTreeMap<_, _> =
            used.iter().filter_map(|(_, secret)| Some((secret.name(), secret.arn()?))).collect();
        let leases: BTreeMap<_, _> =
            used.iter().filter_map(|(_, secret)| Some((secret.name(), secret.lease()?))).collect();
        let served = served.iter().map(|secret| {
            let error = errors.get(secret.name()).copied();
            let times = deleted.get(secret.name()).copied();
            SecretStatus {
                name: secret.name().to_owned(),
                key_path: secret.key_path().to_owned(),
                version_id: secret.version_id().to_owned(),
                state: if error.is_some() { SecretState::LastGood } else { SecretState::Current },
                error,
                deleted_since: times.map(|(since, _)| since),
                leaves_at: times.and_then(|(_, leaves_at)| leaves_at),
                arn: arns.get(secret.name()).copied().map(str::to_owned),
                lease: leases.get(secret.name()).copied().cloned(),
                source: source.clone(),
                changed_at: None,
            }
        });
        let mut statuses: Vec<_> = served.chain(missing).collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }
}

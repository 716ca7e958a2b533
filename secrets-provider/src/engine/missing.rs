//! What the live settings lack, from one refresh to the next: optional secrets that are absent, and those that lower
//! layers stand in for. Pure but for the clock that is handed in.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::backend::Fetched;
use crate::engine::schedule::Schedule;
use crate::error::ErrorKind;
use crate::load::fetch::{Look, Memory, Reading, Source};
use crate::load::required::{Verdict, denied};
use crate::load::snapshot::SecretVersion;
use crate::observe::status::{SecretState, SecretStatus};

/// The secrets in use, by the name or ARN they are asked for.
pub(crate) type Held = BTreeMap<String, Fetched>;

#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Since the start, names could not be listed, or there were none.
    whole: bool,
    /// Why the last refresh could not read a secret that settings need.
    failed: BTreeMap<String, ErrorKind>,
    /// Never read: lower layers stand in. Stays until the secret is in use, or not selected any more.
    stand_ins: BTreeMap<String, ErrorKind>,
    absent: BTreeMap<String, Absence>,
}

/// An optional secret that is not there, or not any more.
#[derive(Debug, Clone, Copy)]
struct Absence {
    kind: ErrorKind,
    /// How often in a row it was denied.
    denials: u32,
    /// Until then it is not asked for.
    rests_until: Option<Instant>,
}

impl Gaps {
    /// What the first reading lacks.
    pub(crate) fn at_start(reading: &Reading, schedule: Schedule, now: Instant) -> Self {
        let mut gaps = Self { whole: reading.problem.is_some(), ..Self::default() };
        gaps.note(reading, &Held::new(), schedule, now);
        gaps
    }

    /// What a further reading lacks.
    pub(crate) fn note(
        &mut self,
        reading: &Reading,
        held: &Held,
        schedule: Schedule,
        now: Instant,
    ) {
        self.failed.clear();
        self.note_some(reading, held, schedule, now);
        if reading.problem.is_none() {
            let selected =
                |id: &String| reading.outcomes.contains_key(id) || reading.rested.contains(id);
            self.stand_ins.retain(|id, _| selected(id));
            self.absent.retain(|id, _| selected(id));
        }
    }

    /// What a reading lacks that looked for some secrets alone.
    pub(crate) fn note_some(
        &mut self,
        reading: &Reading,
        held: &Held,
        schedule: Schedule,
        now: Instant,
    ) {
        for (id, outcome) in &reading.outcomes {
            match outcome {
                Ok(_) => {
                    self.absent.remove(id);
                    self.failed.remove(id);
                }
                Err(unread) if unread.verdict == Verdict::Absent => {
                    let kind = unread.error.kind();
                    let before = self.absent.get(id).map_or(0, |absence| absence.denials);
                    let denials = if denied(kind) { before.saturating_add(1) } else { 0 };
                    let rests_until = (denials > 0).then(|| now + schedule.denied(denials));
                    self.absent.insert(id.clone(), Absence { kind, denials, rests_until });
                }
                Err(unread) => {
                    self.absent.remove(id);
                    let kind = unread.error.kind();
                    self.failed.insert(id.clone(), kind);
                    if unread.verdict == Verdict::Fallback && !held.contains_key(id) {
                        self.stand_ins.insert(id.clone(), kind);
                    }
                }
            }
        }
    }

    /// What was read, and listed if `listed`, is in use.
    pub(crate) fn closed(&mut self, held: &Held, listed: bool) {
        self.stand_ins.retain(|id, _| !held.contains_key(id));
        self.whole &= !listed;
    }

    /// Whether lower layers stand in for a secret that settings need.
    pub(crate) fn fallback(&self) -> bool {
        self.whole || !self.stand_ins.is_empty()
    }

    /// What the next reading should know; all that rests is asked for again if `all`.
    pub(crate) fn memory(&self, held: &Held, all: bool, now: Instant) -> Memory {
        let rests =
            |absence: &Absence| !all && absence.rests_until.is_some_and(|until| now < until);
        Memory {
            held: held.keys().cloned().collect(),
            awaited: self.stand_ins.keys().cloned().collect(),
            resting: self.resting(rests),
            look: Look::default(),
        }
    }

    fn resting(&self, rests: impl Fn(&Absence) -> bool) -> BTreeSet<String> {
        self.absent.iter().filter(|(_, absence)| rests(absence)).map(|(id, _)| id.clone()).collect()
    }

    /// Every secret as it stands, in the order of the names: those served, and those that are not.
    pub(crate) fn statuses(
        &self,
        served: &[SecretVersion],
        held: &Held,
        source: &Source,
    ) -> Vec<SecretStatus> {
        let absent =
            self.absent.iter().map(|(id, absence)| (id, (absence.kind, SecretState::Absent)));
        let failed = self.failed.iter().map(|(id, kind)| (id, (*kind, SecretState::Unread)));
        let stand_ins =
            self.stand_ins.iter().map(|(id, kind)| (id, (*kind, SecretState::Fallback)));
        // A stand-in whose secret has failed since is a stand-in all the same.
        let unread: BTreeMap<_, _> = absent.chain(failed).chain(stand_ins).collect();

        let mut errors = BTreeMap::new();
        let mut missing = Vec::new();
        for (id, (kind, state)) in unread {
            match held.get(id) {
                Some(secret) => {
                    errors.insert(secret.name(), kind);
                }
                None => missing.push(SecretStatus {
                    name: id.clone(),
                    key_path: source.key_path(id),
                    version_id: String::new(),
                    state,
                    error: Some(kind),
                }),
            }
        }
        let served = served.iter().map(|secret| {
            let error = errors.get(secret.name()).copied();
            SecretStatus {
                name: secret.name().to_owned(),
                key_path: secret.key_path().to_owned(),
                version_id: secret.version_id().to_owned(),
                state: if error.is_some() { SecretState::LastGood } else { SecretState::Current },
                error,
            }
        });
        let mut statuses: Vec<_> = served.chain(missing).collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }
}

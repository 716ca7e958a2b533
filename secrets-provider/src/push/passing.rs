//! Which hints peers get, and when: each change once, with a bound on what waits and is remembered.
//!
//! A hint that names the same version as the last one of its secret is a repeat. Pure except for the
//! clock; `peers` sends what is due.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::engine::hints::Hint;
use crate::observe::status::PeersProgress;

/// How many hints a peer gets at once; it makes one refresh of them.
const MAX_IN_ROUND: usize = 16;

/// How many hints wait to be passed on, and of how many secrets is known what was passed on last.
pub(super) const MAX_WAITING: usize = 1024;

/// For how long a hint that names the same version as the last one of its secret is a repeat.
const REPEATS: Duration = Duration::from_secs(60);

/// The least time between two hints without a version for one secret.
const UNVERSIONED_MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A secret and the version that it has now, as a peer is informed of it.
pub(super) type Notice = (String, Option<String>);

/// What waits to be passed on, and what was.
#[derive(Default)]
pub(super) struct Passing {
    /// With the time from which each may go.
    waiting: BTreeMap<Notice, (Instant, Option<SystemTime>)>,
    /// The last hint of each secret.
    last: BTreeMap<String, Last>,
}

struct Last {
    version: Option<String>,
    changed_at: Option<SystemTime>,
    at: Instant,
}

impl Passing {
    pub(super) fn add(&mut self, hint: Hint, progress: &PeersProgress) {
        let now = Instant::now();
        let Hint { secret, version, changed_at } = hint;
        let another_waits =
            self.waiting.keys().any(|(name, waits)| *name == secret && *waits != version);
        let due = match (self.last.get(&secret), &version) {
            // Two versions in turn are a rollback, and no repeat.
            (Some(last), Some(_))
                if !another_waits
                    && last.version == version
                    && last.changed_at == changed_at
                    && last.at + REPEATS > now =>
            {
                return;
            }
            // It may be of another change than the one before.
            (Some(last), None) => now.max(last.at + UNVERSIONED_MIN_INTERVAL),
            _ => now,
        };
        let notice = (secret, version);
        if self.waiting.len() < MAX_WAITING || self.waiting.contains_key(&notice) {
            self.waiting.entry(notice).or_insert((due, changed_at));
        } else {
            progress.dropped();
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|(due, _)| *due).min()
    }

    pub(super) fn take_due(&mut self) -> Vec<Notice> {
        let now = Instant::now();
        let due = self.waiting.iter().filter(|(_, (due, _))| *due <= now);
        let due: Vec<Notice> = due.map(|(notice, _)| notice.clone()).take(MAX_IN_ROUND).collect();
        for notice in &due {
            let changed_at = self.waiting.remove(notice).and_then(|(_, changed_at)| changed_at);
            let (secret, version) = notice.clone();
            self.remember(secret, Last { version, changed_at, at: now });
        }
        due
    }

    fn remember(&mut self, secret: String, last: Last) {
        self.last.insert(secret, last);
        if self.last.len() > MAX_WAITING {
            let oldest = self.last.iter().min_by_key(|(_, last)| last.at);
            if let Some(oldest) = oldest.map(|(secret, _)| secret.clone()) {
                self.last.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! What someone says has changed: secrets by name or ARN, with the version where it is known.
//!
//! A hint is no proof, only a reason to read that secret. One whose version is live, or whose
//! secret is not selected, is ignored. If a read brings the version that was live before and not
//! the one that a hint names, the store's replicas may lag: the secret is read again after 0.5, 1
//! and 2 s. The refresher brings hints here, and says what each read found. Pure except for the
//! clock, which is passed in; bounded, because hints may be forged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::engine::secrets::Secrets;
use crate::load::fetch::{FetchResult, Selector};

/// When a secret is read again that a hint names and a read did not show.
const LAGS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// How often a secret is read again in all while the store cannot be reached: for about ten minutes,
/// at growing waits up to a minute.
const MAX_TRIES: usize = 14;

/// The longest of these waits.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How long a name or ARN, and the id of a version, may be: more than any store's.
const MAX_LENGTHS: (usize, usize) = (2048, 256);

/// How many secrets are waited for. Hints for more are ignored, as lost ones would be.
const MAX_WANTED: usize = 1024;

/// How many secrets that were never read may be waited for: names below a prefix can be made up.
const MAX_UNKNOWN: usize = 20;

/// How many versions of one secret are waited for; any of them will do.
const MAX_VERSIONS: usize = 8;

/// A hint that a secret changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Its name or ARN.
    pub(crate) secret: String,
    /// The version that is current since.
    pub(crate) version: Option<String>,
    /// When it changed, by the clock of whoever says so.
    pub(crate) changed_at: Option<SystemTime>,
}

impl Hint {
    /// Whether a secret can have this name and a version this id, by their lengths.
    pub(crate) fn is_possible(&self) -> bool {
        let (name, version) = MAX_LENGTHS;
        self.secret.len() <= name && self.version.as_ref().is_none_or(|id| id.len() <= version)
    }
}

/// The secrets to look for, by the id that each has here.
#[derive(Debug, Default)]
pub(super) struct Hints(BTreeMap<String, Wanted>);

#[derive(Debug, Default)]
struct Wanted {
    /// Each with when it became current, as its first hint says. Empty if no hint names a version:
    /// then any read is enough.
    versions: BTreeMap<String, Option<SystemTime>>,
    /// When the secret changed, as the first hint without a version says.
    changed_at: Option<SystemTime>,
    tries: usize,
    /// When it is read again; `None` while the read for it is under way.
    due: Option<Instant>,
}

/// What a read of one secret shows.
enum Shown {
    /// Nothing that is wanted.
    Nothing,
    /// A version that is wanted, which another one has replaced since.
    Older(Option<SystemTime>),
    /// The newest version that is known of, or one that is newer still.
    Newest(Option<SystemTime>),
}

impl Wanted {
    /// What it means that a version was read, and which one was live before.
    fn shown(&mut self, version: &str, before: Option<&str>) -> Shown {
        if self.versions.is_empty() {
            return Shown::Newest(self.changed_at);
        }
        match self.versions.remove(version) {
            Some(changed_at) => {
                // Without times, nothing says which of them came last.
                self.versions.retain(|_, other| *other > changed_at && changed_at.is_some());
                match self.versions.is_empty() {
                    true => Shown::Newest(changed_at),
                    false => Shown::Older(changed_at),
                }
            }
            // Another version than before is the truth, even if no hint names it.
            None if before != Some(version) => {
                Shown::Newest(self.versions.values().flatten().max().copied())
            }
            None => Shown::Nothing,
        }
    }
}

/// What a read means for the hints.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The secrets that are no longer looked for, although no hinted version has come.
    pub(super) given_up: Vec<String>,
    /// When the first of the changes that were found happened.
    pub(super) changed_at: Option<SystemTime>,
}

impl Hints {
    /// Takes a hint, and returns the ids to read now because of it. None if it is ignored.
    pub(super) fn hear(
        &mut self,
        hint: &Hint,
        selector: &Selector<'_>,
        used: &Secrets,
    ) -> Vec<String> {
        let is_live = |id: &String| {
            let live = used.get(id).map(|secret| secret.version_id());
            live.is_some() && live == hint.version.as_deref()
        };
        if !hint.is_possible() {
            return Vec::new();
        }
        let mut ids = selector.ids(&hint.secret);
        ids.retain(|id| !is_live(id) && self.wants(id, hint, used));
        ids
    }

    /// Notes that a version is wanted, unless there are too many already.
    fn wants(&mut self, id: &str, hint: &Hint, used: &Secrets) -> bool {
        if !self.0.contains_key(id) {
            let unknown = || self.0.keys().filter(|id| !used.contains(id)).count();
            if self.0.len() >= MAX_WANTED || !used.contains(id) && unknown() >= MAX_UNKNOWN {
                return false;
            }
        }
        let is_known = self.0.contains_key(id);
        let wanted = self.0.entry(id.to_owned()).or_default();
        let is_repeated = match &hint.version {
            Some(version) if wanted.versions.len() < MAX_VERSIONS => {
                let known = wanted.versions.insert(version.clone(), hint.changed_at);
                if let Some(first) = known {
                    wanted.versions.insert(version.clone(), first);
                }
                known.is_some()
            }
            Some(_) => true,
            None => {
                wanted.changed_at = wanted.changed_at.or(hint.changed_at);
                is_known
            }
        };
        // A repeated hint is read now, and does not lengthen the search.
        if !is_repeated {
            (wanted.tries, wanted.due) = (0, None);
        }
        true
    }

    /// When the next secret is read again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(|wanted| wanted.due).min()
    }

    /// The secrets that are to be read again by now.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeSet<String> {
        let due = self.0.iter_mut().filter(|(_, wanted)| wanted.due.is_some_and(|due| due <= now));
        due.map(|(id, wanted)| {
            wanted.due = None;
            id.clone()
        })
        .collect()
    }

    /// Compares what a read found with what is wanted; `used` is what was live before it.
    pub(super) fn found(&mut self, result: &FetchResult, used: &Secrets, now: Instant) -> Found {
        let mut found = Found::default();
        self.0.retain(|id, wanted| {
            let outcome = result.outcomes.get(id);
            let shown = match outcome {
                Some(Ok(secret)) => {
                    let before = used.get(id).map(|secret| secret.version_id());
                    wanted.shown(secret.version_id(), before)
                }
                Some(Err(_)) | None => Shown::Nothing,
            };
            if let Shown::Older(changed_at) | Shown::Newest(changed_at) = shown {
                // Of several secrets, the one that waited longest.
                found.changed_at = [found.changed_at, changed_at].into_iter().flatten().min();
            }
            if matches!(shown, Shown::Newest(_)) {
                return false;
            }
            if wanted.due.is_some() {
                return true;
            }
            // What hinders the read may last: the hint must not be lost for that.
            let unreached = outcome.is_some_and(|outcome| {
                outcome.as_ref().is_err_and(|unread| unread.error.is_transient())
            });
            let lag = match LAGS.get(wanted.tries) {
                None if unreached && wanted.tries < MAX_TRIES => {
                    Some(MAX_WAIT.min(LAGS[2] * (1 << (wanted.tries - 2).min(10))))
                }
                lag => lag.copied(),
            };
            match lag {
                Some(lag) => {
                    wanted.tries += 1;
                    wanted.due = Some(now + lag);
                    true
                }
                None => {
                    found.given_up.push(id.clone());
                    false
                }
            }
        });
        found
    }
}

#[cfg(test)]
mod tests;

//! When secrets are expected to rotate, as far as the backend knows (rule R3).
//!
//! Windows are asked for in tasks of their own, so that no refresh waits for them, and only for
//! secrets that are new or have a new version. Waits of the schedule are shortened around the
//! windows that are known.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::backend::RotationWindow;
use crate::load::fetch::Fetcher;
use crate::load::retry::schedule::Schedule;

#[derive(Debug, Default)]
pub(super) struct RotationSchedule {
    known: BTreeMap<String, Window>,
    /// Secrets whose window is not known, or no longer.
    unknown: Vec<String>,
    /// Ends of windows that are over: listings may still report them for a while.
    over: BTreeMap<String, SystemTime>,
    asking: JoinSet<BTreeMap<String, RotationWindow>>,
}

/// A window on tokio's clock, and its end as the backend reported it.
#[derive(Debug)]
struct Window {
    range: Range<Instant>,
    end: SystemTime,
}

impl RotationSchedule {
    /// These secrets are new or have a new version, so their windows have changed.
    pub(super) fn renewed(&mut self, ids: impl IntoIterator<Item = String>) {
        self.unknown.extend(ids);
    }

    /// Names were listed, so the backend may know more windows of the secrets in use, which are
    /// these. Windows of other secrets are forgotten.
    pub(super) fn listed<'a>(&mut self, ids: impl IntoIterator<Item = &'a String>) {
        let used: BTreeSet<&String> = ids.into_iter().collect();
        self.known.retain(|id, _| used.contains(id));
        self.over.retain(|id, _| used.contains(id));
        let unknown = used.into_iter().filter(|id| !self.known.contains_key(*id));
        self.unknown.extend(unknown.cloned());
    }

    /// Asks for the windows that are not known or are over.
    pub(super) fn ask(&mut self, fetcher: &Fetcher) {
        let now = Instant::now();
        let past = self.known.iter().filter(|(_, window)| Schedule::past(&window.range, now));
        self.unknown.extend(past.map(|(id, _)| id.clone()));
        if self.unknown.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.unknown);
        for id in &ids {
            if let Some(window) = self.known.remove(id) {
                self.over.insert(id.clone(), window.end);
            }
        }
        let fetcher = fetcher.clone();
        self.asking.spawn(async move { fetcher.rotation_windows(&ids).await });
    }

    /// Waits for an answer and takes it in; for ever, if nothing was asked.
    pub(super) async fn answered(&mut self) {
        // If the backend panicked, there is no answer.
        if let Some(Ok(windows)) = self.asking.join_next().await {
            self.record(windows, SystemTime::now(), Instant::now());
        } else if self.asking.is_empty() {
            std::future::pending().await
        }
    }

    fn record(
        &mut self,
        windows: BTreeMap<String, RotationWindow>,
        wall: SystemTime,
        now: Instant,
    ) {
        for (id, window) in windows {
            if self.over.get(&id) != Some(&window.end)
                && let Some(range) = on_clock(&window, wall, now)
                && !Schedule::past(&range, now)
            {
                self.known.insert(id, Window { range, end: window.end });
            }
        }
    }

    /// How long a listing stays valid while a rotation is expected: as long as at other times.
    pub(super) fn listing_lasts(&self, interval: Duration) -> Duration {
        if self.known.is_empty() { Duration::ZERO } else { interval.mul_f64(0.9) }
    }

    /// A wait, shortened if a rotation is expected.
    pub(super) fn shorten(&self, wait: Duration, random: f64) -> Duration {
        let ranges = self.known.values().map(|window| &window.range);
        Schedule::shorten_for_rotation(wait, ranges, Instant::now(), random)
    }
}

/// A window on tokio's clock, which never jumps; `None` if it is too far away for that clock.
fn on_clock(window: &RotationWindow, wall: SystemTime, now: Instant) -> Option<Range<Instant>> {
    let ahead = |at: SystemTime| now.checked_add(at.duration_since(wall).unwrap_or_default());
    let late = wall.duration_since(window.end).unwrap_or_default();
    Some(ahead(window.start)?..ahead(window.end)?.checked_sub(late)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_secrets_that_are_no_longer_used_are_forgotten() {
        let mut rotation = RotationSchedule::default();
        let end = SystemTime::now() + Duration::from_secs(60);
        for n in 0..100 {
            let id = format!("s{n}");
            let window = (id.clone(), end - Duration::from_secs(60)..end);
            rotation.record([window].into(), SystemTime::now(), Instant::now());
            rotation.over.insert(id.clone(), end);
            rotation.listed([&id]);
            assert_eq!((rotation.known.len(), rotation.over.len()), (1, 1));
        }
    }

    #[test]
    fn windows_are_moved_to_the_clock_of_waits() {
        let (wall, now) = (SystemTime::now(), Instant::now() + Duration::from_secs(10_000));
        let seconds = Duration::from_secs;
        for (case, start, end, expected) in [
            (
                "ahead",
                wall + seconds(10),
                wall + seconds(20),
                Some(now + seconds(10)..now + seconds(20)),
            ),
            ("open", wall - seconds(10), wall + seconds(20), Some(now..now + seconds(20))),
            ("past", wall - seconds(20), wall - seconds(10), Some(now..now - seconds(10))),
        ] {
            assert_eq!(on_clock(&(start..end), wall, now), expected, "{case}");
        }
    }
}

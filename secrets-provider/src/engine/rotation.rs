//! When secrets are expected to rotate, as the backend tells it: asked on the side, so that nobody waits for it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::backend::RotationWindow;
use crate::engine::schedule::Schedule;
use crate::load::fetch::Source;

#[derive(Debug, Default)]
pub(super) struct Windows {
    known: BTreeMap<String, Window>,
    /// Secrets of which it is not known, or not any more.
    unknown: Vec<String>,
    /// Ends of windows that are over: a listing may tell of them for a while yet.
    over: BTreeMap<String, SystemTime>,
    asking: JoinSet<BTreeMap<String, RotationWindow>>,
}

/// A window on the clock that waits are of, and its end as it was told.
#[derive(Debug)]
struct Window {
    range: Range<Instant>,
    end: SystemTime,
}

impl Windows {
    /// These secrets are new, or have a new version: their windows are others from now on.
    pub(super) fn renewed(&mut self, ids: impl IntoIterator<Item = String>) {
        self.unknown.extend(ids);
    }

    /// Names were listed, which tells of windows too.
    pub(super) fn listed<'a>(&mut self, ids: impl IntoIterator<Item = &'a String>) {
        let unknown = ids.into_iter().filter(|id| !self.known.contains_key(*id));
        self.unknown.extend(unknown.cloned());
    }

    /// Asks for the windows that are not known, or past.
    pub(super) fn ask(&mut self, source: &Source) {
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
        let source = source.clone();
        self.asking.spawn(async move { source.rotation_windows(&ids).await });
    }

    /// Waits until something was told, and notes it; for ever, if nothing was asked.
    pub(super) async fn told(&mut self) {
        // A panic is the backend's, which then tells nothing.
        if let Some(Ok(windows)) = self.asking.join_next().await {
            self.note(windows, SystemTime::now(), Instant::now());
        } else if self.asking.is_empty() {
            std::future::pending().await
        }
    }

    fn note(&mut self, windows: BTreeMap<String, RotationWindow>, wall: SystemTime, now: Instant) {
        for (id, window) in windows {
            if self.over.get(&id) != Some(&window.end)
                && let Some(range) = on_clock(&window, wall, now)
                && !Schedule::past(&range, now)
            {
                self.known.insert(id, Window { range, end: window.end });
            }
        }
    }

    /// How long names last while a rotation is expected: as long as they do at other times.
    pub(super) fn names_last(&self, interval: Duration) -> Duration {
        if self.known.is_empty() { Duration::ZERO } else { interval.mul_f64(0.9) }
    }

    /// A wait cut short where a rotation is expected.
    pub(super) fn mindful(&self, wait: Duration, random: f64) -> Duration {
        let ranges = self.known.values().map(|window| &window.range);
        Schedule::mindful(wait, ranges, Instant::now(), random)
    }
}

/// A window on tokio's clock, which never jumps; none, where it is further away than that counts.
fn on_clock(window: &RotationWindow, wall: SystemTime, now: Instant) -> Option<Range<Instant>> {
    let ahead = |at: SystemTime| now.checked_add(at.duration_since(wall).unwrap_or_default());
    let late = wall.duration_since(window.end).unwrap_or_default();
    Some(ahead(window.start)?..ahead(window.end)?.checked_sub(late)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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

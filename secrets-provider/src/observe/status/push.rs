//! The state of a queue that pushes changes: written by the task that receives it, shown by the
//! status.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::LastError;
use super::clock::epoch;
use crate::error::{Error, ErrorKind};
use crate::unwind::lock;
use tokio::time::Instant;

/// Whether changes are pushed at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PushState {
    /// The first receive has not come back yet. It takes about 2 s, and making a queue as long
    /// again.
    Connecting,
    /// The queue answers.
    Connected,
    /// The last receive failed, and is tried again. Secrets are read at the interval.
    Retrying,
    /// The queue may not be received, or does not exist. It is tried again after up to a minute.
    /// Secrets are read at the interval.
    Denied,
}

impl PushState {
    /// The state in one word, as it is shown: `connected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Retrying => "retrying",
            Self::Denied => "denied",
        }
    }
}

impl std::fmt::Display for PushState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of the queue that [`LiveBuilder::push`](crate::LiveBuilder::push) receives. It holds
/// names, times and an error's message, and no value. Times serialize as whole seconds since 1970,
/// durations as seconds.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PushStatus {
    state: PushState,
    queue: String,
    hints: u64,
    dropped: u64,
    unknown: u64,
    #[serde(serialize_with = "epoch_if_any")]
    last_hint: Option<Instant>,
    #[serde(serialize_with = "seconds")]
    lag: Option<Duration>,
    last_error: Option<LastError>,
}

impl PushStatus {
    /// Whether changes are pushed at present.
    pub fn state(&self) -> PushState {
        self.state
    }

    /// The queue's URL; for [`Push::topic`](crate::Push::topic), the topic's ARN.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// How many hints came, repeated ones and those of other secrets included.
    pub fn hints(&self) -> u64 {
        self.hints
    }

    /// How many hints of selected secrets were dropped, because too many came at once. The interval
    /// finds what they were about.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many messages were no events about a secret. They are deleted.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// When the last hint came.
    pub fn last_hint(&self) -> Option<SystemTime> {
        self.last_hint.map(super::clock::system_time)
    }

    /// How long after its event the last new version was served. Events have whole seconds, so up
    /// to a second of it may be rounding; and clocks differ.
    pub fn lag(&self) -> Option<Duration> {
        self.lag
    }

    /// Why the last receive, the last deletion of messages, or the last renewal of an own queue
    /// failed.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }
}

/// A [`PushStatus`] that changes.
#[derive(Debug)]
pub(crate) struct Progress {
    status: Mutex<PushStatus>,
    queue: String,
}

impl Progress {
    pub(crate) fn new(queue: String) -> Self {
        let status = PushStatus {
            state: PushState::Connecting,
            queue: queue.clone(),
            hints: 0,
            dropped: 0,
            unknown: 0,
            last_hint: None,
            lag: None,
            last_error: None,
        };
        Self { status: Mutex::new(status), queue }
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    pub(crate) fn status(&self) -> PushStatus {
        self.lock().clone()
    }

    /// The queue answers. Whether that is news.
    pub(crate) fn connected(&self) -> bool {
        let before = std::mem::replace(&mut self.lock().state, PushState::Connected);
        before != PushState::Connected
    }

    /// A receive failed. Whether that is news.
    pub(crate) fn failed(&self, error: &Error) -> bool {
        let mut status = self.lock();
        let state = match error.kind() {
            ErrorKind::AccessDenied | ErrorKind::NotFound | ErrorKind::Config => PushState::Denied,
            _ => PushState::Retrying,
        };
        let before = std::mem::replace(&mut status.state, state);
        let last = status.last_error.replace(LastError::new(error));
        before != state || last.is_none_or(|last| last.error().fingerprint() != error.fingerprint())
    }

    /// Something failed beside receiving. Whether that is news.
    pub(crate) fn troubled(&self, error: &Error) -> bool {
        let last = self.lock().last_error.replace(LastError::new(error));
        last.is_none_or(|last| last.error().fingerprint() != error.fingerprint())
    }

    pub(crate) fn hinted(&self) {
        let mut status = self.lock();
        status.hints += 1;
        status.last_hint = Some(Instant::now());
    }

    /// Counts a hint for which there is no room. Whether it is the first.
    pub(crate) fn dropped(&self) -> bool {
        let mut status = self.lock();
        status.dropped += 1;
        status.dropped == 1
    }

    /// Counts a message that is no event. Whether it is the first.
    pub(crate) fn unknown(&self) -> bool {
        let mut status = self.lock();
        status.unknown += 1;
        status.unknown == 1
    }

    /// A version that a hint announced is served.
    pub(crate) fn served(&self, changed_at: SystemTime) {
        self.lock().lag = Some(changed_at.elapsed().unwrap_or_default());
    }

    fn lock(&self) -> MutexGuard<'_, PushStatus> {
        lock(&self.status)
    }
}

fn epoch_if_any<S: Serializer>(time: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => epoch(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

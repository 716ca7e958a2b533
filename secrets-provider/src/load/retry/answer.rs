//! Who waits for a newer value, and how the answer reaches them.
//!
//! Callers wait on a one-time channel; a search or a background task holds the other end. A caller
//! that stops waiting closes its end, so that nothing is read for it.

use serde::Serialize;
use tokio::sync::oneshot;

use crate::error::Error;

/// A caller that waits until a key at or below a path is newer than in the generation that it saw.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) seen: u64,
    pub(crate) path: String,
    pub(crate) reply: Reply,
}

/// Where one answer goes.
#[derive(Debug)]
pub(crate) struct Reply(oneshot::Sender<Result<Refreshed, Error>>);

/// Where one answer arrives.
pub(crate) type Answer = oneshot::Receiver<Result<Refreshed, Error>>;

impl Reply {
    pub(crate) fn channel() -> (Self, Answer) {
        let (sender, answer) = oneshot::channel();
        (Self(sender), answer)
    }

    /// Whether the caller has stopped waiting.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Answers the caller, if it still waits.
    pub(crate) fn send(self, result: Result<Refreshed, Error>) {
        let _ = self.0.send(result);
    }
}

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refreshed {
    pub(crate) generation: u64,
    pub(crate) changed: bool,
}

impl Refreshed {
    /// The number of the generation that is live after the refresh.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the refresh brought a new generation.
    pub fn changed(&self) -> bool {
        self.changed
    }
}

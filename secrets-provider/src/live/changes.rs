//! Changes as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use serde::Serialize;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// A new generation: its number, and the keys whose values changed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    pub(crate) generation: u64,
    pub(crate) keys: Vec<String>,
}

impl Change {
    /// The number of the generation that came.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The dotted paths of the keys that it added, removed or changed, against the generation just before it. None,
    /// if a new version holds what the old one held. Of a [derived](crate::Live::derive) value: the path that it follows.
    ///
    /// A reader that skipped generations is not told what changed in those: to rebuild something by its keys, however
    /// many generations go by, use [`Live::derive`](crate::Live::derive).
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// The changes of a [`Live`](crate::Live): a `Stream` of [`Change`]. Skips to the newest when its reader is slow.
#[must_use]
pub struct Changes(WatchStream<Option<Change>>);

impl Changes {
    pub(crate) fn new(mut receiver: watch::Receiver<Option<Change>>) -> Self {
        // The engine's receiver, of which this is a clone, has never looked: the last change would count as new.
        receiver.mark_unchanged();
        Self(WatchStream::from_changes(receiver))
    }

    /// The next change, or `None` once the background task has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Some(change)) => return Poll::Ready(Some(change)),
                Some(None) => {}
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

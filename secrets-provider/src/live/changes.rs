//! [`Changes`]: new generations as a stream.
//!
//! For code that must react to a change rather than read the current settings. It holds the
//! receiving end of the task's channel, which only keeps the newest change.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use crate::engine::followers::Follower;
use crate::engine::handle::Change;

/// The changes of a [`Live`](crate::Live): a `Stream` of [`Change`]. Skips to the newest when its
/// reader is slow.
#[must_use]
pub struct Changes {
    stream: WatchStream<Option<Change>>,
    /// As long as it lives, explanations have this stream.
    _follower: Arc<Follower>,
}

impl Changes {
    pub(crate) fn new(
        mut receiver: watch::Receiver<Option<Change>>,
        follower: Arc<Follower>,
    ) -> Self {
        // The handle's receiver, of which this is a clone, never looks: the last change would count
        // as new.
        receiver.mark_unchanged();
        Self { stream: WatchStream::from_changes(receiver), _follower: follower }
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
            match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
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

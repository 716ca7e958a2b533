//! Who wants to hear that this program changed a secret.
//!
//! A rotation announces the secret that it changed, and what serves values of it (a
//! [`Live`](crate::Live), a lookup's cache) reads it again at once. All clones of a manager share
//! one [`Notifier`], also after a setter was called. Subscribers are held weakly: one that is gone
//! is forgotten at the next announcement.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;

use crate::unwind::lock;

/// How long an announcement waits for its subscribers. What takes longer goes on in the background.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What is called with the name or ARN of a changed secret. The future is ready when the new
/// value is served, or cannot be.
pub(crate) type Subscriber = dyn Fn(&str) -> BoxFuture<'static, ()> + Send + Sync;

/// The subscribers of one manager and its clones.
#[derive(Clone, Default)]
pub(crate) struct Notifier(Arc<Mutex<Vec<Weak<Subscriber>>>>);

impl Notifier {
    /// Calls this at each change, as long as the caller keeps the `Arc`.
    pub(crate) fn subscribe(&self, subscriber: &Arc<Subscriber>) {
        let mut subscribers = lock(&self.0);
        subscribers.retain(|subscriber| subscriber.strong_count() > 0);
        subscribers.push(Arc::downgrade(subscriber));
    }

    /// Announces that a secret has a new value, and waits until subscribers serve it, ten seconds
    /// at most.
    pub(crate) async fn changed(&self, id: &str) {
        // Called without the lock: a subscriber may subscribe another one.
        let subscribers: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let served = join_all(subscribers.iter().map(|subscriber| subscriber(id)));
        drop(subscribers);
        let _ = timeout(MAX_WAIT, served).await;
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_announcement_waits_for_its_subscribers_but_not_for_ever() {
        let notifier = Notifier::default();
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = heard.clone();
        let quick: Arc<Subscriber> = Arc::new(move |id| {
            assert_eq!(id, "a");
            let counter = counter.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                counter.fetch_add(1, Ordering::Relaxed);
            }
            .boxed()
        });
        notifier.subscribe(&quick);
        notifier.clone().changed("a").await;
        assert_eq!(heard.load(Ordering::Relaxed), 1, "clones announce to the same subscribers");

        let stuck: Arc<Subscriber> = Arc::new(|_| std::future::pending().boxed());
        notifier.subscribe(&stuck);
        let begun = tokio::time::Instant::now();
        notifier.changed("a").await;
        assert_eq!(begun.elapsed(), MAX_WAIT);

        drop((quick, stuck));
        notifier.changed("a").await;
        assert_eq!(heard.load(Ordering::Relaxed), 2, "one that is gone is not called");
    }
}

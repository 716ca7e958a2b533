//! [`Lease`]: how long a value is good, and when to read its secret again, for stores whose values
//! have an end.
//!
//! The store keeps one handle and moves the times as it renews; every [`Fetched`](crate::Fetched)
//! value that carries the lease counts as a user of it. So the store knows when a value that was
//! replaced is no longer used. The engine waits for [`Lease::due`]. No I/O.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long a value is good, for a store whose values have an end, such as a database user that
/// Vault makes for some hours. The store attaches it by
/// [`Fetched::with_lease`](crate::Fetched::with_lease), and keeps a clone to move its times.
///
/// A [`Live`](crate::Live) reads the secret again when the lease says so, besides at its interval.
/// `Debug` shows times only.
///
/// ```
/// use std::time::Duration;
/// use secrets_provider::{Fetched, Lease};
///
/// let hour = Duration::from_secs(3600);
/// let lease = Lease::new(Some(hour), Some(hour * 2 / 3));
/// let value = Fetched::text("app/database", "1", "hunter2").with_lease(&lease);
/// assert!(lease.is_in_use());
///
/// // The store has renewed it.
/// lease.update(Some(hour), Some(hour * 2 / 3));
/// drop(value);
/// assert!(!lease.is_in_use());
/// ```
#[derive(Clone)]
pub struct Lease(Arc<Shared>);

struct Shared {
    terms: watch::Sender<Terms>,
    refused: AtomicBool,
    /// One more for each value that carries the lease.
    users: Arc<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terms {
    expires: Option<Instant>,
    read_again: Option<Instant>,
}

impl Terms {
    fn from_now(expires_in: Option<Duration>, read_again_in: Option<Duration>) -> Self {
        // What the clock cannot hold is never.
        let ahead = |time: Option<Duration>| Instant::now().checked_add(time?);
        Self { expires: ahead(expires_in), read_again: ahead(read_again_in) }
    }
}

impl Lease {
    /// A lease that ends after the first time from now, and whose secret is to be read again after
    /// the second. `None` is never: a value may have no end, and a secret may only be read at the
    /// interval.
    #[must_use]
    pub fn new(expires_in: Option<Duration>, read_again_in: Option<Duration>) -> Self {
        let terms = watch::Sender::new(Terms::from_now(expires_in, read_again_in));
        Self(Arc::new(Shared { terms, refused: AtomicBool::new(false), users: Arc::default() }))
    }

    /// Sets both times, from now: the store has renewed the lease, or found that it cannot.
    pub fn update(&self, expires_in: Option<Duration>, read_again_in: Option<Duration>) {
        self.set(Terms::from_now(expires_in, read_again_in));
    }

    #[cfg(feature = "vault")]
    pub(crate) fn set_times(&self, expires: Option<Instant>, read_again: Option<Instant>) {
        self.set(Terms { expires, read_again });
    }

    fn set(&self, terms: Terms) {
        self.0.terms.send_if_modified(|current| std::mem::replace(current, terms) != terms);
    }

    /// When the value ends, unless the lease is renewed before; `None` if it has no end.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        let (wall, now) = (SystemTime::now(), Instant::now());
        let at = self.0.terms.borrow().expires?;
        Some(match at.checked_duration_since(now) {
            Some(ahead) => wall + ahead,
            None => wall - (now - at),
        })
    }

    /// Whether any [`Fetched`](crate::Fetched) value carries it: a [`Live`](crate::Live) keeps the
    /// values of its generation, and a [`Lookup`](crate::Lookup) those of its cache.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0.users) > 1
    }

    /// Whether someone said that the value was refused, by
    /// [`Live::refresh_past`](crate::Live::refresh_past). The next read should bring another one,
    /// if the store makes values when they are read; limit how often.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn refuse(&self) {
        self.0.refused.store(true, Ordering::Relaxed);
    }

    /// When to read the secret again.
    pub(crate) fn read_again_at(&self) -> Option<Instant> {
        self.0.terms.borrow().read_again
    }

    /// For how long a cache may keep the value: no longer than to its next read, nor to the end
    /// that is known now. `None` if it has neither.
    pub(crate) fn fresh_for(&self) -> Option<Duration> {
        let terms = *self.0.terms.borrow();
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        let times = [terms.read_again.map(left), terms.expires.map(|at| left(at) / 2)];
        times.into_iter().flatten().min()
    }

    /// Waits until the secret is to be read again, and not before this time.
    pub(crate) async fn due(&self, not_before: Option<Instant>) {
        let mut terms = self.0.terms.subscribe();
        loop {
            let at = terms.borrow_and_update().read_again;
            let at = at.map(|at| not_before.map_or(at, |earliest| at.max(earliest)));
            tokio::select! {
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => return,
                changed = terms.changed() => if changed.is_err() {
                    // There is no sender, so there is no change. It cannot be: this has one.
                    return std::future::pending().await;
                },
            }
        }
    }
}

impl PartialEq for Lease {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Lease {}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("expires_at", &self.expires_at())
            .field("is_in_use", &self.is_in_use())
            .finish_non_exhaustive()
    }
}

/// A lease as a value carries it: a user of it.
#[derive(Clone)]
pub(crate) struct Held {
    lease: Lease,
    _user: Arc<()>,
}

impl Held {
    pub(crate) fn new(lease: &Lease) -> Self {
        Self { lease: lease.clone(), _user: lease.0.users.clone() }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_due_when_its_store_says_so_and_not_before_a_wait() {
        let begun = Instant::now();
        let lease = Lease::new(None, Some(10 * SECOND));
        lease.due(None).await;
        assert_eq!(begun.elapsed().as_secs(), 10);
        lease.due(Some(begun + 15 * SECOND)).await;
        assert_eq!(begun.elapsed().as_secs(), 15);

        // Nothing is due until the store has found out that it cannot renew it.
        lease.update(Some(60 * SECOND), None);
        let waiting = tokio::spawn({
            let lease = lease.clone();
            async move { lease.due(None).await }
        });
        tokio::time::sleep(5 * SECOND).await;
        assert!(!waiting.is_finished());
        lease.update(Some(60 * SECOND), Some(Duration::ZERO));
        waiting.await.expect("it is due");
        assert_eq!(begun.elapsed().as_secs(), 20);
    }

    #[test]
    fn values_count_as_users_and_the_lease_itself_does_not() {
        let lease = Lease::new(None, None);
        let (clone, held) = (lease.clone(), Held::new(&lease));
        let second = held.clone();
        assert!(lease.is_in_use());
        drop(held);
        assert!(clone.is_in_use());
        drop(second);
        assert!(!lease.is_in_use());
        assert!(lease.expires_at().is_none() && !lease.was_refused());
        clone.refuse();
        assert!(lease.was_refused());
        let endless = Lease::new(Some(Duration::MAX), Some(Duration::MAX));
        assert!(endless.expires_at().is_none() && endless.read_again_at().is_none());
    }
}

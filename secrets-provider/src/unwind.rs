//! Panics in code that is not ours: closures, streams, backends, recorders, destructors.
//!
//! A panic there must cost one refresh, one build or one number, never the background task. Every
//! such call goes through this module, so that the rules are in one place: the payload is dropped
//! unread, because it may quote a secret, and a lock that a panic poisoned is used as it is,
//! because every critical section of ours leaves its data whole.

use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt as _, Stream, StreamExt as _};

use crate::error::{Error, ErrorKind};

/// Foreign code panicked. Its message went to the process's panic hook.
#[derive(Debug)]
pub(crate) struct Panicked;

impl Panicked {
    /// The refusal that settings meet when code that makes or checks them panics.
    pub(crate) fn rejection(self, what: &str) -> Error {
        Error::new(ErrorKind::Rejected, format!("{what} panicked"))
            .with_hint("the panic's own message went to the process's panic hook")
    }
}

/// Calls foreign code.
pub(crate) fn catch<R>(call: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

/// Awaits foreign code.
pub(crate) async fn catch_future<F: Future>(future: F) -> Result<F::Output, Panicked> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| Panicked)
}

/// Polls a foreign stream. It ends after a panic.
pub(crate) fn catch_stream<S: Stream>(stream: S) -> impl Stream<Item = Result<S::Item, Panicked>> {
    AssertUnwindSafe(stream).catch_unwind().map(|item| item.map_err(|_| Panicked))
}

/// Drops a value whose `Drop` is foreign code.
pub(crate) fn drop_quietly<T>(value: T) {
    // Nothing is lost with it.
    let _ = catch(|| drop(value));
}

// In `tests/concurrency`, where each lock is a step of a schedule.
#[cfg(shuttle)]
pub(crate) use tokio::lock;

/// Locks, whether or not an earlier holder panicked.
#[cfg(not(shuttle))]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_value_and_its_message_is_dropped() {
        assert_eq!(catch(|| 7).expect("no panic"), 7);
        let refusal = catch(|| panic!("hunter2")).map_err(|panic| panic.rejection("checking"));
        let error = refusal.expect_err("a panic");
        assert_eq!(
            (error.kind(), error.to_string().contains("hunter2")),
            (ErrorKind::Rejected, false)
        );

        assert_eq!(catch_future(async { 7 }).await.expect("no panic"), 7);
        assert!(catch_future(async { panic!("hunter2") }).await.is_err());

        let items =
            futures_util::stream::iter([1, 2]).map(|item| if item == 1 { 1 } else { panic!() });
        let items: Vec<_> = catch_stream(items).map(|item| item.ok()).collect().await;
        assert_eq!(items, [Some(1), None]);
    }

    #[test]
    fn a_poisoned_lock_still_locks() {
        let mutex = Arc::new(Mutex::new(7));
        let holder = mutex.clone();
        let held = catch(move || {
            let _guard = lock(&holder);
            panic!();
        });
        assert!(held.is_err() && mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 7);
    }
}

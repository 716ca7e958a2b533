//! Work that may block, such as reading files, on a thread of its own with a time limit.
//!
//! A pipe or a mount that hangs must stop neither the runtime's thread nor its end: a runtime waits
//! for its blocking tasks when it is dropped, so the work is not one of them. Whoever makes
//! settings runs the layers here. A thread that hangs is left behind, and no further one is started
//! until it has ended.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::dispatcher;

use crate::error::{Error, ErrorKind};
use crate::unwind::{self, lock};

thread_local! {
    /// What this thread reads, where the one that waits for it can see it.
    static READS: RefCell<Arc<Reads>> = RefCell::default();
}

#[cfg(feature = "simulation")]
thread_local! {
    /// Whether work of this thread's runtime is done on this thread.
    static ON_ONE_THREAD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on, work of this thread's runtime is done on this thread.
#[cfg(feature = "simulation")]
pub(crate) fn on_one_thread() {
    ON_ONE_THREAD.set(true);
}

/// The file that a thread reads at the moment.
#[derive(Debug, Default)]
struct Reads(Mutex<Option<PathBuf>>);

/// Runs one piece of work at a time.
#[derive(Debug, Default)]
pub(crate) struct OffThread(Mutex<Option<Arc<Reads>>>);

/// Notes that this thread reads a file, until the work is over.
pub(crate) fn reading<T>(file: &Path, read: impl FnOnce() -> T) -> T {
    let reads = READS.with_borrow(Arc::clone);
    *lock(&reads.0) = Some(file.to_owned());
    let result = read();
    *lock(&reads.0) = None;
    result
}

/// Ends the wait of a blocking task when whoever wants its result is dropped.
struct Cancel<T>(Sender<Option<T>>);

impl<T> Drop for Cancel<T> {
    fn drop(&mut self) {
        let _ = self.0.send(None);
    }
}

impl OffThread {
    /// Runs the work, with the caller's span and runtime. If it takes longer than the limit, it is
    /// left behind.
    ///
    /// # Errors
    ///
    /// `Unavailable` if it takes too long, if earlier work still runs, or if no thread can be
    /// started; `Rejected` if it panics. `what` is the work, in words such as
    /// `making the settings`.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        what: &str,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        #[cfg(feature = "simulation")]
        if ON_ONE_THREAD.get() {
            return unwind::catch(work).map_err(|panic| panic.rejection(what));
        }
        if let Some(reads) = &*lock(&self.0) {
            return Err(late(what, reads, "still runs since an earlier refresh"));
        }
        let (done, result) = mpsc::channel();
        let cancel = Cancel(done.clone());
        let reads = Arc::new(Reads::default());
        *lock(&self.0) = Some(reads.clone());
        let (this, noted) = (self.clone(), reads.clone());
        let (runtime, span) = (Handle::current(), tracing::Span::current());
        let subscriber = dispatcher::get_default(Clone::clone);
        let started =
            thread::Builder::new().name("secrets-provider-layers".into()).spawn(move || {
                READS.set(noted);
                let _runtime = runtime.enter();
                let work = || unwind::catch(|| span.in_scope(work));
                let result = dispatcher::with_default(&subscriber, work);
                *lock(&this.0) = None;
                // Whoever waits may be gone.
                let _ = done.send(Some(result));
            });
        if let Err(error) = started {
            *lock(&self.0) = None;
            let message = format!("no thread can be started for {what}: {}", error.kind());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        // A blocking task waits for it, because a paused clock stands still while there is one.
        let waiting = tokio::task::spawn_blocking(move || result.recv_timeout(limit));
        let answer = timeout(limit, waiting).await;
        drop(cancel);
        match answer {
            Ok(Ok(Ok(Some(result)))) => result.map_err(|panic| panic.rejection(what)),
            _ => Err(late(what, &reads, &format!("took longer than {limit:?}"))),
        }
    }
}

fn late(what: &str, reads: &Reads, how: &str) -> Error {
    let (message, hint) = match &*lock(&reads.0) {
        Some(file) => (
            format!("reading `{}` {how}", file.display()),
            "write the variables to an ordinary file on a local disk",
        ),
        None => (format!("{what} {how}"), "a closure of `layers` or `validate` must not block"),
    };
    Error::new(ErrorKind::Unavailable, message)
        .with_hint(format!("{hint}; `.timeout(..)` sets the limit"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn work_that_hangs_is_left_behind_and_no_more_is_started() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let off_thread = Arc::new(OffThread::default());
        let (open, closed) = mpsc::channel::<()>();
        let begun = Instant::now();
        let hanging = move || reading(Path::new("/slow/.env"), || closed.recv().is_err());
        let first = runtime.block_on(off_thread.run("it", LIMIT, hanging)).expect_err("it hangs");
        let second = runtime.block_on(off_thread.run("it", LIMIT, || ())).expect_err("the same");
        for (error, how) in [(first, "took longer than 50ms"), (second, "still runs")] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(
                error.to_string().starts_with(&format!("reading `/slow/.env` {how}")),
                "{error}"
            );
        }
        drop(runtime);
        assert!(begun.elapsed() < Duration::from_secs(30), "the runtime ends without it");

        drop(open);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        while lock(&off_thread.0).is_some() {
            thread::yield_now();
        }
        assert_eq!(runtime.block_on(off_thread.run("it", LIMIT * 100, || 7)).expect("it ends"), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_stands_still_meanwhile_and_a_panic_is_an_error() {
        let off_thread = Arc::new(OffThread::default());
        let before = tokio::time::Instant::now();
        let work = || thread::sleep(LIMIT);
        off_thread.run("it", Duration::from_secs(60), work).await.expect("it ends");
        assert_eq!(before.elapsed(), Duration::ZERO);
        let panicking = off_thread.run("making it", LIMIT * 100, || panic!("hunter2"));
        let error = panicking.await.map(|(): ()| ()).expect_err("a panic");
        assert_eq!(
            (error.kind(), error.to_string().contains("hunter2")),
            (ErrorKind::Rejected, false)
        );
        assert!(lock(&off_thread.0).is_none());
    }
}

//! Blocking calls: one worker thread with a runtime of its own, for as long as the process lives.
//!
//! A runtime inside a runtime panics, and a client hangs while the runtime that drives its connections is blocked. So a
//! caller that must wait without `.await` hands the work to this thread.

use std::cell::Cell;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{self, UnboundedSender};
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;

use crate::error::{Error, ErrorKind};
use crate::unwind::lock;

type Job = BoxFuture<'static, ()>;

thread_local! {
    /// Whether this is the worker thread, which would wait for itself.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

static WORKER: Mutex<Option<UnboundedSender<Job>>> = Mutex::new(None);

/// Runs a future to its end and waits for it. Futures of several callers run concurrently.
///
/// # Errors
///
/// `Unavailable` if the thread cannot be started or the future panics; `Config` if called on the worker thread itself.
pub(crate) fn run<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    if IS_WORKER.get() {
        return Err(Error::new(
            ErrorKind::Config,
            "a blocking fetch was started inside another blocking fetch",
        )
        .with_hint(
            "a `Backend` must not call `fetch_blocking` or merge a `SecretsManager`: use `fetch().await`",
        ));
    }
    let (reply, answer) = std::sync::mpsc::sync_channel(1);
    let job = async move {
        // The receiver is gone only if the caller's thread is.
        let _ = reply.send(future.await);
    };
    // With the caller's span and subscriber in place of the thread's own.
    let job = Box::pin(job.instrument(tracing::Span::current()).with_current_subscriber());
    worker()?.send(job).map_err(|_| lost())?;
    answer.recv().map_err(|_| lost())
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the thread that fetches secrets did not answer: the backend panicked",
    )
}

fn worker() -> Result<UnboundedSender<Job>, Error> {
    let mut worker = lock(&WORKER);
    if let Some(jobs) = worker.as_ref().filter(|jobs| !jobs.is_closed()) {
        return Ok(jobs.clone());
    }
    let cannot = |what: &str, error: std::io::Error| {
        Error::new(ErrorKind::Unavailable, format!("cannot start {what}: {}", error.kind()))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot("a runtime to fetch secrets on", error))?;
    let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
    std::thread::Builder::new()
        .name("secrets-provider".to_owned())
        .spawn(move || {
            IS_WORKER.set(true);
            runtime.block_on(async move {
                while let Some(job) = queue.recv().await {
                    tokio::spawn(job);
                }
            });
        })
        .map_err(|error| cannot("a thread to fetch secrets on", error))?;
    Ok(worker.insert(jobs).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_job_runs() {
        let error = run::<()>(async { panic!("hunter2") }).expect_err("a panic");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(run(async { 7 }).expect("an answer"), 7);
    }

    #[test]
    fn a_job_that_would_wait_for_itself_is_refused() {
        let inner = run(async { run(async { 7 }) }).expect("an answer");
        assert_eq!(inner.expect_err("refused").kind(), ErrorKind::Config);
    }

    #[tokio::test]
    async fn jobs_run_concurrently() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let waiting = std::thread::spawn(move || run(async { receive.await.expect("a value") }));
        run(async move { send.send(5).expect("a receiver") }).expect("an answer");
        assert_eq!(waiting.join().expect("no panic").expect("an answer"), 5);
    }
}

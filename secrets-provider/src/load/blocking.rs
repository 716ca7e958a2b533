//! Blocking calls: one worker thread with a runtime of its own, for as long as the process lives.
//!
//! A runtime inside a runtime panics, and a client hangs while the runtime that drives its
//! connections is blocked. So a caller that must wait without `.await` hands the work to this
//! thread. A forked process has no such thread, only what is left of the parent's, so it starts its
//! own.

use std::cell::Cell;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;

use crate::error::{Error, ErrorKind};

type Job = BoxFuture<'static, ()>;

thread_local! {
    /// Whether this is the worker thread, which would wait for itself.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The queue of a worker thread, and the process that it runs in.
#[derive(Clone)]
struct Worker {
    process: u32,
    jobs: UnboundedSender<Job>,
}

/// Not a lock, which another thread may hold while the process is forked.
static WORKER: ArcSwapOption<Worker> = ArcSwapOption::const_empty();

/// Runs a future to its end and waits for it. Futures of several callers run concurrently.
///
/// # Errors
///
/// `Unavailable` if the thread cannot be started or the future panics; `Config` if called on the
/// worker thread itself.
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
    worker(&WORKER)?.send(job).map_err(|_| lost())?;
    answer.recv().map_err(|_| lost())
}

/// Starts a future on the thread, for callers without a runtime of their own.
///
/// # Errors
///
/// `Unavailable` if the thread cannot be started.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    let job = future.instrument(tracing::Span::current()).with_current_subscriber();
    worker(&WORKER)?.send(Box::pin(job)).map_err(|_| lost())
}

/// Sleeps by the thread's clock, for callers without a runtime.
pub(crate) async fn sleep(time: Duration) {
    let (mut reply, over) = oneshot::channel::<()>();
    let job = Box::pin(async move {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = reply.closed() => {}
        }
    });
    // Without the thread there is no clock; the caller goes on at once.
    if worker(&WORKER).is_ok_and(|jobs| jobs.send(job).is_ok()) {
        let _ = over.await;
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the thread that fetches secrets did not answer: the backend panicked",
    )
}

fn worker(current: &'static ArcSwapOption<Worker>) -> Result<UnboundedSender<Job>, Error> {
    let process = process::id();
    let found = current.load_full();
    if let Some(worker) = &found {
        if worker.process == process && !worker.jobs.is_closed() {
            return Ok(worker.jobs.clone());
        }
        if worker.process != process {
            // Dropping it would wake a task of the parent, whose runtime is here only in part.
            std::mem::forget(worker.clone());
        }
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
    // Of two callers that start a thread at the same time, both use the first one's.
    let started = Some(Arc::new(Worker { process, jobs: jobs.clone() }));
    let before = current.compare_and_swap(&found, started);
    match &*before {
        Some(first) if !found.as_ref().is_some_and(|found| Arc::ptr_eq(first, found)) => {
            Ok(first.jobs.clone())
        }
        _ => Ok(jobs),
    }
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
    fn a_forked_process_starts_a_thread_of_its_own() {
        static PARENTS: ArcSwapOption<Worker> = ArcSwapOption::const_empty();
        let (jobs, _unread) = mpsc::unbounded_channel::<Job>();
        PARENTS.store(Some(Arc::new(Worker { process: process::id() + 1, jobs })));
        for _ in 0..2 {
            let (reply, answer) = std::sync::mpsc::sync_channel(1);
            let job: Job = Box::pin(async move { reply.send(7).expect("a receiver") });
            worker(&PARENTS).expect("a thread").send(job).expect("a queue");
            assert_eq!(answer.recv_timeout(Duration::from_secs(60)), Ok(7));
        }
        assert_eq!(PARENTS.load_full().expect("a worker").process, process::id());
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

//! Whether the runtime of a background task still runs it.
//!
//! A runtime may exist and run nothing: a current-thread runtime outside of `block_on`, one whose
//! thread is blocked, or one in a forked process. Its tasks then neither answer nor end, so whoever
//! waits for one asks the runtime from time to time whether it runs anything at all.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::load::blocking;

/// How long to wait for a task before its runtime is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the runtime may take to run a task that does nothing.
const RESPONSE: Duration = Duration::from_secs(2);

/// The runtime of a background task; `None` if there is no task.
#[derive(Debug, Clone)]
pub(crate) struct TaskRuntime(Option<Handle>);

impl TaskRuntime {
    /// The runtime that this is called on.
    pub(crate) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    /// No runtime of its own: the thread for blocking calls, which always runs.
    pub(crate) fn without() -> Self {
        Self(None)
    }

    /// Runs a task there; not at all if there is no runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(task);
        }
    }

    /// Waits for a future that only the task can complete; `None` if the runtime does not run.
    pub(crate) async fn run_while_driven<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                () = self.sleep(PATIENCE) => {}
            }
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                is_driven = self.is_driven() => if !is_driven { return None },
            }
        }
    }

    async fn is_driven(&self) -> bool {
        // Without a task, nothing has to be run.
        let Some(runtime) = &self.0 else { return true };
        let (ran, running) = oneshot::channel::<()>();
        runtime.spawn(async move { drop(ran) });
        tokio::select! {
            biased;
            // A runtime that was shut down drops the task, which counts, too: it drops all others.
            _ = running => true,
            () = self.sleep(RESPONSE) => false,
        }
    }

    /// Sleeps by the timer of the task's runtime if that is the caller's, and otherwise on the
    /// thread for blocking calls: a caller's own runtime may have no timer.
    async fn sleep(&self, time: Duration) {
        match (Handle::try_current(), &self.0) {
            (Ok(caller), Some(own)) if caller.id() == own.id() => tokio::time::sleep(time).await,
            _ => blocking::sleep(time).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    #[test]
    fn a_task_is_waited_for_as_long_as_its_runtime_runs() {
        let (first, second) = (runtime(), runtime());
        let task = first.block_on(async { TaskRuntime::current() });
        let waited = || task.run_while_driven(std::future::pending::<()>());
        assert_eq!(second.block_on(waited()), None, "not driven");
        assert_eq!(futures_util::FutureExt::now_or_never(waited()), None, "it is waited for");

        let (send, receive) = oneshot::channel();
        let driving = std::thread::spawn(move || {
            first.block_on(async {
                tokio::time::sleep(2 * PATIENCE).await;
                send.send(7).expect("a receiver");
            });
        });
        let answer = second.block_on(task.run_while_driven(receive));
        assert_eq!(answer.expect("it is driven").expect("an answer"), 7);
        driving.join().expect("no panic");
    }

    #[test]
    fn a_task_is_waited_for_on_a_runtime_without_a_timer() {
        let (own, bare) = (runtime(), tokio::runtime::Builder::new_current_thread().build());
        let task = own.block_on(async { TaskRuntime::current() });
        let (send, receive) = oneshot::channel();
        let driving = std::thread::spawn(move || {
            own.block_on(async {
                tokio::time::sleep(2 * PATIENCE).await;
                send.send(7).expect("a receiver");
            });
        });
        let answer = bare.expect("a runtime").block_on(task.run_while_driven(receive));
        assert_eq!(answer.expect("it is driven").expect("an answer"), 7);
        driving.join().expect("no panic");
    }
}

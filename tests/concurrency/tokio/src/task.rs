//! tokio's tasks, each of which shuttle schedules.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

pub use real_tokio::task::coop;
pub use shuttle::future::{JoinError, JoinHandle, yield_now};

use crate::step;

/// Starts a task.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let handle = shuttle::future::spawn(task);
    step();
    handle
}

/// Runs this as a task of its own.
pub fn spawn_blocking<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    spawn(async { work() })
}

/// Tasks that end with this.
#[derive(Debug)]
pub struct JoinSet<T>(FuturesUnordered<JoinHandle<T>>);

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self(FuturesUnordered::new())
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Starts a task.
    pub fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) {
        self.0.push(spawn(task));
    }

    /// Waits until one of them has ended.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.next().await
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

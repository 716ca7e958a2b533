//! tokio's runtime: the one that shuttle schedules. It always runs, and every task is on it.

use std::io;

use shuttle::future::JoinHandle;

/// The runtime.
#[derive(Debug, Clone, Default)]
pub struct Handle(());

/// Its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(());

/// Never: there is a runtime.
#[derive(Debug)]
pub struct TryCurrentError(());

impl Handle {
    /// The runtime.
    pub fn current() -> Self {
        Self::default()
    }

    /// The runtime.
    ///
    /// # Errors
    ///
    /// None.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        Ok(Self::default())
    }

    /// Its number.
    pub fn id(&self) -> Id {
        Id(())
    }

    /// Starts a task.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        crate::spawn(task)
    }

    /// Nothing: every thread is in the runtime.
    pub fn enter(&self) -> EnterGuard {
        EnterGuard(())
    }
}

/// While this is there, the thread is in the runtime.
#[derive(Debug)]
pub struct EnterGuard(());

/// A further runtime: there are no others.
#[derive(Debug)]
pub struct Runtime(());

impl Runtime {
    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        shuttle::future::block_on(future)
    }
}

/// What would make a further runtime.
#[derive(Debug)]
pub struct Builder(());

impl Builder {
    /// As tokio's.
    pub fn new_current_thread() -> Self {
        Self(())
    }

    /// As tokio's.
    pub fn enable_all(&mut self) -> &mut Self {
        self
    }

    /// Fails: a scenario in which something waits for a thread of the core's own has no meaning.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn build(&mut self) -> io::Result<Runtime> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

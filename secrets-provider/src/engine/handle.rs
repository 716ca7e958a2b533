//! What a handle and its background task share: requests, answers, changes, and the signal to stop.
//!
//! [`Handle`] is the handle's end; whoever drops the last one stops the task. [`Live`](crate::Live)
//! wraps it, and the refresher and the followers of derived values hold the other ends. Nothing
//! here knows what the settings are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use tokio::sync::{mpsc, watch};

use super::hints::Hint;
use crate::error::{Error, ErrorKind, escape};
use crate::load::notify::{Notifier, Subscriber};
use crate::load::retry::answer::{Refreshed, Reply, Waiting};
use crate::load::retry::task_runtime::TaskRuntime;
use crate::tree::names::Shown;
use crate::unwind;

/// How many paths a change shows.
const MAX_SHOWN: usize = 100;

/// The handles' side of a background task.
pub(crate) struct Handle {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) stop: watch::Sender<bool>,
    /// Closed when the task has ended.
    pub(crate) changes: watch::Receiver<Option<Change>>,
    /// How long one search may last.
    pub(crate) search_timeout: Duration,
    /// The runtime that the task runs on.
    pub(crate) runtime: TaskRuntime,
}

/// The task's side of a [`Handle`].
pub(crate) struct TaskEnd {
    pub(crate) queue: mpsc::UnboundedReceiver<Request>,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) changes: watch::Sender<Option<Change>>,
}

impl Handle {
    /// A handle and the task's side of it, for a task on the current runtime.
    pub(crate) fn new(search_timeout: Duration) -> (Self, TaskEnd) {
        let (requests, queue) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let (changes_sender, changes) = watch::channel(None);
        let runtime = TaskRuntime::current();
        let handle = Self { requests, stop, changes, search_timeout, runtime };
        (handle, TaskEnd { queue, stopped, changes: changes_sender })
    }

    /// Has the task read a secret as soon as this manager's notifier announces it. The subscription
    /// lasts as long as what is returned, and does not keep the task running.
    pub(crate) fn subscribe(&self, notifier: &Notifier) -> Arc<Subscriber> {
        let requests = self.requests.downgrade();
        let subscriber: Arc<Subscriber> = Arc::new(move |id| {
            let (reply, answer) = Reply::channel();
            let request = Request::Changed(
                Hint { secret: id.to_owned(), version: None, changed_at: None },
                reply,
            );
            let sent = requests.upgrade().is_some_and(|requests| requests.send(request).is_ok());
            async move {
                if sent {
                    // Status and log have what came of it.
                    let _ = answer.await;
                }
            }
            .boxed()
        });
        notifier.subscribe(&subscriber);
        subscriber
    }

    /// The handle of a value that nothing refreshes.
    pub(crate) fn without_task() -> Self {
        Self::new(Duration::ZERO).0
    }

    /// Sends a request to the task and waits for the answer, as long as the task's runtime runs.
    pub(crate) async fn ask(
        &self,
        request: impl FnOnce(Reply) -> Request,
    ) -> Result<Refreshed, Error> {
        let (reply, answer) = Reply::channel();
        self.requests.send(request(reply)).map_err(|_| ended())?;
        match self.runtime.run_while_driven(answer).await {
            Some(answer) => answer.map_err(|_| ended())?,
            None => Err(not_driven()),
        }
    }

    /// Whether the task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.changes.has_changed().is_err()
    }

    /// Stops the task and waits until it has ended, as long as its runtime runs. Otherwise it ends
    /// when the runtime runs again, or with it.
    pub(crate) async fn shutdown(&self) {
        self.stop.send_replace(true);
        let mut changes = self.changes.clone();
        let ended = async { while changes.changed().await.is_ok() {} };
        let _ = self.runtime.run_while_driven(ended).await;
    }
}

/// Runs a background task until it ends, panics or is stopped, then awaits `at_end` and drops the
/// task; after `shutdown`, `after_shutdown` follows. The task's side of the handle should be
/// dropped with the task, or with `after_shutdown`, so that the end is announced last.
pub(crate) fn spawn(
    mut stopped: watch::Receiver<bool>,
    task: impl Future<Output = ()> + Send + 'static,
    panicked: fn(),
    at_end: impl Future<Output = ()> + Send + 'static,
    after_shutdown: impl Future<Output = ()> + Send + 'static,
) {
    tokio::spawn(async move {
        {
            let mut task = std::pin::pin!(unwind::catch_future(task));
            tokio::select! {
                biased;
                // The last handle was dropped, or `shutdown` was called.
                _ = stopped.wait_for(|stop| *stop) => {}
                ended = &mut task => if ended.is_err() {
                    panicked();
                }
            }
            at_end.await;
        }
        if *stopped.borrow() {
            // It may be foreign code.
            let _ = unwind::catch_future(after_shutdown).await;
        }
    });
}

/// What a task can be asked for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A refresh of everything.
    Refresh(Reply),
    /// A read of this secret, which is said to have changed.
    Changed(Hint, Reply),
    /// Settings newer than those the caller saw.
    Past(Waiting),
}

/// A new generation: its number, and the keys whose values changed with it.
///
/// The keys of a map may be secret. [`keys`](Self::keys) has them exactly, for code; `Debug`,
/// `Display` and `Serialize` show `*` for each name that is not a field of the settings, nor in the
/// name of a secret or variable, and list at most a hundred paths.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    pub(crate) generation: u64,
    pub(crate) keys: Vec<String>,
    /// The keys as they may be shown.
    pub(crate) shown: Vec<Shown>,
}

impl Change {
    /// The number of the new generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The dotted paths of the keys that this generation added, removed or changed, compared with
    /// the one before. Empty if a new version holds the same values as the old one. For a
    /// [derived](crate::Live::derive) value, the path that it follows. Do not log them: in a map,
    /// they may be secret.
    ///
    /// A reader that skipped generations does not see what changed in those. To rebuild something
    /// when its keys change, however many generations pass, use
    /// [`Live::derive`](crate::Live::derive).
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

impl Change {
    /// The paths as they may be shown, at most a hundred, with a last one that counts the others.
    fn listed(&self) -> Vec<String> {
        let mut listed: Vec<_> =
            self.shown.iter().take(MAX_SHOWN).map(|key| escape(&key.to_string()).into()).collect();
        if self.shown.len() > MAX_SHOWN {
            listed.push(format!("and {} more", self.shown.len() - MAX_SHOWN));
        }
        listed
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.generation)?;
        match self.shown.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.listed().join(", ")),
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Change");
        debug.field("generation", &self.generation).field("keys", &self.listed()).finish()
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Change", 2)?;
        fields.serialize_field("generation", &self.generation)?;
        fields.serialize_field("keys", &self.listed())?;
        fields.end()
    }
}

/// The error of a request to a task that has ended.
pub(crate) fn ended() -> Error {
    Error::new(ErrorKind::Unavailable, "the background refresh has ended")
        .with_hint("`shutdown` was called, or its tokio runtime was shut down")
}

/// The error of a request to a task whose runtime does not run it.
pub(crate) fn not_driven() -> Error {
    Error::new(ErrorKind::Unavailable, "the background refresh does not run: its tokio runtime is not driven")
        .with_hint(
            "a current-thread runtime runs tasks only during `block_on`, and a forked process has no runtime threads: \
             start the settings on a runtime that stays driven",
        )
}

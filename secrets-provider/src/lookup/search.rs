//! The search for a version newer than one whose credentials were refused.
//!
//! The rules are those of [`Live`](crate::Live) (`load/retry/search`): all callers of one secret
//! share a few reads within a budget, and a search that found nothing is followed by a rest. Here
//! is what drives them for a lookup: one search for each secret, and a task while anyone waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::flights::Found;
use crate::error::{Error, ErrorKind};
use crate::load::retry::answer::{Answer, Reply, Waiting};
use crate::load::retry::search::Search;
use crate::load::retry::task_runtime::TaskRuntime;
use crate::unwind::lock;

/// The searches under way, and those that rest, by the name that was asked for.
#[derive(Default)]
pub(super) struct Searches(Mutex<HashMap<Arc<str>, Running>>);

struct Running {
    search: Search,
    /// The runtime of the task that reads for it, while there is one.
    driver: Option<TaskRuntime>,
}

impl Inner {
    /// Waits for a version newer than the one of this generation, whose credentials were refused.
    ///
    /// # Errors
    ///
    /// `Unavailable` if none came within the budget, together with what failed meanwhile.
    pub(super) async fn newer(self: &Arc<Self>, name: &str, seen: u64) -> Found {
        let (answer, driver) = self.ask(name, seen);
        let ended = || {
            let message = format!("secret `{name}`: the search for a newer version has ended");
            Error::new(ErrorKind::Unavailable, message)
                .with_secret(name)
                .with_hint("its tokio runtime has ended or stands still")
        };
        match driver.run_while_driven(answer).await {
            Some(Ok(found)) => found.map_err(|error| error.with_secret(name))?,
            Some(Err(_)) => return Err(ended()),
            None => {
                // The next caller starts another task.
                lock(&self.searches.0).remove(name);
                return Err(ended());
            }
        };
        match self.cache.peek(name).map(|(stored, _)| stored.found.clone()) {
            Some(Ok(entry)) => Ok(entry),
            _ => self.read(name, false).await,
        }
    }

    fn ask(self: &Arc<Self>, name: &str, seen: u64) -> (Answer, TaskRuntime) {
        let now = Instant::now();
        let generation = self.generation(name);
        let (reply, answer) = Reply::channel();
        let mut searches = lock(&self.searches.0);
        searches.retain(|_, running| running.driver.is_some() || !running.search.is_idle(now));
        let running = searches.entry(name.into()).or_insert_with(|| Running {
            search: Search::new("version", self.options.search),
            driver: None,
        });
        let asked = Waiting { seen, path: String::new(), reply };
        running.search.ask(asked, generation, |_| generation, now);
        let driver = match &running.driver {
            Some(driver) => driver.clone(),
            None => {
                let driver = TaskRuntime::current();
                if running.search.due().is_some() {
                    let driving =
                        Driving { inner: Arc::downgrade(self), name: name.into(), ended: false };
                    drop(tokio::spawn(driving.drive()));
                    running.driver = Some(driver.clone());
                }
                driver
            }
        };
        (answer, driver)
    }

    /// The generation of the value that is known of a secret.
    fn generation(&self, name: &str) -> u64 {
        let known = self.cache.peek(name).and_then(|(stored, _)| stored.found.clone().ok());
        known.map_or(0, |entry| entry.generation)
    }
}

/// The task that reads for a search. If it is dropped with its runtime, the search is, too, so that
/// its callers do not wait for ever.
struct Driving {
    inner: Weak<Inner>,
    name: Arc<str>,
    ended: bool,
}

impl Driving {
    async fn drive(mut self) {
        while let Some(due) = self.due() {
            sleep_until(due).await;
            let Some(inner) = self.inner.upgrade() else { return };
            let result = inner.read(&self.name, true).await;
            let generation = inner.generation(&self.name);
            let mut searches = lock(&inner.searches.0);
            let Some(Running { search, .. }) = searches.get_mut(&self.name) else { return };
            search.refreshed(generation, |_| generation);
            search.tried(generation, result.as_ref().err(), Instant::now(), fastrand::f64());
        }
    }

    /// When the next read is due; without one, the task ends.
    fn due(&mut self) -> Option<Instant> {
        let inner = self.inner.upgrade()?;
        let mut searches = lock(&inner.searches.0);
        let running = searches.get_mut(&self.name)?;
        let due = running.search.due();
        if due.is_none() {
            running.driver = None;
            self.ended = true;
        }
        due
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade()
            && !self.ended
        {
            lock(&inner.searches.0).remove(&self.name);
        }
    }
}

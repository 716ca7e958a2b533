//! The search for a version newer than one whose credentials were refused.
//!
//! The rules are those of [`Live`](crate::Live) (`load/retry/search`): all callers of one secret
//! share a few reads within a budget, and a search that found nothing is followed by a rest. Here
//! is what drives them for a lookup: one search for each secret, and a task while anyone waits. The
//! task is started without the lock: a runtime that ends drops it at once, and its drop locks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::flights::Found;
use crate::error::{Error, ErrorKind};
use crate::load::blocking;
use crate::load::retry::answer::{Answer, Reply, Waiting};
use crate::load::retry::search::Search;
use crate::load::retry::task_runtime::TaskRuntime;
use crate::unwind::lock;

/// The searches under way, and those that rest, by the name that was asked for.
#[derive(Default)]
pub(super) struct Searches(Mutex<State>);

#[derive(Default)]
struct State {
    by_name: HashMap<Arc<str>, Running>,
    last_id: u64,
}

struct Running {
    id: u64,
    search: Search,
    /// The runtime of the task that reads for it, while there is one.
    driver: Option<TaskRuntime>,
}

/// A search that a caller waits for.
struct Asked {
    id: u64,
    answer: Answer,
    driver: TaskRuntime,
}

impl Searches {
    /// Gives a search up, so that the next caller begins another one.
    fn abandon(&self, name: &str, id: u64) {
        let abandoned = {
            let by_name = &mut lock(&self.0).by_name;
            let is_it = by_name.get(name).is_some_and(|running| running.id == id);
            is_it.then(|| by_name.remove(name))
        };
        // Its callers are woken without the lock.
        drop(abandoned);
    }
}

impl Inner {
    /// Waits for a version newer than the one of this generation, whose credentials were refused.
    ///
    /// # Errors
    ///
    /// `Unavailable` if none came within the budget, together with what failed meanwhile.
    pub(super) async fn newer(self: &Arc<Self>, name: &str, seen: u64) -> Found {
        let Asked { id, answer, driver } =
            self.ask(name, seen).map_err(|error| error.with_secret(name))?;
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
                self.searches.abandon(name, id);
                return Err(ended());
            }
        };
        match self.cache.peek(name).map(|(stored, _)| stored.found.clone()) {
            Some(Ok(entry)) => Ok(entry),
            _ => self.read(name, false).await,
        }
    }

    fn ask(self: &Arc<Self>, name: &str, seen: u64) -> Result<Asked, Error> {
        let now = Instant::now();
        let generation = self.generation(name);
        let (reply, answer) = Reply::channel();
        let runtime = Handle::try_current().ok();
        let (id, driver, is_started_here) = {
            let mut state = lock(&self.searches.0);
            let State { by_name, last_id } = &mut *state;
            by_name.retain(|_, running| running.driver.is_some() || !running.search.is_idle(now));
            let running = by_name.entry(name.into()).or_insert_with(|| {
                *last_id += 1;
                let search = Search::new("version", self.options.search);
                Running { id: *last_id, search, driver: None }
            });
            let asked = Waiting { seen, path: String::new(), reply };
            running.search.ask(asked, generation, |_| generation, now);
            if running.search.due().is_some() {
                self.refuse(name);
            }
            let is_started_here = running.driver.is_none() && running.search.due().is_some();
            let here =
                || runtime.as_ref().map_or_else(TaskRuntime::without, |_| TaskRuntime::current());
            let driver = running.driver.clone().unwrap_or_else(here);
            if is_started_here {
                running.driver = Some(driver.clone());
            }
            (running.id, driver, is_started_here)
        };
        if is_started_here {
            let inner = Arc::downgrade(self);
            let task = Driving { inner, name: name.into(), id, ended: false }.drive();
            match runtime {
                Some(runtime) => drop(runtime.spawn(task)),
                // A future that is polled outside of tokio.
                None => blocking::spawn(task)?,
            }
        }
        Ok(Asked { id, answer, driver })
    }

    /// Notes that the value that is known of a secret was refused: a store that makes values when
    /// they are read may make another.
    fn refuse(&self, name: &str) {
        let known = self.cache.peek(name).and_then(|(stored, _)| stored.found.clone().ok());
        if let Some(lease) = known.as_ref().and_then(|entry| entry.lease()) {
            lease.refuse();
        }
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
    id: u64,
    ended: bool,
}

impl Driving {
    async fn drive(mut self) {
        while let Some(due) = self.due() {
            sleep_until(due).await;
            let Some(inner) = self.inner.upgrade() else { return };
            let result = inner.read(&self.name, true).await;
            let generation = inner.generation(&self.name);
            let mut state = lock(&inner.searches.0);
            let Some(Running { search, .. }) = self.own(&mut state) else { return };
            search.refreshed(generation, |_| generation);
            search.tried(generation, result.as_ref().err(), Instant::now(), fastrand::f64());
        }
    }

    /// When the next read is due; without one, the task ends.
    fn due(&mut self) -> Option<Instant> {
        let inner = self.inner.upgrade()?;
        let mut state = lock(&inner.searches.0);
        let running = self.own(&mut state)?;
        let due = running.search.due();
        if due.is_none() {
            running.driver = None;
            self.ended = true;
        }
        due
    }

    /// The search that this task drives, unless it was given up.
    fn own<'a>(&self, state: &'a mut State) -> Option<&'a mut Running> {
        state.by_name.get_mut(&self.name).filter(|running| running.id == self.id)
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade()
            && !self.ended
        {
            inner.searches.abandon(&self.name, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{RecvTimeoutError, sync_channel};
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::{Lookup, Memory, SecretsManager};

    /// A lookup that has read a value.
    fn lookup() -> Lookup {
        let memory = Memory::new();
        memory.put("app/a", "old");
        let lookup = SecretsManager::prefix("app").backend(memory).lookup();
        assert_eq!(lookup.get::<String>("a").blocking().expect("a value"), "old");
        lookup
    }

    /// Runs something on a thread of its own, which may hang if the test is to fail.
    fn on_a_thread<T: Send + 'static>(
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RecvTimeoutError> {
        let (send, receive) = sync_channel(1);
        std::thread::spawn(move || send.send(run()));
        receive.recv_timeout(Duration::from_secs(60))
    }

    /// Asks for a search while its runtime shuts down, which refuses the task.
    struct AsksOnDrop(Arc<Inner>, Arc<AtomicUsize>);

    impl Drop for AsksOnDrop {
        fn drop(&mut self) {
            let seen = self.0.generation("a");
            if let Some(Err(_)) = self.0.newer("a", seen).now_or_never() {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_runtime_that_refuses_the_task_ends_its_search_and_nothing_hangs() {
        let ended = on_a_thread(|| {
            let lookup = lookup();
            let (inner, refused) = (lookup.0.clone(), Arc::new(AtomicUsize::new(0)));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let asks = AsksOnDrop(inner.clone(), refused.clone());
            runtime.spawn(async move {
                std::future::pending::<()>().await;
                drop(asks);
            });
            runtime.block_on(tokio::task::yield_now());
            drop(runtime);
            (refused.load(Ordering::Relaxed), lock(&inner.searches.0).by_name.len())
        });
        assert_eq!(ended, Ok((1, 0)));
    }

    #[test]
    fn a_task_that_was_replaced_leaves_the_search_of_the_next_one() {
        let lookup = lookup();
        let inner = &lookup.0;
        let begin = || {
            let asked = inner.ask("a", inner.generation("a")).expect("a search");
            let driving = Driving {
                inner: Arc::downgrade(inner),
                name: "a".into(),
                id: asked.id,
                ended: false,
            };
            (asked, driving)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _entered = runtime.enter();
        let (first, replaced) = begin();
        inner.searches.abandon("a", first.id);
        let (second, _driving) = begin();
        drop(replaced);
        inner.searches.abandon("a", first.id);
        let left = lock(&inner.searches.0).by_name.get("a").map(|running| running.id);
        assert_eq!(left, Some(second.id));
    }
}

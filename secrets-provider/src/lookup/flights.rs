//! Reads under way: one for each secret, whoever asks for it.
//!
//! A read is a task of its own, so that callers may stop waiting without ending it for the others.
//! Whoever asks while it runs waits for its answer. A caller that wants a value read after it asked
//! (`refresh`) waits for the read that follows, unless the one at hand has not begun. The task of a
//! runtime that was dropped, or that nothing drives, is replaced. What a read brings is stored only
//! if the secret was not forgotten meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::entry::Entry;
use super::inner::Landed;
use crate::error::{Error, ErrorKind};
use crate::load::blocking;
use crate::load::retry::task_runtime::TaskRuntime;
use crate::unwind::{self, lock};

/// How often a caller takes part in another read after one came to nothing with its runtime.
const MAX_ROUNDS: usize = 8;

pub(super) type Found = Result<Arc<Entry>, Error>;

type Answer = watch::Sender<Option<Found>>;

/// The reads under way, by the name that was asked for.
#[derive(Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    by_name: HashMap<Arc<str>, Flight>,
    last_id: u64,
}

struct Flight {
    id: u64,
    answer: watch::Receiver<Option<Found>>,
    /// Whether its call may have been sent.
    has_begun: bool,
    /// Whether anyone who waits for it wants the newest value.
    fresh: bool,
    /// The read that follows it, if anyone waits for that.
    next: Option<Answer>,
    runtime: TaskRuntime,
}

/// A read that a caller waits for.
struct Joined {
    id: u64,
    answer: watch::Receiver<Option<Found>>,
    runtime: TaskRuntime,
}

impl Flights {
    /// Notes that the read of this flight begins. Returns whether the newest value is wanted.
    fn begins(&self, name: &str, id: u64) -> bool {
        let mut state = lock(&self.0);
        let flight = state.by_name.get_mut(name).filter(|flight| flight.id == id);
        flight.is_some_and(|flight| {
            flight.has_begun = true;
            flight.fresh
        })
    }

    /// Ends a flight, after `store` has stored what it brought, unless it was forgotten. Returns
    /// the read that follows.
    fn ends(&self, name: &str, id: u64, store: impl FnOnce()) -> Option<Answer> {
        let mut state = lock(&self.0);
        let flight = state.by_name.get_mut(name).filter(|flight| flight.id == id)?;
        store();
        let next = flight.next.take();
        match &next {
            Some(next) => {
                flight.answer = next.subscribe();
                flight.has_begun = false;
                // Only who wants the newest value waits for another read.
                flight.fresh = true;
            }
            None => drop(state.by_name.remove(name)),
        }
        next
    }

    /// Gives a flight up, so that the next caller starts another one.
    fn abandon(&self, name: &str, id: u64) {
        let mut state = lock(&self.0);
        if state.by_name.get(name).is_some_and(|flight| flight.id == id) {
            state.by_name.remove(name);
        }
    }

    /// Gives up the flights of these names, or all, and changes the cache before another one can
    /// begin.
    pub(super) fn forget(&self, name: Option<&str>, change: impl FnOnce()) {
        let mut state = lock(&self.0);
        match name {
            Some(name) => drop(state.by_name.remove(name)),
            None => state.by_name.clear(),
        }
        change();
    }
}

impl Flights {
    /// The names that are being read.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        lock(&self.0).by_name.keys().cloned().collect()
    }
}

impl Inner {
    /// Reads a secret and waits for it: in a read that is under way, or one of its own. If `fresh`,
    /// the read begins after this call.
    pub(super) async fn read(self: &Arc<Self>, name: &str, fresh: bool) -> Found {
        for _ in 0..MAX_ROUNDS {
            let Joined { id, mut answer, runtime: task } = self.join(name, fresh)?;
            let waiting = async {
                let answer = answer.wait_for(Option::is_some).await.ok();
                answer.and_then(|answer| answer.clone())
            };
            match task.run_while_driven(waiting).await.flatten() {
                Some(found) => return found,
                None => self.flights.abandon(name, id),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, format!("secret `{name}`: its reads were given up"))
            .with_secret(name)
            .with_hint("their tokio runtimes end or stand still"))
    }

    /// Starts a read unless one is under way, and does not wait for it.
    pub(super) fn read_behind(self: &Arc<Self>, name: &str) {
        // If it cannot be started, the next caller tries again.
        let _ = self.join(name, false);
    }

    fn join(self: &Arc<Self>, name: &str, fresh: bool) -> Result<Joined, Error> {
        let mut state = lock(&self.flights.0);
        if let Some(flight) = state.by_name.get_mut(name) {
            let Flight { id, answer, has_begun, fresh: is_fresh, next, runtime } = flight;
            *is_fresh |= fresh && !*has_begun;
            let answer = match fresh && *has_begun {
                true => next.get_or_insert_with(|| watch::channel(None).0).subscribe(),
                false => answer.clone(),
            };
            return Ok(Joined { id: *id, answer, runtime: runtime.clone() });
        }
        state.last_id += 1;
        let id = state.last_id;
        let (sender, answer) = watch::channel(None);
        let name: Arc<str> = name.into();
        let task = fly(self.clone(), name.clone(), id, sender);
        let task_runtime = match Handle::try_current() {
            Ok(handle) => {
                drop(handle.spawn(task));
                TaskRuntime::current()
            }
            // A future that is polled outside of tokio.
            Err(_) => {
                blocking::spawn(task)?;
                TaskRuntime::without()
            }
        };
        let flight = Flight {
            id,
            answer: answer.clone(),
            has_begun: false,
            fresh,
            next: None,
            runtime: task_runtime.clone(),
        };
        state.by_name.insert(name, flight);
        Ok(Joined { id, answer, runtime: task_runtime })
    }
}

/// The task of a flight: reads, stores and answers, as long as anyone waits for another read.
async fn fly(inner: Arc<Inner>, name: Arc<str>, id: u64, mut answer: Answer) {
    loop {
        let fresh = inner.flights.begins(&name, id);
        let read = unwind::catch_future(inner.read_now(&name, fresh)).await;
        let mut read = Some(read.unwrap_or_else(|panic| Err(panic.rejection("the backend"))));
        let mut landed = None;
        let next = inner.flights.ends(&name, id, || {
            landed = read.take().map(|read| inner.store(&name, read));
        });
        // Events and metrics call code of others, so no lock is held.
        let found = match (landed, read) {
            (Some(Landed { found, retry: due, report }), _) => {
                inner.report(report);
                if let Some(due) = due {
                    drop(tokio::spawn(retry(Arc::downgrade(&inner), name.clone(), due)));
                }
                found
            }
            // It was forgotten meanwhile; those who asked before get it all the same.
            (None, Some(read)) => read.map(|read| Arc::new(read.entry)),
            (None, None) => return,
        };
        answer.send_replace(Some(found));
        match next {
            Some(next) => answer = next,
            None => return,
        }
    }
}

/// Waits until a secret that could not be read is due again, and starts a read behind its value.
async fn retry(inner: Weak<Inner>, name: Arc<str>, due: Instant) {
    sleep_until(due).await;
    if let Some(inner) = inner.upgrade()
        && inner.is_due(&name, due)
    {
        inner.read_behind(&name);
    }
}

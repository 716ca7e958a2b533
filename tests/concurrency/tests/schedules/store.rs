//! A store of one secret, which knows what is done with it, and what the scenarios share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use concurrency::{Backend, BoxFuture, BoxStream, Error, Fetched, Live, Outcome, SecretsManager};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use shuttle::thread::{self, JoinHandle};

/// The secret's name.
pub(crate) const NAME: &str = "app/pair";

/// How long a search for newer settings may last. The clock stays far from the second after which
/// waiting callers ask whether their runtime still runs.
const SEARCH: Duration = Duration::from_millis(20);

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Settings {
    pub(crate) pair: Pair,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Pair {
    pub(crate) a: u64,
    pub(crate) b: u64,
}

/// Its first version has 1 for both numbers.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<State>);

#[derive(Debug)]
struct State {
    a: AtomicU64,
    b: AtomicU64,
    reading: AtomicUsize,
    most: AtomicUsize,
    reads: AtomicUsize,
    releases: AtomicUsize,
}

/// How many reads there are now, were at a time at most, and were in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reads {
    pub(crate) now: usize,
    pub(crate) most: usize,
    pub(crate) all: usize,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            a: AtomicU64::new(1),
            b: AtomicU64::new(1),
            reading: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            releases: AtomicUsize::new(0),
        }))
    }

    /// Rotates the secret.
    pub(crate) fn put(&self, a: u64, b: u64) {
        tokio::step();
        self.0.a.store(a, SeqCst);
        self.0.b.store(b, SeqCst);
    }

    /// Rotates the secret to the next first number, and returns that.
    pub(crate) fn rotate(&self) -> u64 {
        tokio::step();
        self.0.a.fetch_add(1, SeqCst) + 1
    }

    /// The first number.
    pub(crate) fn a(&self) -> u64 {
        tokio::step();
        self.0.a.load(SeqCst)
    }

    pub(crate) fn reads(&self) -> Reads {
        let State { reading, most, reads, .. } = &*self.0;
        Reads { now: reading.load(SeqCst), most: most.load(SeqCst), all: reads.load(SeqCst) }
    }

    /// How often it was released.
    pub(crate) fn releases(&self) -> usize {
        self.0.releases.load(SeqCst)
    }

    pub(crate) fn manager(&self) -> SecretsManager {
        SecretsManager::prefix("app").backend(self.clone())
    }

    pub(crate) async fn start(&self) -> Live<Settings> {
        let builder = Live::builder(self.manager()).refresh_past_budget(5, SEARCH);
        builder.start().await.expect("settings")
    }

    async fn read(self, id: String) -> Outcome {
        let _reading = Reading::new(&self);
        tokio::step();
        let (a, b) = (self.0.a.load(SeqCst), self.0.b.load(SeqCst));
        tokio::step();
        let found = Fetched::text(&id, format!("v{a}.{b}"), format!(r#"{{"a": {a}, "b": {b}}}"#));
        (id, Ok(found))
    }
}

/// A read under way.
struct Reading<'a>(&'a State);

impl<'a> Reading<'a> {
    fn new(store: &'a Store) -> Self {
        let state = &*store.0;
        state.reads.fetch_add(1, SeqCst);
        let now = state.reading.fetch_add(1, SeqCst) + 1;
        state.most.fetch_max(now, SeqCst);
        Self(state)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, SeqCst);
    }
}

impl Backend for Store {
    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        async { Ok(vec![NAME.to_owned()]) }.boxed()
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        stream::iter(ids).then(|id| self.clone().read(id.clone())).boxed()
    }

    fn release<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, ()> {
        async {
            tokio::step();
            self.0.releases.fetch_add(1, SeqCst);
        }
        .boxed()
    }
}

/// Moves the clock on, a little at a time, until what is returned is stopped.
pub(crate) fn clock() -> Clock {
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let thread = thread::spawn(move || {
        while !seen.load(SeqCst) {
            tokio::time::advance(SEARCH / 4);
            thread::yield_now();
        }
    });
    Clock { over, thread }
}

pub(crate) struct Clock {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Clock {
    pub(crate) fn stop(self) {
        self.over.store(true, SeqCst);
        join(self.thread);
    }
}

pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("no panic")
}

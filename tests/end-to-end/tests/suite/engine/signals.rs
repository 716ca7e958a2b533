//! Refreshes that a store causes: `Backend::changes`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use end_to_end::NEVER;
use futures_util::{Stream, StreamExt as _, stream};
use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, Live, LiveBuilder, Memory, Outcome, Rejected,
    SecretsManager, Trigger,
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::fixtures::secrets_only;

/// A store with the signals of this stream.
struct Signalling {
    memory: Memory,
    signals: Mutex<Option<BoxStream<'static, ()>>>,
}

impl Signalling {
    fn new(memory: Memory, signals: impl Stream<Item = ()> + Send + 'static) -> Self {
        Self { memory, signals: Mutex::new(Some(signals.boxed())) }
    }
}

impl std::fmt::Debug for Signalling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signalling")
    }
}

impl Backend for Signalling {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.memory.list(prefix)
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.memory.fetch(ids)
    }

    fn changes(&self) -> Option<BoxStream<'static, ()>> {
        self.signals.lock().unwrap().take()
    }
}

fn builder(backend: Signalling) -> LiveBuilder<Value> {
    secrets_only(SecretsManager::names(["a"]).backend(backend)).refresh_every(NEVER)
}

fn channel() -> (mpsc::UnboundedSender<()>, impl Stream<Item = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let signals = stream::unfold(receiver, async |mut receiver: mpsc::UnboundedReceiver<()>| {
        receiver.recv().await.map(|()| ((), receiver))
    });
    (sender, signals)
}

#[tokio::test(start_paused = true)]
async fn signals_that_come_together_start_one_refresh() {
    let memory = Memory::new();
    memory.put("a", "1");
    let (sender, signals) = channel();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    // Each try after the first is rejected, so that every refresh is counted.
    let settings = builder(Signalling::new(memory.clone(), signals))
        .validate(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(Rejected::new("no")),
        })
        .start()
        .await
        .unwrap();
    memory.put("a", "2");
    (0..100).for_each(|_| sender.send(()).unwrap());
    while tries.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    drop(settings);
}

#[tokio::test(start_paused = true)]
async fn signals_that_end_or_never_end_or_panic_stop_nothing() {
    let (sender, ending) = channel();
    drop(sender);
    for signals in [
        ending.boxed(),
        stream::repeat(()).boxed(),
        stream::poll_fn(|_| panic!("of the backend")).boxed(),
        stream::pending().boxed(),
    ] {
        let memory = Memory::new();
        memory.put("a", "1");
        let settings = builder(Signalling::new(memory.clone(), signals)).start().await.unwrap();
        for n in 2..5 {
            memory.put("a", n.to_string());
            settings.refresh().await.unwrap();
            assert_eq!(settings.load()["a"], n.to_string());
        }
        settings.shutdown().await;
    }
}

/// The paused clock advances only when every task waits: a loop on the ended stream would hang
/// this test.
#[tokio::test(start_paused = true)]
async fn an_ended_stream_of_signals_is_not_polled_again() {
    let memory = Memory::new();
    memory.put("a", "1");
    let settings = builder(Signalling::new(memory, stream::empty())).start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(settings.status().generation(), 1);
}

/// Of several sources, one whose signals never end keeps neither the triggers of another waiting
/// nor its signals.
#[tokio::test(start_paused = true)]
async fn endless_signals_of_one_source_keep_no_other_waiting() {
    for (case, is_first) in [("a trigger", true), ("a trigger", false), ("a signal", true)] {
        let (busy, quiet) = (Memory::new(), Memory::new());
        busy.put("a", "1");
        quiet.put("b", "1");
        let ((signal, signals), (trigger, triggers)) = (channel(), channel());
        let busy = SecretsManager::names(["a"]).backend(Signalling::new(busy, stream::repeat(())));
        let other = Signalling::new(quiet.clone(), signals);
        let other = SecretsManager::names(["b"]).backend(other);
        let sources = if is_first { busy.and(other) } else { other.and(busy) };
        let settings: Live<Value> = secrets_only(sources)
            .refresh_every(NEVER)
            .refresh_on(triggers.map(|()| Trigger::secret("b")))
            .start()
            .await
            .unwrap();
        quiet.put("b", "2");
        let sender = if case == "a signal" { signal } else { trigger };
        sender.send(()).unwrap();
        // The clock stands still: the task of the endless signals never waits.
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(settings.load()["b"], "2", "{case}, {is_first}");
        settings.shutdown().await;
    }
}

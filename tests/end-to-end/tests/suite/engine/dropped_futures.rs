//! Futures that are dropped half-way, after each possible number of polls: those of callers, and
//! the refresher's own, which a shutdown drops.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::{StreamExt as _, stream};
use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, Live, Memory, Outcome, RotationWindow, SecretsManager,
};

use crate::fixtures::{Pair, secrets_only};

/// A store that yields before and after each answer, so that its futures can be dropped at many
/// points.
#[derive(Debug, Clone)]
struct Hesitant(Memory);

impl Backend for Hesitant {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let names = self.0.list(prefix).await;
            tokio::task::yield_now().await;
            names
        })
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        Box::pin(self.0.fetch(ids).then(|outcome| async {
            tokio::task::yield_now().await;
            outcome
        }))
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let _ = ids;
        Box::pin(stream::empty())
    }

    fn rotation_windows<'a>(
        &'a self,
        _: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            BTreeMap::new()
        })
    }
}

fn put(memory: &Memory, n: u32) {
    memory.put("app/a", n.to_string());
    memory.put("app/b", n.to_string());
}

fn hesitant(memory: &Memory) -> SecretsManager {
    SecretsManager::prefix("app").backend(Hesitant(memory.clone()))
}

async fn start(memory: &Memory) -> Live<Pair<u32>> {
    secrets_only(hesitant(memory))
        .probe(|_| async {
            tokio::task::yield_now().await;
            Ok(())
        })
        .start()
        .await
        .unwrap()
}

/// The output, if the future completes within so many polls. Other tasks run between two polls.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Runs a case with 0, 1, 2, … polls until it returns that its future completed. Returns that
/// number of polls.
async fn every_k<C: AsyncFn(usize) -> bool>(case: C) -> usize {
    for k in 0..1000 {
        if case(k).await {
            return k;
        }
    }
    panic!("it never completes");
}

fn whole(settings: &Live<Pair<u32>>) -> u32 {
    let pair = settings.load();
    assert_eq!(pair.a, pair.b, "values of two generations");
    pair.a
}

#[tokio::test(start_paused = true)]
async fn a_dropped_refresh_is_carried_out_completely_or_not_at_all() {
    let polls = every_k(async |k| {
        let memory = Memory::new();
        put(&memory, 1);
        let settings = start(&memory).await;
        put(&memory, 2);
        let done = polled(settings.refresh(), k).await.is_some();
        assert!((1..=2).contains(&whole(&settings)), "after {k} polls");
        put(&memory, 3);
        settings.refresh().await.unwrap();
        assert_eq!(whole(&settings), 3, "after {k} polls");
        done
    })
    .await;
    assert!(polls > 3, "too few points to drop it at: {polls}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_refresh_past_does_not_hinder_the_next() {
    every_k(async |k| {
        let memory = Memory::new();
        put(&memory, 1);
        let settings = start(&memory).await;
        let seen = settings.current();
        put(&memory, 2);
        let done = polled(settings.refresh_past(&seen), k).await.is_some();
        let newer = settings.refresh_past(&seen).await.unwrap();
        assert_eq!((newer.a, newer.b), (2, 2), "after {k} polls");
        done
    })
    .await;
}

/// A shutdown, or the drop of the last handle, ends the refresher at each of its awaits.
#[tokio::test(start_paused = true)]
async fn a_refresh_stopped_half_way_leaves_one_whole_generation() {
    for last_handle in [false, true] {
        every_k(async |k| {
            let memory = Memory::new();
            put(&memory, 1);
            let settings = start(&memory).await;
            let mut reader = settings.reader();
            let mut changes = settings.changes();
            put(&memory, 2);
            let done = polled(settings.refresh(), k).await.is_some();
            if last_handle {
                drop(settings);
                while changes.next().await.is_some() {}
            } else {
                settings.shutdown().await;
                assert!((1..=2).contains(&whole(&settings)), "after {k} polls");
                assert!(settings.refresh().await.is_err());
                assert_eq!(settings.status().next_attempt(), None);
            }
            let pair = reader.load();
            assert_eq!(pair.a, pair.b, "after {k} polls");
            // The same store serves new settings.
            assert_eq!(whole(&start(&memory).await), 2);
            done
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_shutdown_still_ends_the_refresher() {
    every_k(async |k| {
        let memory = Memory::new();
        put(&memory, 1);
        let settings = start(&memory).await;
        let mut changes = settings.changes();
        let done = polled(settings.shutdown(), k).await.is_some();
        if k > 0 {
            assert_eq!(changes.next().await, None, "after {k} polls");
        }
        assert_eq!(whole(&settings), 1);
        settings.shutdown().await;
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_start_or_derive_leaves_nothing_behind() {
    every_k(async |k| {
        let memory = Memory::new();
        put(&memory, 1);
        let settings = polled(start(&memory), k).await;
        settings.is_some()
    })
    .await;
    every_k(async |k| {
        let memory = Memory::new();
        put(&memory, 1);
        let settings = start(&memory).await;
        let build = |pair: Arc<Pair<u32>>| async move {
            tokio::task::yield_now().await;
            Ok(pair.a)
        };
        let derived = polled(settings.derive("a", build), k).await.transpose().unwrap();
        put(&memory, 2);
        match &derived {
            Some(derived) => {
                derived.refresh().await.unwrap();
                assert_eq!(*derived.load(), 2);
            }
            None => assert!(settings.status().derived().is_empty(), "after {k} polls"),
        }
        settings.refresh().await.unwrap();
        assert_eq!(whole(&settings), 2);
        derived.is_some()
    })
    .await;
}

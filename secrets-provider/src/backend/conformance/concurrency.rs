//! Calls at the same time, and calls that are dropped before they end. Reads have a deadline, so
//! every future of a store is dropped half-way sooner or later.
//!
//! Called by `run`, one function per case. A case passes only if the store still returns every
//! value.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, join_all, select};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::report::Mismatch;
use super::trial::Trial;
use super::{Capability, Harness};

/// Fetches at the same time, and the secrets of each.
const AT_ONCE: usize = 8;
const EACH: usize = 10;

/// Up to so many polls, a future is dropped after each number of them.
const POLLS: usize = 12;

/// When a caller stops waiting for a secret that hangs.
const DEADLINE: Duration = Duration::from_millis(50);

pub(super) async fn answers_concurrent_calls<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let secrets = trial.put_many(AT_ONCE * EACH).await;
    let names = secrets.keys().cloned().collect();
    let listings = match trial.has(Capability::List) {
        true => AT_ONCE / 2,
        false => 0,
    };
    let all: Vec<_> = secrets.into_iter().collect();
    let groups: Vec<BTreeMap<_, _>> =
        all.chunks(EACH).map(|group| group.iter().cloned().collect()).collect();
    let fetches = join_all(groups.iter().map(|group| trial.holds_all(group)));
    let lists = join_all((0..listings).map(|_| trial.lists(trial.prefix(), &names)));
    let (fetched, listed) = futures_util::future::join(fetches, lists).await;
    fetched.into_iter().chain(listed).collect()
}

pub(super) async fn survives_dropped_fetch<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let secrets = trial.put_many(3 * EACH).await;
    let ids: Vec<String> = secrets.keys().cloned().collect();
    for polls in 0..POLLS {
        let store = trial.store();
        polled(async { store.fetch(&ids).collect::<Vec<_>>().await }, polls).await;
    }
    trial.holds_all(&secrets).await
}

pub(super) async fn survives_dropped_list<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let secrets = trial.put_many(3).await;
    for polls in 0..POLLS {
        let _ = polled(trial.store().list(trial.prefix()), polls).await;
    }
    trial.lists(trial.prefix(), &secrets.keys().cloned().collect()).await?;
    trial.holds_all(&secrets).await
}

pub(super) async fn survives_deadline<H: Harness>(trial: &Trial<'_, H>) -> Result<(), Mismatch> {
    let secrets = trial.put_many(3).await;
    let ids: Vec<String> = secrets.keys().cloned().collect();
    trial.harness().stall(&ids[0]).await;
    // Whether it is answered in that time does not matter: a store may have a limit of its own.
    let _ = timeout(DEADLINE, trial.store().fetch(&ids).collect::<Vec<_>>()).await;
    trial.harness().resume(&ids[0]).await;
    trial.holds_all(&secrets).await
}

pub(super) async fn stalls_only_one_fetch<H: Harness>(
    trial: &Trial<'_, H>,
) -> Result<(), Mismatch> {
    let stalled = [trial.put("stalled", "text").await];
    let good = trial.put("good", "text").await;
    trial.harness().stall(&stalled[0]).await;
    let read = async {
        let hanging = trial.store().fetch(&stalled).collect::<Vec<_>>();
        // The hanging fetch is polled first, so it has begun when the other starts.
        match select(hanging, pin!(trial.read(&good))).await {
            Either::Left((_, read)) => read.await,
            Either::Right((read, _)) => read,
        }
    };
    let read = read.await;
    trial.harness().resume(&stalled[0]).await;
    read.map(drop)
}

/// Polls a future so many times, unless it ends before, and drops it. Other tasks run between two
/// polls.
async fn polled<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..times {
        match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            Poll::Ready(output) => return Some(output),
            Poll::Pending => yield_now().await,
        }
    }
    None
}

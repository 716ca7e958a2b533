//! Removes the queues of replicas that died without deleting them.
//!
//! Each replica looks soon after its start and then a few times a day, at random times. A sweep
//! makes a bounded number of calls; it begins at a random queue, so that replicas look at different
//! ones. Only queues go whose name is one of this topic's and whose tag says that their time is
//! over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::own::{self, EXPIRES, SUBSCRIPTION};
use super::topic::Shared;
use crate::error::{Error, ErrorKind};
use crate::observe::events;

/// The first sweep comes within this time.
const FIRST_WITHIN: Duration = Duration::from_secs(60);

/// The time between two sweeps, on average.
const EVERY: Duration = Duration::from_secs(6 * 3600);

/// How many pages of a listing are read; a page has a thousand queues.
const MAX_PAGES: usize = 5;
const PAGE: i32 = 1000;

/// How many queues are looked at; two calls more for each whose time is over.
const MAX_LOOKED_AT: usize = 20;

/// Sweeps until it is dropped.
pub(super) async fn now_and_then(shared: Arc<Shared>) {
    let mut wait = FIRST_WITHIN.mul_f64(fastrand::f64());
    let mut has_failed = false;
    loop {
        sleep(wait).await;
        let (removed, result) = sweep(&shared).await;
        if removed > 0 {
            events::push_queues_swept(shared.topic.as_str(), removed);
        }
        if let Err(error) = &result {
            events::push_sweep_failed(shared.topic.as_str(), error, has_failed);
        }
        has_failed = result.is_err();
        wait = EVERY.mul_f64(0.75 + fastrand::f64() / 2.0);
    }
}

/// How many queues were removed, and why no more were.
async fn sweep(shared: &Shared) -> (usize, Result<(), Error>) {
    let mut removed = 0;
    let mut queues = match listed(shared).await {
        Ok(queues) => queues,
        Err(error) => return (removed, Err(error)),
    };
    fastrand::shuffle(&mut queues);
    for url in queues.iter().take(MAX_LOOKED_AT) {
        match remove_if_expired(shared, url).await {
            Ok(was_removed) => removed += usize::from(was_removed),
            // Another replica was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return (removed, Err(error)),
        }
    }
    (removed, Ok(()))
}

/// The URLs of this topic's queues, without this replica's own.
async fn listed(shared: &Shared) -> Result<Vec<String>, Error> {
    let own = shared.own_url().await;
    let mut queues = Vec::new();
    let mut next = None;
    for _ in 0..MAX_PAGES {
        let call = shared.clients.sqs().await?.list_queues().max_results(PAGE);
        let call = call.queue_name_prefix(shared.topic.queue_prefix()).set_next_token(next);
        let page = call.send().await.map_err(|error| shared.failed("ListQueues", &error))?;
        let is_ours = |url: &String| {
            let name = url.rsplit('/').next().unwrap_or_default();
            shared.topic.may_own(name) && own.as_ref() != Some(url)
        };
        queues.extend(page.queue_urls.unwrap_or_default().into_iter().filter(is_ours));
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    Ok(queues)
}

async fn remove_if_expired(shared: &Shared, url: &str) -> Result<bool, Error> {
    let call = shared.clients.sqs().await?.list_queue_tags().queue_url(url);
    let answer = call.send().await.map_err(|error| shared.failed("ListQueueTags", &error))?;
    let tags = answer.tags.unwrap_or_default();
    if !own::has_expired(tags.get(EXPIRES).map(String::as_str), SystemTime::now()) {
        return Ok(false);
    }
    // A tag may say anything: only a subscription to this topic goes. It goes first, because
    // without the queue nothing says which one it was.
    if let Some(subscription) = tags.get(SUBSCRIPTION).filter(|arn| shared.topic.has(arn)) {
        shared.unsubscribe(subscription).await?;
    }
    shared.delete_queue(url).await?;
    Ok(true)
}

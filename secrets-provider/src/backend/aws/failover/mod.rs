//! A region and its replica: what the first one does not answer, the replica does.
//!
//! `choice` has the rule which of the two is asked, `known` what a replica may be believed,
//! `endpoint` which endpoint cannot serve both, `read` reads values, and `error` words what fails; here
//! are the state and the other calls. A fetch is all of one region: values of two are never mixed, so
//! that a rotation of several secrets is not seen by half, and `one_read` has the previous values of
//! that region, too. Replicas are read-only, so everything that writes goes to the first region.

mod choice;
mod endpoint;
mod error;
mod known;
mod one_read;
mod read;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_types::region::Region;
use futures_util::{FutureExt as _, StreamExt as _, future};
use tokio::time::{Instant, timeout_at};

use super::Aws;
use crate::backend::{Backend, BoxFuture, BoxStream, Outcome, RotationWindow, Writer};
use crate::error::Error;
use crate::observe::status::{Calls, Failover};
use crate::observe::{events, metrics};
use crate::unwind::lock;

use choice::{Choice, is_no_answer};
use known::Known;
use one_read::OneRead;
use read::Reads;

#[derive(Debug)]
pub(super) struct Regions {
    first: Aws,
    replica: Aws,
    /// Where the replica is.
    region: Arc<str>,
    choice: Mutex<Choice>,
    known: Mutex<Known>,
    /// Whether the endpoint serves both regions, as far as that is known.
    has_checked_endpoint: AtomicBool,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Replica,
}

impl Regions {
    pub(super) fn new(first: Aws, replica: Aws, region: Arc<str>, timeout: Duration) -> Self {
        metrics::record_failover(&region, false);
        let choice = Mutex::new(Choice::new(timeout));
        let has_checked_endpoint = AtomicBool::new(false);
        Self { first, replica, region, choice, known: Mutex::default(), has_checked_endpoint }
    }

    /// The name of the first region, once it is known.
    fn first_region(&self) -> Option<&str> {
        let client = self.first.client.get()?;
        client.config().region().map(Region::as_ref)
    }

    fn first_name(&self) -> &str {
        self.first_region().unwrap_or("the first region")
    }

    fn ask(&self) -> Option<Duration> {
        lock(&self.choice).ask(Instant::now())
    }

    fn first_answered(&self) {
        let since = lock(&self.choice).first_answered(Instant::now());
        if let Some(since) = since {
            events::region_returned(self.first_name(), &self.region, since.elapsed());
            metrics::record_failover(&self.region, false);
        }
    }

    /// The replica has answered in a read that began at this time.
    fn replica_answered(&self, begun: Instant, why: Option<&Error>) {
        let begins = lock(&self.choice).replica_answered(begun, Instant::now());
        if begins {
            events::region_failed_over(self.first_name(), &self.region, why);
            metrics::record_failover(&self.region, true);
        }
    }

    /// The region that is read now.
    fn current(&self) -> Place {
        match lock(&self.choice).away_since() {
            None => Place::First,
            Some(_) => Place::Replica,
        }
    }

    fn at(&self, place: Place) -> &Aws {
        match place {
            Place::First => &self.first,
            Place::Replica => &self.replica,
        }
    }

    /// Refuses an endpoint that was set by hand and is one of AWS's, because it only serves its own
    /// region.
    ///
    /// # Errors
    ///
    /// `Config` for such an endpoint.
    async fn check_endpoint(&self) -> Result<(), Error> {
        if self.has_checked_endpoint.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Why there is no client is said by what is read with it.
        let Ok(client) = self.first.client().await else { return Ok(()) };
        if let Some(url) = endpoint::set_by_hand(client).await {
            endpoint::check(&url, self.first_name(), &self.region)?;
        }
        self.has_checked_endpoint.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn listed(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (begun, mut no_answer) = (Instant::now(), None);
        if let Some(limit) = self.ask() {
            let until = begun + limit;
            if let Ok(checked) = timeout_at(until, self.check_endpoint()).await {
                checked?;
            }
            no_answer = Some(match timeout_at(until, self.first.listed(prefix)).await {
                Ok(Err(error)) if is_no_answer(&error) => error,
                Ok(answer) => {
                    self.first_answered();
                    return answer;
                }
                Err(_) => self.late(limit),
            });
        }
        match self.replica.listed(prefix).await {
            Err(error) if is_no_answer(&error) => Err(self.neither(no_answer, error)),
            answer => {
                self.replica_answered(begun, no_answer.as_ref());
                answer
            }
        }
    }
}

impl Backend for Regions {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.listed(prefix).boxed()
    }

    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.at(self.current()).some_listed(prefix).boxed()
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Reads::Current).map(|(_, outcomes)| outcomes).flatten_stream().boxed()
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.previous(ids, self.current())
    }

    fn for_one_read(self: Arc<Self>) -> Option<Arc<dyn Backend>> {
        Some(Arc::new(OneRead::new(self)))
    }

    fn calls(&self) -> Calls {
        let mut calls = self.first.calls();
        for (operation, count) in self.replica.calls() {
            *calls.entry(operation).or_default() += count;
        }
        calls
    }

    fn failover(&self) -> Option<Failover> {
        Some(Failover::at(self.region.clone(), lock(&self.choice).away_since()))
    }

    fn rotation_windows<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        // A replica does not rotate by itself.
        match self.current() {
            Place::First => self.first.rotation_windows(ids),
            Place::Replica => future::ready(BTreeMap::new()).boxed(),
        }
    }

    fn writer(&self) -> Option<&dyn Writer> {
        self.first.writer()
    }

    fn store_name(&self) -> &str {
        self.first.store_name()
    }

    fn timeout_hint(&self) -> &str {
        self.first.timeout_hint()
    }

    fn nothing_listed_hint(&self) -> &str {
        self.first.nothing_listed_hint()
    }
}

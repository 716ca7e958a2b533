//! A region and its replica: what the first one does not answer, the replica does.
//!
//! `choice` has the rule which of the two is asked, `known` what a replica may be believed, and
//! `endpoint` which endpoint cannot serve both; here are the calls. A fetch is all of one region:
//! values of two are never mixed, so that a rotation of several secrets is not seen by half, and
//! `one_read` has the previous values of that region, too. Replicas are read-only, so everything
//! that writes goes to the first region.

mod choice;
mod endpoint;
mod known;
mod one_read;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_types::region::Region;
use futures_util::stream::{self, StreamExt as _};
use futures_util::{FutureExt as _, future};
use tokio::time::{Instant, timeout_at};

use super::Aws;
use crate::backend::{Backend, BoxFuture, BoxStream, Outcome, RotationWindow, Writer};
use crate::error::{Error, ErrorKind};
use crate::observe::status::{Calls, Failover};
use crate::observe::{events, metrics};
use crate::secret::Fetched;
use crate::secret::id::in_region;
use crate::unwind::lock;

use choice::{Choice, is_no_answer};
use known::Known;
use one_read::OneRead;

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

/// How values are read in one region.
type Reads<'a> = fn(&'a Aws, &[String]) -> BoxStream<'a, Outcome>;

/// Why the first region is not read.
#[derive(Debug, Clone, Default)]
struct NoAnswer {
    /// By the id that was asked for.
    errors: BTreeMap<String, Error>,
    /// For every other id; `None` if the first region was not asked.
    error: Option<Error>,
}

impl NoAnswer {
    fn of(&self, id: &str) -> Option<Error> {
        self.errors.get(id).or(self.error.as_ref()).cloned()
    }
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

    /// The error where neither region answers.
    fn neither(&self, first: Option<Error>, replica: Error) -> Error {
        let replica = replica.in_region(&self.region);
        match first {
            Some(first) => first.in_region(self.first_name()).beside(Some(replica)),
            None => replica,
        }
    }

    fn late(&self, limit: Duration) -> Error {
        let message = format!("no answer within {limit:?}");
        Error::new(ErrorKind::Unavailable, message).with_hint(self.timeout_hint())
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

    /// Waits for the first answer of the first region, and has all other outcomes from the region
    /// that gives one.
    async fn read<'a>(
        &'a self,
        ids: &'a [String],
        read: Reads<'a>,
    ) -> (Place, BoxStream<'a, Outcome>) {
        let begun = Instant::now();
        let Some(limit) = self.ask() else {
            return (Place::Replica, self.of_replica(ids, read, begun, NoAnswer::default()));
        };
        let until = begun + limit;
        if let Ok(Err(error)) = timeout_at(until, self.check_endpoint()).await {
            let refused = ids.iter().map(move |id| (id.clone(), Err(error.clone())));
            return (Place::First, stream::iter(refused).boxed());
        }
        let mut outcomes = read(&self.first, ids);
        let mut before: Vec<(String, Error)> = Vec::new();
        let late = loop {
            match timeout_at(until, outcomes.next()).await {
                // What is wrong with the configuration is found before a call is made.
                Ok(Some((id, Err(error))))
                    if is_no_answer(&error) || error.kind() == ErrorKind::Config =>
                {
                    before.push((id, error));
                }
                Ok(Some(outcome)) => {
                    self.first_answered();
                    let all = stream::iter(failed(before)).chain(stream::iter([outcome]));
                    let all = all.chain(outcomes).inspect(|outcome| self.note(outcome));
                    return (Place::First, all.boxed());
                }
                Ok(None) => break None,
                Err(_) => break Some(self.late(limit)),
            }
        };
        drop(outcomes);
        let error = before.iter().map(|(_, error)| error).find(|error| is_no_answer(error));
        match late.or(error.cloned()) {
            Some(error) => {
                let errors = before.into_iter().filter(|(_, error)| is_no_answer(error)).collect();
                let no_answer = NoAnswer { errors, error: Some(error) };
                (Place::Replica, self.of_replica(ids, read, begun, no_answer))
            }
            None => (Place::First, stream::iter(failed(before)).boxed()),
        }
    }

    fn note(&self, (id, outcome): &Outcome) {
        if let Ok(secret) = outcome {
            lock(&self.known).read(id, secret.version_id(), secret.made());
        }
    }

    /// The outcomes of the replica, under the ids that were asked for.
    fn of_replica<'a>(
        &'a self,
        ids: &[String],
        read: Reads<'a>,
        begun: Instant,
        no_answer: NoAnswer,
    ) -> BoxStream<'a, Outcome> {
        let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for id in ids {
            asked.entry(in_region(id, &self.region)).or_default().push(id.clone());
        }
        let there: Vec<String> = asked.keys().cloned().collect();
        let outcomes = read(&self.replica, &there).flat_map(move |(there, outcome)| {
            let ids = asked.get(&there).cloned().unwrap_or_else(|| vec![there]);
            let no_answer = no_answer.clone();
            stream::iter(ids).map(move |id| {
                let outcome = self.taken(&id, outcome.clone(), begun, no_answer.of(&id));
                (id, outcome)
            })
        });
        outcomes.inspect(|outcome| self.note(outcome)).boxed()
    }

    /// What an outcome of the replica says about the secret, which the first region had no answer
    /// for.
    fn taken(
        &self,
        id: &str,
        outcome: Result<Fetched, Error>,
        begun: Instant,
        no_answer: Option<Error>,
    ) -> Result<Fetched, Error> {
        match outcome {
            Err(error) if is_no_answer(&error) => Err(self.neither(no_answer, error)),
            Err(error) => {
                self.replica_answered(begun, no_answer.as_ref());
                match lock(&self.known).contains(id) && is_about_secret(error.kind()) {
                    // It says nothing about the secret in the first region: the value in use stays.
                    true => Err(self.not_there(id, &error)),
                    false => Err(error),
                }
            }
            Ok(secret) => {
                self.replica_answered(begun, no_answer.as_ref());
                match lock(&self.known).is_replaced(id, secret.version_id(), secret.made()) {
                    true => Err(self.older(id)),
                    false => Ok(self.replicated(secret)),
                }
            }
        }
    }

    /// The secret stays the same one, whichever region it is read in.
    fn replicated(&self, secret: Fetched) -> Fetched {
        match self.first_region() {
            Some(first) => secret.in_region(first),
            None => secret,
        }
    }

    /// The previous values, under the ids that were asked for.
    fn previous<'a>(&'a self, ids: &'a [String], place: Place) -> BoxStream<'a, Outcome> {
        if place == Place::First {
            return self.first.previous(ids);
        }
        let asked: BTreeMap<String, String> =
            ids.iter().map(|id| (in_region(id, &self.region), id.clone())).collect();
        let there: Vec<String> = asked.keys().cloned().collect();
        let outcomes = self.replica.previous(&there).map(move |(there, outcome)| {
            let id = asked.get(&there).cloned().unwrap_or(there);
            (id, outcome.map(|secret| self.replicated(secret)))
        });
        outcomes.boxed()
    }

    fn not_there(&self, id: &str, error: &Error) -> Error {
        let message =
            format!("{error}; it is asked for there because {} gives no answer", self.first_name());
        let error = Error::new(ErrorKind::Unavailable, message).with_secret(id);
        let region = &self.region;
        error.with_hint(format!(
            "replicate it, by `aws secretsmanager replicate-secret-to-regions --secret-id {id} \
             --add-replica-regions Region={region}`, and allow reading it there: \
             `iam_policy()` has both regions"
        ))
    }

    fn older(&self, id: &str) -> Error {
        let (first, region) = (self.first_name(), &self.region);
        let message = format!(
            "secret `{id}`: its replica in {region} has a version that was replaced in {first}, \
             which gives no answer"
        );
        Error::new(ErrorKind::Unavailable, message)
            .with_secret(id)
            .with_hint("the replica lags behind; until it has caught up, the value in use stays")
    }
}

fn failed(errors: Vec<(String, Error)>) -> impl Iterator<Item = Outcome> {
    errors.into_iter().map(|(id, error)| (id, Err(error)))
}

/// Whether a failure is the answer that the secret is not there, or not for this caller.
fn is_about_secret(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::AccessDenied | ErrorKind::Kms | ErrorKind::PendingDeletion
    )
}

impl Backend for Regions {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.listed(prefix).boxed()
    }

    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.at(self.current()).some_listed(prefix).boxed()
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Aws::current).map(|(_, outcomes)| outcomes).flatten_stream().boxed()
    }

    fn fetch_due<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Aws::due).map(|(_, outcomes)| outcomes).flatten_stream().boxed()
    }

    fn fetch_each<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Aws::each).map(|(_, outcomes)| outcomes).flatten_stream().boxed()
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

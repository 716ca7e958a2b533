//! Reading values: of the first region, or all of them of the replica.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::choice::is_no_answer;
use super::error::is_about_secret;
use super::{Aws, Place, Regions};
use crate::backend::{BoxFuture, BoxStream, Outcome};
use crate::error::{Error, ErrorKind};
use crate::secret::Fetched;
use crate::secret::id::in_region;
use crate::unwind::lock;

/// How values are read in one region.
#[derive(Clone)]
pub(super) enum Reads {
    Current,
    /// At the interval, until it is wanted.
    Due(Shared<BoxFuture<'static, ()>>),
    Each,
}

impl Reads {
    fn of<'a>(&self, region: &'a Aws, ids: &[String]) -> BoxStream<'a, Outcome> {
        match self {
            Self::Current => region.current(ids),
            Self::Due(wanted) => region.due(ids, wanted.clone().boxed()),
            Self::Each => region.each(ids),
        }
    }
}

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
    /// Waits for the first answer of the first region, and has all other outcomes from the region
    /// that gives one.
    pub(super) async fn read<'a>(
        &'a self,
        ids: &'a [String],
        reads: Reads,
    ) -> (Place, BoxStream<'a, Outcome>) {
        let begun = Instant::now();
        let Some(limit) = self.ask() else {
            return (Place::Replica, self.of_replica(ids, reads, begun, NoAnswer::default()));
        };
        let until = begun + limit;
        if let Ok(Err(error)) = timeout_at(until, self.check_endpoint()).await {
            let refused = ids.iter().map(move |id| (id.clone(), Err(error.clone())));
            return (Place::First, stream::iter(refused).boxed());
        }
        let mut outcomes = reads.of(&self.first, ids);
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
                (Place::Replica, self.of_replica(ids, reads, begun, no_answer))
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
        reads: Reads,
        begun: Instant,
        no_answer: NoAnswer,
    ) -> BoxStream<'a, Outcome> {
        let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for id in ids {
            asked.entry(in_region(id, &self.region)).or_default().push(id.clone());
        }
        let there: Vec<String> = asked.keys().cloned().collect();
        let outcomes = reads.of(&self.replica, &there).flat_map(move |(there, outcome)| {
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
    pub(super) fn previous<'a>(
        &'a self,
        ids: &'a [String],
        place: Place,
    ) -> BoxStream<'a, Outcome> {
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
}

fn failed(errors: Vec<(String, Error)>) -> impl Iterator<Item = Outcome> {
    errors.into_iter().map(|(id, error)| (id, Err(error)))
}

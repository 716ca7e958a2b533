//! Reading values: twenty at a time by BatchGetSecretValue, or one by one by GetSecretValue.
//!
//! Batches are an optimisation that IAM, an endpoint or an emulator may refuse. When one fails as a
//! whole, its secrets are read one by one, and batches rest: for good if they are refused, else for
//! a few fetches. What an answer leaves out, and what was throttled while others were answered, is
//! read again one by one, so that nothing is dropped.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};

use super::answer::{fetched, payload, sort_out};
use super::error::{BatchFailure, Call};
use super::{Aws, location, slip};
use crate::backend::{BoxFuture, BoxStream, Outcome};
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::secret::Fetched;

/// How many secrets one BatchGetSecretValue takes at most.
const BATCH_SIZE: usize = 20;
/// How many calls run at once. The quotas are 100 a second for batches and 10,000 for single calls.
const MAX_CONCURRENT_CALLS: usize = 20;
/// For how many fetches batches rest after one failed as a whole for a reason that may pass.
const BATCH_REST: usize = 10;

impl Aws {
    pub(super) fn current<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        // A batch of one costs as much, counts against the smaller quota, and needs one more
        // permission.
        if ids.len() == 1 || self.reads_one_by_one() {
            return self.each(ids);
        }
        // What is no name is refused by `get`, and must not make a batch fail.
        let (slips, ids): (Vec<String>, Vec<String>) =
            ids.iter().cloned().partition(|id| slip::of_name(id).is_some());
        let batches = ids.chunks(BATCH_SIZE).map(|batch| Work::Batch(batch.to_vec()));
        self.outcomes(batches.chain(slips.into_iter().map(Work::One)).collect())
    }

    pub(super) fn each<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.outcomes(ids.iter().cloned().map(Work::One).collect())
    }

    fn outcomes(&self, work: VecDeque<Work>) -> BoxStream<'_, Outcome> {
        let state = Fetch {
            aws: self,
            work,
            running: FuturesUnordered::new(),
            max_running: MAX_CONCURRENT_CALLS,
            throttled: Vec::new(),
            any_answered: false,
            ready: Vec::new(),
        };
        Box::pin(stream::unfold(state, |mut state| async move {
            state.next().await.map(|outcome| (outcome, state))
        }))
    }

    /// The versions labelled AWSPREVIOUS, by single calls: BatchGetSecretValue only reads
    /// AWSCURRENT.
    pub(super) fn previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let calls = stream::iter(ids)
            .map(|id| async { (id.clone(), self.get(id, Some("AWSPREVIOUS")).await) });
        Box::pin(calls.buffer_unordered(MAX_CONCURRENT_CALLS))
    }

    /// The version of a secret with this staging label, AWSCURRENT if none is given.
    async fn get(&self, id: &str, stage: Option<&str>) -> Result<Fetched, Error> {
        if let Some(error) = slip::of_name(id) {
            return Err(error);
        }
        let client = self.client().await?;
        let call =
            client.get_secret_value().secret_id(id).set_version_stage(stage.map(str::to_owned));
        let output = call.customize().interceptor(self.counter.of("GetSecretValue")).send().await;
        let location = location(client);
        let call = Call { action: "GetSecretValue", id: Some(id), stage, location: &location };
        let output = output.map_err(|error| call.failed(&error))?;
        let payload = payload(output.secret_string, output.secret_binary);
        fetched(id, output.name, output.arn, output.version_id, payload)
    }

    /// Reads a batch by one call. Returns the outcomes and the ids that the answer left out.
    async fn get_batch(&self, ids: &[String]) -> Result<(Vec<Outcome>, Vec<String>), BatchFailure> {
        let client = self.client().await.map_err(BatchFailure::Unreachable)?;
        let location = location(client);
        let batch =
            Call { action: "BatchGetSecretValue", id: None, stage: None, location: &location };
        let call = client.batch_get_secret_value().set_secret_id_list(Some(ids.to_vec()));
        let call = call.customize().interceptor(self.counter.of("BatchGetSecretValue"));
        let output = call.send().await.map_err(|error| batch.failed_batch(&error))?;
        // Only answers to filters have pages.
        let mut missing = ids.to_vec();
        let mut outcomes = Vec::new();
        sort_out(output, &location, &mut missing, &mut outcomes);
        Ok((outcomes, missing))
    }

    /// Stops using batches, for good or for a while.
    fn rest_batches(&self, failure: &BatchFailure) {
        match failure {
            BatchFailure::Refused => self.batches_rest.store(usize::MAX, Ordering::Relaxed),
            // The fetch that is running does not count.
            BatchFailure::Failed => {
                let _ = self.batches_rest.compare_exchange(
                    0,
                    BATCH_REST,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
            }
            BatchFailure::Unreachable(_) => {}
        }
    }

    /// Whether this fetch reads values one by one.
    fn reads_one_by_one(&self) -> bool {
        let used =
            self.batches_rest.fetch_update(
                Ordering::Relaxed,
                Ordering::Relaxed,
                |left| match left {
                    0 | usize::MAX => None,
                    left => Some(left - 1),
                },
            );
        used.is_ok() || self.batches_rest.load(Ordering::Relaxed) == usize::MAX
    }
}

/// A call to be made.
#[derive(Debug)]
enum Work {
    Batch(Vec<String>),
    One(String),
}

/// The result of a call: outcomes, and calls to make in its place.
type Done = (Vec<Outcome>, Vec<Work>);

/// The calls of one fetch: waiting, running and answered.
struct Fetch<'a> {
    aws: &'a Aws,
    work: VecDeque<Work>,
    running: FuturesUnordered<BoxFuture<'a, Done>>,
    max_running: usize,
    /// Throttled in this round, and read again in the next.
    throttled: Vec<(String, Error)>,
    /// Whether anything was answered in this round, so that another round makes sense.
    any_answered: bool,
    ready: Vec<Outcome>,
}

impl Fetch<'_> {
    async fn next(&mut self) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.ready.pop() {
                return Some(outcome);
            }
            while self.running.len() < self.max_running
                && let Some(work) = self.work.pop_front()
            {
                self.running.push(self.aws.carry_out(work));
            }
            match self.running.next().await {
                Some((outcomes, instead)) => {
                    self.work.extend(instead);
                    outcomes.into_iter().for_each(|outcome| self.sort(outcome));
                }
                None if self.throttled.is_empty() => return None,
                None => self.next_round(),
            }
        }
    }

    fn sort(&mut self, outcome: Outcome) {
        match outcome {
            (id, Err(error)) if error.kind() == ErrorKind::Throttled => {
                self.throttled.push((id, error))
            }
            outcome => {
                self.any_answered |= outcome.1.is_ok();
                self.ready.push(outcome);
            }
        }
    }

    /// Reads again, with fewer calls at once, what was throttled while others were answered. If
    /// nothing was answered, throttling is the result.
    fn next_round(&mut self) {
        let throttled = std::mem::take(&mut self.throttled);
        if std::mem::take(&mut self.any_answered) {
            self.max_running = (self.max_running / 2).max(1);
            self.work.extend(throttled.into_iter().map(|(id, _)| Work::One(id)));
        } else {
            self.ready.extend(throttled.into_iter().map(|(id, error)| (id, Err(error))));
        }
    }
}

impl Aws {
    fn carry_out(&self, work: Work) -> BoxFuture<'_, Done> {
        async move {
            let one_by_one = |ids: Vec<String>| ids.into_iter().map(Work::One).collect();
            match work {
                Work::One(id) => {
                    let secret = self.get(&id, self.stage.as_deref()).await;
                    (vec![(id, secret)], Vec::new())
                }
                Work::Batch(ids) => match self.get_batch(&ids).await {
                    Ok((outcomes, missing)) => (outcomes, one_by_one(missing)),
                    Err(BatchFailure::Unreachable(error)) => (
                        ids.into_iter()
                            .map(|id| (id.clone(), Err(error.clone().with_secret(id))))
                            .collect(),
                        Vec::new(),
                    ),
                    Err(failure) => {
                        self.rest_batches(&failure);
                        let for_good = matches!(failure, BatchFailure::Refused);
                        events::operation_not_used("BatchGetSecretValue", for_good);
                        (Vec::new(), one_by_one(ids))
                    }
                },
            }
        }
        .boxed()
    }
}

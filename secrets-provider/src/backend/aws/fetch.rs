//! Reading values: twenty at a time by BatchGetSecretValue, or one by one by GetSecretValue.
//!
//! Batches are an optimisation that IAM, an endpoint or an emulator may refuse. When one fails as a
//! whole, its secrets are read one by one, and batches rest: for good if they are refused, else for
//! a few fetches. What an answer leaves out is read again one by one, so that nothing is dropped.
//!
//! The quota of single calls is a hundred times that of batches, so a throttled batch is not
//! repeated: single calls take its place, at a [`Pace`] that suits a fleet which does the same. Once
//! they are throttled too, both quotas are used: one call in [`SINGLES_PER_BATCH`] is a batch again.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _, future};
use tokio::time::{Instant, sleep_until};

use super::answer::{fetched, payload, sort_out, time};
use super::error::{BatchFailure, Call};
use super::pace::Pace;
use super::unretried::unretried;
use super::{Aws, location, slip};
use crate::backend::iam::Location;
use crate::backend::{BoxFuture, BoxStream, Outcome};
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::secret::Fetched;

/// How many secrets one BatchGetSecretValue takes at most.
const BATCH_SIZE: usize = 20;
/// How many previous versions are read at once.
const MAX_CONCURRENT_PREVIOUS: usize = 20;
/// Of so many first calls after a pause, one is a batch. A fifth of what the two quotas allow in
/// secrets is in batches.
const SINGLES_PER_BATCH: usize = 20;
/// The time between the batches of a refresh at the interval. Together they would be many calls in
/// one second of a quota that a whole account shares; apart, those of a fleet mix.
const BATCHES_APART: Duration = Duration::from_secs(1);
/// All of them are begun within this part of a fetch's time.
const TIME_OF_BATCHES: u32 = 4;
/// For how many fetches batches rest after one failed as a whole for a reason that may pass.
const BATCH_REST: usize = 10;

impl Aws {
    pub(super) fn current<'a>(&'a self, ids: &[String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Spacing::none())
    }

    /// The same for a refresh at the interval: its batches are some time apart, for what others call
    /// in the same second, until it is wanted.
    pub(super) fn due<'a>(
        &'a self,
        ids: &[String],
        wanted: BoxFuture<'static, ()>,
    ) -> BoxStream<'a, Outcome> {
        let batches = u32::try_from(ids.len().div_ceil(BATCH_SIZE)).unwrap_or(u32::MAX);
        let apart = BATCHES_APART.min(self.timeout / TIME_OF_BATCHES / batches.max(1));
        self.read(ids, Spacing { apart, wanted, next_batch_at: Instant::now() })
    }

    fn read<'a>(&'a self, ids: &[String], spacing: Spacing) -> BoxStream<'a, Outcome> {
        // A batch of one costs as much, counts against the smaller quota, and needs one more
        // permission.
        let patience = self.patience_to_read();
        if ids.len() == 1 || self.reads_one_by_one() {
            let mut pace = Pace::new(patience, Instant::now());
            if self.batches_rest.load(Ordering::Relaxed) != usize::MAX {
                // Batches may rest because they were throttled, and single calls may still be.
                pace.slow_down();
            }
            let work = ids.iter().cloned().map(Work::One).collect();
            return self.outcomes(work, pace, Spacing::none());
        }
        // What is no name is refused by `get`, and must not make a batch fail.
        let (slips, ids): (Vec<String>, Vec<String>) =
            ids.iter().cloned().partition(|id| slip::of_name(id).is_some());
        let batches = ids.chunks(BATCH_SIZE).map(|batch| Work::Batch(batch.to_vec()));
        let work = slips.into_iter().map(Work::One).chain(batches).collect();
        self.outcomes(work, Pace::new(patience, Instant::now()), spacing)
    }

    /// Without patience: whoever names a few secrets has a schedule for what fails.
    pub(super) fn each<'a>(&'a self, ids: &[String]) -> BoxStream<'a, Outcome> {
        let pace = Pace::new(Duration::ZERO, Instant::now());
        self.outcomes(ids.iter().cloned().map(Work::One).collect(), pace, Spacing::none())
    }

    fn outcomes(
        &self,
        work: VecDeque<Work>,
        pace: Pace,
        spacing: Spacing,
    ) -> BoxStream<'_, Outcome> {
        let state = Fetch {
            aws: self,
            work,
            repeated: if pace.is_patient() { By::Pace } else { By::Sdk },
            running: FuturesUnordered::new(),
            pace,
            spacing,
            batches_throttled: false,
            any_value: false,
            ready: Vec::new(),
        };
        Box::pin(stream::unfold(state, |mut state| async move {
            state.next().await.map(|outcome| (outcome, state))
        }))
    }

    /// The versions labelled AWSPREVIOUS, by single calls: BatchGetSecretValue only reads
    /// AWSCURRENT.
    pub(super) fn previous<'a>(&'a self, ids: &[String]) -> BoxStream<'a, Outcome> {
        let calls = stream::iter(ids.to_vec()).map(async |id| {
            let previous = self.get(&id, Some("AWSPREVIOUS"), By::Sdk).await;
            (id, previous)
        });
        Box::pin(calls.buffer_unordered(MAX_CONCURRENT_PREVIOUS))
    }

    /// The version of a secret with this staging label, AWSCURRENT if none is given.
    async fn get(&self, id: &str, stage: Option<&str>, repeated: By) -> Result<Fetched, Error> {
        if let Some(error) = slip::of_name(id) {
            return Err(error);
        }
        let client = self.client().await?;
        let call =
            client.get_secret_value().secret_id(id).set_version_stage(stage.map(str::to_owned));
        let mut call = call.customize();
        if let By::Pace = repeated {
            call = call.config_override(unretried());
        }
        let output = call.interceptor(self.counter.of("GetSecretValue")).send().await;
        let location = location(client);
        let call = Call { action: "GetSecretValue", id: Some(id), stage, location: &location };
        let output = output.map_err(|error| call.failed(&error))?;
        let made = time(output.created_date.as_ref());
        let payload = payload(output.secret_string, output.secret_binary);
        let secret = fetched(id, output.name, output.arn, output.version_id, payload);
        secret.map(|secret| secret.made_at(made))
    }

    /// Reads a batch by one call. Returns the outcomes and the ids that the answer left out.
    async fn get_batch(&self, ids: &[String]) -> Result<(Vec<Outcome>, Vec<String>), BatchFailure> {
        let client = self.client().await.map_err(BatchFailure::Unreachable)?;
        let location = location(client);
        let batch =
            Call { action: "BatchGetSecretValue", id: None, stage: None, location: &location };
        let call = client.batch_get_secret_value().set_secret_id_list(Some(ids.to_vec()));
        let call = call.customize().config_override(unretried());
        let call = call.interceptor(self.counter.of("BatchGetSecretValue"));
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
            BatchFailure::Failed | BatchFailure::Throttled => {
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

/// Who repeats a throttled call.
#[derive(Debug, Clone, Copy)]
enum By {
    Pace,
    Sdk,
}

/// A call to be made.
#[derive(Debug)]
enum Work {
    Batch(Vec<String>),
    One(String),
}

/// The result of a call: outcomes, calls to make in its place, and whether it was a batch that was
/// throttled.
#[derive(Default)]
struct Done {
    outcomes: Vec<Outcome>,
    instead: Vec<Work>,
    throttled: bool,
}

/// The time between the starts of two batches.
struct Spacing {
    apart: Duration,
    /// Ready once somebody waits for the fetch.
    wanted: BoxFuture<'static, ()>,
    next_batch_at: Instant,
}

impl Spacing {
    fn none() -> Self {
        let wanted = future::pending().boxed();
        Self { apart: Duration::ZERO, wanted, next_batch_at: Instant::now() }
    }

    /// Waits until the next batch may begin.
    async fn next(&mut self) {
        tokio::select! {
            biased;
            () = &mut self.wanted => *self = Self::none(),
            () = sleep_until(self.next_batch_at) => {}
        }
    }
}

/// The calls of one fetch: waiting, running and answered.
struct Fetch<'a> {
    aws: &'a Aws,
    work: VecDeque<Work>,
    repeated: By,
    running: FuturesUnordered<BoxFuture<'a, Done>>,
    pace: Pace,
    spacing: Spacing,
    batches_throttled: bool,
    any_value: bool,
    ready: Vec<Outcome>,
}

impl Fetch<'_> {
    async fn next(&mut self) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.ready.pop() {
                return Some(outcome);
            }
            match self.pace.resumes_at() {
                // What runs already comes first.
                Some(at) if self.running.is_empty() => {
                    if self.pace.gives_up(Instant::now()) {
                        self.give_up();
                        continue;
                    }
                    sleep_until(at).await;
                    self.pace.resume();
                    self.try_a_batch();
                }
                Some(_) => {}
                None => {
                    self.call();
                    // What is left while there is room are batches that have to wait. They do not
                    // wait for the answers of others.
                    if !self.work.is_empty() && self.running.len() < self.pace.limit() {
                        tokio::select! {
                            biased;
                            Some(done) = self.running.next() => self.done(done),
                            () = self.spacing.next() => {}
                        }
                        continue;
                    }
                }
            }
            if !self.running.is_empty() {
                let done = self.running.next().await.unwrap_or_default();
                self.done(done);
            } else if self.work.is_empty() {
                return None;
            }
        }
    }

    /// Makes the calls that may be made now.
    fn call(&mut self) {
        let now = Instant::now();
        while self.running.len() < self.pace.limit() {
            let next_batch_at = self.spacing.next_batch_at;
            let may_start = |work: &Work| matches!(work, Work::One(_)) || now >= next_batch_at;
            let Some(next) = self.work.iter().position(may_start) else { return };
            let Some(work) = self.work.remove(next) else { return };
            if let Work::Batch(_) = work {
                self.spacing.next_batch_at = now + self.spacing.apart;
            }
            self.running.push(self.aws.carry_out(work, self.repeated));
        }
    }

    fn done(&mut self, done: Done) {
        let now = Instant::now();
        if done.throttled {
            // It says nothing about the quota of single calls, but the rest of a fleet learns of it
            // at the same time.
            self.batches_throttled = true;
            self.pace.slow_down();
        }
        for (id, outcome) in done.outcomes {
            match outcome {
                Err(error) if error.kind() == ErrorKind::Throttled => {
                    self.pace.throttled(now, fastrand::f64());
                    self.work.push_back(Work::One(id));
                }
                outcome => {
                    self.pace.answered(now);
                    self.any_value |= outcome.is_ok();
                    self.ready.push((id, outcome));
                }
            }
        }
        self.work.extend(done.instead);
        // The caller need not ask for what comes after the last outcome.
        if self.any_value && self.work.is_empty() && self.running.is_empty() {
            self.aws.has_started.store(true, Ordering::Relaxed);
        }
    }

    /// Now and then, a batch is tried again in place of single calls.
    fn try_a_batch(&mut self) {
        let singles = self.work.iter().all(|work| matches!(work, Work::One(_)));
        if !self.batches_throttled
            || !singles
            || self.work.len() < 2
            || self.aws.batches_rest.load(Ordering::Relaxed) == usize::MAX
            || fastrand::usize(..SINGLES_PER_BATCH) > 0
        {
            return;
        }
        let most = self.work.len().min(BATCH_SIZE);
        let ids = self.work.drain(..most).flat_map(|work| match work {
            Work::Batch(ids) => ids,
            Work::One(id) => vec![id],
        });
        let batch = Work::Batch(ids.collect());
        self.work.push_front(batch);
    }

    /// Nothing was answered for long enough: throttling is the result, also of what was not called
    /// again.
    fn give_up(&mut self) {
        for work in std::mem::take(&mut self.work) {
            let ids = match work {
                Work::Batch(ids) => ids,
                Work::One(id) => vec![id],
            };
            self.ready.extend(ids.into_iter().map(|id| {
                let error = self.aws.throttled(&id);
                (id, Err(error))
            }));
        }
        self.pace.resume();
    }
}

impl Aws {
    fn carry_out(&self, work: Work, repeated: By) -> BoxFuture<'_, Done> {
        async move {
            let one_by_one = |ids: Vec<String>| ids.into_iter().map(Work::One).collect();
            match work {
                Work::One(id) => {
                    let secret = self.get(&id, self.stage.as_deref(), repeated).await;
                    Done { outcomes: vec![(id, secret)], ..Done::default() }
                }
                Work::Batch(ids) => match self.get_batch(&ids).await {
                    Ok((outcomes, missing)) => {
                        Done { outcomes, instead: one_by_one(missing), ..Done::default() }
                    }
                    Err(BatchFailure::Unreachable(error)) => {
                        let failed = |id: String| (id.clone(), Err(error.clone().with_secret(id)));
                        Done { outcomes: ids.into_iter().map(failed).collect(), ..Done::default() }
                    }
                    Err(failure) => {
                        self.rest_batches(&failure);
                        let for_good = matches!(failure, BatchFailure::Refused);
                        events::operation_not_used("BatchGetSecretValue", for_good);
                        let throttled = matches!(failure, BatchFailure::Throttled);
                        Done { instead: one_by_one(ids), throttled, ..Done::default() }
                    }
                },
            }
        }
        .boxed()
    }

    /// The error of a secret whose calls are throttled.
    fn throttled(&self, id: &str) -> Error {
        let location = Location::new(None, None);
        let stage = self.stage.as_deref();
        let call = Call { action: "GetSecretValue", id: Some(id), stage, location: &location };
        call.refused(Some("ThrottlingException"), None, None)
    }
}

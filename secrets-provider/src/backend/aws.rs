//! AWS Secrets Manager through the SDK: names by ListSecrets, values by BatchGetSecretValue or GetSecretValue.

mod denial;
mod failure;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretValueEntry};
use aws_smithy_runtime_api::client::http::HttpClient as _;
use aws_types::SdkConfig;
use aws_types::region::Region;
use failure::Call;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use super::{Backend, BoxFuture, BoxStream, Fetched, Outcome, Payload};
use crate::error::{Error, ErrorKind};
use crate::iam::Scope;
use crate::manager::Road;

/// The most secrets one BatchGetSecretValue takes.
const GROUP: usize = 20;
/// The most names one ListSecrets answers.
const PAGE: i32 = 100;
/// How many calls are on their way at once. The quotas are 100 a second for batches and 10,000 for single calls.
const CONCURRENT: usize = 20;
/// For how many fetches single calls stand in after a batch failed as a whole for a reason that may pass.
const REST: usize = 10;

/// How to get at AWS.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// The SDK's own configuration: environment, profile, instance metadata.
    Environment,
    Config(Box<SdkConfig>),
    Client(Client),
}

impl Access {
    /// The region that is set in the program; the environment may set another one where there is none.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Environment => None,
            Self::Config(config) => config.region().map(Region::as_ref),
            Self::Client(client) => client.config().region().map(Region::as_ref),
        }
    }
}

/// The backends in use, one for each road, for as long as the same runtime drives them.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<[Option<Connection>; 2]>);

type Connection = (tokio::runtime::Id, Arc<Aws>);

impl Connections {
    /// The backend of this road on the current runtime.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub(crate) fn backend(
        &self,
        access: &Access,
        road: Road,
        batch: bool,
        timeout: Duration,
    ) -> Arc<dyn Backend> {
        let runtime = Handle::current().id();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[usize::from(road == Road::Blocking)];
        match slot {
            Some((id, backend)) if *id == runtime => backend.clone(),
            _ => {
                let backend = Arc::new(Aws {
                    access: access.clone(),
                    road,
                    timeout,
                    client: OnceCell::new(),
                    singly: AtomicUsize::new(if batch { 0 } else { usize::MAX }),
                });
                slot.insert((runtime, backend)).1.clone()
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Aws {
    access: Access,
    road: Road,
    timeout: Duration,
    client: OnceCell<Client>,
    /// For how many more fetches values are read one by one; `MAX` is for good.
    singly: AtomicUsize,
}

impl Aws {
    async fn client(&self) -> Result<&Client, Error> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Error> {
        match &self.access {
            Access::Client(_) | Access::Config(_) if self.access.region().is_none() => Err(Error::new(
                ErrorKind::Config,
                "the given AWS configuration has no region",
            )
            .with_hint(
                "set `region` in the `SdkConfig` or client, such as with `aws_config::from_env().region(..)`",
            )),
            Access::Client(client) => Ok(self.on_this_road(client.clone())),
            Access::Config(config) => Ok(self.on_this_road(Client::new(config))),
            Access::Environment => {
                // One attempt may not use up the whole time: a server that hangs is asked again.
                let timeouts = TimeoutConfig::builder().operation_attempt_timeout(self.timeout / 3).build();
                // Pinned, so that an update of the SDK does not change retries and timeouts under our users.
                let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
                    .timeout_config(timeouts)
                    .load()
                    .await;
                if config.region().is_none() {
                    return Err(Error::new(ErrorKind::Config, "no AWS region is configured")
                        .with_hint(
                            "set AWS_REGION; the SDK also looks at AWS_DEFAULT_REGION, at `region` in the AWS profile \
                             and at the instance's metadata",
                        ));
                }
                Ok(Client::new(&config))
            }
        }
    }

    /// The client itself, or on the blocking road one with connections of its own: those in the pool of the given
    /// client stand still while their runtime is blocked. A connector that is not the SDK's own is kept, as nothing
    /// could take its place.
    fn on_this_road(&self, client: Client) -> Client {
        let pooled = client
            .config()
            .http_client()
            .is_none_or(|http| http.connector_metadata().is_some_and(|metadata| metadata.name() == "hyper"));
        if self.road == Road::Async || !pooled {
            return client;
        }
        let mut config = client.config().to_builder();
        config.set_http_client(None);
        Client::from_conf(config.build())
    }

    /// One secret's version by its label; without one, AWSCURRENT.
    async fn get(&self, id: &str, stage: Option<&str>) -> Result<Fetched, Error> {
        let client = self.client().await?;
        let call = client.get_secret_value().secret_id(id).set_version_stage(stage.map(str::to_owned));
        let output = call.send().await;
        let scope = scope(client);
        let call = Call { action: "GetSecretValue", id: Some(id), scope: &scope };
        let output = output.map_err(|error| call.failed(&error))?;
        let payload = payload(output.secret_string, output.secret_binary);
        fetched(id, output.name, output.arn, output.version_id, payload)
    }

    /// One group by one call, as outcomes; the ids that the answer left out; or why there is no answer.
    async fn get_group(&self, ids: &[String]) -> Result<(Vec<Outcome>, Vec<String>), failure::Whole> {
        let client = self.client().await.map_err(failure::Whole::Unreachable)?;
        let scope = scope(client);
        let batch = Call { action: "BatchGetSecretValue", id: None, scope: &scope };
        let mut missing = ids.to_vec();
        let mut outcomes = Vec::new();
        let mut next = None;
        loop {
            let call = client.batch_get_secret_value().set_secret_id_list(Some(ids.to_vec()));
            let output =
                call.set_next_token(next).send().await.map_err(|error| batch.failed_batch(&error))?;
            next = output.next_token.clone();
            sort_out(output, &scope, &mut missing, &mut outcomes);
            if next.is_none() {
                return Ok((outcomes, missing));
            }
        }
    }

    /// Names that start with `prefix`, up to so many pages of them.
    async fn listed(&self, prefix: &str, pages: usize) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        // Without a slash at the end, which would hide the secret named as the prefix.
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let list = client.list_secrets().filters(filter).max_results(PAGE);
        let mut answers = list.into_paginator().send();
        let mut names = Vec::new();
        for _ in 0..pages {
            let Some(page) = answers.next().await else { break };
            let scope = scope(client);
            let call = Call { action: "ListSecrets", id: None, scope: &scope };
            let secrets = page.map_err(|error| call.failed(&error))?.secret_list.unwrap_or_default();
            names.extend(secrets.into_iter().filter_map(|secret| secret.name));
        }
        Ok(names)
    }

    /// Remembers that batches do not work here, for good or for a while.
    fn rest_batches(&self, failure: &failure::Whole) {
        match failure {
            failure::Whole::Refused => self.singly.store(usize::MAX, Ordering::Relaxed),
            // The fetch that is under way does not count.
            failure::Whole::Failed => {
                let _ = self.singly.compare_exchange(0, REST, Ordering::Relaxed, Ordering::Relaxed);
            }
            failure::Whole::Unreachable(_) => {}
        }
    }

    /// Whether this fetch reads values one by one.
    fn reads_singly(&self) -> bool {
        let used = self.singly.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
            0 | usize::MAX => None,
            left => Some(left - 1),
        });
        used.is_ok() || self.singly.load(Ordering::Relaxed) == usize::MAX
    }
}

/// What a client tells of where its calls go.
fn scope(client: &Client) -> Scope {
    Scope::new(client.config().region().map(Region::as_ref), None)
}

/// Splits an answer into outcomes, and takes the ids it speaks of out of `missing`.
fn sort_out(
    output: BatchGetSecretValueOutput,
    scope: &Scope,
    missing: &mut Vec<String>,
    outcomes: &mut Vec<Outcome>,
) {
    for entry in output.secret_values.unwrap_or_default() {
        let SecretValueEntry { arn, name, version_id, secret_binary, secret_string, .. } = entry;
        let is_asked = |id: &String| asked_for(id, name.as_deref(), arn.as_deref());
        // One secret by name and by ARN is answered once.
        let ids: Vec<String> = missing.extract_if(.., |id| is_asked(id)).collect();
        let payload = payload(secret_string, secret_binary);
        for id in ids {
            let secret = fetched(&id, name.clone(), arn.clone(), version_id.clone(), payload.clone());
            outcomes.push((id, secret));
        }
    }
    for error in output.errors.unwrap_or_default() {
        let Some(about) = error.secret_id() else { continue };
        for id in missing
            .extract_if(.., |id| id == about || id.starts_with("arn:") && asked_for(id, None, Some(about)))
        {
            let call = Call { action: "GetSecretValue", id: Some(&id), scope };
            let why = call.refused(error.error_code(), error.message(), None);
            outcomes.push((id, Err(why)));
        }
    }
}

/// Whether an id, a name or an ARN with or without its random ending, asks for this secret.
fn asked_for(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    let partial =
        |arn: &str| arn.strip_prefix(id).is_some_and(|rest| rest.len() == 7 && rest.starts_with('-'));
    name == Some(id) || arn == Some(id) || id.starts_with("arn:") && arn.is_some_and(partial)
}

fn payload(
    text: Option<String>,
    binary: Option<aws_sdk_secretsmanager::primitives::Blob>,
) -> Option<Payload> {
    text.map(Payload::text).or_else(|| binary.map(|blob| Payload::binary(blob.into_inner())))
}

fn fetched(
    id: &str,
    name: Option<String>,
    arn: Option<String>,
    version_id: Option<String>,
    payload: Option<Payload>,
) -> Result<Fetched, Error> {
    let (Some(name), Some(version_id)) = (name, version_id) else {
        let message = format!("the answer for secret `{id}` lacks its name or version id");
        return Err(Error::new(ErrorKind::Unavailable, message).with_secret(id));
    };
    let Some(payload) = payload else {
        return Err(Error::new(ErrorKind::NotFound, format!("secret `{id}` has no value"))
            .with_secret(id)
            .with_hint("put a value into it: `aws secretsmanager put-secret-value`"));
    };
    let secret = Fetched::new(name, version_id, payload);
    Ok(match arn {
        Some(arn) => secret.with_arn(arn),
        None => secret,
    })
}

impl Backend for Aws {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.listed(prefix, usize::MAX).boxed()
    }

    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.listed(prefix, 1).boxed()
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let work = match self.reads_singly() {
            true => ids.iter().cloned().map(Work::One).collect(),
            false => ids.chunks(GROUP).map(|group| Work::Group(group.to_vec())).collect(),
        };
        let state = Fetch { aws: self, work, running: FuturesUnordered::new(), ready: Vec::new() };
        Box::pin(stream::unfold(state, |mut state| async move {
            state.next().await.map(|outcome| (outcome, state))
        }))
    }

    /// By single calls: BatchGetSecretValue reads AWSCURRENT alone.
    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let calls =
            stream::iter(ids).map(|id| async { (id.clone(), self.get(id, Some("AWSPREVIOUS")).await) });
        Box::pin(calls.buffer_unordered(CONCURRENT))
    }
}

/// A call to be made.
#[derive(Debug)]
enum Work {
    Group(Vec<String>),
    One(String),
}

/// What a call came to: outcomes, and calls to be made in its place.
type Done = (Vec<Outcome>, Vec<Work>);

/// The calls of one fetch: some waiting, some on their way, some answered.
struct Fetch<'a> {
    aws: &'a Aws,
    work: VecDeque<Work>,
    running: FuturesUnordered<BoxFuture<'a, Done>>,
    ready: Vec<Outcome>,
}

impl Fetch<'_> {
    async fn next(&mut self) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.ready.pop() {
                return Some(outcome);
            }
            while self.running.len() < CONCURRENT
                && let Some(work) = self.work.pop_front()
            {
                self.running.push(self.aws.carry_out(work));
            }
            let (outcomes, instead) = self.running.next().await?;
            self.ready = outcomes;
            self.work.extend(instead);
        }
    }
}

impl Aws {
    fn carry_out(&self, work: Work) -> BoxFuture<'_, Done> {
        async move {
            let singly = |ids: Vec<String>| ids.into_iter().map(Work::One).collect();
            match work {
                Work::One(id) => {
                    let secret = self.get(&id, None).await;
                    (vec![(id, secret)], Vec::new())
                }
                Work::Group(ids) => match self.get_group(&ids).await {
                    // What the answer says nothing of is asked for by itself: nothing is dropped.
                    Ok((outcomes, missing)) => (outcomes, singly(missing)),
                    Err(failure::Whole::Unreachable(error)) => (
                        ids.into_iter().map(|id| (id.clone(), Err(error.clone().with_secret(id)))).collect(),
                        Vec::new(),
                    ),
                    Err(failure) => {
                        self.rest_batches(&failure);
                        tracing::debug!(
                            target: crate::TARGET,
                            operation = "BatchGetSecretValue",
                            for_good = matches!(failure, failure::Whole::Refused),
                            "reading secrets one by one instead"
                        );
                        (Vec::new(), singly(ids))
                    }
                },
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer leaves out stays with those that are asked for singly; a secret that is asked for by name and by
    /// ARN is answered under both.
    #[test]
    fn an_answer_is_sorted_out_and_what_it_lacks_is_kept() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf";
        let value =
            SecretValueEntry::builder().name("a").arn(arn).version_id("v1").secret_string("x").build();
        let error = aws_sdk_secretsmanager::types::ApiErrorType::builder();
        let error = error.secret_id("b").error_code("ResourceNotFoundException").build();
        let answer = BatchGetSecretValueOutput::builder().secret_values(value).errors(error).build();
        let mut missing: Vec<String> = ["a", arn, "b", "left-out"].map(str::to_owned).into();
        let mut outcomes = Vec::new();
        sort_out(answer, &Scope::new(None, None), &mut missing, &mut outcomes);
        assert_eq!(missing, ["left-out"]);
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(id, outcome)| (id.as_str(), outcome.as_ref().err().map(Error::kind)))
            .collect();
        assert_eq!(outcomes, [("a", None), (arn, None), ("b", Some(ErrorKind::NotFound))]);
    }

    #[test]
    fn an_id_asks_for_a_secret_by_name_arn_or_partial_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b-AbCdEf";
        for (id, yes) in [
            ("a/b", true),
            (arn, true),
            (arn.strip_suffix("-AbCdEf").expect("a suffix"), true),
            ("arn:aws:secretsmanager:us-east-1:123456789012:secret:a", false),
            ("a", false),
            ("a/b-AbCdEf", false),
        ] {
            assert_eq!(asked_for(id, Some("a/b"), Some(arn)), yes, "{id}");
        }
    }
}

//! AWS Secrets Manager through the SDK: names by ListSecrets, values by BatchGetSecretValue or GetSecretValue.

mod answer;
mod calls;
mod denied;
mod error;
mod rotation;
mod variables;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use aws_smithy_runtime_api::client::http::HttpClient as _;
use aws_types::SdkConfig;
use aws_types::region::Region;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

pub(crate) use variables::Variables;

use answer::{fetched, payload, sort_out};
use calls::Counter;
use error::Call;
use rotation::Windows;

use super::{Backend, BoxFuture, BoxStream, Outcome, RotationWindow, Runtime};
use crate::backend::iam::Scope;
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::observe::status::Calls;
use crate::secret::Fetched;

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
    /// The SDK's own configuration: environment, profile, instance metadata; and what a `.env` file adds.
    Environment(Box<Variables>),
    Config(Box<SdkConfig>),
    Client(Client),
}

impl Access {
    /// The region that the program sets, or `.env` alone; where there is none, the SDK finds it elsewhere.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Environment(variables) => variables.region(),
            Self::Config(config) => config.region().map(Region::as_ref),
            Self::Client(client) => client.config().region().map(Region::as_ref),
        }
    }
}

/// Which operations are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// BatchGetSecretValue, where it is allowed.
    pub(crate) batch: bool,
    /// DescribeSecret, where it is allowed.
    pub(crate) describe: bool,
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
        road: Runtime,
        manner: Manner,
        timeout: Duration,
    ) -> Arc<dyn Backend> {
        let runtime = Handle::current().id();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut slots[usize::from(road == Runtime::Worker)];
        match slot {
            Some((id, backend)) if *id == runtime => backend.clone(),
            _ => {
                let backend = Arc::new(Aws {
                    access: access.clone(),
                    road,
                    timeout,
                    client: OnceCell::new(),
                    singly: AtomicUsize::new(if manner.batch { 0 } else { usize::MAX }),
                    describes: AtomicBool::new(manner.describe),
                    counter: Counter::default(),
                    windows: Windows::default(),
                });
                slot.insert((runtime, backend)).1.clone()
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Aws {
    access: Access,
    road: Runtime,
    timeout: Duration,
    client: OnceCell<Client>,
    /// For how many more fetches values are read one by one; `MAX` is for good.
    singly: AtomicUsize,
    /// Whether DescribeSecret is wanted, and has not been denied.
    describes: AtomicBool,
    counter: Counter,
    windows: Windows,
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
            Access::Environment(variables) => {
                // One attempt may not use up the whole time: a server that hangs is asked again.
                let timeouts = TimeoutConfig::builder().operation_attempt_timeout(self.timeout / 3).build();
                // Pinned, so that an update of the SDK does not change retries and timeouts under our users.
                let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
                let config = variables.hand_over(loader).load().await;
                if config.region().is_none() {
                    return Err(Error::new(ErrorKind::Config, "no AWS region is configured")
                        .with_hint(
                            "set AWS_REGION; the SDK also looks at AWS_DEFAULT_REGION, at `region` in the AWS profile \
                             and at the instance's metadata",
                        ));
                }
                Ok(variables.client(&config))
            }
        }
    }

    /// The client itself, or on the blocking road one with connections of its own: those in the pool of the given
    /// client stand still while their runtime is blocked. A connector that is not the SDK's own is kept, as nothing
    /// could take its place.
    fn on_this_road(&self, client: Client) -> Client {
        let pooled = client.config().http_client().is_none_or(|http| {
            http.connector_metadata().is_some_and(|metadata| metadata.name() == "hyper")
        });
        if self.road == Runtime::Caller || !pooled {
            return client;
        }
        let mut config = client.config().to_builder();
        config.set_http_client(None);
        Client::from_conf(config.build())
    }

    /// One secret's version by its label; without one, AWSCURRENT.
    async fn get(&self, id: &str, stage: Option<&str>) -> Result<Fetched, Error> {
        let client = self.client().await?;
        let call =
            client.get_secret_value().secret_id(id).set_version_stage(stage.map(str::to_owned));
        let output = call.customize().interceptor(self.counter.of("GetSecretValue")).send().await;
        let scope = scope(client);
        let call = Call { action: "GetSecretValue", id: Some(id), scope: &scope };
        let output = output.map_err(|error| call.failed(&error))?;
        let payload = payload(output.secret_string, output.secret_binary);
        fetched(id, output.name, output.arn, output.version_id, payload)
    }

    /// One group by one call, as outcomes; the ids that the answer left out; or why there is no answer.
    async fn get_group(&self, ids: &[String]) -> Result<(Vec<Outcome>, Vec<String>), error::Whole> {
        let client = self.client().await.map_err(error::Whole::Unreachable)?;
        let scope = scope(client);
        let batch = Call { action: "BatchGetSecretValue", id: None, scope: &scope };
        let call = client.batch_get_secret_value().set_secret_id_list(Some(ids.to_vec()));
        let call = call.customize().interceptor(self.counter.of("BatchGetSecretValue"));
        let output = call.send().await.map_err(|error| batch.failed_batch(&error))?;
        // Pages are for filters alone; what an answer leaves out is asked for singly.
        let mut missing = ids.to_vec();
        let mut outcomes = Vec::new();
        sort_out(output, &scope, &mut missing, &mut outcomes);
        Ok((outcomes, missing))
    }

    /// Names that start with `prefix`, up to so many pages of them.
    async fn listed(&self, prefix: &str, pages: usize) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let scope = scope(client);
        // Without a slash at the end, which would hide the secret named as the prefix.
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let mut names = Vec::new();
        let mut token = None;
        for _ in 0..pages {
            let list = client.list_secrets().filters(filter.clone()).max_results(PAGE);
            let list = list.set_next_token(token.clone()).customize();
            let answer = list.interceptor(self.counter.of("ListSecrets")).send().await;
            let call = Call { action: "ListSecrets", id: None, scope: &scope };
            let page = answer.map_err(|error| call.failed(&error))?;
            for secret in page.secret_list.unwrap_or_default() {
                let Some(name) = secret.name else { continue };
                let (next, rules) = (secret.next_rotation_date, secret.rotation_rules);
                let window =
                    rotation::window(secret.rotation_enabled, next.as_ref(), rules.as_ref());
                self.windows.note(&name, window);
                names.push(name);
            }
            // A token that comes again would be an endless list.
            if page.next_token.is_none() || page.next_token == token {
                break;
            }
            token = page.next_token;
        }
        Ok(names)
    }

    /// When a secret rotates next, by DescribeSecret: nothing, if that is denied, which then is not tried again.
    async fn described(&self, id: &str) -> Option<RotationWindow> {
        if !self.describes.load(Ordering::Relaxed) {
            return None;
        }
        let client = self.client().await.ok()?;
        let describe = client.describe_secret().secret_id(id).customize();
        let answer = describe.interceptor(self.counter.of("DescribeSecret")).send().await;
        let scope = scope(client);
        let call = Call { action: "DescribeSecret", id: Some(id), scope: &scope };
        match answer {
            Ok(secret) => rotation::window(
                secret.rotation_enabled,
                secret.next_rotation_date.as_ref(),
                secret.rotation_rules.as_ref(),
            ),
            Err(error) => {
                if call.failed(&error).kind() == ErrorKind::AccessDenied {
                    self.describes.store(false, Ordering::Relaxed);
                    events::operation_not_used("DescribeSecret", true);
                }
                None
            }
        }
    }

    /// Remembers that batches do not work here, for good or for a while.
    fn rest_batches(&self, failure: &error::Whole) {
        match failure {
            error::Whole::Refused => self.singly.store(usize::MAX, Ordering::Relaxed),
            // The fetch that is under way does not count.
            error::Whole::Failed => {
                let _ = self.singly.compare_exchange(0, REST, Ordering::Relaxed, Ordering::Relaxed);
            }
            error::Whole::Unreachable(_) => {}
        }
    }

    /// Whether this fetch reads values one by one.
    fn reads_singly(&self) -> bool {
        let used =
            self.singly.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
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
        let state = Fetch {
            aws: self,
            work,
            running: FuturesUnordered::new(),
            at_once: CONCURRENT,
            throttled: Vec::new(),
            answered: false,
            ready: Vec::new(),
        };
        Box::pin(stream::unfold(state, |mut state| async move {
            state.next().await.map(|outcome| (outcome, state))
        }))
    }

    fn calls(&self) -> Calls {
        self.counter.calls()
    }

    /// Of listed secrets as the listing told it; of others as DescribeSecret does, one after the other: there is no
    /// hurry, and once it is denied there are no more calls.
    fn rotation_windows<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        async move {
            let mut windows = BTreeMap::new();
            for id in ids {
                let window = match self.windows.of(id) {
                    Some(listed) => listed,
                    None => self.described(id).await,
                };
                windows.extend(window.map(|window| (id.clone(), window)));
            }
            windows
        }
        .boxed()
    }

    /// By single calls: BatchGetSecretValue reads AWSCURRENT alone.
    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let calls = stream::iter(ids)
            .map(|id| async { (id.clone(), self.get(id, Some("AWSPREVIOUS")).await) });
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
    /// How many may be on their way.
    at_once: usize,
    /// What was throttled in this round. It is asked for again in the next one.
    throttled: Vec<(String, Error)>,
    /// Something was answered in this round, so that another one is not in vain.
    answered: bool,
    ready: Vec<Outcome>,
}

impl Fetch<'_> {
    async fn next(&mut self) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.ready.pop() {
                return Some(outcome);
            }
            while self.running.len() < self.at_once
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
                self.answered |= outcome.1.is_ok();
                self.ready.push(outcome);
            }
        }
    }

    /// Asks again, and more slowly, for what was throttled while others were answered; if none was, that is the answer.
    fn next_round(&mut self) {
        let throttled = std::mem::take(&mut self.throttled);
        if std::mem::take(&mut self.answered) {
            self.at_once = (self.at_once / 2).max(1);
            self.work.extend(throttled.into_iter().map(|(id, _)| Work::One(id)));
        } else {
            self.ready.extend(throttled.into_iter().map(|(id, error)| (id, Err(error))));
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
                    Err(error::Whole::Unreachable(error)) => (
                        ids.into_iter()
                            .map(|id| (id.clone(), Err(error.clone().with_secret(id))))
                            .collect(),
                        Vec::new(),
                    ),
                    Err(failure) => {
                        self.rest_batches(&failure);
                        let for_good = matches!(failure, error::Whole::Refused);
                        events::operation_not_used("BatchGetSecretValue", for_good);
                        (Vec::new(), singly(ids))
                    }
                },
            }
        }
        .boxed()
    }
}

//! AWS Secrets Manager through the SDK: names by ListSecrets, values by BatchGetSecretValue or
//! GetSecretValue.
//!
//! `connect` makes the client, with `connections` of its own, `listing` finds names, `fetch` reads
//! values, both at a `pace` that quotas allow and with so much `patience`, `answer` and `error`
//! turn the SDK's types into ours (the SDK's errors quote whole responses, so none is passed on),
//! `rotation` keeps the dates that listings report, `write` has the calls that rotate a secret,
//! `variables` hands over what only a `.env` file sets, `setup` names a slip in the SDK's variables
//! and files (`values` and `profile` say what they look like), `failover` reads a replica in
//! another region while the first gives no answer, `route` knows the proxies, `unreached` and
//! `unanswered` say why a call got no answer, `quiet` drops a warning that says less. `ssm` is a
//! store of its own with the same client set-up. One [`Aws`] belongs to one tokio runtime, which
//! drives its connections.

mod answer;
mod calls;
mod connect;
mod connections;
mod denied;
mod error;
mod failover;
mod fetch;
mod https;
mod listing;
mod pace;
mod patience;
mod profile;
mod quiet;
mod rotation;
mod route;
mod setup;
mod slip;
#[cfg(feature = "ssm")]
mod ssm;
mod unanswered;
mod unreached;
mod unretried;
mod values;
mod variables;
mod write;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
#[cfg(feature = "sqs")]
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
#[cfg(feature = "sqs")]
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::SdkConfig;
use aws_types::region::Region;
use futures_util::FutureExt as _;
use tokio::sync::OnceCell;

#[cfg(feature = "ssm")]
pub use ssm::ParameterStore;
pub(crate) use variables::Variables;

use calls::Counter;
use error::Call;
use failover::Regions;
use rotation::RotationDates;
use values::region_slip;

use super::store::{Options, Store};
use super::{Backend, BoxFuture, BoxStream, Outcome, RotationWindow, Writer};
use crate::backend::iam::Location;
use crate::env::bad;
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::observe::status::Calls;

/// How figment's errors and others name this store.
const NAME: &str = "AWS Secrets Manager";

/// How long a staging label may be
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).
const STAGE_LENGTH: RangeInclusive<usize> = 1..=256;

/// Where the client's settings come from.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// The SDK's own configuration (environment, profile, instance metadata), and what a `.env`
    /// file adds.
    Environment(Box<Variables>),
    Config(Box<SdkConfig>),
    Client(Client),
}

impl Store for Access {
    fn connect(&self, options: Options) -> Result<Arc<dyn Backend>, Error> {
        if options.stage.as_deref().is_some_and(|label| !STAGE_LENGTH.contains(&label.len())) {
            let message = "the staging label to read is empty or longer than 256 bytes";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("give `.stage(..)` a label that the secrets have, such as `blue`"));
        }
        let Some(region) = options.replica.clone() else {
            return Ok(Arc::new(Aws::new(self, options)));
        };
        let replica = Aws::new(&self.in_region(&region)?, options.clone());
        let timeout = options.timeout;
        Ok(Arc::new(Regions::new(Aws::new(self, options), replica, region, timeout)))
    }

    fn sdk_client(&self, options: Options) -> BoxFuture<'_, Result<Client, Error>> {
        let aws = Aws::new(self, options);
        async move { aws.client().await.cloned() }.boxed()
    }

    fn sdk_config(&self) -> BoxFuture<'_, Result<SdkConfig, Error>> {
        async move {
            match self {
                Self::Environment(variables) => connect::loaded(variables, None).await,
                Self::Config(config) => Ok(SdkConfig::clone(config)),
                Self::Client(_) => {
                    let message = "a client of Secrets Manager is no AWS configuration";
                    Err(Error::new(ErrorKind::Config, message).with_hint(
                        "give `Push` a client too, by `Push::client(..)`, or the manager an \
                         `SdkConfig`, by `.aws_config(..)`",
                    ))
                }
            }
        }
        .boxed()
    }

    #[cfg(feature = "sqs")]
    fn endpoint_of(&self, service: &str) -> Option<&str> {
        match self {
            Self::Environment(variables) => variables.endpoint_of(service),
            Self::Config(_) | Self::Client(_) => None,
        }
    }

    /// The region that the program or only `.env` sets. Otherwise the SDK finds it elsewhere.
    fn region(&self) -> Option<&str> {
        match self {
            Self::Environment(variables) => variables.region(),
            Self::Config(config) => config.region().map(Region::as_ref),
            Self::Client(client) => client.config().region().map(Region::as_ref),
        }
    }

    #[cfg(feature = "figment")]
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> &str {
        "AWS"
    }
}

impl Access {
    /// The same access to another region. Credentials that the SDK finds itself are looked for with
    /// that region's services.
    fn in_region(&self, region: &str) -> Result<Self, Error> {
        if let Some(expected) = region_slip(region) {
            return Err(bad("the region of `.or_region(..)`", expected));
        }
        if region.is_empty() {
            return Err(bad("the region of `.or_region(..)`", "a region such as `eu-west-1`"));
        }
        if self.region() == Some(region) {
            let message = "the region of `.or_region(..)` is the one that is read first";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("give the region of the replicas, such as `eu-west-1`"));
        }
        let other = Region::new(region.to_owned());
        Ok(match self {
            Self::Environment(variables) => {
                Self::Environment(Box::new(variables.in_region(region)))
            }
            Self::Config(config) => {
                let config = SdkConfig::clone(config).into_builder().region(other).build();
                Self::Config(Box::new(config))
            }
            Self::Client(client) => {
                let config = client.config().to_builder().region(other).build();
                Self::Client(Client::from_conf(config))
            }
        })
    }
}

#[derive(Debug)]
pub(crate) struct Aws {
    access: Access,
    timeout: Duration,
    /// The staging label of the versions to read, if it is not AWSCURRENT.
    stage: Option<Arc<str>>,
    client: OnceCell<Client>,
    /// For how many more fetches values are read one by one; `MAX` is for good.
    batches_rest: AtomicUsize,
    /// Whether the first fetch with a result is patient while calls are throttled.
    awaits_quota: bool,
    /// Whether throttling has to be known before a replica is asked.
    has_replica: bool,
    /// How many milliseconds the last listing took.
    listing_took: AtomicU64,
    /// Whether a fetch has brought values, and not given up.
    has_started: AtomicBool,
    /// Whether DescribeSecret is wanted and has not been denied.
    describes: AtomicBool,
    counter: Counter,
    rotation_dates: RotationDates,
}

impl Aws {
    fn new(access: &Access, options: Options) -> Self {
        Self {
            access: access.clone(),
            timeout: options.timeout,
            batches_rest: AtomicUsize::new(if options.batches() { 0 } else { usize::MAX }),
            awaits_quota: options.awaits_quota,
            has_replica: options.replica.is_some(),
            listing_took: AtomicU64::new(0),
            has_started: AtomicBool::new(false),
            stage: options.stage,
            client: OnceCell::new(),
            describes: AtomicBool::new(options.describe),
            counter: Counter::default(),
            rotation_dates: RotationDates::default(),
        }
    }

    /// When a secret rotates next, by DescribeSecret. Once that is denied, it is not called again.
    async fn described(&self, id: &str) -> Option<RotationWindow> {
        if !self.describes.load(Ordering::Relaxed) {
            return None;
        }
        let client = self.client().await.ok()?;
        let describe = client.describe_secret().secret_id(id).customize();
        let answer = describe.interceptor(self.counter.of("DescribeSecret")).send().await;
        let location = location(client);
        let call =
            Call { action: "DescribeSecret", id: Some(id), stage: None, location: &location };
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
}

/// The error of a call of another service, if it got no answer; such as `sqs`, as its endpoints are
/// named.
#[cfg(feature = "sqs")]
pub(crate) fn without_answer<E>(
    service: &'static str,
    action: &str,
    region: Option<&str>,
    error: &SdkError<E, HttpResponse>,
) -> Option<Error>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let location = Location::new(region, None).of_service(service);
    let call = Call { action, id: None, stage: None, location: &location };
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => None,
        error => Some(call.failed(error)),
    }
}

/// Where a client's calls go, as far as it knows.
fn location(client: &Client) -> Location {
    Location::new(client.config().region().map(Region::as_ref), None)
}

impl Backend for Aws {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.listed(prefix).boxed()
    }

    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.some_listed(prefix).boxed()
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.current(ids)
    }

    fn fetch_due<'a>(
        &'a self,
        ids: &'a [String],
        wanted: BoxFuture<'static, ()>,
    ) -> BoxStream<'a, Outcome> {
        self.due(ids, wanted)
    }

    fn fetch_each<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.each(ids)
    }

    fn calls(&self) -> Calls {
        self.counter.calls()
    }

    /// From the last listing, or else by DescribeSecret, one secret after the other: nothing waits
    /// for the answers, and once a call is denied there are no more.
    fn rotation_windows<'a>(
        &'a self,
        ids: &'a [String],
    ) -> BoxFuture<'a, BTreeMap<String, RotationWindow>> {
        async move {
            let mut windows = BTreeMap::new();
            for id in ids {
                let window = match self.rotation_dates.of(id) {
                    Some(listed) => listed,
                    None => self.described(id).await,
                };
                windows.extend(window.map(|window| (id.clone(), window)));
            }
            windows
        }
        .boxed()
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.previous(ids)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }

    fn store_name(&self) -> &str {
        NAME
    }

    fn timeout_hint(&self) -> &str {
        "check network, proxy and, in a VPC, the interface endpoint"
    }

    fn nothing_listed_hint(&self) -> &str {
        "check prefix, region and account; a secret created in the last five minutes may not be \
         listed yet"
    }
}

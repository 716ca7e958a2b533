//! [`ParameterStore`]: parameters of AWS Systems Manager as secrets.
//!
//! `read` makes the calls, at the pace that `quota` allows, `names` knows which parameter a name
//! means, `values` turns parameters into secrets, `policy` writes the policy, and `error` words
//! what failed. The client is made as that of Secrets Manager is, by `connect`.

mod error;
mod names;
mod policy;
mod quota;
mod read;
mod values;

use std::fmt;
use std::sync::Arc;

use aws_sdk_ssm::Client;
use aws_types::SdkConfig;
use tokio::sync::OnceCell;

use quota::Quota;

use super::calls::Counter;
use super::connect::panicked;
use super::connections::per_runtime;
use super::{Access, Variables};
use crate::backend::iam::Location;
use crate::backend::store::Store as _;
use crate::backend::{Backend, BoxFuture, BoxStream, Outcome};
use crate::error::{Error, ErrorKind};
use crate::observe::status::Calls;
use crate::unwind;

/// Parameters of AWS Systems Manager Parameter Store: feature `ssm`.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Settings;
/// # async fn main_() -> Result<(), secrets_provider::Error> {
/// use std::time::Duration;
/// use secrets_provider::{Live, ParameterStore, SecretsManager};
///
/// let manager = SecretsManager::prefix("gaara/prod").backend(ParameterStore::new());
/// let settings: Live<Settings> =
///     Live::builder(manager).refresh_every(Duration::from_secs(900)).start().await?;
/// # Ok(()) }
/// ```
///
/// - **Names**: `gaara/prod/database` is the parameter `/gaara/prod/database`: a name with a slash
///   gets one at its start, if it has none. So one description serves both stores. Neither ARNs nor
///   versions or labels (`name:3`) are names here.
/// - **Values**: `String` and `SecureString`, decrypted, are text, read as a secret's text is: a
///   JSON object becomes a table. `StringList` is a sequence of text.
/// - **Versions** are AWS's numbers, with the time of the change, because numbers start again at 1
///   after a deletion. [`with_previous`](crate::SecretsManager::with_previous) reads the number
///   before.
/// - **Quota**: by default, an account has 40 calls a second in each region for all its readers.
///   This store makes 30 of them at most, after ten at once. Names are listed ten a call, values
///   are read ten a call: 100 parameters are ten calls, and ten more when names are listed. Choose
///   an [interval](crate::LiveBuilder::refresh_every) that your replicas can afford, or turn on
///   AWS's higher throughput, which costs.
/// - **Rights**: [`iam_policy`](crate::SecretsManager::iam_policy) prints them. Who may read a path
///   may read everything below it, whatever an explicit denial further down says.
/// - **Secrets** by `/aws/reference/secretsmanager/…` are refused: read the secret itself.
///
/// Clones share the client until one is changed by a setter.
#[derive(Clone)]
#[must_use]
pub struct ParameterStore {
    from: From,
    core: Arc<Core>,
}

/// Where the client comes from.
#[derive(Clone)]
enum From {
    Access(Access),
    Client(Client),
}

/// What clones share.
#[derive(Default)]
struct Core {
    client: OnceCell<Client>,
    counter: Counter,
    quota: Quota,
}

impl Default for ParameterStore {
    fn default() -> Self {
        Self::new()
    }
}

impl ParameterStore {
    /// With the SDK's own configuration: region, credentials, profile and endpoint
    /// (`AWS_ENDPOINT_URL_SSM`) as for Secrets Manager. Nothing is called before the first fetch.
    pub fn new() -> Self {
        Self::from(From::Access(Access::Environment(Box::<Variables>::default())))
    }

    fn from(from: From) -> Self {
        Self { from, core: Arc::default() }
    }

    /// Uses this SDK configuration, as
    /// [`SecretsManager::aws_config`](crate::SecretsManager::aws_config) does.
    pub fn aws_config(self, config: &SdkConfig) -> Self {
        Self::from(From::Access(Access::Config(Box::new(config.clone()))))
    }

    /// Uses the settings of this client. Each runtime has connections of its own, as with
    /// [`SecretsManager::client`](crate::SecretsManager::client).
    pub fn client(self, client: Client) -> Self {
        Self::from(From::Client(client))
    }

    async fn connected(&self) -> Result<&Client, Error> {
        self.core.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Error> {
        let mut config = match &self.from {
            From::Client(client) => client.config().to_builder(),
            From::Access(access) => {
                let config = access.sdk_config().await?;
                let made = unwind::catch(|| aws_sdk_ssm::config::Builder::from(&config));
                made.map_err(panicked)?
            }
        };
        let is_placed = match &self.from {
            From::Client(client) => client.config().region().is_some(),
            From::Access(access) => {
                access.region().is_some() || matches!(access, Access::Environment(_))
            }
        };
        if !is_placed {
            let message = "the given AWS configuration has no region";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("set `region` in the `SdkConfig` or client"));
        }
        let http = config.clone().build().http_client();
        config.set_http_client(per_runtime(http));
        Ok(Client::from_conf(config.build()))
    }
}

/// Where calls go, as far as a client knows.
fn location(client: &Client) -> Location {
    let region = client.config().region();
    Location::new(region.map(aws_types::region::Region::as_ref), None)
}

impl fmt::Debug for ParameterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match &self.from {
            From::Access(Access::Environment(_)) => "the SDK's own",
            From::Access(_) => "given",
            From::Client(_) => "of a client",
        };
        f.debug_struct("ParameterStore").field("configuration", &from).finish_non_exhaustive()
    }
}

impl Backend for ParameterStore {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(self.listed(prefix, read::MAX_PAGES))
    }

    /// By one call.
    fn list_some<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(self.listed(prefix, 1))
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.current(ids)
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.previous(ids)
    }

    fn calls(&self) -> Calls {
        self.core.counter.calls()
    }

    fn policy(&self, prefix: Option<&str>, ids: &[String]) -> Option<String> {
        let region = match &self.from {
            From::Access(access) => access.region().map(str::to_owned),
            From::Client(client) => client.config().region().map(ToString::to_string),
        };
        Some(policy::json(&Location::of_process(region.as_deref()), prefix, ids))
    }

    fn store_name(&self) -> &str {
        "AWS Parameter Store"
    }

    fn timeout_hint(&self) -> &str {
        "check network, proxy and, in a VPC, the interface endpoint of Systems Manager"
    }

    fn nothing_listed_hint(&self) -> &str {
        "check prefix, region and account: `aws ssm get-parameters-by-path --recursive --path /PREFIX`"
    }
}

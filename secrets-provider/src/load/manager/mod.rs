//! [`SecretsManager`]: which secrets, from which store, under which rules; and the fetch.
//!
//! A description that is changed by its setters, all of them through [`SecretsManager::change`],
//! and then used: `fetch` here, `live` in `live/builder`, a figment provider in `adapters`. Clones
//! share the connections that were made for them until one is changed.

mod description;
mod from_env;
mod one;
mod permissions;
mod select;
mod sources;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

#[cfg(feature = "aws")]
use crate::backend::aws;
use crate::backend::store::{self, Given, Options};
use crate::backend::{self, Backend};
use crate::error::Error;
use crate::load::blocking;
use crate::load::fetch::{Failures, Fetcher, Known, Scope};
use crate::load::notify::Notifier;
use crate::load::plan::{Choice, Selection};
use crate::load::snapshot::Snapshot;
use crate::observe::events::WarnOnce;

use description::Described;
pub(crate) use description::Description;
pub use sources::Sources;

/// How long one whole fetch may take unless [`SecretsManager::timeout`] says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest duration that a setting may have, so that no deadline overflows the clock.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which secrets to load, from where, and under which rules.
///
/// This is a description: nothing is read before [`fetch`](Self::fetch),
/// [`fetch_blocking`](Self::fetch_blocking), [`live`](Self::live), or a merge into a `Figment`.
/// Each secret becomes a key: below the prefix `gaara/prod`, the secret `gaara/prod/api-keys/clerk`
/// is the key `api_keys.clerk`. A JSON object becomes a table there, and anything else stays text.
///
/// Without [`client`](Self::client), [`aws_config`](Self::aws_config) or
/// [`backend`](Self::backend), it uses the SDK's own configuration: the default credential chain,
/// `AWS_REGION`, `AWS_ENDPOINT_URL` and so on.
///
/// ```no_run
/// use figment::{Figment, providers::Env};
/// use secrets_provider::{Dotenv, FigmentExt as _, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: secrecy::SecretString }
///
/// let settings: Settings = Figment::new()
///     .merge(Dotenv::file(".env"))
///     .merge(Env::raw())
///     .merge(SecretsManager::prefix("gaara/prod"))
///     .settings()?;
/// # Ok::<(), secrets_provider::Error>(())
/// ```
///
/// # As a figment provider (feature `figment`)
///
/// - **Profile**: none is selected. The secrets are in the `default` profile unless `profile` sets
///   another. figment lays a *selected* profile over `default` in whichever order they are merged,
///   so with `Figment::select("prod")` a `[prod]` section of a file overrides secrets that are
///   merged after it. To have the secrets on top, put them into that profile or into `global`.
/// - **Metadata**: the name of the store, such as `AWS Secrets Manager`. An error about a key that
///   a secret defines names the secret and its version.
/// - **Data**: fetched at each merge by a blocking call that works inside and outside of every
///   runtime: see [`fetch_blocking`](Self::fetch_blocking). In async code, prefer `fetch().await`
///   and merge the [`Snapshot`].
///
/// figment's own `extract` prints values in its errors (`found string "…"`);
/// [`FigmentExt::settings`](crate::FigmentExt), [`Snapshot::extract`],
/// [`Layers::extract`](crate::Layers::extract) and [`Live`](crate::Live) do not.
#[cfg_attr(feature = "config", doc = include_str!("../../../docs/config-rs.md"))]
#[derive(Clone)]
#[must_use]
pub struct SecretsManager(Described);

impl SecretsManager {
    /// Every secret below a prefix, and the secret whose name is the prefix itself, which must hold
    /// a JSON object and merges at the root. `gaara/prod` never selects `gaara/production`; a
    /// trailing `/` changes nothing.
    ///
    /// Names are found by `ListSecrets`, which IAM cannot restrict to a prefix; with
    /// [`only`](Self::only), nothing is listed. A listing may lag five minutes behind
    /// ([`ListSecrets`](https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html)).
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::new(Selection::Prefix { prefix: prefix.into(), only: None })
    }

    /// Exactly these secrets, each by name or ARN; each must exist. A name maps by its whole path
    /// (`a/b-c` is the key `a.b_c`), an ARN by the name that AWS returns with it, and a secret that
    /// is given twice counts once. The only permission needed is `GetSecretValue`.
    pub fn names<I, S>(names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let names = names.into_iter().map(Into::into).collect();
        Self::new(Selection::Names { names, only: false })
    }

    fn new(selection: Selection) -> Self {
        let options = Options {
            batch: true,
            describe: false,
            timeout: DEFAULT_TIMEOUT,
            awaits_quota: true,
            stage: None,
            replica: None,
        };
        let choice = Choice::new(selection);
        let store = store::default();
        Self(Described::new(Description {
            choice,
            interval: None,
            own_interval: None,
            source_name: None,
            environment: None,
            store,
            options,
        }))
    }

    /// The manager with a changed description. Every setter is a call of this.
    pub(crate) fn change(mut self, change: impl FnOnce(&mut Description)) -> Self {
        self.0.change(change);
        self
    }

    /// Whether a start waits while all its calls are throttled.
    pub(crate) fn awaits_quota(self, awaits: bool) -> Self {
        self.change(|what| what.options.awaits_quota = awaits)
    }

    /// Whether values are read by `BatchGetSecretValue`, twenty at a time; on by default. If IAM or
    /// the endpoint refuses that call, single `GetSecretValue` calls replace it, and it is not
    /// tried again. Set `false` for emulators and policies where even the attempt is unwanted. Only
    /// concerns AWS.
    pub fn batch(self, batch: bool) -> Self {
        self.change(|what| what.options.batch = batch)
    }

    /// Reads the versions with this staging label instead of `AWSCURRENT`: for a canary, a
    /// blue-green deployment or a test, where some replicas try a value that the others don't have
    /// yet. `update-secret-version-stage` moves a label; a [`Live`](crate::Live) then has the other
    /// version at its next refresh.
    ///
    /// Every selected secret needs a version with the label, unless it is
    /// [`optional`](Self::optional). [`with_previous`](Self::with_previous) reads `AWSPREVIOUS` in
    /// any case. `BatchGetSecretValue` only reads `AWSCURRENT`, so each secret costs a
    /// `GetSecretValue` call, for which the policy needs nothing more. Another
    /// [`backend`](Self::backend) has no labels: a fetch fails with `Config`.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Settings;
    /// # async fn main_() -> Result<(), secrets_provider::Error> {
    /// use secrets_provider::{Live, SecretsManager};
    ///
    /// let settings: Live<Settings> =
    ///     SecretsManager::prefix("gaara/prod").stage("blue").live().await?;
    /// # Ok(()) }
    /// ```
    pub fn stage(self, label: impl Into<String>) -> Self {
        let label = Some(label.into()).filter(|label| label != "AWSCURRENT");
        self.change(|what| what.options.stage = label.map(Into::into))
    }

    /// Whether a [`Live`](crate::Live) calls `DescribeSecret` to learn when each secret rotates
    /// next, so that it reads more often at that time ([when](crate::operations#when-it-looks));
    /// off by default, because it needs one more permission. It is called after the start and after
    /// each new version, and no longer once it is denied. It is not needed for secrets below a
    /// listed prefix, because `ListSecrets` reports their dates. Only concerns AWS.
    pub fn rotation_windows(self, describe: bool) -> Self {
        self.change(|what| what.options.describe = describe)
    }

    /// Whether the values of a start ([`fetch`](Self::fetch) or [`live`](Self::live)) are logged in
    /// one line: `secrets_fetched` with their number, and the names and versions of the first
    /// hundred. Off by default: each value is a line, `secret_fetched`, as an audit trail should
    /// have it. With it, those lines are at DEBUG. New versions that come later are logged one by
    /// one in any case.
    pub fn one_line_start(self, one_line: bool) -> Self {
        self.change(|what| what.choice.one_line_start = one_line)
    }

    /// The limit for one whole fetch: loading configuration and credentials, listing, reading,
    /// retries. Default 30 s, at most a year. Secrets that have not come by then count as
    /// unavailable; [`Live`](crate::Live) goes on with the others.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|what| what.options.timeout = timeout.min(MAX_DURATION))
    }

    /// Reads the replicas of the secrets in this region while the first region gives no answer: it
    /// cannot be reached, answers too late, or fails. A secret that is denied there, absent, or
    /// throttled is an answer.
    ///
    /// The first region has a third of [`timeout`](Self::timeout) for its first answer. After that,
    /// each fetch is one of the replicas, and half a minute later the next one tries the first
    /// region again, for a tenth of the timeout. All values of a fetch are of one region, previous
    /// ones too. Names, endings of ARNs and version ids are the same in both regions, so nothing
    /// changes in the settings unless a secret has rotated. A replica that lags behind never brings
    /// back a version that was replaced, and a secret that has no replica keeps its last good value.
    ///
    /// [`Status::failover`](crate::Status::failover), the events `region_failed_over` and
    /// `region_returned`, and the gauge `secrets_failover` say which region is read.
    /// [`iam_policy`](Self::iam_policy) has both. Only AWS has replicas, and they are read-only:
    /// rotations go to the first region. An endpoint that is set by hand, such as by
    /// `AWS_ENDPOINT_URL`, is used for both; if it is a host of AWS, such as that of a VPC endpoint,
    /// the first fetch fails with `Config`, because such a host only serves its own region.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Settings;
    /// # async fn main_() -> Result<(), secrets_provider::Error> {
    /// use secrets_provider::{Live, SecretsManager};
    ///
    /// let settings: Live<Settings> =
    ///     SecretsManager::prefix("gaara/prod").or_region("eu-west-1").live().await?;
    /// # Ok(()) }
    /// ```
    pub fn or_region(self, region: impl Into<String>) -> Self {
        self.change(|what| what.options.replica = Some(region.into().into()))
    }

    /// How often a [`Live`](crate::Live) refreshes these secrets, where
    /// [several sources](Self::and) have intervals of their own. By default, the interval is that
    /// of [`LiveBuilder::refresh_every`](crate::LiveBuilder::refresh_every), which this overrides.
    /// Zero counts as a millisecond, and more than a year as a year.
    pub fn refresh_every(self, interval: Duration) -> Self {
        let interval = interval.clamp(Duration::from_millis(1), MAX_DURATION);
        self.change(|what| what.own_interval = Some(interval))
    }

    /// What errors, explanations and the status call these secrets, where there are
    /// [several sources](Self::and). By default it is the prefix, or the first name and the number
    /// of the others.
    pub fn source_name(self, name: impl Into<String>) -> Self {
        self.change(|what| what.source_name = Some(name.into()))
    }

    /// Reads from another store instead of AWS: a [`Directory`](crate::Directory),
    /// [`Memory`](crate::Memory), or one of your own.
    pub fn backend<B: Backend>(self, backend: B) -> Self {
        self.change(|what| what.store = Arc::new(Given::new(backend)))
    }

    /// Fetches the secrets.
    ///
    /// # Errors
    ///
    /// If any selected secret cannot be read or placed: one error that lists every failure, most
    /// severe first. [`optional`](Self::optional) and [`fallback_to_env`](Self::fallback_to_env)
    /// allow exceptions. `Config` if the description is contradictory or no region is configured;
    /// `NotFound` also if there is no secret below a prefix; `Rejected` if the backend panics.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, which the SDK needs for its timers; see
    /// [`fetch_blocking`](Self::fetch_blocking).
    pub async fn fetch(&self) -> Result<Snapshot, Error> {
        self.fetch_here().await
    }

    /// Fetches the secrets and blocks the calling thread: outside a runtime, in `spawn_blocking`,
    /// or inside a runtime (where it blocks that runtime's thread; prefer [`fetch`](Self::fetch)
    /// there).
    ///
    /// A thread with a runtime of its own does the work, so the caller's runtime is not involved. A
    /// client that was given by [`client`](Self::client) or [`aws_config`](Self::aws_config) has
    /// connections of its own there, too, but its credentials provider is shared: one that
    /// refreshes over connections of the blocked runtime (container credentials) can stall until
    /// its own timeout.
    ///
    /// # Errors
    ///
    /// Those of [`fetch`](Self::fetch).
    pub fn fetch_blocking(&self) -> Result<Snapshot, Error> {
        let manager = self.clone();
        blocking::run(async move { manager.fetch_here().await })?
    }

    async fn fetch_here(&self) -> Result<Snapshot, Error> {
        Self::fetch_by(&self.fetcher()?).await
    }

    /// One fetch of all that this reader selects.
    pub(super) async fn fetch_by(fetcher: &Fetcher) -> Result<Snapshot, Error> {
        let start = Instant::now();
        let result = fetcher.read(&Scope::everything(), &Known::default()).await?;
        Failures::default().log(&result, false);
        if let Some(error) = result.fatal_error() {
            return Err(fetcher.with_suggestions(error, start).await);
        }
        let secrets = result.secrets();
        fetcher.log_first(secrets.iter());
        let fallback = result.fallback_error();
        let snapshot =
            fetcher.snapshot(&secrets).map_err(|error| error.beside(fallback.clone()))?;
        fetcher.warn_of_fallback(&result);
        Ok(snapshot.missing(fallback))
    }

    /// The reader of the secrets, for one fetch or many.
    pub(crate) fn fetcher(&self) -> Result<Fetcher, Error> {
        let Description { choice, options, .. } = self.description();
        let plan = choice.plan()?;
        let backend: Arc<dyn Backend> = match plan.off {
            true => Arc::new(backend::Memory::new()),
            false => self.0.backend()?,
        };
        Ok(Fetcher::new(backend, plan, options.timeout, self.warn_once().clone()))
    }

    /// The options that the setters changed.
    pub(crate) fn description(&self) -> &Description {
        self.0.description()
    }

    /// The flags of one-time warnings, which clones share.
    pub(crate) fn warn_once(&self) -> &Arc<WarnOnce> {
        self.0.warn_once()
    }

    /// Who hears of a secret that this program changed: all that serve secrets of this manager.
    pub(crate) fn notifier(&self) -> &Notifier {
        self.0.notifier()
    }

    /// The name of the store, for users.
    #[cfg(feature = "figment")]
    pub(crate) fn store_name(&self) -> &str {
        self.description().store.name()
    }
}

#[cfg(feature = "aws")]
impl SecretsManager {
    /// Uses this SDK configuration: its region, credentials, endpoint, timeouts and retries. Its
    /// HTTP client is used as [`client`](Self::client) says.
    pub fn aws_config(self, config: &aws_types::SdkConfig) -> Self {
        let access = aws::Access::Config(Box::new(config.clone()));
        self.change(|what| what.store = Arc::new(access))
    }

    /// Uses the settings of this client: its region, credentials, endpoint, HTTP client, timeouts
    /// and retries. A pooled connection is driven by the runtime that opened it, so each runtime
    /// that this manager is used in has connections of its own: a client that was made or used in
    /// one runtime serves another, even while the first is blocked or not driven. A connector that
    /// is not the SDK's own is used as it is.
    pub fn client(self, client: aws_sdk_secretsmanager::Client) -> Self {
        self.change(|what| what.store = Arc::new(aws::Access::Client(client)))
    }
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description {
            choice,
            interval,
            own_interval,
            source_name,
            environment,
            store,
            options,
        } = self.description();
        f.debug_struct("SecretsManager")
            .field("choice", choice)
            .field("interval", interval)
            .field("own_interval", own_interval)
            .field("source_name", source_name)
            .field("environment", environment)
            .field("batch", &options.batch)
            .field("describe", &options.describe)
            .field("timeout", &options.timeout)
            .field("stage", &options.stage)
            .field("replica", &options.replica)
            .field("store", &store.kind())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! What to load, from where and how: the builder, and the fetch it stands for.

mod from_env;
mod permissions;
mod select;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

#[cfg(feature = "aws")]
use crate::backend::aws;
use crate::backend::{self, Backend, Runtime};
use crate::error::Error;
use crate::load::blocking;
use crate::load::fetch::{Fetcher, Known, Scope};
use crate::load::plan::{Choice, Selection};
use crate::load::snapshot::Snapshot;
use crate::observe::events::{self, WarnOnce};

/// How long one whole fetch may take unless [`SecretsManager::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest duration that a setting may have, so that no deadline overflows the clock.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which secrets to load, from where, and under which rules.
///
/// A description: nothing is read before [`fetch`](Self::fetch), [`fetch_blocking`](Self::fetch_blocking),
/// [`live`](Self::live), or a merge into a `Figment`. Each secret becomes a key: `gaara/prod/api-keys/clerk` below
/// the prefix `gaara/prod` is the key `api_keys.clerk`, a JSON object becomes a table there, anything else stays
/// the text it is.
///
/// Without [`client`](Self::client), [`aws_config`](Self::aws_config) or [`backend`](Self::backend) it uses the
/// SDK's own configuration: the default credential chain, `AWS_REGION`, `AWS_ENDPOINT_URL` and so on.
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
/// - **Profile**: none is selected. The secrets are in the `default` profile unless `profile` says
///   otherwise, which has a price: figment lays a *selected* profile over `default` whatever the order of the
///   merges, so with `Figment::select("prod")` a `[prod]` section of a file outranks secrets merged after it. Put the
///   secrets into that profile, or into `global`, to have them on top.
/// - **Metadata**: `AWS Secrets Manager`; an error for a key that a secret gave names the secret and its version.
/// - **Data**: fetched anew at each merge, in a blocking way that is safe in and out of every runtime: see
///   [`fetch_blocking`](Self::fetch_blocking). In async code, prefer `fetch().await` and merge the [`Snapshot`].
///
/// figment's own `extract` prints values in its errors (`found string "…"`); [`FigmentExt::settings`](crate::FigmentExt),
/// [`Snapshot::extract`], [`Layers::extract`](crate::Layers::extract) and [`Live`] do not.
#[cfg_attr(feature = "config", doc = include_str!("../../../docs/config-rs.md"))]
#[derive(Clone)]
#[must_use]
pub struct SecretsManager {
    pub(crate) choice: Choice,
    pub(crate) interval: Option<Duration>,
    pub(crate) warn_once: Arc<WarnOnce>,
    batch: bool,
    describe: bool,
    store: Store,
    timeout: Duration,
    #[cfg(feature = "aws")]
    connections: Arc<aws::Connections>,
}

#[derive(Debug, Clone)]
enum Store {
    #[cfg(feature = "aws")]
    Aws(aws::Access),
    #[cfg(not(feature = "aws"))]
    Missing,
    /// With the name of its type.
    Given(Arc<dyn Backend>, &'static str),
}

impl SecretsManager {
    /// Every secret below a prefix, and the one named as the prefix itself, which must hold a JSON object and
    /// merges at the root. `gaara/prod` never selects `gaara/production`; a trailing `/` changes nothing.
    ///
    /// Names are found by `ListSecrets`, which IAM cannot restrict to a prefix; with [`only`](Self::only) nothing is
    /// listed. AWS says that a listing may lag five minutes behind
    /// ([`ListSecrets`](https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html)).
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::new(Selection::Prefix { prefix: prefix.into(), only: None })
    }

    /// Exactly these secrets, by name or ARN, mixed at will; each must exist. A name maps by its whole path
    /// (`a/b-c` is the key `a.b_c`), an ARN by the name that AWS returns with it, and a secret given twice counts
    /// once. `GetSecretValue` is all the permission it takes.
    pub fn names<I, S>(names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let names = names.into_iter().map(Into::into).collect();
        Self::new(Selection::Names { names, only: false })
    }

    fn new(selection: Selection) -> Self {
        Self {
            choice: Choice::new(selection),
            interval: None,
            warn_once: Arc::default(),
            batch: true,
            describe: false,
            #[cfg(feature = "aws")]
            store: Store::Aws(aws::Access::Environment(Box::default())),
            #[cfg(not(feature = "aws"))]
            store: Store::Missing,
            timeout: TIMEOUT,
            #[cfg(feature = "aws")]
            connections: Arc::default(),
        }
    }

    /// Whether values are read by `BatchGetSecretValue`, twenty at a time; on by default. Where IAM or the endpoint
    /// refuses that call, single `GetSecretValue` calls take its place by themselves, and the refusal is remembered.
    /// `false` is for emulators and policies where even the attempt is unwanted. Concerns AWS alone.
    pub fn batch(mut self, batch: bool) -> Self {
        self.batch = batch;
        self.reconnect()
    }

    /// Whether a [`Live`](crate::Live) asks `DescribeSecret` when each secret is to rotate next, so that it looks oftener while that is
    /// expected ([when](crate::operations#when-it-looks)); off by default, as it is one more permission. It is asked after
    /// the start, after each new version, and no more once it is denied. Secrets that are found by listing a prefix need
    /// it not: `ListSecrets` tells their dates by the way. Concerns AWS alone.
    pub fn rotation_windows(mut self, describe: bool) -> Self {
        self.describe = describe;
        self.reconnect()
    }

    /// Bounds one whole fetch: loading configuration and credentials, listing, reading, retries. Default 30 s.
    /// What has not come by then counts as unavailable; [`Live`](crate::Live) goes ahead with what has. At most a year.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_DURATION);
        self.reconnect()
    }

    /// Forgets connections that a clone of this description may have made under other settings.
    #[allow(unused_mut, reason = "without AWS there are none")]
    fn reconnect(mut self) -> Self {
        #[cfg(feature = "aws")]
        {
            self.connections = Arc::default();
        }
        self.anew()
    }

    /// Another description than before: what was said of that one is said anew.
    fn anew(mut self) -> Self {
        self.warn_once = Arc::default();
        self
    }

    /// Reads from another store in place of AWS: a [`Directory`](crate::Directory), [`Memory`](crate::Memory), or one
    /// of yours.
    pub fn backend<B: Backend>(mut self, backend: B) -> Self {
        self.store = Store::Given(Arc::new(backend), std::any::type_name::<B>());
        self.anew()
    }

    /// Fetches the secrets.
    ///
    /// # Errors
    ///
    /// If any selected secret cannot be read or placed: one error that lists every failure, gravest first. See
    /// [`optional`](Self::optional) and [`fallback_to_env`](Self::fallback_to_env) for what is none.
    /// `Config` if the description itself makes no sense, or no region is configured; `NotFound` also if a prefix
    /// selects nothing at all.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, which the SDK needs for its timers; see [`fetch_blocking`](Self::fetch_blocking).
    pub async fn fetch(&self) -> Result<Snapshot, Error> {
        self.fetch_on(Runtime::Caller).await
    }

    /// Fetches the secrets, blocking the calling thread: outside a runtime, in `spawn_blocking`, or inside a
    /// runtime (where it holds up that thread; prefer [`fetch`](Self::fetch) there).
    ///
    /// The work is done by one thread of its own with a runtime of its own, so no runtime around the caller is
    /// touched. A pooled connection is driven by the runtime that opened it, so a client given by
    /// [`client`](Self::client) or [`aws_config`](Self::aws_config) is used with its settings, but with a fresh
    /// HTTP client of the SDK's default kind in place of its own one. Its credentials provider is shared: one that
    /// refreshes over connections of the blocked runtime (container credentials) can stall until its own timeout.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub fn fetch_blocking(&self) -> Result<Snapshot, Error> {
        let manager = self.clone();
        blocking::run(async move { manager.fetch_on(Runtime::Worker).await })?
    }

    async fn fetch_on(&self, runtime: Runtime) -> Result<Snapshot, Error> {
        let start = Instant::now();
        let fetcher = self.fetcher(runtime)?;
        let result = fetcher.read(&Scope::everything(), &Known::default()).await;
        result.log();
        if let Some(error) = result.fatal_error() {
            return Err(fetcher.with_suggestions(error, start).await);
        }
        let secrets = result.secrets();
        for secret in &secrets {
            events::secret_fetched(secret.name(), secret.version_id(), true);
        }
        let fallback = result.fallback_error();
        let snapshot =
            fetcher.snapshot(&secrets).map_err(|error| error.beside(fallback.clone()))?;
        fetcher.warn_of_fallback(&result);
        Ok(snapshot.missing(fallback))
    }

    /// What reads the secrets, once or again and again.
    pub(crate) fn fetcher(&self, runtime: Runtime) -> Result<Fetcher, Error> {
        let plan = self.choice.plan()?;
        let backend: Arc<dyn Backend> = match &self.store {
            _ if plan.off => Arc::new(backend::Memory::new()),
            Store::Given(backend, _) => backend.clone(),
            #[cfg(feature = "aws")]
            Store::Aws(access) => {
                let manner = aws::Manner { batch: self.batch, describe: self.describe };
                self.connections.backend(access, runtime, manner, self.timeout)
            }
            #[cfg(not(feature = "aws"))]
            Store::Missing => {
                let _ = runtime;
                return Err(Error::new(
                    crate::error::ErrorKind::Config,
                    "there is no backend to read secrets from",
                )
                .with_hint("enable the feature `aws`, or give one with `.backend(..)`"));
            }
        };
        Ok(Fetcher::new(backend, plan, self.timeout, self.warn_once.clone()))
    }
}

#[cfg(feature = "aws")]
impl SecretsManager {
    /// Uses this SDK configuration: its region, credentials, endpoint, timeouts and retries.
    pub fn aws_config(mut self, config: &aws_types::SdkConfig) -> Self {
        self.store = Store::Aws(aws::Access::Config(Box::new(config.clone())));
        self.reconnect()
    }

    /// Uses this client as it is; for blocking calls, see [`fetch_blocking`](Self::fetch_blocking).
    pub fn client(mut self, client: aws_sdk_secretsmanager::Client) -> Self {
        self.store = Store::Aws(aws::Access::Client(client));
        self.reconnect()
    }
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = match &self.store {
            #[cfg(feature = "aws")]
            Store::Aws(_) => "AWS".to_owned(),
            #[cfg(not(feature = "aws"))]
            Store::Missing => "none".to_owned(),
            // Its own `Debug` is the user's, and may show what it holds.
            Store::Given(_, name) => (*name).to_owned(),
        };
        f.debug_struct("SecretsManager")
            .field("choice", &self.choice)
            .field("interval", &self.interval)
            .field("batch", &self.batch)
            .field("describe", &self.describe)
            .field("timeout", &self.timeout)
            .field("store", &store)
            .finish_non_exhaustive()
    }
}

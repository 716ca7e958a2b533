//! What to load, from where and how: the builder, and the fetch it stands for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

#[cfg(feature = "aws")]
use crate::backend::aws;
use crate::backend::{Backend, Fetched};
use crate::blocking;
use crate::error::{Error, ErrorKind};
use crate::fetch::{Plan, Source};
use crate::iam::{self, Needs, Scope};
use crate::live::Live;
use crate::mapping::{self, Mapping, Rename};
use crate::snapshot::Snapshot;

/// How long one whole fetch may take unless [`SecretsManager::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

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
/// use secrets_provider::{Dotenv, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: String }
///
/// let settings: Settings = Figment::new()
///     .merge(Dotenv::file(".env"))
///     .merge(Env::raw())
///     .merge(SecretsManager::prefix("gaara/prod"))
///     .extract()?;
/// # Ok::<(), figment::Error>(())
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
/// figment's own `extract` prints values in its errors (`found string "…"`); [`Snapshot::extract`],
/// [`Layers::extract`](crate::Layers::extract) and [`Live`] do not.
#[cfg_attr(feature = "config", doc = include_str!("source.md"))]
#[derive(Clone)]
pub struct SecretsManager {
    selection: Selection,
    renames: Vec<(String, String)>,
    previous: Vec<String>,
    batch: bool,
    store: Store,
    timeout: Duration,
    #[cfg(feature = "aws")]
    connections: Arc<aws::Connections>,
    #[cfg(feature = "figment")]
    pub(crate) figment: crate::provider::State,
}

#[derive(Debug, Clone)]
enum Selection {
    Prefix { prefix: String, only: Option<Vec<String>> },
    Names { names: Vec<String>, only: bool },
}

#[derive(Debug, Clone)]
enum Store {
    #[cfg(feature = "aws")]
    Aws(aws::Access),
    #[cfg(not(feature = "aws"))]
    Missing,
    Given(Arc<dyn Backend>),
}

/// Whose thread a fetch runs on: a client's connections are driven by the runtime that opened them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    Async,
    Blocking,
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
            selection,
            renames: Vec::new(),
            previous: Vec::new(),
            batch: true,
            #[cfg(feature = "aws")]
            store: Store::Aws(aws::Access::Environment),
            #[cfg(not(feature = "aws"))]
            store: Store::Missing,
            timeout: TIMEOUT,
            #[cfg(feature = "aws")]
            connections: Arc::default(),
            #[cfg(feature = "figment")]
            figment: crate::provider::State::default(),
        }
    }

    /// With a prefix: these secrets below it and no others, by their names below the prefix (`""` is the one named
    /// as the prefix). Each must exist. Nothing is listed, so `GetSecretValue` is all the permission it takes.
    pub fn only<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        match &mut self.selection {
            Selection::Prefix { only, .. } => {
                only.get_or_insert_default().extend(names.into_iter().map(Into::into));
            }
            Selection::Names { only, .. } => *only = true,
        }
        self
    }

    /// Places a secret at a dotted key path of your choice; `""` is the root, where only a JSON object has a place.
    /// The name is meant below the prefix, where there is one. One capture may stand in both, and stands for a part
    /// of a name that has no `/`; exact names are tried before patterns.
    ///
    /// ```
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("pazpaz/db", "{}"); memory.put("pazpaz/encryption-key-v1", "k1");
    /// let snapshot = SecretsManager::prefix("pazpaz")
    ///     .rename("db", "database")
    ///     .rename("encryption-key-v{n}", "encryption_keys.{n}")
    ///     .backend(memory)
    ///     .fetch_blocking()?;
    /// let paths: Vec<_> = snapshot.secrets().iter().map(|secret| secret.key_path()).collect();
    /// assert_eq!(paths, ["database", "encryption_keys.1"]);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn rename(mut self, name: impl Into<String>, key_path: impl Into<String>) -> Self {
        self.renames.push((name.into(), key_path.into()));
        self
    }

    /// For these secrets, also reads the version labelled AWSPREVIOUS, for [`Rotating`](crate::Rotating) fields: by name
    /// below the prefix, or by name or ARN as given to [`names`](Self::names). Costs a `GetSecretValue` call each,
    /// whenever the secrets are read.
    ///
    /// ```
    /// # use secrets_provider::{Memory, Rotating, SecretsManager};
    /// #[derive(serde::Deserialize)]
    /// struct Secrets { jwt_secret: Rotating<String> }
    ///
    /// let memory = Memory::new();
    /// memory.put("app/jwt-secret", "old");
    /// memory.put("app/jwt-secret", "new");
    /// let snapshot =
    ///     SecretsManager::prefix("app").with_previous(["jwt-secret"]).backend(memory).fetch_blocking()?;
    /// let secrets: Secrets = snapshot.extract()?;
    /// assert_eq!(secrets.jwt_secret.current, "new");
    /// assert_eq!(secrets.jwt_secret.previous.as_deref(), Some("old"));
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn with_previous<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.previous.extend(names.into_iter().map(Into::into));
        self
    }

    /// Whether values are read by `BatchGetSecretValue`, twenty at a time; on by default. Where IAM or the endpoint
    /// refuses that call, single `GetSecretValue` calls take its place by themselves, and the refusal is remembered.
    /// `false` is for emulators and policies where even the attempt is unwanted. Concerns AWS alone.
    pub fn batch(mut self, batch: bool) -> Self {
        self.batch = batch;
        self.reconnect()
    }

    /// Bounds one whole fetch: loading configuration and credentials, listing, reading, retries. Default 30 s.
    /// What has not come by then counts as unavailable; what has come is used.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.reconnect()
    }

    /// Forgets connections that a clone of this description may have made under other settings.
    #[allow(unused_mut, reason = "without AWS there are none")]
    fn reconnect(mut self) -> Self {
        #[cfg(feature = "aws")]
        {
            self.connections = Arc::default();
        }
        self
    }

    /// Reads from a store of yours in place of AWS, such as [`Memory`](crate::Memory).
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.store = Store::Given(Arc::new(backend));
        self
    }

    /// Fetches the secrets.
    ///
    /// # Errors
    ///
    /// If any selected secret cannot be read or placed: one error that lists every failure, gravest first.
    /// `Config` if the description itself makes no sense, or no region is configured; `NotFound` also if a prefix
    /// selects nothing at all.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, which the SDK needs for its timers; see [`fetch_blocking`](Self::fetch_blocking).
    pub async fn fetch(&self) -> Result<Snapshot, Error> {
        self.fetch_on(Road::Async).await
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
        blocking::run(async move { manager.fetch_on(Road::Blocking).await })?
    }

    /// Fetches the secrets, merges them over the environment and `.env`, and keeps the result current in the
    /// background: [`Live::builder`] with its defaults.
    ///
    /// # Errors
    ///
    /// As [`LiveBuilder::start`](crate::LiveBuilder::start).
    pub async fn live<T>(self) -> Result<Live<T>, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        Live::builder(self).start().await
    }

    /// The least IAM policy that serves this very description, as JSON: to be attached to the role that the program
    /// runs as.
    ///
    /// - `GetSecretValue` on the secrets that are named, or on what is at and below the prefix;
    /// - `BatchGetSecretValue`, unless [`batch`](Self::batch) is off: it may be left out, at the price of one call a
    ///   secret (IAM knows it on `*` alone, and each secret takes `GetSecretValue` all the same);
    /// - `ListSecrets`, only for a prefix without [`only`](Self::only) (IAM knows it on `*` alone);
    /// - `kms:Decrypt` by any key of the account, but through Secrets Manager alone (`kms:ViaService`), and for these
    ///   secrets alone. It matters where secrets have customer managed keys, which only AWS knows; otherwise leave it
    ///   out. A key of another account must also allow it in its own policy.
    ///
    /// The region is that of [`client`](Self::client) or [`aws_config`](Self::aws_config), else `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`; the account is `AWS_ACCOUNT_ID`, as none of the others tells it. What is not known is `*`.
    /// It is the policy for AWS whatever [`backend`](Self::backend) stands in for it, and allows nothing where the
    /// description makes no sense.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let policy = SecretsManager::prefix("gaara/prod").only(["database"]).batch(false).iam_policy();
    /// assert!(policy.contains("secret:gaara/prod/database-??????"));
    /// assert!(!policy.contains("ListSecrets"));
    /// ```
    pub fn iam_policy(&self) -> String {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let region = match &self.store {
            #[cfg(feature = "aws")]
            Store::Aws(access) => access.region().map(str::to_owned),
            _ => None,
        };
        let region = region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let scope = Scope::new(region.as_deref(), variable("AWS_ACCOUNT_ID").as_deref());
        let needs = |needs| iam::policy(&scope, needs, self.batch);
        match self.plan() {
            Ok(Plan { ids: Some(ids), .. }) => needs(Needs::Secrets(&ids)),
            Ok(Plan { mapping: Mapping { prefix: Some(prefix), .. }, .. }) => needs(Needs::Prefix(&prefix)),
            _ => needs(Needs::Secrets(&[])),
        }
    }

    async fn fetch_on(&self, road: Road) -> Result<Snapshot, Error> {
        let start = Instant::now();
        let source = self.source(road)?;
        match source.read(&[]).await.complete() {
            Ok(secrets) => self.assemble(&secrets),
            Err(error) => Err(source.advised(error, start).await),
        }
    }

    /// What was read as one snapshot.
    pub(crate) fn assemble(&self, secrets: &[Fetched]) -> Result<Snapshot, Error> {
        let snapshot = Snapshot::assemble(secrets, &self.plan()?.mapping)?;
        #[cfg(feature = "figment")]
        let snapshot = snapshot.profile(self.figment.profile());
        Ok(snapshot)
    }

    /// What reads the secrets, once or again and again.
    pub(crate) fn source(&self, road: Road) -> Result<Source, Error> {
        let plan = self.plan()?;
        let backend = match &self.store {
            Store::Given(backend) => backend.clone(),
            #[cfg(feature = "aws")]
            Store::Aws(access) => self.connections.backend(access, road, self.batch, self.timeout),
            #[cfg(not(feature = "aws"))]
            Store::Missing => {
                let _ = road;
                return Err(Error::new(ErrorKind::Config, "there is no backend to read secrets from")
                    .with_hint("enable the feature `aws`, or give one with `.backend(..)`"));
            }
        };
        Ok(Source::new(backend, plan, self.timeout))
    }

    fn plan(&self) -> Result<Plan, Error> {
        let config = |message: String| Error::new(ErrorKind::Config, message);
        let renames =
            self.renames.iter().map(|(from, to)| Rename::parse(from, to)).collect::<Result<_, _>>()?;
        match &self.selection {
            Selection::Prefix { prefix, only } => {
                let prefix = mapping::trimmed(prefix);
                if prefix.is_empty() {
                    return Err(config(
                        "the prefix is empty, which would select every secret of the account".into(),
                    )
                    .with_hint(
                        "name a prefix such as `gaara/prod`, or the secrets themselves with `names`",
                    ));
                }
                let mapping = Mapping { prefix: Some(prefix.to_owned()), renames };
                let full = |name: &String| match name.trim_matches('/') {
                    "" => prefix.to_owned(),
                    name => format!("{prefix}/{name}"),
                };
                let below = |names: &[String]| names.iter().map(full).collect::<Vec<_>>();
                let ids = only.as_ref().map(|only| below(only));
                Ok(Plan { mapping, ids, previous: below(&self.previous) })
            }
            Selection::Names { only: true, .. } => {
                Err(config("`only` picks secrets below a prefix, but these are given by name".into())
                    .with_hint("leave `only` out, or start from `SecretsManager::prefix(..)`"))
            }
            Selection::Names { names, .. } if names.iter().any(String::is_empty) => {
                Err(config("one of the names is empty".into()).with_hint("give each secret's name or ARN"))
            }
            Selection::Names { names, .. } => Ok(Plan {
                mapping: Mapping { prefix: None, renames },
                ids: Some(names.clone()),
                previous: self.previous.clone(),
            }),
        }
    }
}

#[cfg(feature = "aws")]
impl SecretsManager {
    /// Uses this SDK configuration: its region, credentials, endpoint, timeouts and retries.
    pub fn aws_config(mut self, config: &aws_types::SdkConfig) -> Self {
        self.store = Store::Aws(aws::Access::Config(Box::new(config.clone())));
        self.reconnect()
    }

    /// Uses this client as it is; in the blocking road, see [`fetch_blocking`](Self::fetch_blocking).
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
            Store::Given(backend) => format!("{backend:?}"),
        };
        f.debug_struct("SecretsManager")
            .field("selection", &self.selection)
            .field("renames", &self.renames)
            .field("previous", &self.previous)
            .field("batch", &self.batch)
            .field("timeout", &self.timeout)
            .field("store", &store)
            .finish_non_exhaustive()
    }
}

//! From a description of the secrets to a live value.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, Stream};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Live;
use crate::LayerStack;
use crate::TARGET;
use crate::backend::{BoxFuture, BoxStream, Fetched};
use crate::engine::schedule::{Budget, Schedule};
use crate::engine::trigger::{self, Trigger};
use crate::engine::{self, Candidate, Ways};
use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::layers::Layers;
use crate::layers::explain::{self, Explanation};
use crate::layers::stack::{Merged, Sealed};
use crate::load::manager::{LONGEST, Road, SecretsManager};
use crate::load::snapshot::Snapshot;

/// How often settings are refreshed unless [`LiveBuilder::refresh_every`] says otherwise.
const INTERVAL: Duration = Duration::from_secs(300);

/// How long a probe may take, unless [`LiveBuilder::probe_timeout`] says otherwise.
const PROBE: Duration = Duration::from_secs(10);

/// Why a check refuses settings, in words that may be shown: they stand in errors, logs and the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(String);

impl Rejected {
    /// A refusal with its reason. Put no value into it.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Rejected {}

/// How a [`Live`] is made and kept current.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use secrets_provider::{Layers, Live, Memory, Rejected, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { jwt_secret: String }
///
/// let secrets = Memory::new();
/// secrets.put("gaara/prod/jwt-secret", "a-secret-long-enough");
/// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("gaara/prod").backend(secrets))
///     .layers(|secrets| Layers::new().environment_prefixed("GAARA_").secrets(secrets))
///     .refresh_every(Duration::from_secs(60))
///     .validate(|settings: &Settings| match settings.jwt_secret.len() {
///         16.. => Ok(()),
///         _ => Err(Rejected::new("jwt_secret is shorter than 16 bytes")),
///     })
///     .start()
///     .await?;
/// assert_eq!(settings.status().generation(), 1);
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
#[must_use = "nothing is fetched before `start`"]
pub struct LiveBuilder<T> {
    manager: SecretsManager,
    layers: Merge,
    checks: Vec<Check<T>>,
    probes: Vec<Probe<T>>,
    probe_timeout: Duration,
    interval: Option<Duration>,
    rediscover: Option<Duration>,
    max_staleness: Option<Duration>,
    pursuit: Budget,
    triggers: Vec<BoxStream<'static, Trigger>>,
}

type Merge = Box<dyn Fn(&Snapshot) -> Result<(Merged, Explanation), Error> + Send + Sync>;

type Check<T> = Box<dyn Fn(&T) -> Result<(), Rejected> + Send + Sync>;

type Probe<T> = Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), Rejected>> + Send + Sync>;

impl<T> LiveBuilder<T> {
    pub(crate) fn new(manager: SecretsManager) -> Self {
        Self {
            manager,
            layers: Box::new(|secrets| {
                Sealed::merged_and_explained(Layers::standard(secrets), secrets)
            }),
            checks: Vec::new(),
            probes: Vec::new(),
            probe_timeout: PROBE,
            interval: None,
            rediscover: None,
            max_staleness: None,
            pursuit: Budget::default(),
            triggers: Vec::new(),
        }
    }

    /// What the settings are made of, in place of `.env` < environment < secrets: [`Layers`] of your choice, a
    /// `Figment` or a `config::Config`. Called for each new set of secrets, so files and variables are read anew with it.
    ///
    /// With a `Figment`, merge the snapshot that is given rather than the `SecretsManager`, which would fetch again.
    /// So too with a `Config`, whose `build()` may be returned as it is, error and all.
    pub fn layers<L, F>(mut self, layers: F) -> Self
    where
        L: LayerStack,
        F: Fn(&Snapshot) -> L + Send + Sync + 'static,
    {
        self.layers = Box::new(move |secrets| layers(secrets).merged_and_explained(secrets));
        self
    }

    /// How often to refresh. Default 300 s, or what the switches of [`SecretsManager::from_env`] say. Each wait is
    /// within a tenth of it; the first is anywhere between zero and this, so that replicas started together spread out.
    /// After failures it is shorter: from a second on, doubling up to this, with full jitter; and while a secret is
    /// expected to rotate within hours, it is cut short (see [`SecretsManager::rotation_windows`]). Zero counts as a
    /// millisecond, and more than a year as a year.
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval.clamp(Duration::from_millis(1), LONGEST));
        self
    }

    /// How long names last that were listed: below a prefix, secrets that were added are found no sooner than this after
    /// the last listing. Default a minute, so that at the default interval each refresh lists; zero lists at each. Values
    /// are read at each refresh all the same. A listing that was asked for ([`Live::refresh`], most triggers) happens at
    /// once.
    pub fn rediscover_every(mut self, interval: Duration) -> Self {
        self.rediscover = Some(interval.min(LONGEST));
        self
    }

    /// How old the last success may become before the settings count as [`Failing`](crate::Health::Failing), and the
    /// last check of all secrets in use before their replica is not [ready](crate::Status::is_ready). Default three
    /// intervals. Refreshes are an interval and up to a tenth apart, and take their time, so a bound below that says
    /// `Failing` of a healthy service between any two of them; the start warns of it (`max_staleness_too_short`).
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.max_staleness = Some(bound);
        self
    }

    /// How newer settings are looked for by [`Live::refresh_past`]: at most so many fetches, spread over so long, the
    /// first at once and each wait twice the one before. Default 5 over 30 s. One fetch is made at least.
    ///
    /// Whoever waits does so until the look that finds the new settings. By default, looks come after about 2, 6, 14 and
    /// 30 s; with 8 over 30 s, after 0.2, 0.7, 1.6, 3.5, 7, 15 and 30 s (all up to a fifth earlier), which serves better
    /// where a database is ahead of its secret for a second or two. After a search in vain comes a rest as long as the
    /// budget.
    pub fn refresh_past_budget(mut self, tries: u32, within: Duration) -> Self {
        self.pursuit = Budget { tries: tries.max(1), within: within.min(LONGEST) };
        self
    }

    /// Refreshes at each item of a stream, besides at the interval; may be given more than once. See [`Trigger`] for
    /// ready-made ones. Items that come while a refresh is under way are one, and no more than one refresh a second is
    /// made of them. A stream that ends, or panics, is over; the rest goes on.
    pub fn refresh_on<S>(mut self, triggers: S) -> Self
    where
        S: Stream<Item = Trigger> + Send + 'static,
    {
        self.triggers.push(trigger::endless(triggers));
        self
    }

    /// A check that new settings must pass before they are served; may be given more than once. What it refuses is
    /// reported with the [`Rejected`]'s text and tried again at the next refresh, while the last good settings stay.
    /// A panic in it counts as a refusal.
    pub fn validate<F>(mut self, check: F) -> Self
    where
        F: Fn(&T) -> Result<(), Rejected> + Send + Sync + 'static,
    {
        self.checks.push(Box::new(check));
        self
    }

    /// A check that takes its time, such as opening a connection with the new credentials; may be given more than
    /// once, and runs after every [`validate`](Self::validate). Readers are not held up by it. What it refuses is
    /// handled as there; so is a panic, or not being done within [`probe_timeout`](Self::probe_timeout).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use secrets_provider::{Live, Memory, Rejected, SecretsManager};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Settings { database_url: String }
    ///
    /// async fn reachable(settings: Arc<Settings>) -> Result<(), Rejected> {
    ///     // Connect with `settings.database_url`; rebuild the driver's error, which may quote it.
    ///     # let _ = &settings.database_url;
    ///     Ok(())
    /// }
    ///
    /// # let secrets = Memory::new();
    /// # secrets.put("app/database-url", "postgres://app@db/app");
    /// let settings: Live<Settings> = Live::builder(SecretsManager::prefix("app").backend(secrets))
    ///     .probe(reachable)
    ///     .start()
    ///     .await?;
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn probe<F, Fut>(mut self, probe: F) -> Self
    where
        F: Fn(Arc<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejected>> + Send + 'static,
    {
        self.probes.push(Box::new(move |settings| probe(settings).boxed()));
        self
    }

    /// How long each probe may take. Default 10 s.
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout.min(LONGEST);
        self
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> LiveBuilder<T> {
    /// Fetches, extracts and checks the settings, and starts the background task that keeps them current.
    ///
    /// # Errors
    ///
    /// As [`SecretsManager::fetch`]; `Invalid` if the merged layers do not fit `T`, with every wrong value listed;
    /// `Rejected` if a check refuses them.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn start(self) -> Result<Live<T>, Error> {
        let Self { manager, layers, checks, probes, probe_timeout, .. } = self;
        let source = manager.source(Road::Async)?;
        let interval = self.interval.or(manager.interval()).unwrap_or(INTERVAL);
        let build = move |secrets: &[Fetched]| {
            let snapshot = manager.assemble(secrets)?;
            let (Merged(tree), explanation) = layers(&snapshot)?;
            let fields = explain::fields_of::<T>();
            let (value, guessed) = extract::extract_with_guesses(&tree)?;
            let explanation = explanation.with_fields(fields).with_guessed(&guessed, fields);
            for check in &checks {
                check(&value).map_err(refused)?;
            }
            Ok(Candidate { value: Arc::new(value), tree, snapshot, explanation })
        };
        let ways = Ways {
            build: Box::new(build),
            probes: probes.into_iter().map(|probe| within(probe_timeout, probe)).collect(),
        };
        let schedule = Schedule::new(interval, self.rediscover, self.pursuit);
        if let Some(bound) = self.max_staleness.filter(|bound| *bound < schedule.next(1.0)) {
            tracing::warn!(
                target: TARGET,
                max_staleness = ?bound,
                interval = ?interval,
                hint = "settings are failing, and not ready, before each refresh: give it more than the interval and a tenth",
                "max_staleness_too_short"
            );
        }
        engine::start(source, ways, schedule, self.max_staleness, self.triggers).await
    }
}

fn refused(rejected: Rejected) -> Error {
    Error::new(ErrorKind::Rejected, format!("settings rejected: {rejected}"))
}

/// A probe that may fail, panic or hang, as one that only fails.
fn within<T: Send + Sync + 'static>(longest: Duration, probe: Probe<T>) -> engine::Probe<T> {
    Box::new(move |settings| {
        // The closure itself may panic too, before there is a future.
        let probing = std::panic::catch_unwind(AssertUnwindSafe(|| probe(settings)));
        async move {
            let panicked = |_| engine::panicked("probing");
            let probing = AssertUnwindSafe(probing.map_err(panicked)?).catch_unwind();
            match timeout(longest, probing).await {
                Ok(result) => result.map_err(panicked)?.map_err(refused),
                Err(_) => {
                    let message =
                        format!("settings rejected: a probe was not done within {longest:?}");
                    Err(Error::new(ErrorKind::Rejected, message)
                        .with_hint("`.probe_timeout(..)` sets the time"))
                }
            }
        }
        .boxed()
    })
}

impl<T> fmt::Debug for LiveBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("manager", &self.manager)
            .field("interval", &self.interval)
            .field("max_staleness", &self.max_staleness)
            .field("checks", &self.checks.len())
            .field("probes", &self.probes.len())
            .field("triggers", &self.triggers.len())
            .finish_non_exhaustive()
    }
}

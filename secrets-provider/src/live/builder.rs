//! [`LiveBuilder`]: which secrets, which layers, which checks, and how often; then [`start`](LiveBuilder::start).
//!
//! This is the only place where a description of secrets ([`SecretsManager`]) becomes a running
//! [`Live`]. The pipeline that turns secrets into checked settings is put together here and run by
//! `engine`: `Fetcher::snapshot`, the layers, `extract`, the checks, the probes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, Stream};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Live;
use crate::engine::candidate::{self, Candidate, Pipeline};
use crate::engine::trigger::{self, Trigger};
use crate::engine::{self, Input};
use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::layers::Layers;
use crate::layers::explain::{self, Below};
use crate::layers::stack::{LayerStack, Merged, Sealed};
use crate::load::fetch::Fetcher;
use crate::load::manager::{Description, MAX_DURATION, SecretsManager, Sources};
use crate::load::rejected::Rejected;
use crate::load::retry::schedule::{Budget, Schedule};
use crate::load::snapshot::Snapshot;
use crate::observe::events;
#[cfg(feature = "sqs")]
use crate::push::Push;
use crate::secret::Fetched;
use crate::tree::Table;
use crate::unwind;

/// How often settings are refreshed unless [`LiveBuilder::refresh_every`] says otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);

/// How long a probe may take unless [`LiveBuilder::probe_timeout`] says otherwise.
const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long making settings may take at least, however short the limit of a fetch is.
const MIN_BUILD_TIME: Duration = Duration::from_secs(1);

/// How a [`Live`] is made and kept current. [`Live::builder`] makes one.
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
    sources: Sources,
    layers: Merge,
    /// The same for an explanation, if the layers do not report what they are made of.
    explained: Option<Explained>,
    checks: Vec<Check<T>>,
    probes: Vec<Probe<T>>,
    probe_timeout: Duration,
    interval: Option<Duration>,
    rediscover: Option<Duration>,
    max_staleness: Option<Duration>,
    forget_deleted: Option<Duration>,
    search: Budget,
    triggers: Vec<BoxStream<'static, Trigger>>,
    #[cfg(feature = "sqs")]
    push: Option<Push>,
    title: Option<String>,
}

type Merge = Box<dyn Fn(&Snapshot) -> Result<(Merged, Vec<Merged>), Error> + Send + Sync>;

type Explained = Arc<dyn Fn(&Snapshot) -> Option<Table> + Send + Sync>;

type Check<T> = Box<dyn Fn(&T) -> Result<(), Rejected> + Send + Sync>;

type Probe<T> = Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), Rejected>> + Send + Sync>;

impl<T> LiveBuilder<T> {
    pub(crate) fn new(sources: Sources) -> Self {
        Self {
            sources,
            layers: Box::new(|secrets| {
                Sealed::merged_with_layers(Layers::standard(secrets), secrets)
            }),
            explained: None,
            checks: Vec::new(),
            probes: Vec::new(),
            probe_timeout: DEFAULT_PROBE_TIMEOUT,
            interval: None,
            rediscover: None,
            max_staleness: None,
            forget_deleted: None,
            search: Budget::default(),
            triggers: Vec::new(),
            #[cfg(feature = "sqs")]
            push: None,
            title: None,
        }
    }

    /// What the settings are made of, in place of `.env` < environment < secrets: [`Layers`] of
    /// your choice, a `Figment` or a `config::Config`. The closure is called for each new set of
    /// secrets, so it also reads files and variables again. It is also called by a refresh that
    /// someone asks for ([`Live::refresh`], most triggers).
    ///
    /// Into a `Figment` or a `Config`, merge the given snapshot rather than the `SecretsManager`,
    /// which would fetch again. The closure may return what `Config::builder().build()` returns, a
    /// `Result`.
    ///
    /// The closure, the extraction and [`validate`](Self::validate) run on a thread of their own,
    /// so that a file that blocks (a pipe, a mount that hangs) doesn't stop the runtime. They get
    /// as much time as a fetch ([`SecretsManager::timeout`], at least a second). After that, the
    /// start or the refresh fails with `Unavailable`, and names a `.env` file that is still being
    /// read; the thread is left behind, and until it ends, further refreshes that need it fail at
    /// once.
    ///
    /// A `Figment` and a `Config` don't report what is below the secrets. So the closure is called
    /// once more, without secrets and on the thread that asks, when [`Live::explain`] or a status
    /// page first asks in a generation; if it fails or panics then, what the secrets hide is not
    /// shown.
    pub fn layers<L, F>(mut self, layers: F) -> Self
    where
        L: LayerStack,
        F: Fn(&Snapshot) -> L + Send + Sync + 'static,
    {
        let layers = Arc::new(layers);
        let again = layers.clone();
        self.layers = Box::new(move |secrets| layers(secrets).merged_with_layers(secrets));
        self.explained = (!L::REPORTS_LAYERS).then(|| {
            let explained = move |secrets: &Snapshot| {
                again(secrets).merged(secrets).ok().map(|Merged(tree)| tree)
            };
            Arc::new(explained) as Explained
        });
        self
    }

    /// How often to refresh. Default 300 s, or what the switches of [`SecretsManager::from_env`]
    /// set. Each wait differs from it by up to a tenth, and the first wait is anywhere between zero
    /// and the interval, so that replicas that started together spread out. After a failure, waits
    /// begin at a second and double up to the interval, with full jitter. While a secret is
    /// expected to rotate within hours, waits are shorter too (see
    /// [`SecretsManager::rotation_windows`]). For more than twenty secrets AWS is asked several
    /// times, a second apart or closer (see
    /// [operations](crate::docs::operations#calls-and-quotas)). Zero counts as a millisecond, and
    /// more than a year as a year.
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval.clamp(Duration::from_millis(1), MAX_DURATION));
        self
    }

    /// How long a listing of names below a prefix stays valid: secrets that were added are found no
    /// sooner than this after the last listing. Default a minute, so that every refresh lists at
    /// the default interval; zero lists at every refresh. Values are read at every refresh in any
    /// case. [`Live::refresh`] and most triggers list at once.
    pub fn rediscover_every(mut self, interval: Duration) -> Self {
        self.rediscover = Some(interval.min(MAX_DURATION));
        self
    }

    /// How old the last success may become before the settings count as
    /// [`Failing`](crate::Health::Failing), and how old the last check of all secrets in use may
    /// become before the replica is not [ready](crate::Status::is_ready). Default three intervals.
    /// Refreshes are up to an interval and a tenth apart, so with a shorter bound even a healthy
    /// service is `Failing` between two of them; the start warns of that
    /// (`max_staleness_too_short`).
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.max_staleness = Some(bound);
        self
    }

    /// How long the last good value of a deleted secret stays for certain. Default 24 h, at most a
    /// year.
    ///
    /// A secret below a prefix is deleted if a listing leaves it out and the store has no value for
    /// it. [`SecretStatus::leaves_at`](crate::SecretStatus::leaves_at) says when this time is over.
    /// Then settings without the secret are made and checked like any others. If they are accepted,
    /// they are served, lower layers serve the secret's keys if they have them, and the secret is
    /// no longer asked for; it comes back when a listing has it again. If they are refused, the
    /// last good value stays, and the secret is asked for more and more rarely, at least once an
    /// hour or interval. A secret that the program names itself stays, too.
    pub fn forget_deleted_after(mut self, time: Duration) -> Self {
        self.forget_deleted = Some(time.min(MAX_DURATION));
        self
    }

    /// How [`Live::refresh_past`] searches for newer settings: with at most `tries` reads over
    /// `within`, the first at once and each wait twice the one before. Default 5 reads over 30 s.
    /// At least one read is made.
    ///
    /// Callers wait until the read that finds the new settings. By default, reads come after about
    /// 2, 6, 14 and 30 s; with 8 over 30 s, they come after 0.2, 0.7, 1.6, 3.5, 7, 15 and 30 s
    /// (each up to a fifth earlier), which is better if a database is ahead of its secret for a
    /// second or two. After a search that finds nothing, the next one waits as long as the budget.
    pub fn refresh_past_budget(mut self, tries: u32, within: Duration) -> Self {
        self.search = Budget { tries: tries.max(1), within: within.min(MAX_DURATION) };
        self
    }

    /// Refreshes at each item of a stream, in addition to the interval; may be given more than
    /// once. See [`Trigger`] for ready-made streams. Items that come during a refresh count as one,
    /// and they cause at most one refresh a second. A stream that ends or panics is not polled
    /// again; everything else goes on.
    pub fn refresh_on<S>(mut self, triggers: S) -> Self
    where
        S: Stream<Item = Trigger> + Send + 'static,
    {
        self.triggers.push(trigger::fuse_quietly(triggers));
        self
    }

    /// Reads a secret as soon as AWS announces through this queue that it changed (feature `sqs`).
    /// The interval goes on: give a longer one to [`refresh_every`](Self::refresh_every), such as 15
    /// minutes, for messages that are lost. Where the switches turn AWS off, no queue is received.
    ///
    /// May be given twice: once with a queue, and once with [`Push::peers`], which passes the hints
    /// of the queue and of [`refresh_on`](Self::refresh_on) on to other replicas. A second queue
    /// replaces the first.
    #[cfg(feature = "sqs")]
    pub fn push(mut self, push: Push) -> Self {
        self.push = Some(match self.push {
            Some(before) => before.and(push),
            None => push,
        });
        self
    }

    /// What the [`Status`](crate::Status) and the [`StatusPage`](crate::StatusPage) call these
    /// settings, such as the service and the host: `shop, web-3`. By default, the page has the name
    /// of the settings type. Values derived from the settings have the same title.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use secrets_provider::{Live, Memory, SecretsManager};
    /// # #[derive(serde::Deserialize)] struct Settings { jwt_secret: String }
    /// # let secrets = Memory::new();
    /// # secrets.put("shop/prod/jwt-secret", "s");
    /// let manager = SecretsManager::prefix("shop/prod");
    /// # let manager = manager.backend(secrets);
    /// let settings: Live<Settings> = Live::builder(manager).title("shop, web-3").start().await?;
    /// assert_eq!(settings.status().title(), Some("shop, web-3"));
    /// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
    /// ```
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// A check that new settings must pass before they are served; may be given more than once.
    /// Settings that it rejects are reported with the [`Rejected`]'s text and tried again at the
    /// next refresh, while the last good ones stay. A panic counts as a rejection.
    pub fn validate<F>(mut self, check: F) -> Self
    where
        F: Fn(&T) -> Result<(), Rejected> + Send + Sync + 'static,
    {
        self.checks.push(Box::new(check));
        self
    }

    /// An asynchronous check, such as opening a connection with the new credentials; may be given
    /// more than once, and runs after every [`validate`](Self::validate). Readers do not wait for
    /// it. A rejection, a panic, or a probe that takes longer than
    /// [`probe_timeout`](Self::probe_timeout) is handled as there.
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
        self.probe_timeout = timeout.min(MAX_DURATION);
        self
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> LiveBuilder<T> {
    /// Fetches, extracts and checks the settings, and starts the background task that keeps them
    /// current.
    ///
    /// # Errors
    ///
    /// Those of [`SecretsManager::fetch`]; `Invalid` if the merged layers do not fit `T`, with
    /// every wrong value listed; `Rejected` if a check rejects them.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn start(self) -> Result<Live<T>, Error> {
        let Self { sources, layers, explained, checks, probes, probe_timeout, .. } = self;
        let fetchers = sources.fetchers()?;
        let limit = fetchers.iter().map(Fetcher::timeout).fold(MIN_BUILD_TIME, Duration::max);
        let placing = fetchers.clone();
        let build = move |secrets: &[Vec<Fetched>]| {
            let snapshots = placing.iter().zip(secrets);
            let snapshots = snapshots.map(|(placing, secrets)| placing.snapshot(secrets));
            let snapshot = Snapshot::overlaid(snapshots.collect::<Result<_, _>>()?);
            let (Merged(tree), layers) = layers(&snapshot)?;
            let (value, implied, names) = extract::extract_with_names(&tree, snapshot.names())?;
            let layers = layers.into_iter().map(|Merged(tree)| tree).collect();
            // The explanation shows the layers' own keys. A change of what fills a nested key
            // counts as its change.
            let merged = Arc::new(tree);
            let mut tree = merged.clone();
            if !implied.is_empty() {
                let tree = Arc::make_mut(&mut tree);
                implied.iter().for_each(|implied| implied.add_to(tree));
            }
            let below = explained.clone().map(|explained| {
                let none = snapshot.without_secrets();
                Box::new(move || explained(&none)) as Below
            });
            let explained = explain::Sources::new(layers, merged, names)
                .with_type(explain::fields_of::<T>(), implied)
                .with_below(below);
            for check in &checks {
                check(&value).map_err(rejected)?;
            }
            Ok(Candidate { value: Arc::new(value), tree, sources: explained })
        };
        let probes = probes.into_iter().map(|probe| limited(probe_timeout, probe)).collect();
        let pipeline = Pipeline::new(Arc::new(build), probes, limit);
        let mut inputs = Vec::new();
        for (fetcher, manager) in fetchers.into_iter().zip(sources.managers()) {
            let Description { interval, own_interval, .. } = manager.description();
            let interval = own_interval.or(self.interval).or(*interval);
            let interval = interval.unwrap_or(DEFAULT_INTERVAL);
            let mut schedule = Schedule::new(interval, self.rediscover, self.search);
            schedule.forget_deleted = self.forget_deleted.unwrap_or(schedule.forget_deleted);
            if let Some(bound) = self.max_staleness.filter(|bound| *bound < schedule.next(1.0)) {
                events::max_staleness_too_short(bound, interval);
            }
            inputs.push(Input { fetcher, schedule, notifier: manager.notifier().clone() });
        }
        #[cfg(feature = "sqs")]
        // The queue is that of the highest source that is read.
        let push = sources.managers().iter().rfind(|manager| !manager.is_off());
        #[cfg(feature = "sqs")]
        let push = push.zip(self.push).map(|(manager, push)| push.start(manager));
        #[cfg(feature = "sqs")]
        let push = push.transpose()?.unwrap_or_default();
        #[cfg(feature = "sqs")]
        let (queue, peers) = push.progress();
        #[cfg(feature = "sqs")]
        let triggers = {
            let at_end = push.ending();
            (push.triggers(self.triggers), at_end)
        };
        #[cfg(not(feature = "sqs"))]
        let triggers = (self.triggers, std::future::ready(()).boxed());
        let (cell, handle) = engine::start(inputs, pipeline, self.max_staleness, triggers).await?;
        cell.status().set_title(self.title);
        #[cfg(feature = "sqs")]
        cell.status().set_push(queue, peers);
        Ok(Live::new(cell, handle, super::Input::Secrets))
    }
}

impl<T> Live<T> {
    /// How the settings are made and kept current, beyond what [`SecretsManager::live`] assumes.
    /// The secrets are those of a [`SecretsManager`], or of several ([`SecretsManager::and`]).
    pub fn builder(secrets: impl Into<Sources>) -> LiveBuilder<T> {
        LiveBuilder::new(secrets.into())
    }
}

impl SecretsManager {
    /// Fetches the secrets, merges them over the environment and `.env`, and keeps the result
    /// current in the background: [`Live::builder`] with its defaults.
    ///
    /// # Errors
    ///
    /// Those of [`LiveBuilder::start`].
    pub async fn live<T>(self) -> Result<Live<T>, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        Live::builder(self).start().await
    }
}

impl Sources {
    /// Fetches the secrets of every source, merges them over the environment and `.env`, and keeps
    /// the result current in the background: [`Live::builder`] with its defaults.
    ///
    /// # Errors
    ///
    /// Those of [`LiveBuilder::start`]. Each failure names its source.
    pub async fn live<T>(self) -> Result<Live<T>, Error>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        Live::builder(self).start().await
    }
}

fn rejected(reason: Rejected) -> Error {
    Error::new(ErrorKind::Rejected, format!("settings rejected: {reason}"))
}

/// A probe that may fail, panic or hang, as one that only fails.
fn limited<T: Send + Sync + 'static>(limit: Duration, probe: Probe<T>) -> candidate::Probe<T> {
    Box::new(move |settings| {
        // The closure itself may panic too, before there is a future.
        let probing = unwind::catch(|| probe(settings));
        async move {
            let panicked = |panic: unwind::Panicked| panic.rejection("probing the settings");
            let probing = unwind::catch_future(probing.map_err(panicked)?);
            match timeout(limit, probing).await {
                Ok(result) => result.map_err(panicked)?.map_err(rejected),
                Err(_) => {
                    let message = format!("settings rejected: a probe took longer than {limit:?}");
                    Err(Error::new(ErrorKind::Rejected, message)
                        .with_hint("`.probe_timeout(..)` sets the limit"))
                }
            }
        }
        .boxed()
    })
}

impl<T> fmt::Debug for LiveBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("sources", &self.sources)
            .field("interval", &self.interval)
            .field("max_staleness", &self.max_staleness)
            .field("checks", &self.checks.len())
            .field("probes", &self.probes.len())
            .field("triggers", &self.triggers.len())
            .finish_non_exhaustive()
    }
}

//! From a description of the secrets to a live value.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::stack::{Merged, Sealed};
use super::{LayerStack, Live};
use crate::backend::Fetched;
use crate::error::{Error, ErrorKind};
use crate::explain::{self, Explanation};
use crate::extract;
use crate::layers::Layers;
use crate::manager::{LONGEST, Road, SecretsManager};
use crate::refresh::{self, Candidate};
use crate::schedule::Schedule;
use crate::snapshot::Snapshot;

/// How often settings are refreshed unless [`LiveBuilder::refresh_every`] says otherwise.
const INTERVAL: Duration = Duration::from_secs(300);

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
    interval: Option<Duration>,
}

type Merge = Box<dyn Fn(&Snapshot) -> Result<(Merged, Explanation), Error> + Send + Sync>;

type Check<T> = Box<dyn Fn(&T) -> Result<(), Rejected> + Send + Sync>;

impl<T> LiveBuilder<T> {
    pub(crate) fn new(manager: SecretsManager) -> Self {
        Self {
            manager,
            layers: Box::new(|secrets| Sealed::merged_and_explained(Layers::standard(secrets), secrets)),
            checks: Vec::new(),
            interval: None,
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

    /// How often to refresh. Default 300 s, or what the switches of [`SecretsManager::from_env`] say. Each wait is within a tenth of it; the first is anywhere between zero
    /// and this, so that replicas started together spread out. After failures it is shorter: from a second on,
    /// doubling up to this, with full jitter. Zero counts as a millisecond, and
    /// more than a year as a year.
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.interval = Some(interval.clamp(Duration::from_millis(1), LONGEST));
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
        let Self { manager, layers, checks, interval } = self;
        let source = manager.source(Road::Async)?;
        let interval = interval.or(manager.interval()).unwrap_or(INTERVAL);
        let build = move |secrets: &[Fetched]| {
            let snapshot = manager.assemble(secrets)?;
            let (Merged(tree), explanation) = layers(&snapshot)?;
            let explanation = explanation.with_fields(explain::fields_of::<T>());
            let value = extract::extract(&tree)?;
            for check in &checks {
                check(&value).map_err(|rejected| {
                    Error::new(ErrorKind::Rejected, format!("settings rejected: {rejected}"))
                })?;
            }
            Ok(Candidate { value, tree, snapshot, explanation })
        };
        refresh::start(source, Box::new(build), Schedule { interval }).await
    }
}

impl<T> fmt::Debug for LiveBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("manager", &self.manager)
            .field("interval", &self.interval)
            .field("checks", &self.checks.len())
            .finish_non_exhaustive()
    }
}

//! Managers that are described by variables of the environment.
//!
//! `load/switches` reads and checks the variables; here they become a description, like one that
//! setters made.

use std::path::Path;

use super::SecretsManager;
use crate::error::Error;
use crate::load::switches::{self, Sought, Switches};
use crate::observe::events;

impl SecretsManager {
    /// The secrets that variables describe: those of the environment, over those of the `.env` file
    /// in the working directory (or the nearest parent). The process environment is not changed.
    /// The file is read on the calling thread: if it may block, as on a network mount, call this
    /// before the runtime is started, or in `spawn_blocking`. A pipe is waited for a second.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `ENVIRONMENT` | `local`, `development` and `test`, in any case: no secret is read |
    /// | `USE_SECRETS_MANAGER` | `true` or `false`, in any case: overrides `ENVIRONMENT` |
    /// | `SECRETS_MANAGER_PREFIX` | as [`prefix`](Self::prefix); `{env}` in it is replaced by the value of `ENVIRONMENT` |
    /// | `SECRETS_MANAGER_KEY_NAME` | as [`names`](Self::names): separated by commas, each `name` or `key.path=name`, placed by its whole path, or at `key.path`, which overrides [`rename`](Self::rename) |
    /// | `SECRET_CACHE_TTL`, `SECRETS_CACHE_TTL` | whole seconds between refreshes, unless [`refresh_every`](crate::LiveBuilder::refresh_every) is called |
    /// | `AWS_REGION`, `AWS_PROFILE`, … | the SDK's own: read by the SDK from the environment, and handed to it if only `.env` has them (region, endpoints, keys, profile and its files, FIPS, dual stack, retries) |
    ///
    /// If no secret is read, no backend is called: a fetch returns an empty
    /// [`Snapshot`](crate::Snapshot), and [`live`](Self::live) uses the lower layers. An empty
    /// variable counts as not set, but in the environment it hides that of `.env`. Values are
    /// trimmed.
    ///
    /// # Errors
    ///
    /// `Config` if secrets are read and neither prefix nor names are given, or both, or if a value
    /// is not valid. Every such variable is named, and no value is shown. `Invalid` if the `.env`
    /// file cannot be read.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Settings;
    /// # async fn main_() -> Result<(), secrets_provider::Error> {
    /// use secrets_provider::{Live, SecretsManager};
    ///
    /// let settings: Live<Settings> = SecretsManager::from_env()?
    ///     .rename("pazpaz/encryption-key-v{n}", "encryption_master_key")
    ///     .fallback_to_env()
    ///     .live()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        switches::process(Sought::default()).map(Self::switched)
    }

    /// Like [`from_env`](Self::from_env), with a prefix that is used if the variables name neither
    /// prefix nor names. `{env}` in it is replaced by the value of `ENVIRONMENT`.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env); and `Config` if the prefix contains `{env}` and
    /// `ENVIRONMENT` is not set.
    ///
    /// ```no_run
    /// use secrets_provider::SecretsManager;
    ///
    /// // With ENVIRONMENT=production: gaara-store/production/jwt-secret and
    /// // gaara-store/production/database-url.
    /// let manager = SecretsManager::from_env_or_prefix("gaara-store/{env}")?
    ///     .only(["jwt-secret", "database-url"]);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn from_env_or_prefix(prefix: &str) -> Result<Self, Error> {
        let sought = Sought { default_prefix: Some(prefix), ..Sought::default() };
        switches::process(sought).map(Self::switched)
    }

    /// Like [`from_env`](Self::from_env), with the variables of this file in place of those of
    /// `.env`. A relative path is searched for in the working directory and then in its parents; a
    /// file that does not exist has no variables.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env), which call the file `.env`.
    ///
    /// ```no_run
    /// use secrets_provider::SecretsManager;
    ///
    /// let manager = SecretsManager::from_env_file("deploy/production.env")?;
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn from_env_file(file: impl AsRef<Path>) -> Result<Self, Error> {
        let sought = Sought { dotenv: Some(file.as_ref()), ..Sought::default() };
        switches::process(sought).map(Self::switched)
    }

    /// Like [`from_env`](Self::from_env), with the variables under the program's own prefix: for
    /// `APP` (or `APP_`) they are `APP_ENVIRONMENT`, `APP_USE_SECRETS_MANAGER`,
    /// `APP_SECRETS_MANAGER_PREFIX`, `APP_SECRETS_MANAGER_KEY_NAME` and `APP_SECRET_CACHE_TTL`. The
    /// names without the prefix have no effect, so that an `ENVIRONMENT` that another program needs
    /// does not turn the secrets off. The SDK's own variables have no prefix. With an empty prefix,
    /// this is `from_env`.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env).
    ///
    /// ```no_run
    /// use secrets_provider::SecretsManager;
    ///
    /// // With APP_ENVIRONMENT=production and APP_SECRETS_MANAGER_PREFIX=gaara/{env}: the secrets
    /// // below gaara/production.
    /// let manager = SecretsManager::from_env_prefixed("APP")?;
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn from_env_prefixed(variables: &str) -> Result<Self, Error> {
        let sought = Sought { program: Some(variables), ..Sought::default() };
        switches::process(sought).map(Self::switched)
    }

    fn switched(switches: Switches) -> Self {
        if let Some(variable) = &switches.off {
            events::secrets_manager_off(variable);
        }
        Self::new(switches.selection).change(|what| {
            what.choice.placed = switches.placed;
            what.choice.off = switches.off.is_some();
            what.interval = switches.interval;
            what.environment = switches.environment;
            what.store = switches.store;
        })
    }
}

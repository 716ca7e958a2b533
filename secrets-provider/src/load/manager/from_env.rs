//! A manager as the switches of the environment say.

use super::SecretsManager;
#[cfg(feature = "aws")]
use super::Store;
#[cfg(feature = "aws")]
use crate::backend::aws;
use crate::error::Error;
use crate::load::switches::{self, Switches};
use crate::observe::events;

impl SecretsManager {
    /// What the environment says, which goes over the `.env` file of the working directory (or the nearest of its
    /// parents). The process environment is not changed.
    ///
    /// | variable | what it says |
    /// | --- | --- |
    /// | `ENVIRONMENT` | `local`, `development` and `test`, in any case of letters: no secret is read |
    /// | `USE_SECRETS_MANAGER` | `true` or `false`, in any case: goes before `ENVIRONMENT` |
    /// | `SECRETS_MANAGER_PREFIX` | as [`prefix`](Self::prefix); `{env}` in it is replaced by `ENVIRONMENT`, as it is spelled |
    /// | `SECRETS_MANAGER_KEY_NAME` | as [`names`](Self::names): separated by commas, each `name` or `key.path=name`, of which the first is placed by its whole path and the second at `key.path`, whatever [`rename`](Self::rename) says |
    /// | `SECRET_CACHE_TTL`, `SECRETS_CACHE_TTL` | whole seconds between refreshes, unless [`refresh_every`](crate::LiveBuilder::refresh_every) is called |
    /// | `AWS_REGION`, `AWS_PROFILE`, … | the SDK's own: read by the SDK from the environment, and handed to it where `.env` alone has them (region, endpoints, keys, profile and its files, FIPS, dual stack, retries) |
    ///
    /// Where no secret is read, no call is made to any backend: a fetch gives an empty [`Snapshot`](crate::Snapshot), and
    /// [`live`](Self::live) works on the layers below. A variable that is set to nothing says nothing, but in the
    /// environment it hides that of `.env`. Values are trimmed.
    ///
    /// # Errors
    ///
    /// `Config`: neither prefix nor names are given, or both, where secrets are read; or a value makes no sense. Every
    /// such variable is named, and no value shown. `Invalid`, if the `.env` file cannot be read.
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
        switches::process(None).map(Self::switched)
    }

    /// As [`from_env`](Self::from_env), with a prefix for where the environment names neither prefix nor names: for
    /// programs that know where their secrets are but for the environment, which stands as `{env}` in it.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env); and `Config`, if `{env}` stands in the prefix and `ENVIRONMENT` is not set.
    ///
    /// ```no_run
    /// use secrets_provider::SecretsManager;
    ///
    /// // With ENVIRONMENT=production: gaara-store/production/jwt-secret and gaara-store/production/database-url.
    /// let manager =
    ///     SecretsManager::from_env_or_prefix("gaara-store/{env}")?.only(["jwt-secret", "database-url"]);
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn from_env_or_prefix(prefix: &str) -> Result<Self, Error> {
        switches::process(Some(prefix)).map(Self::switched)
    }

    fn switched(switches: Switches) -> Self {
        let mut manager = Self::new(switches.selection);
        manager.choice.placed = switches.placed;
        manager.choice.off = switches.off.is_some();
        manager.interval = switches.interval;
        #[cfg(feature = "aws")]
        {
            manager.store = Store::Aws(aws::Access::Environment(Box::new(switches.sdk)));
        }
        if let Some(variable) = switches.off {
            events::secrets_manager_off(variable);
        }
        manager
    }
}

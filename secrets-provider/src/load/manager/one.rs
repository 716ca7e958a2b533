//! What a manager offers for one secret, besides reading its selection: the secret's id, the
//! connection to its store, and the location for a policy.

use std::sync::Arc;
use std::time::Duration;

use super::SecretsManager;
use crate::backend::Backend;
use crate::backend::iam::Location;
#[cfg(feature = "aws")]
use crate::backend::store::Store;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "sqs")]
use crate::load::plan::Selection;

impl SecretsManager {
    /// The name or ARN that the store knows one secret by. Give the name below the prefix or,
    /// without a prefix, a name or ARN.
    ///
    /// ```
    /// # use secrets_provider::SecretsManager;
    /// let manager = SecretsManager::prefix("gaara/prod");
    /// assert_eq!(manager.secret_id("database")?, "gaara/prod/database");
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Config` if the name or the description is not valid, or the switches of
    /// [`from_env`](Self::from_env) turn secrets off.
    pub fn secret_id(&self, name: &str) -> Result<String, Error> {
        self.id_of(name)
    }

    /// A client of the AWS SDK as this manager reads with it: region, credentials, endpoint, with
    /// what [`from_env`](Self::from_env) has from `.env`. It is for calls that this crate has no
    /// method for, such as `DescribeSecret` or `CreateSecret`. Errors of the SDK may quote what a
    /// server answers, so don't print them where values must not show.
    ///
    /// ```no_run
    /// # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
    /// use secrets_provider::SecretsManager;
    ///
    /// let manager = SecretsManager::from_env()?;
    /// let id = manager.secret_id("database")?;
    /// let secret = manager.sdk_client().await?.describe_secret().secret_id(id).send().await?;
    /// # let _ = secret;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `Config` if no region is configured, the set-up of the SDK has a slip, or the manager has
    /// another [`backend`](Self::backend).
    #[cfg(feature = "aws")]
    pub async fn sdk_client(&self) -> Result<aws_sdk_secretsmanager::Client, Error> {
        let options = self.description().options.clone();
        self.store().sdk_client(options).await
    }

    /// The configuration of [`sdk_client`](Self::sdk_client), for clients of other services. An
    /// endpoint of Secrets Manager that only `.env` sets is not in it.
    ///
    /// # Errors
    ///
    /// Those of `sdk_client`; and `Config` for a manager with a [`client`](Self::client).
    #[cfg(feature = "aws")]
    pub async fn sdk_config(&self) -> Result<aws_types::SdkConfig, Error> {
        self.store().sdk_config().await
    }

    /// The name or ARN of one secret, by its name below the prefix or, without a prefix, by its
    /// name or ARN.
    pub(crate) fn id_of(&self, name: &str) -> Result<String, Error> {
        let choice = &self.description().choice;
        if choice.off {
            let message = format!("secret `{name}`: the environment turns secrets off");
            return Err(Error::new(ErrorKind::Config, message)
                .with_secret(name)
                .with_hint("set USE_SECRETS_MANAGER=true, or another ENVIRONMENT"));
        }
        choice.selection.id_of(name)
    }

    /// The described store, on the current tokio runtime.
    pub(crate) fn connected(&self) -> Result<Arc<dyn Backend>, Error> {
        self.0.backend()
    }

    /// How long one call may take.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.description().options.timeout
    }

    /// Whether nothing is read, because the switches say so.
    #[cfg(feature = "sqs")]
    pub(crate) fn is_off(&self) -> bool {
        let choice = &self.description().choice;
        choice.off || matches!(choice.selection, Selection::Nothing)
    }

    /// The description of the store.
    #[cfg(feature = "aws")]
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.description().store.clone()
    }

    /// The staging label of the versions that are read.
    #[cfg(feature = "sqs")]
    pub(crate) fn label(&self) -> &str {
        self.description().options.stage.as_deref().unwrap_or("AWSCURRENT")
    }

    /// Where calls go, for the ARNs of a policy.
    pub(crate) fn location(&self) -> Location {
        Location::of_process(self.description().store.region())
    }
}

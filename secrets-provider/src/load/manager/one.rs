//! What a manager offers for one secret, besides reading its selection: the secret's id, the
//! connection to its store, and the location for a policy.

use std::sync::Arc;
use std::time::Duration;

use super::SecretsManager;
use crate::backend::Backend;
use crate::backend::iam::Location;
#[cfg(feature = "sqs")]
use crate::backend::store::Store;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "sqs")]
use crate::load::plan::Selection;

impl SecretsManager {
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
    #[cfg(feature = "sqs")]
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

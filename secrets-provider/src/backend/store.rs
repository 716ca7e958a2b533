//! Where a manager's backend comes from, behind one trait, so that the manager knows nothing of
//! AWS.
//!
//! A [`Store`] describes a backend; [`Connections`] keeps the backends made of it, because a
//! client's connections belong to the tokio runtime that opened them and are worth keeping as long
//! as that runtime lives.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::{self, Handle};

use super::Backend;
use crate::env::Environment;
use crate::error::{Error, ErrorKind};
use crate::unwind::lock;

/// What a manager asks of a backend.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Whether many values may be read by one call.
    pub(crate) batch: bool,
    /// Whether calls may be made only to learn when secrets rotate next.
    pub(crate) describe: bool,
    /// How long one whole fetch may take.
    pub(crate) timeout: Duration,
    /// Whether a start waits while all its calls are throttled.
    pub(crate) awaits_quota: bool,
    /// The staging label of the versions to read, if it is not AWSCURRENT.
    pub(crate) stage: Option<Arc<str>>,
    /// The region whose replicas are read while the first region gives no answer.
    pub(crate) replica: Option<Arc<str>>,
}

impl Options {
    /// Whether many values are read by one call. Such a call only reads AWSCURRENT.
    pub(crate) fn batches(&self) -> bool {
        self.batch && self.stage.is_none()
    }
}

/// A description of a backend.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// A backend for the current runtime.
    fn connect(&self, options: Options) -> Result<Arc<dyn Backend>, Error>;

    /// The configuration of the SDK, for calls of other services.
    #[cfg(feature = "aws")]
    fn sdk_config(&self) -> super::BoxFuture<'_, Result<aws_types::SdkConfig, Error>> {
        Box::pin(std::future::ready(Err(not_aws())))
    }

    /// The endpoint of another service, as endpoints are named after it, if the configuration does
    /// not have it.
    #[cfg(feature = "sqs")]
    fn endpoint_of(&self, service: &str) -> Option<&str> {
        let _ = service;
        None
    }

    /// A client of the SDK, for calls that no backend has.
    #[cfg(feature = "aws")]
    fn sdk_client(
        &self,
        options: Options,
    ) -> super::BoxFuture<'_, Result<aws_sdk_secretsmanager::Client, Error>> {
        let _ = options;
        Box::pin(std::future::ready(Err(not_aws())))
    }

    /// The AWS region that the description sets, if it does.
    fn region(&self) -> Option<&str> {
        None
    }

    /// The store's own policy for listing and reading, if it has one.
    fn policy(&self, prefix: Option<&str>, ids: &[String]) -> Option<String> {
        let _ = (prefix, ids);
        None
    }

    /// The store's name, as figment's errors show it.
    #[cfg(feature = "figment")]
    fn name(&self) -> &str;

    /// What `Debug` shows: not the backend's own `Debug`, which may show what it holds.
    fn kind(&self) -> &str;
}

#[cfg(feature = "aws")]
fn not_aws() -> Error {
    Error::new(ErrorKind::Config, "this store has no AWS configuration")
        .with_hint("only AWS Secrets Manager has one; `Push` takes a client of its own")
}

/// A backend that the program made.
pub(crate) struct Given {
    backend: Arc<dyn Backend>,
    type_name: &'static str,
}

impl Given {
    pub(crate) fn new<B: Backend>(backend: B) -> Self {
        Self { backend: Arc::new(backend), type_name: std::any::type_name::<B>() }
    }
}

impl Store for Given {
    fn connect(&self, options: Options) -> Result<Arc<dyn Backend>, Error> {
        if options.stage.is_some() {
            let message = "this store has no staging labels";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("only AWS Secrets Manager has: remove `.stage(..)`"));
        }
        if options.replica.is_some() {
            let message = "this store has no replicas in other regions";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("only AWS Secrets Manager has: remove `.or_region(..)`"));
        }
        Ok(self.backend.clone())
    }

    fn policy(&self, prefix: Option<&str>, ids: &[String]) -> Option<String> {
        self.backend.policy(prefix, ids)
    }

    #[cfg(feature = "figment")]
    fn name(&self) -> &str {
        self.backend.store_name()
    }

    fn kind(&self) -> &str {
        self.type_name
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Given").field(&self.type_name).finish()
    }
}

/// The store that is used unless the program names one: AWS, if it is compiled in.
pub(crate) fn default() -> Arc<dyn Store> {
    #[cfg(feature = "aws")]
    return Arc::new(super::aws::Access::Environment(Box::default()));
    #[cfg(not(feature = "aws"))]
    return Arc::new(Missing);
}

/// The default store, with what only a `.env` file sets for it.
///
/// # Errors
///
/// `Config` for a variable that is not valid.
pub(crate) fn from_dotenv(environment: &Environment) -> Result<Arc<dyn Store>, Error> {
    #[cfg(feature = "aws")]
    {
        let variables = super::aws::Variables::only_of_dotenv(environment)?;
        Ok(Arc::new(super::aws::Access::Environment(Box::new(variables))))
    }
    #[cfg(not(feature = "aws"))]
    {
        let _ = environment;
        Ok(default())
    }
}

/// There is no store.
#[cfg(not(feature = "aws"))]
#[derive(Debug)]
struct Missing;

#[cfg(not(feature = "aws"))]
impl Store for Missing {
    fn connect(&self, _: Options) -> Result<Arc<dyn Backend>, Error> {
        let message = "there is no backend to read secrets from";
        Err(Error::new(ErrorKind::Config, message)
            .with_hint("enable the feature `aws`, or give one with `.backend(..)`"))
    }

    #[cfg(feature = "figment")]
    fn name(&self) -> &str {
        "no store"
    }

    fn kind(&self) -> &str {
        "none"
    }
}

/// How many runtimes' backends are kept.
const MAX_CONNECTIONS: usize = 8;

/// The backends in use, one for each tokio runtime; the one that was used last comes last. A
/// program may use a manager in several runtimes, and make runtimes without end.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<Vec<Connection>>);

type Connection = (runtime::Id, Arc<dyn Backend>);

impl Connections {
    /// The backend for the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn backend(
        &self,
        store: &dyn Store,
        options: Options,
    ) -> Result<Arc<dyn Backend>, Error> {
        let id = Handle::current().id();
        let mut connections = lock(&self.0);
        let known = connections.iter().position(|(used, _)| *used == id);
        let connection = match known {
            Some(at) => connections.remove(at),
            None => (id, store.connect(options)?),
        };
        if connections.len() == MAX_CONNECTIONS {
            connections.remove(0);
        }
        let backend = connection.1.clone();
        connections.push(connection);
        Ok(backend)
    }
}

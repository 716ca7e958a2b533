//! From secrets to settings that may be served: place, merge, extract, validate, probe (rules R1
//! and R2).
//!
//! A [`Candidate`] has passed every check but is not served yet. `live/builder` puts the pipeline
//! together out of the user's layers, checks and probes; the refresher runs it, at the start and
//! whenever a secret has a new version.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::env::off_thread::OffThread;
use crate::error::Error;
use crate::layers::explain::Sources;
use crate::secret::Fetched;
use crate::tree::Table;

/// Settings made of one set of secrets.
pub(crate) struct Candidate<T> {
    pub(crate) value: Arc<T>,
    pub(crate) tree: Arc<Table>,
    /// What explains them, and the names that may be shown.
    pub(crate) sources: Sources,
}

/// Places, merges, extracts and validates the secrets of each source. Runs the user's code, so it
/// may panic.
pub(crate) type Build<T> =
    Arc<dyn Fn(&[Vec<Fetched>]) -> Result<Candidate<T>, Error> + Send + Sync>;

/// An asynchronous check. It comes to an end and does not panic.
pub(crate) type Probe<T> =
    Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// How settings are made of secrets, and checked.
pub(crate) struct Pipeline<T> {
    build: Build<T>,
    probes: Vec<Probe<T>>,
    /// How long one build may take.
    limit: Duration,
    off_thread: Arc<OffThread>,
}

impl<T: Send + Sync + 'static> Pipeline<T> {
    pub(crate) fn new(build: Build<T>, probes: Vec<Probe<T>>, limit: Duration) -> Self {
        Self { build, probes, limit, off_thread: Arc::default() }
    }

    /// A candidate that has passed every check, or why the secrets do not make one.
    pub(crate) async fn run(&self, secrets: Vec<Vec<Fetched>>) -> Result<Candidate<T>, Error> {
        let candidate = self.build(secrets).await?;
        self.probe(&candidate).await?;
        Ok(candidate)
    }

    /// A candidate that has passed the checks but not the probes. It is made on a thread of its
    /// own: layers read files, which may block. A panic in the user's code is a rejection.
    pub(crate) async fn build(&self, secrets: Vec<Vec<Fetched>>) -> Result<Candidate<T>, Error> {
        let build = self.build.clone();
        let built = move || build(&secrets);
        self.off_thread.run("extracting or checking the settings", self.limit, built).await?
    }

    /// Runs the probes, one after the other.
    pub(crate) async fn probe(&self, candidate: &Candidate<T>) -> Result<(), Error> {
        for probe in &self.probes {
            probe(candidate.value.clone()).await?;
        }
        Ok(())
    }
}

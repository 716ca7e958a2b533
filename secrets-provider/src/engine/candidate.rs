//! From secrets to settings that may be served: place, merge, extract, validate, probe (rules R1
//! and R2).
//!
//! A [`Candidate`] has passed every check but is not served yet. `live/builder` puts the pipeline
//! together out of the user's layers, checks and probes; the refresher runs it, at the start and
//! whenever a secret has a new version.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Error;
use crate::layers::explain::Sources;
use crate::load::snapshot::Snapshot;
use crate::secret::Fetched;
use crate::tree::Table;
use crate::unwind;

/// Settings made of one set of secrets.
pub(crate) struct Candidate<T> {
    pub(crate) value: Arc<T>,
    pub(crate) tree: Arc<Table>,
    pub(crate) snapshot: Snapshot,
    /// What explains them, and the names that may be shown.
    pub(crate) sources: Sources,
}

/// Places, merges, extracts and validates. Runs the user's code, so it may panic.
pub(crate) type Build<T> = Box<dyn Fn(&[Fetched]) -> Result<Candidate<T>, Error> + Send + Sync>;

/// An asynchronous check. It comes to an end and does not panic.
pub(crate) type Probe<T> =
    Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// How settings are made of secrets, and checked.
pub(crate) struct Pipeline<T> {
    pub(crate) build: Build<T>,
    pub(crate) probes: Vec<Probe<T>>,
}

impl<T: Send + Sync + 'static> Pipeline<T> {
    /// A candidate that has passed every check, or why the secrets do not make one.
    pub(crate) async fn run(&self, secrets: &[Fetched]) -> Result<Candidate<T>, Error> {
        let candidate = self.build(secrets)?;
        self.probe(&candidate).await?;
        Ok(candidate)
    }

    /// A candidate that has passed the checks but not the probes. A panic in the user's code is a
    /// rejection.
    pub(crate) fn build(&self, secrets: &[Fetched]) -> Result<Candidate<T>, Error> {
        unwind::catch(|| (self.build)(secrets))
            .unwrap_or_else(|panic| Err(panic.rejection("extracting or checking the settings")))
    }

    /// Runs the probes, one after the other.
    pub(crate) async fn probe(&self, candidate: &Candidate<T>) -> Result<(), Error> {
        for probe in &self.probes {
            probe(candidate.value.clone()).await?;
        }
        Ok(())
    }
}

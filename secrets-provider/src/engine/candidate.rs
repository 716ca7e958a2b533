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
use crate::load::snapshot::Snapshot;
use crate::secret::Fetched;
use crate::tree::Table;

/// Settings made of one set of secrets.
pub(crate) struct Candidate<T> {
    pub(crate) value: Arc<T>,
    pub(crate) tree: Arc<Table>,
    pub(crate) snapshot: Snapshot,
    /// What explains them, and the names that may be shown.
    pub(crate) sources: Sources,
}

/// The secrets merged over the layers below them.
pub(crate) struct Layered {
    pub(crate) tree: Table,
    /// The layers that the library reports, the lowest first.
    pub(crate) layers: Vec<Table>,
}

/// Finds the place of each secret.
pub(crate) type Place = Arc<dyn Fn(&[Fetched]) -> Result<Snapshot, Error> + Send + Sync>;

/// Reads the layers below the secrets and merges them. Runs the user's code, so it may panic.
pub(crate) type Merge = Arc<dyn Fn(&Snapshot) -> Result<Layered, Error> + Send + Sync>;

/// Extracts and validates. Runs the user's code, so it may panic.
pub(crate) type Make<T> =
    Arc<dyn Fn(Snapshot, Layered) -> Result<Candidate<T>, Error> + Send + Sync>;

/// An asynchronous check. It comes to an end and does not panic.
pub(crate) type Probe<T> =
    Box<dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// How settings are made of secrets, and checked.
pub(crate) struct Pipeline<T> {
    place: Place,
    merge: Merge,
    make: Make<T>,
    probes: Vec<Probe<T>>,
    /// How long one build may take.
    limit: Duration,
    off_thread: Arc<OffThread>,
}

impl<T: Send + Sync + 'static> Pipeline<T> {
    pub(crate) fn new(
        place: Place,
        merge: Merge,
        make: Make<T>,
        probes: Vec<Probe<T>>,
        limit: Duration,
    ) -> Self {
        Self { place, merge, make, probes, limit, off_thread: Arc::default() }
    }

    /// A candidate that has passed every check, or why the secrets do not make one.
    pub(crate) async fn run(&self, secrets: Vec<Fetched>) -> Result<Candidate<T>, Error> {
        let candidate = self.build(secrets).await?;
        self.probe(&candidate).await?;
        Ok(candidate)
    }

    /// A candidate that has passed the checks but not the probes. It is made on a thread of its
    /// own: layers read files, which may block. A panic in the user's code is a rejection.
    async fn build(&self, secrets: Vec<Fetched>) -> Result<Candidate<T>, Error> {
        let (place, merge, make) = (self.place.clone(), self.merge.clone(), self.make.clone());
        let built = move || {
            let snapshot = place(&secrets)?;
            let layered = merge(&snapshot)?;
            make(snapshot, layered)
        };
        self.off_thread.run("extracting or checking the settings", self.limit, built).await?
    }

    /// The same of the secrets in use, if the layers below them make another tree of them than the
    /// live one. If not, which is nearly always, nothing is extracted or checked (rule R2).
    pub(crate) async fn rebuild(
        &self,
        snapshot: Snapshot,
        live: Arc<Table>,
    ) -> Result<Option<Candidate<T>>, Error> {
        let (merge, make) = (self.merge.clone(), self.make.clone());
        let built = move || {
            let layered = merge(&snapshot)?;
            match live.has_same_values(&layered.tree) {
                true => Ok(None),
                false => make(snapshot, layered).map(Some),
            }
        };
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

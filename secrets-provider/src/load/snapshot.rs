//! [`Snapshot`]: the secrets of one read as an immutable tree, with the version of each.
//!
//! Every key remembers the secret that it came from. Layers, figment and config-rs merge a snapshot
//! without any I/O, so one read serves them all.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::extract;
use crate::load::mapping::{self, Mapping};
use crate::secret::{Fetched, SecretVersion};
use crate::tree::Table;
use crate::tree::names::Names;

/// The secrets of one fetch, merged into a tree. Immutable; cloning is cheap.
///
/// It is a figment `Provider` (feature `figment`) and a config-rs `Source` (feature `config`) that
/// needs no network: fetch with `.await` first, then merge. `Debug` shows names and versions, no
/// values.
///
/// ```
/// # use secrets_provider::{Memory, SecretsManager};
/// # let memory = Memory::new();
/// # memory.put("gaara/prod/database", r#"{"username": "gaara", "port": 5432}"#);
/// #[derive(serde::Deserialize)]
/// struct Database { username: String, port: u16 }
/// #[derive(serde::Deserialize)]
/// struct Secrets { database: Database }
///
/// let snapshot = SecretsManager::prefix("gaara/prod").backend(memory).fetch_blocking()?;
/// let secrets: Secrets = snapshot.extract()?;
/// assert_eq!(secrets.database.port, 5432);
/// assert_eq!(snapshot.secrets()[0].name(), "gaara/prod/database");
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot(Arc<Content>);

#[derive(Clone, Default)]
struct Content {
    tree: Table,
    secrets: Vec<SecretVersion>,
    /// The tree of each source, the lowest first, where there are several.
    sources: Vec<Table>,
    /// Why lower layers replace some secrets.
    unread: Option<Error>,
    #[cfg(feature = "figment")]
    profile: figment::Profile,
    /// The name of the store, as figment's errors show it.
    #[cfg(feature = "figment")]
    store_name: String,
}

impl Snapshot {
    /// Merges the secrets, each given once.
    pub(crate) fn assemble(secrets: &[Fetched], mapping: &Mapping) -> Result<Self, Error> {
        let tree = mapping::assemble(secrets, mapping)?;
        let secrets = secrets.iter().map(|secret| mapping.version(secret)).collect();
        let content = Content {
            tree,
            secrets,
            sources: Vec::new(),
            unread: None,
            #[cfg(feature = "figment")]
            profile: figment::Profile::Default,
            #[cfg(feature = "figment")]
            store_name: String::new(),
        };
        Ok(Self(Arc::new(content)))
    }

    /// Lays the snapshots of several sources over each other, the lowest first. A key of a higher
    /// one hides that of a lower one; tables merge. The profile and the store's name are those of
    /// the highest.
    pub(crate) fn overlaid(snapshots: Vec<Self>) -> Self {
        let mut snapshots = snapshots.into_iter();
        let Some(mut whole) = snapshots.next() else { return Self(Arc::default()) };
        if snapshots.len() == 0 {
            return whole;
        }
        let content = Arc::make_mut(&mut whole.0);
        content.sources.push(content.tree.clone());
        for Self(over) in snapshots {
            let over = Arc::unwrap_or_clone(over);
            content.sources.push(over.tree.clone());
            content.tree.overlay(over.tree);
            content.secrets.extend(over.secrets);
            content.unread = Error::all(content.unread.take().into_iter().chain(over.unread));
            #[cfg(feature = "figment")]
            {
                (content.profile, content.store_name) = (over.profile, over.store_name);
            }
        }
        content.secrets.sort_by(|one, other| one.name().cmp(other.name()));
        whole
    }

    /// The layers that it is made of, the lowest first: one for each source.
    pub(crate) fn layers(&self) -> &[Table] {
        match self.0.sources.as_slice() {
            [] => std::slice::from_ref(&self.0.tree),
            sources => sources,
        }
    }

    /// The same without any secret, so that layers show what they have below the secrets.
    pub(crate) fn without_secrets(&self) -> Self {
        let content = Content {
            tree: Table::default(),
            secrets: Vec::new(),
            sources: Vec::new(),
            unread: self.0.unread.clone(),
            #[cfg(feature = "figment")]
            profile: self.0.profile.clone(),
            #[cfg(feature = "figment")]
            store_name: self.0.store_name.clone(),
        };
        Self(Arc::new(content))
    }

    /// The secrets in it, in the order of their names.
    pub fn secrets(&self) -> &[SecretVersion] {
        &self.0.secrets
    }

    /// Extracts a value of your type from the secrets, without any other layer.
    ///
    /// # Errors
    ///
    /// `Invalid` if values are missing or do not fit the types of their fields. All are listed,
    /// each with its key and its secret, none with its value.
    pub fn extract<T: DeserializeOwned>(&self) -> Result<T, Error> {
        extract::extract(&self.0.tree, self.names()).map_err(|error| self.explain(error))
    }

    /// The same snapshot with the reason why secrets are missing from it.
    pub(crate) fn missing(mut self, unread: Option<Error>) -> Self {
        Arc::make_mut(&mut self.0).unread = unread;
        self
    }

    /// An error of extraction, with the reason why secrets are missing, which may have caused it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        error.beside(self.0.unread.clone())
    }

    /// The names in the key paths of its secrets, which may be shown.
    pub(crate) fn names(&self) -> Names {
        Names::of_paths(self.0.secrets.iter().map(SecretVersion::key_path))
    }

    pub(crate) fn tree(&self) -> &Table {
        &self.0.tree
    }
}

#[cfg(feature = "figment")]
impl Snapshot {
    /// The same snapshot for another figment profile; see
    /// [`SecretsManager::profile`](crate::SecretsManager::profile).
    pub fn profile(mut self, profile: impl Into<figment::Profile>) -> Self {
        Arc::make_mut(&mut self.0).profile = profile.into();
        self
    }

    pub(crate) fn stored_in(mut self, name: &str) -> Self {
        Arc::make_mut(&mut self.0).store_name = name.to_owned();
        self
    }

    pub(crate) fn store_name(&self) -> &str {
        &self.0.store_name
    }

    pub(crate) fn figment_profile(&self) -> &figment::Profile {
        &self.0.profile
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("secrets", &self.0.secrets).finish_non_exhaustive()
    }
}

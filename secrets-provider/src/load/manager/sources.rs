//! [`Sources`]: several descriptions of secrets, read side by side and laid over each other.
//!
//! Each keeps its own plan, backend and rules; here they get names, their fetches are made at once,
//! and their snapshots and policies become one. The engine and lookups take them one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::permissions::Policy;
use super::{Description, SecretsManager};
use crate::backend::iam;
use crate::error::Error;
use crate::load::blocking;
use crate::load::fetch::Fetcher;
use crate::load::plan::Selection;
use crate::load::snapshot::Snapshot;
use crate::secret::id::trimmed;
use crate::tree::origin::Source;

/// Several [`SecretsManager`]s as one: what teams share below what one service owns, or what is in
/// two regions, accounts or stores. [`SecretsManager::and`] makes one.
///
/// The right one lies over the left one, key by key: tables merge, and for any other value the
/// right one wins. Within one source, two secrets that define one key are still a conflict. Each
/// source has its own client, backend, renames, `optional` and `fallback_to_env`, and its own
/// [interval](SecretsManager::refresh_every).
///
/// In a [`Live`](crate::Live), all sources are one generation. They are read side by side: one that
/// fails or hangs keeps its last good values and doesn't hold up the others. Errors, explanations
/// and [`Status::sources`](crate::Status::sources) name the source.
///
/// figment and config-rs merge each `SecretsManager` by itself, or the [`Snapshot`] of
/// [`fetch`](Self::fetch).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use secrets_provider::{Live, Memory, SecretsManager};
/// # let store = Memory::new();
/// # store.put("shared/prod/database", r#"{"host": "db", "password": "of the team"}"#);
/// # store.put("gaara/prod/database", r#"{"password": "of this service"}"#);
/// #[derive(serde::Deserialize)]
/// struct Settings { database: Database }
/// #[derive(serde::Deserialize)]
/// struct Database { host: String, password: String }
///
/// let (shared, own) = (SecretsManager::prefix("shared/prod"), SecretsManager::prefix("gaara/prod"));
/// # let (shared, own) = (shared.backend(store.clone()), own.backend(store));
/// let settings: Live<Settings> = shared.and(own).live().await?;
/// let database = &settings.load().database;
/// assert_eq!((&*database.host, &*database.password), ("db", "of this service"));
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Sources(Vec<SecretsManager>);

impl SecretsManager {
    /// These secrets with others that lie over them: the right one wins, key by key. The result is
    /// read, served and looked up as one; see [`Sources`].
    pub fn and(self, over: impl Into<Sources>) -> Sources {
        Sources::from(self).and(over)
    }
}

impl From<SecretsManager> for Sources {
    fn from(manager: SecretsManager) -> Self {
        Self(vec![manager])
    }
}

impl Sources {
    /// These sources with others that lie over them.
    pub fn and(mut self, over: impl Into<Self>) -> Self {
        self.0.extend(over.into().0);
        self
    }

    /// Fetches the secrets of every source, at the same time.
    ///
    /// # Errors
    ///
    /// Those of [`SecretsManager::fetch`], of all sources. Each names its source.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn fetch(&self) -> Result<Snapshot, Error> {
        let fetchers = self.fetchers()?;
        let fetched = join_all(fetchers.iter().map(SecretsManager::fetch_by)).await;
        all(fetched).map(Snapshot::overlaid)
    }

    /// Fetches the secrets and blocks the calling thread, as
    /// [`SecretsManager::fetch_blocking`] does.
    ///
    /// # Errors
    ///
    /// Those of [`fetch`](Self::fetch).
    pub fn fetch_blocking(&self) -> Result<Snapshot, Error> {
        let sources = self.clone();
        blocking::run(async move { sources.fetch().await })?
    }

    /// The least IAM policy for all sources, as JSON: the statements of
    /// [`SecretsManager::iam_policy`], with those that are the same for several sources once. If a
    /// source has a store with other policies than IAM's, such as `Vault`, the policies follow one
    /// another, each after a comment with its sources.
    pub fn iam_policy(&self) -> String {
        let mut of_aws = (Vec::new(), Vec::new());
        let mut others: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut other_statements = Vec::new();
        let names = self.names();
        for (manager, name) in self.0.iter().zip(&names) {
            match manager.policy() {
                Policy::Aws(mut statements) => {
                    of_aws.0.push(&**name);
                    of_aws.1.append(&mut statements);
                }
                Policy::Own(policy) => match iam::statements_of(&policy) {
                    // Another service of AWS.
                    Some(mut statements) => {
                        of_aws.0.push(&**name);
                        other_statements.append(&mut statements);
                    }
                    None => others.entry(policy).or_default().push(name),
                },
            }
        }
        let of_iam = iam::with_statements(iam::policy(of_aws.1), other_statements);
        if others.is_empty() {
            return of_iam;
        }
        let aws = (!of_aws.0.is_empty()).then_some((of_iam, of_aws.0));
        let policies = aws
            .into_iter()
            .chain(others)
            .map(|(policy, sources)| format!("# {}\n{}\n", sources.join(", "), policy.trim_end()));
        policies.collect::<Vec<_>>().join("\n")
    }

    /// The descriptions, the lowest first.
    pub(crate) fn managers(&self) -> &[SecretsManager] {
        &self.0
    }

    /// The description that lies over all others.
    pub(crate) fn highest(&self) -> &SecretsManager {
        // There is at least one.
        &self.0[self.0.len() - 1]
    }

    /// The same, with single calls only, which do not wait for a quota.
    pub(crate) fn one_by_one(self) -> Self {
        let one_by_one = |manager: SecretsManager| manager.batch(false).awaits_quota(false);
        Self(self.0.into_iter().map(one_by_one).collect())
    }

    /// The reader of one source, by its index. Where there are several, it knows its name.
    pub(crate) fn fetcher(&self, index: usize) -> Result<Fetcher, Error> {
        let manager = &self.0[index];
        let others = self.0.len() - 1;
        if others == 0 {
            return manager.fetcher();
        }
        let name = self.names().swap_remove(index);
        let fetcher = manager.fetcher().map_err(|error| error.in_source(&name))?;
        let below = u32::try_from(others - index).unwrap_or(u32::MAX);
        Ok(fetcher.of_source(Source { name, below }))
    }

    /// The readers of all sources, the lowest first.
    pub(crate) fn fetchers(&self) -> Result<Vec<Fetcher>, Error> {
        all((0..self.0.len()).map(|index| self.fetcher(index)))
    }

    /// What each source is called; no two of them the same.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let named: Vec<String> = self.0.iter().map(name).collect();
        let numbered = |(index, name): (usize, &String)| {
            let before = named[..index].iter().filter(|other| *other == name).count();
            match named.iter().filter(|other| *other == name).count() {
                1 => name.as_str().into(),
                _ => format!("{name} ({})", before + 1).into(),
            }
        };
        named.iter().enumerate().map(numbered).collect()
    }
}

/// All values, or all errors.
fn all<T>(results: impl IntoIterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors).map_or(Ok(values), Err)
}

fn name(manager: &SecretsManager) -> String {
    let Description { choice, source_name, .. } = manager.description();
    let of_selection = || match &choice.selection {
        Selection::Prefix { prefix, .. } => trimmed(prefix).to_owned(),
        Selection::Names { names, .. } => match names.as_slice() {
            [] => "no secrets".to_owned(),
            [one] => one.clone(),
            [first, others @ ..] => format!("{first} and {} more", others.len()),
        },
        Selection::Nothing => "no secrets".to_owned(),
    };
    source_name.clone().unwrap_or_else(of_selection)
}

#[cfg(test)]
mod tests;

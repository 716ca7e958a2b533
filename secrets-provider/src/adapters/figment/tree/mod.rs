//! A `Figment` as a tree of ours, with where its values came from.

use std::sync::Arc;

use figment::value::{Dict, Num};
use figment::{Figment, Metadata, Profile, Provider as _};
use serde::de::DeserializeOwned;

use super::fetch_of;
use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::load::snapshot::Snapshot;
use crate::secret::Text;
use crate::tree::redact::without_credentials;
use crate::tree::{Node, Origin, Table, Value};

/// Typed extraction for a plain `Figment`, in place of its own `extract`.
///
/// **figment's own `extract` prints values in its errors** (`found string "…", expected u16`), and no provider can
/// stop it. This reads the same merged values by the rules of [`Layers::extract`](crate::Layers::extract): the field's
/// type decides how text is read, all wrong values are reported at once, and an error names key, provider and secret,
/// never a value.
///
/// What figment's `Env` and our [`Dotenv`](crate::Dotenv) have parsed is parsed already: `PIN=0042` is the number 42 there.
///
/// Of two spellings of one name (`database_url`, `databaseUrl`), the provider that was merged later wins; figment
/// itself knows nothing of spellings. Profiles come first, as everywhere in figment: the selected one's over
/// `default`'s, `global`'s over both. What figment does not tell is whether a provider was merged or joined, nor when
/// a whole `Figment` was: a joined provider counts as the later one here, and what a nested figment holds counts by
/// when it was merged into that one. Spelled alike, values follow figment's own order in any case.
///
/// ```
/// use figment::{Figment, providers::Serialized};
/// use secrets_provider::{FigmentExt as _, Memory, SecretsManager};
///
/// #[derive(serde::Deserialize)]
/// struct Database { host: String, port: u16 }
/// #[derive(serde::Deserialize)]
/// struct Settings { database: Database }
///
/// let memory = Memory::new();
/// memory.put("gaara/prod/database", r#"{"port": "5432"}"#);
/// let settings: Settings = Figment::from(Serialized::default("database.host", "localhost"))
///     .merge(SecretsManager::prefix("gaara/prod").backend(memory))
///     .settings()?;
/// assert_eq!((settings.database.host.as_str(), settings.database.port), ("localhost", 5432));
/// # Ok::<(), secrets_provider::Error>(())
/// ```
pub trait FigmentExt: sealed::Sealed {
    /// The merged values, in the selected profile, as settings.
    ///
    /// # Errors
    ///
    /// `Invalid`, if values are missing or do not fit the fields' types, all of them listed. If the secrets could not
    /// be fetched when [`SecretsManager`](crate::SecretsManager) was merged, that very error, with its kind and all
    /// that it lists; figment keeps it until now. `Invalid` too, if another provider failed; of what it says, only its
    /// name is kept.
    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for figment::Figment {}
}

impl FigmentExt for Figment {
    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        extract::extract(&tree_of(self)?).map_err(|error| {
            let snapshots = self.metadata().filter_map(|metadata| fetch_of(metadata)?.ok());
            snapshots.fold(error, |error, snapshot| snapshot.explain(error))
        })
    }
}

/// A figment's merged values, in the selected profile, with their origins. Where a value is a secret's, the snapshot's
/// own node is taken, which has the number's source text and the binary's bytes.
pub(crate) fn tree_of(figment: &Figment) -> Result<Table, Error> {
    let mut profiles = figment.data().map_err(|error| failed(figment, error))?;
    let mut tree = Table::default();
    let selected = figment.profile().clone();
    let mut providers = Providers::of(figment);
    // The order in which figment itself lays profiles over each other.
    for profile in
        [Some(Profile::Default), selected.is_custom().then_some(selected), Some(Profile::Global)]
    {
        if let Some(dict) = profile.and_then(|profile| profiles.remove(&profile)) {
            tree.overlay(providers.table(dict, &mut Vec::new()));
        }
        providers.ranks_from += providers.known.len();
    }
    Ok(tree)
}

/// Why a figment has no values: our own error as it is; of another provider's, which may quote a file or a value, the
/// provider alone.
fn failed(figment: &Figment, error: figment::Error) -> Error {
    // Looked up by figment, as only there the error learns which provider it is of.
    let error = figment.find_value("").err().unwrap_or(error);
    let failures = error.into_iter().map(|error| {
        let metadata = error.metadata.as_ref();
        metadata.and_then(|metadata| fetch_of(metadata)?.err()).unwrap_or_else(|| {
            let provider = metadata.map_or_else(|| "a provider".to_owned(), describe);
            Error::new(ErrorKind::Invalid, format!("the figment cannot be read: {provider} failed"))
        })
    });
    Error::all(failures)
        .unwrap_or_else(|| Error::new(ErrorKind::Invalid, "the figment cannot be read"))
}

/// What a figment knows of where its values came from.
struct Providers<'a> {
    figment: &'a Figment,
    /// In the order of their coming, which figment keeps metadata by; with the snapshot if the provider is ours.
    known: Vec<(&'a Metadata, Option<Snapshot>)>,
    /// The rank of the first one's values, in the profile at hand.
    ranks_from: usize,
}

impl<'a> Providers<'a> {
    fn of(figment: &'a Figment) -> Self {
        let known =
            figment.metadata().map(|metadata| (metadata, fetch_of(metadata).and_then(Result::ok)));
        Self { figment, known: known.collect(), ranks_from: 0 }
    }

    fn table(&self, dict: Dict, path: &mut Vec<String>) -> Table {
        let entries = dict.into_iter().map(|(name, value)| {
            path.push(name.clone());
            let node = self.node(value, path);
            path.pop();
            (name, node)
        });
        Table { entries: entries.collect(), source_text: None }
    }

    fn node(&self, value: figment::value::Value, path: &mut Vec<String>) -> Node {
        use figment::value::Value as F;
        let metadata = self.figment.get_metadata(value.tag());
        let at = self
            .known
            .iter()
            .position(|(known, _)| metadata.is_some_and(|found| std::ptr::eq(*known, found)));
        let rank = at.and_then(|at| u32::try_from(self.ranks_from + at).ok()).unwrap_or_default();
        let snapshot = at.and_then(|at| self.known[at].1.as_ref());
        // In a focused figment another value stands at this path, in an array that others added to a longer one.
        let secret =
            snapshot.and_then(|snapshot| snapshot.tree().find(path)).filter(|node| match &value {
                F::Dict(..) => !node.is_leaf(),
                value => node.is_leaf() && super::value(node) == *value,
            });
        match (secret, value) {
            // Other providers may have members in it.
            (Some(node), F::Dict(_, dict)) => self.merged(dict, node, path),
            (Some(node), _) => node.clone(),
            (None, value) => {
                let origin = Origin::Figment {
                    provider: metadata.map_or_else(
                        || "figment".to_owned(),
                        |metadata| self.place(metadata, path),
                    ),
                    variable: metadata
                        .is_some_and(|metadata| metadata.name.contains("variable(s)")),
                };
                Node::new(self.value(value, path), Arc::new(origin))
            }
        }
        .ranked(rank)
    }

    fn value(&self, value: figment::value::Value, path: &mut Vec<String>) -> Value {
        use figment::value::Value as F;
        match value {
            F::String(_, text) => Value::Text(Text::new(text)),
            F::Char(_, char) => Value::Text(Text::new(char)),
            F::Bool(_, value) => Value::Bool(value),
            F::Num(_, number) => Value::Number(Text::new(number_text(number))),
            F::Empty(..) => Value::Null,
            F::Array(_, items) => {
                Value::Array(items.into_iter().map(|item| self.node(item, path)).collect())
            }
            F::Dict(_, dict) => Value::Table(self.table(dict, path)),
        }
    }

    /// A secret's table with what figment has merged into it; whole as it was stored, if that is nothing.
    fn merged(&self, dict: Dict, secret: &Node, path: &mut Vec<String>) -> Node {
        let mut table = self.table(dict, path);
        if let Value::Table(stored) = &secret.value
            && table.changed_keys(stored).is_empty()
        {
            table.source_text.clone_from(&stored.source_text);
        }
        Node { value: Value::Table(table), ..secret.clone() }
    }

    fn place(&self, metadata: &Metadata, path: &[String]) -> String {
        let key = metadata.interpolate(self.figment.profile(), path);
        format!("`{}` in {}", without_credentials(&key), describe(metadata))
    }
}

/// What a provider calls itself and its source, which may be a URL.
fn describe(metadata: &Metadata) -> String {
    let name = without_credentials(&metadata.name);
    match &metadata.source {
        Some(source) => format!("{} {name}", without_credentials(&source.to_string())),
        None => name,
    }
}

fn number_text(number: Num) -> String {
    match number {
        Num::U8(n) => n.to_string(),
        Num::U16(n) => n.to_string(),
        Num::U32(n) => n.to_string(),
        Num::U64(n) => n.to_string(),
        Num::U128(n) => n.to_string(),
        Num::USize(n) => n.to_string(),
        Num::I8(n) => n.to_string(),
        Num::I16(n) => n.to_string(),
        Num::I32(n) => n.to_string(),
        Num::I64(n) => n.to_string(),
        Num::I128(n) => n.to_string(),
        Num::ISize(n) => n.to_string(),
        Num::F32(n) => n.to_string(),
        Num::F64(n) => n.to_string(),
    }
}

#[cfg(test)]
mod tests;

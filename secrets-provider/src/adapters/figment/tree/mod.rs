//! A merged `Figment` as our kind of tree, with the source of every value, so that our extraction
//! can read it. `FigmentExt` and, for `Live`, `LayerStack` call it.
//!
//! figment tags each value with its provider. A value from our provider is replaced by the node of
//! the snapshot behind it (`side_channel`), which has the number's source text, the binary's bytes
//! and the version; all other values are converted. Ranks follow figment's order of profiles and
//! providers.

use std::sync::Arc;

use figment::value::{Dict, Value as FigmentValue};
use figment::{Figment, Metadata, Profile, Provider as _};
use serde::de::DeserializeOwned;

use super::dotenv::{Texts, error_of, texts_of};
use super::side_channel::fetch_of;
use super::values::{self, number_text};
use crate::adapters::variables::ByName;
use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::layers::stack::{LayerStack, Merged, Sealed};
use crate::load::snapshot::Snapshot;
use crate::secret::Text;
use crate::tree::names::Names;
use crate::tree::origin::without_credentials;
use crate::tree::{Node, Origin, Table, Value};

/// Typed extraction for a plain `Figment`, instead of its own `extract`.
///
/// **figment's own `extract` prints values in its errors** (`found string "…", expected u16`), and
/// no provider can stop it. [`settings`](Self::settings) reads the same merged values by the rules
/// of [`Layers::extract`](crate::Layers::extract): the type of the field decides how text is read,
/// all wrong values are reported at once, and an error names key, provider and secret, never a
/// value.
///
/// Values that figment's `Env` has parsed stay parsed: `PIN=0042` is the number 42. Our
/// [`Dotenv`](crate::Dotenv) keeps the text of the file, so `PIN=0042` fills a `String` with `0042`
/// and a number with 42.
///
/// # Spellings and order
///
/// Of two spellings of a name (`database_url`, `databaseUrl`), the provider that was merged later
/// wins; figment itself treats them as two keys. The profile comes first, as always in figment:
/// `global` overrides the selected profile, which overrides `default`. A provider that was joined
/// counts as merged, and the providers of a nested `Figment` count in the order in which they were
/// merged there, because figment does not report either. Values with the same spelling always
/// follow figment's own order.
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
    /// Reads settings from the merged values of the selected profile.
    ///
    /// # Errors
    ///
    /// - `Invalid` if values are missing or do not fit the types of their fields; all of them are
    ///   listed.
    /// - The error of the fetch, unchanged, if the secrets could not be fetched when a
    ///   [`SecretsManager`](crate::SecretsManager) was merged. figment reports it only now.
    /// - `Invalid` if another provider failed. The error names the provider and drops its message,
    ///   which may quote values.
    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for figment::Figment {}
}

impl FigmentExt for Figment {
    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let snapshots: Vec<_> =
            self.metadata().filter_map(|metadata| fetch_of(metadata)?.ok()).collect();
        let mut names = Names::default();
        snapshots.iter().for_each(|snapshot| names.extend(&snapshot.names()));
        extract::extract(&tree_of(self)?, names).map_err(|error| {
            snapshots.iter().fold(error, |error, snapshot| snapshot.explain(error))
        })
    }
}

impl LayerStack for Figment {}

impl Sealed for Figment {
    fn merged(self, _: &Snapshot) -> Result<Merged, Error> {
        tree_of(&self).map(Merged)
    }
}

/// The merged values of the selected profile, with their origins.
fn tree_of(figment: &Figment) -> Result<Table, Error> {
    let mut profiles = figment.data().map_err(|error| rebuilt(figment, error))?;
    let mut tree = Table::default();
    let selected = figment.profile().clone();
    let mut providers = Providers::of(figment);
    // Figment's own order, the lowest profile first.
    for profile in
        [Some(Profile::Default), selected.is_custom().then_some(selected), Some(Profile::Global)]
    {
        if let Some(dict) = profile.and_then(|profile| profiles.remove(&profile)) {
            tree.overlay(providers.table(dict, &mut Vec::new()));
        }
        providers.first_rank += providers.known.len();
    }
    Ok(tree)
}

/// The error of a figment without values: our own error unchanged; for another provider only its
/// name, because its message may quote a file or a value.
fn rebuilt(figment: &Figment, error: figment::Error) -> Error {
    // figment adds the provider to an error only when it looks a key up.
    let error = figment.find_value("").err().unwrap_or(error);
    let failures = error.into_iter().map(|error| {
        let metadata = error.metadata.as_ref();
        let ours = |metadata| {
            let fetch = fetch_of(metadata).and_then(Result::err);
            fetch.or_else(|| error_of(metadata))
        };
        metadata.and_then(ours).unwrap_or_else(|| {
            let provider = metadata.map_or_else(|| "a provider".to_owned(), describe);
            Error::new(ErrorKind::Invalid, format!("the figment cannot be read: {provider} failed"))
        })
    });
    Error::all(failures)
        .unwrap_or_else(|| Error::new(ErrorKind::Invalid, "the figment cannot be read"))
}

/// The providers of a figment, to find the source of each value.
struct Providers<'a> {
    figment: &'a Figment,
    /// In the order of merging, each with its snapshot if the provider is ours.
    known: Vec<(&'a Metadata, Option<Snapshot>)>,
    /// For each of them, the texts of its file if it is a `Dotenv`.
    texts: Vec<Option<Arc<Texts>>>,
    /// The rank of the first provider's values in the current profile.
    first_rank: usize,
    variables: ByName,
}

impl<'a> Providers<'a> {
    fn of(figment: &'a Figment) -> Self {
        let known =
            figment.metadata().map(|metadata| (metadata, fetch_of(metadata).and_then(Result::ok)));
        let texts = figment.metadata().map(texts_of).collect();
        let variables = ByName::of_process();
        Self { figment, known: known.collect(), texts, first_rank: 0, variables }
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

    fn node(&self, value: FigmentValue, path: &mut Vec<String>) -> Node {
        let metadata = self.figment.get_metadata(value.tag());
        let at = self
            .known
            .iter()
            .position(|(known, _)| metadata.is_some_and(|found| std::ptr::eq(*known, found)));
        let rank = at.and_then(|at| u32::try_from(self.first_rank + at).ok()).unwrap_or_default();
        let snapshot = at.and_then(|at| self.known[at].1.as_ref());
        // The snapshot may have another value at this path: the figment may be focused on a table,
        // and another provider may have added items to an array.
        let secret =
            snapshot.and_then(|snapshot| snapshot.tree().find(path)).filter(|node| match &value {
                FigmentValue::Dict(..) => !node.is_leaf(),
                value => node.is_leaf() && values::value(node) == *value,
            });
        match (secret, value) {
            // Other providers may have added members.
            (Some(node), FigmentValue::Dict(_, dict)) => self.merged(dict, node, path),
            (Some(node), _) => node.clone(),
            (None, value) => {
                let origin = Origin::Figment {
                    provider: metadata.map_or_else(
                        || "figment".to_owned(),
                        |metadata| self.place(metadata, path),
                    ),
                    variable: metadata.is_some_and(is_of_variables),
                    name: metadata.and_then(|metadata| self.variable(metadata, path)),
                    file: metadata
                        .and_then(|metadata| metadata.source.as_ref()?.file_path())
                        .map(ToOwned::to_owned),
                };
                let texts = at.and_then(|at| self.texts[at].as_deref());
                let text = texts.and_then(|texts| texts.get(&path.join(".")));
                let text = text.filter(|text| is_text_of(text, &value));
                let origin = Arc::new(origin);
                match text.and_then(|text| as_written(text, &value)) {
                    Some(written) => Node::new(written, origin),
                    None => {
                        let node = Node::new(self.value(value, path), origin);
                        text.iter().fold(node, |node, text| node.with_source_text((*text).clone()))
                    }
                }
            }
        }
        .ranked(rank)
    }

    fn value(&self, value: FigmentValue, path: &mut Vec<String>) -> Value {
        match value {
            FigmentValue::String(_, text) => Value::Text(Text::new(text)),
            FigmentValue::Char(_, char) => Value::Text(Text::new(char)),
            FigmentValue::Bool(_, value) => Value::Bool(value),
            FigmentValue::Num(_, number) => Value::Number(Text::new(number_text(number))),
            FigmentValue::Empty(..) => Value::Null,
            FigmentValue::Array(_, items) => {
                Value::Array(items.into_iter().map(|item| self.node(item, path)).collect())
            }
            FigmentValue::Dict(_, dict) => Value::Table(self.table(dict, path)),
        }
    }

    /// A secret's table as figment merged it. If nothing was merged into it, it keeps its source
    /// text.
    fn merged(&self, dict: Dict, secret: &Node, path: &mut Vec<String>) -> Node {
        let mut table = self.table(dict, path);
        if let Value::Table(stored) = &secret.value
            && table.changed_keys(stored).is_empty()
        {
            table.source_text.clone_from(&stored.source_text);
        }
        Node { value: Value::Table(table), ..secret.clone() }
    }

    /// The variable of the process that a value of figment's `Env` comes from.
    fn variable(&self, metadata: &Metadata, path: &[String]) -> Option<String> {
        let prefix = metadata.name.strip_suffix("environment variable(s)")?.trim();
        self.variables.find(prefix.trim_matches('`'), path).map(str::to_owned)
    }

    /// Where a value of another provider comes from: the provider, and the variable if there is
    /// one. Other names may be content (rule T1): a key of a map in a file, and below a variable
    /// the keys of the table that figment has parsed its value into.
    fn place(&self, metadata: &Metadata, path: &[String]) -> String {
        let key = metadata.interpolate(self.figment.profile(), path);
        match is_of_variables(metadata) && (path.len() == 1 || is_variable(&key)) {
            true => format!("`{}` in {}", without_credentials(&key), describe(metadata)),
            false => describe(metadata),
        }
    }
}

/// Whether figment has made this value of the text.
fn is_text_of(text: &Text, value: &FigmentValue) -> bool {
    text.as_str().parse::<FigmentValue>().is_ok_and(|parsed| parsed == *value)
}

/// A value of a `.env` file as the file has it. A number keeps its text and stays a number, because
/// buffered text fills none. figment's arrays and tables have a syntax of their own, and stay as
/// they were parsed; but a plain list of numbers, which may be codes with leading zeros, is left to
/// the type.
fn as_written(text: &Text, value: &FigmentValue) -> Option<Value> {
    match value {
        FigmentValue::Array(_, items) => {
            let is_plain = |item: &FigmentValue| {
                !matches!(item, FigmentValue::Array(..) | FigmentValue::Dict(..))
            };
            let has_number = items.iter().any(|item| matches!(item, FigmentValue::Num(..)));
            let is_plain = items.iter().all(is_plain) && !text.as_str().contains(['"', '\'']);
            (is_plain && has_number).then(|| Value::Text(text.clone()))
        }
        FigmentValue::Dict(..) => None,
        FigmentValue::Num(..) => Some(Value::Number(Text::new(text.as_str().trim()))),
        _ => Some(Value::Text(text.clone())),
    }
}

fn is_of_variables(metadata: &Metadata) -> bool {
    metadata.name.contains("variable(s)")
}

/// Whether a variable of the process has this name, which figment shows without a prefix.
fn is_variable(shown: &str) -> bool {
    let shown = shown.to_ascii_uppercase();
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .any(|name| name.to_ascii_uppercase().ends_with(&shown))
}

/// The name of a provider and its source, which may be a URL.
fn describe(metadata: &Metadata) -> String {
    let name = without_credentials(&metadata.name);
    match &metadata.source {
        Some(source) => format!("{} {name}", without_credentials(&source.to_string())),
        None => name,
    }
}

#[cfg(test)]
mod tests;

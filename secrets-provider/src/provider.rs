//! figment: the secrets as a provider, and a `Figment` as a tree of ours.

mod dotenv;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use figment::value::{Dict, Empty, Map, Num, Tag};
use figment::{Figment, Metadata, Profile, Provider};

pub use dotenv::Dotenv;

use crate::error::{Error, ErrorKind};
use crate::manager::SecretsManager;
use crate::snapshot::Snapshot;
use crate::tree::{Node, Origin, Table, Text, Value, base64};

/// How figment's errors name this provider.
const NAME: &str = "AWS Secrets Manager";

/// What [`SecretsManager`] keeps for figment: the profile, and the cell that links the metadata it has handed out to
/// the data that follow.
#[derive(Default)]
pub(crate) struct State {
    profile: Option<Profile>,
    announced: Mutex<Option<Arc<OnceLock<Snapshot>>>>,
}

impl State {
    pub(crate) fn profile(&self) -> Profile {
        self.profile.clone().unwrap_or_default()
    }
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self { profile: self.profile.clone(), announced: Mutex::default() }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl SecretsManager {
    /// The figment profile that the secrets are in: `default` unless set. figment lays a selected profile over
    /// `default` and `global` over both, whatever the order of the merges.
    ///
    /// ```
    /// # use figment::Figment;
    /// # use figment::providers::{Format, Toml};
    /// # use secrets_provider::{Memory, SecretsManager};
    /// # let memory = Memory::new();
    /// # memory.put("app/port", "2");
    /// let file = Toml::string("[prod]\nport = 1").nested();
    /// let secrets = SecretsManager::prefix("app").backend(memory);
    ///
    /// let figment = Figment::new().merge(&file).merge(&secrets).select("prod");
    /// assert_eq!(figment.extract_inner::<u16>("port")?, 1); // the selected profile's file is on top
    ///
    /// let figment = Figment::new().merge(&file).merge(secrets.profile("prod")).select("prod");
    /// assert_eq!(figment.extract_inner_lossy::<u16>("port")?, 2);
    /// # Ok::<(), figment::Error>(())
    /// ```
    pub fn profile(mut self, profile: impl Into<Profile>) -> Self {
        self.figment.profile = Some(profile.into());
        self
    }
}

impl Provider for SecretsManager {
    fn metadata(&self) -> Metadata {
        // figment asks for metadata first. What the interpolater looks into is filled by the call to `data`.
        let cell = Arc::new(OnceLock::new());
        *self.figment.announced.lock().unwrap_or_else(PoisonError::into_inner) = Some(cell.clone());
        named(move |keys| cell.get().map_or_else(|| keys.join("."), |snapshot| locate(snapshot, keys)))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let snapshot = self.fetch_blocking().map_err(|error| figment::Error::from(error.to_string()))?;
        let cell = self.figment.announced.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(cell) = cell {
            // Fresh from `metadata`, so never filled before.
            let _ = cell.set(snapshot.clone());
        }
        snapshot.data()
    }
}

impl Provider for Snapshot {
    fn metadata(&self) -> Metadata {
        let snapshot = self.clone();
        named(move |keys| locate(&snapshot, keys))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.figment_profile().collect(dict(self.tree())))
    }
}

fn named(locate: impl Fn(&[&str]) -> String + Clone + Send + Sync + 'static) -> Metadata {
    Metadata::named(NAME).interpolater(move |_, keys| locate(keys))
}

/// A key and the secret it comes from; of a key that is not there, the secret that its table comes from.
fn locate(snapshot: &Snapshot, keys: &[&str]) -> String {
    let found = (1..=keys.len()).rev().find_map(|length| snapshot.tree().find(&keys[..length]));
    match found {
        Some(node) => format!("{} ({})", keys.join("."), node.origin),
        None => keys.join("."),
    }
}

fn dict(table: &Table) -> Dict {
    table.entries.iter().map(|(name, node)| (name.clone(), value(node))).collect()
}

fn value(node: &Node) -> figment::value::Value {
    use figment::value::Value as F;
    match &node.value {
        Value::Null => F::Empty(Tag::Default, Empty::None),
        Value::Bool(value) => F::Bool(Tag::Default, *value),
        Value::Text(text) => F::String(Tag::Default, text.as_str().to_owned()),
        Value::Bytes(bytes) => F::String(Tag::Default, base64(bytes)),
        Value::Number(number) => F::Num(Tag::Default, num(number.as_str())),
        Value::Array(items) => F::Array(Tag::Default, items.iter().map(value).collect()),
        Value::Table(table) => F::Dict(Tag::Default, dict(table)),
    }
}

fn num(text: &str) -> Num {
    if let Ok(number) = text.parse::<u64>() {
        Num::U64(number)
    } else if let Ok(number) = text.parse::<i64>() {
        Num::I64(number)
    } else {
        Num::F64(text.parse().unwrap_or(f64::NAN))
    }
}

/// A figment's merged values, in the selected profile, with their origins. Where a value is one of the secrets', the
/// secret's own node is taken, which has the number's source text and the binary's bytes.
pub(crate) fn tree_of(figment: &Figment, secrets: &Snapshot) -> Result<Table, Error> {
    let mut profiles = figment.data().map_err(|error| {
        // figment's text may quote a file or a value; the provider's name is figment's or its author's.
        let provider = error.metadata.as_ref().map_or_else(|| "a provider".to_owned(), describe);
        Error::new(ErrorKind::Invalid, format!("the figment cannot be read: {provider} failed"))
    })?;
    let mut tree = Table::default();
    let selected = figment.profile().clone();
    // The order in which figment itself lays profiles over each other.
    for profile in [Some(Profile::Default), selected.is_custom().then_some(selected), Some(Profile::Global)] {
        if let Some(dict) = profile.and_then(|profile| profiles.remove(&profile)) {
            tree.overlay(table_of(dict, figment, secrets, &mut Vec::new()));
        }
    }
    Ok(tree)
}

fn table_of(dict: Dict, figment: &Figment, secrets: &Snapshot, path: &mut Vec<String>) -> Table {
    let entries = dict.into_iter().map(|(name, value)| {
        path.push(name.clone());
        let node = node_of(value, figment, secrets, path);
        path.pop();
        (name, node)
    });
    Table { entries: entries.collect(), source_text: None }
}

fn node_of(
    value: figment::value::Value,
    figment: &Figment,
    secrets: &Snapshot,
    path: &mut Vec<String>,
) -> Node {
    use figment::value::Value as F;
    let metadata = figment.get_metadata(value.tag());
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    if metadata.is_some_and(|metadata| metadata.name == NAME)
        && !matches!(value, F::Dict(..))
        && let Some(node) = secrets.tree().find(&keys)
    {
        return node.clone();
    }
    let provider = metadata.map_or_else(
        || "figment".to_owned(),
        |metadata| {
            let key = metadata.interpolate(figment.profile(), &keys);
            format!("`{key}` in {}", describe(metadata))
        },
    );
    let value = match value {
        F::String(_, text) => Value::Text(Text::new(text)),
        F::Char(_, char) => Value::Text(Text::new(char)),
        F::Bool(_, value) => Value::Bool(value),
        F::Num(_, number) => Value::Number(Text::new(number_text(number))),
        F::Empty(..) => Value::Null,
        F::Array(_, items) => {
            Value::Array(items.into_iter().map(|item| node_of(item, figment, secrets, path)).collect())
        }
        F::Dict(_, dict) => Value::Table(table_of(dict, figment, secrets, path)),
    };
    Node { value, origin: Arc::new(Origin::Figment { provider }) }
}

fn describe(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(source) => format!("{source} {}", metadata.name),
        None => metadata.name.to_string(),
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

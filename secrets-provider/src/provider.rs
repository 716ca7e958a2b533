//! figment: the secrets as a provider, and a `Figment` as a tree of ours.

mod dotenv;

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use figment::value::{Dict, Empty, Map, Num, Tag};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::DeserializeOwned;

pub use dotenv::Dotenv;

use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::manager::SecretsManager;
use crate::redact::without_credentials;
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
        named(move |keys| cell.get().map_or_else(|| keys.join("."), |snapshot| answer(snapshot, keys)))
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
        named(move |keys| answer(&snapshot, keys))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(self.figment_profile().collect(dict(self.tree())))
    }
}

fn named(locate: impl Fn(&[&str]) -> String + Clone + Send + Sync + 'static) -> Metadata {
    Metadata::named(NAME).interpolater(move |_, keys| locate(keys))
}

thread_local! {
    /// Where an interpolater leaves its snapshot when it is asked for [`SNAPSHOT`].
    static LEFT: RefCell<Option<Snapshot>> = const { RefCell::new(None) };
}

/// No key of figment's: a figment keeps metadata and values apart from the provider, so this asks the metadata for
/// the snapshot that its values are of.
const SNAPSHOT: &str = "\0secrets-provider snapshot\0";

fn answer(snapshot: &Snapshot, keys: &[&str]) -> String {
    if keys == [SNAPSHOT] {
        LEFT.set(Some(snapshot.clone()));
        return String::new();
    }
    locate(snapshot, keys)
}

/// The snapshot that a provider's values are of, if the provider is ours.
fn snapshot_of(metadata: &Metadata) -> Option<Snapshot> {
    if metadata.name != NAME {
        return None;
    }
    metadata.interpolate(&Profile::Default, &[SNAPSHOT]);
    LEFT.take()
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
        Value::Bytes(bytes) => F::String(Tag::Default, base64(bytes).to_string()),
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
    } else if let Ok(number) = text.parse::<u128>() {
        Num::U128(number)
    } else if let Ok(number) = text.parse::<i128>() {
        Num::I128(number)
    } else {
        Num::F64(text.parse().unwrap_or(f64::NAN))
    }
}

/// Typed extraction for a plain `Figment`, in place of its own `extract`.
///
/// **figment's own `extract` prints values in its errors** (`found string "…", expected u16`), and no provider can
/// stop it. This reads the same merged values by the rules of [`Layers::extract`](crate::Layers::extract): the field's
/// type decides how text is read, all wrong values are reported at once, and an error names key, provider and secret,
/// never a value.
///
/// What figment's `Env` and our [`Dotenv`] have parsed is parsed already: `PIN=0042` is the number 42 there.
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
pub trait FigmentExt {
    /// The merged values, in the selected profile, as settings.
    ///
    /// # Errors
    ///
    /// `Invalid`, if values are missing or do not fit the fields' types, all of them listed; also if a provider
    /// failed when it was merged, where figment keeps its error until now. A secret that could not be fetched then is
    /// named; of what another provider says, only the provider's name is kept.
    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error>;
}

impl FigmentExt for Figment {
    fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        extract::extract(&tree_of(self)?)
    }
}

/// A figment's merged values, in the selected profile, with their origins. Where a value is a secret's, the snapshot's
/// own node is taken, which has the number's source text and the binary's bytes.
pub(crate) fn tree_of(figment: &Figment) -> Result<Table, Error> {
    // figment says which provider an error is of only where it looks for a value, of whatever key.
    let resolved = |error| figment.find_value("").err().unwrap_or(error);
    let mut profiles = figment.data().map_err(|error| failed(resolved(error)))?;
    let mut tree = Table::default();
    let mut path = Vec::new();
    let selected = figment.profile().clone();
    let providers = Providers::of(figment);
    // The order in which figment itself lays profiles over each other.
    for profile in [Some(Profile::Default), selected.is_custom().then_some(selected), Some(Profile::Global)] {
        if let Some(dict) = profile.and_then(|profile| profiles.remove(&profile)) {
            tree.overlay(providers.table(dict, &mut path));
        }
    }
    Ok(tree)
}

/// A provider's failure without its text, which may quote a file or a value; our own errors know no value.
fn failed(error: figment::Error) -> Error {
    let ours = |error: &figment::Error| error.metadata.as_ref().is_some_and(|metadata| metadata.name == NAME);
    let failures = error.into_iter().map(|error| match &error.kind {
        figment::error::Kind::Message(message) if ours(&error) => {
            Error::new(ErrorKind::Invalid, format!("the secrets could not be fetched: {message}"))
        }
        _ => {
            let provider = error.metadata.as_ref().map_or_else(|| "a provider".to_owned(), describe);
            Error::new(ErrorKind::Invalid, format!("the figment cannot be read: {provider} failed"))
        }
    });
    Error::all(failures).unwrap_or_else(|| Error::new(ErrorKind::Invalid, "the figment cannot be read"))
}

/// What a figment knows of where its values came from.
struct Providers<'a> {
    figment: &'a Figment,
    /// In the order of the merges: metadata, and the snapshot if the provider is ours.
    known: Vec<(&'a Metadata, Option<Snapshot>)>,
}

impl<'a> Providers<'a> {
    fn of(figment: &'a Figment) -> Self {
        let known = figment.metadata().map(|metadata| (metadata, snapshot_of(metadata))).collect();
        Self { figment, known }
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
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let secret =
            at.and_then(|at| self.known[at].1.as_ref()).and_then(|snapshot| snapshot.tree().find(&keys));
        if let Some(node) = secret
            && node.is_leaf() == !matches!(value, F::Dict(..))
        {
            return match value {
                // Other providers may have members in it.
                F::Dict(_, dict) => self.merged(dict, node, path),
                _ => node.clone(),
            };
        }
        let origin = Origin::Figment {
            provider: metadata.map_or_else(
                || "figment".to_owned(),
                |metadata| {
                    let key = metadata.interpolate(self.figment.profile(), &keys);
                    format!("`{}` in {}", without_credentials(&key), describe(metadata))
                },
            ),
            variable: metadata.is_some_and(|metadata| metadata.name.contains("variable(s)")),
            rank: at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX),
        };
        let value = match value {
            F::String(_, text) => Value::Text(Text::new(text)),
            F::Char(_, char) => Value::Text(Text::new(char)),
            F::Bool(_, value) => Value::Bool(value),
            F::Num(_, number) => Value::Number(Text::new(number_text(number))),
            F::Empty(..) => Value::Null,
            F::Array(_, items) => Value::Array(items.into_iter().map(|item| self.node(item, path)).collect()),
            F::Dict(_, dict) => Value::Table(self.table(dict, path)),
        };
        Node::new(value, Arc::new(origin))
    }

    /// A secret's table with what figment has merged into it; whole as it was stored, if that is nothing.
    fn merged(&self, dict: Dict, secret: &Node, path: &mut Vec<String>) -> Node {
        let mut table = self.table(dict, path);
        if let Value::Table(stored) = &secret.value
            && table.entries == stored.entries
        {
            table.source_text.clone_from(&stored.source_text);
        }
        Node { value: Value::Table(table), ..secret.clone() }
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

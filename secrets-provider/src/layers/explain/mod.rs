//! Where each key of the settings comes from, and what it hides: names alone, no values.

mod fields;
mod implied;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use serde::{Serialize, Serializer};

use crate::tree::spelling::relaxed;
use crate::tree::{Node, Origin, Table, Value};

pub(crate) use fields::fields_of;

/// Which layer gives each key, and what that hides in the others: `Display` is a table for people, `Serialize` the
/// same for programs. It names keys, variables, files, secrets and versions, and no value nor anything about one.
///
/// The process environment is mostly no settings at all (`PATH`, `HOME`), so of its variables only those are shown that
/// hide something, or whose name begins as a key of another layer does or a field of the settings type, where that is
/// known (it is for [`Live`](crate::Live), unless the type has a `flatten`). [`all`](Self::all) shows the others too.
///
/// Of a [`Live`](crate::Live), a variable that is named after a nested key (`DATABASE_URL` for `database.url`) stands at
/// that key where it fills it, and among what the key hides where a higher layer gives it.
///
/// Spellings of one name (`database_url`, `database-url`, `databaseUrl`) are keys of their own here, and the one of the
/// higher layer hides the others, as it does for a field of a struct. In a map each of them has its place.
///
/// ```
/// # use secrets_provider::{Layers, Memory, SecretsManager};
/// # let memory = Memory::new();
/// # memory.put("gaara/prod/database", r#"{"username": "gaara", "password": "p"}"#);
/// let secrets = SecretsManager::prefix("gaara/prod").backend(memory).fetch_blocking()?;
/// let variables = [("DATABASE__PASSWORD", "local"), ("DATABASE__HOST", "db.local"), ("PATH", "/bin")];
/// let explanation = Layers::new().environment_from(variables).secrets(&secrets).explain()?;
/// assert_eq!(explanation.to_string(), "\
/// key                layer        source                            hides
/// database.host      environment  DATABASE__HOST
/// database.password  secret       gaara/prod/database (version v1)  environment DATABASE__PASSWORD
/// database.username  secret       gaara/prod/database (version v1)
/// and 1 variable of the environment that nothing else speaks of
/// ");
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    keys: Vec<ExplainedKey>,
    #[serde(serialize_with = "count")]
    omitted: Vec<ExplainedKey>,
}

/// One key of the settings: where its value comes from, and what else gave one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExplainedKey {
    key: String,
    #[serde(flatten)]
    source: Provenance,
    hides: Vec<Provenance>,
}

/// A place that a value comes from: a variable, a variable in a file, a version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    layer: Layer,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
}

/// The layers that settings are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// A `.env` file.
    Dotenv,
    /// The process environment.
    Environment,
    /// A secret of AWS Secrets Manager, or of what stands in for it.
    Secret,
    /// A provider in a `Figment` other than the secrets.
    Figment,
    /// A source in a `config::Config` other than the secrets.
    Config,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padded as the caller asks.
        f.pad(match self {
            Self::Dotenv => ".env",
            Self::Environment => "environment",
            Self::Secret => "secret",
            Self::Figment => "figment",
            Self::Config => "config",
        })
    }
}

impl Provenance {
    fn of(origin: &Origin) -> Self {
        let new =
            |layer, name: &str| Self { layer, name: name.to_owned(), file: None, version_id: None };
        match origin {
            Origin::Secret { name, version_id } => {
                Self { version_id: Some(version_id.clone()), ..new(Layer::Secret, name) }
            }
            Origin::Environment { variable } => new(Layer::Environment, variable),
            Origin::Dotenv { file, variable } => {
                Self { file: Some(file.clone()), ..new(Layer::Dotenv, variable) }
            }
            #[cfg(feature = "figment")]
            Origin::Figment { provider, .. } => new(Layer::Figment, provider),
            #[cfg(feature = "config")]
            Origin::Config { source, .. } => {
                new(Layer::Config, source.as_deref().unwrap_or("a source that gives no name"))
            }
        }
    }

    /// The layer it is in.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The variable's or the secret's name; for another provider of a `Figment` or source of a `Config`, what those
    /// libraries say of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, if the variable stands in one.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The id of the secret's version, if it is a secret.
    pub fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// The place without its layer.
    fn place(&self) -> String {
        let name = printable(&self.name);
        match (&self.file, &self.version_id) {
            (Some(file), _) => format!("{name} in {}", printable(file)),
            (_, Some(version_id)) => format!("{name} (version {})", printable(version_id)),
            _ => name,
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.layer, self.place())
    }
}

impl ExplainedKey {
    /// The dotted key path.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where its value comes from.
    pub fn source(&self) -> &Provenance {
        &self.source
    }

    /// What gave a value for this key, or for one above or below it, that does not count; the highest layer first.
    pub fn hides(&self) -> &[Provenance] {
        &self.hides
    }
}

impl Explanation {
    /// The keys in their order, without the variables that are [left out](Self).
    pub fn keys(&self) -> &[ExplainedKey] {
        &self.keys
    }

    /// One key, one that is left out too.
    pub fn key(&self, key: &str) -> Option<&ExplainedKey> {
        self.keys.iter().chain(&self.omitted).find(|known| known.key == key)
    }

    /// How many variables of the environment are left out.
    pub fn omitted(&self) -> usize {
        self.omitted.len()
    }

    /// Every key, the whole environment included.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.keys.append(&mut self.omitted);
        self.keys.sort_by(|a, b| a.key.cmp(&b.key));
        self
    }

    /// With the variables that fill one of these fields.
    pub(crate) fn with_fields(self, fields: &[&str]) -> Self {
        let Self { mut keys, omitted } = self;
        let (wanted, omitted): (Vec<_>, Vec<_>) = omitted
            .into_iter()
            .partition(|key| fields.iter().any(|field| begins_as(&key.key, field)));
        keys.extend(wanted);
        keys.sort_by(|a, b| a.key.cmp(&b.key));
        Self { keys, omitted }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["key", "layer", "source", "hides"].map(str::to_owned);
        let rows = self.keys.iter().map(|key| {
            let hides: Vec<String> = key.hides.iter().map(ToString::to_string).collect();
            [
                printable(&key.key),
                key.source.layer.to_string(),
                key.source.place(),
                hides.join(", "),
            ]
        });
        let rows: Vec<[String; 4]> = std::iter::once(header).chain(rows).collect();
        let mut widths = [0; 4];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        match self.omitted.len() {
            0 => Ok(()),
            1 => writeln!(f, "and 1 variable of the environment that nothing else speaks of"),
            count => {
                writeln!(f, "and {count} variables of the environment that nothing else speaks of")
            }
        }
    }
}

/// Explains what became of `layers`, the lowest first, in the tree that they were merged into. A layer that is not
/// among them shows where it won, but not where it lost.
pub(crate) fn explain(layers: &[&Table], merged: &Table) -> Explanation {
    let winners = leaves(merged);
    let mut spellings: BTreeMap<Vec<String>, Vec<&Node>> = BTreeMap::new();
    for (path, node) in &winners {
        spellings.entry(path.iter().map(|part| relaxed(part)).collect()).or_default().push(node);
    }
    let mut hides: BTreeMap<&[&str], Vec<&Origin>> = BTreeMap::new();
    for layer in layers.iter().rev() {
        for (path, node) in leaves(layer) {
            if winners.get(&path).is_some_and(|winner| winner.origin == node.origin) {
                continue;
            }
            for (winner, _) in related(&winners, &path) {
                hides.entry(winner).or_default().push(&node.origin);
            }
        }
    }
    // What the environment alone has is settings only if something else says so.
    let spoken_of: BTreeSet<&str> = layers
        .iter()
        .flat_map(|layer| leaves(layer))
        .chain(winners.clone())
        .filter(|(_, node)| !of_environment(&node.origin))
        .filter_map(|(path, _)| path.first().copied())
        .collect();
    let mut explanation = Explanation::default();
    for (path, node) in &winners {
        let relaxed: Vec<String> = path.iter().map(|part| relaxed(part)).collect();
        let others = related(&spellings, &relaxed).flat_map(|(_, others)| others);
        let outranked = others.filter(|other| other.rank < node.rank).map(|other| &*other.origin);
        let hides = hides.get(path.as_slice()).into_iter().flatten().copied().chain(outranked);
        let key = ExplainedKey {
            key: path.join("."),
            source: Provenance::of(&node.origin),
            hides: hides.map(Provenance::of).collect(),
        };
        let shown = !key.hides.is_empty() || spoken_of.iter().any(|name| begins_as(&key.key, name));
        if shown { &mut explanation.keys } else { &mut explanation.omitted }.push(key);
    }
    explanation.keys.sort_by(|a, b| a.key.cmp(&b.key));
    explanation
}

/// Everything in a tree that is no table, by its path.
fn leaves(table: &Table) -> BTreeMap<Vec<&str>, &Node> {
    fn collect<'a>(
        table: &'a Table,
        at: &mut Vec<&'a str>,
        leaves: &mut BTreeMap<Vec<&'a str>, &'a Node>,
    ) {
        for (name, node) in &table.entries {
            at.push(name);
            match &node.value {
                Value::Table(table) => collect(table, at, leaves),
                _ => {
                    leaves.insert(at.clone(), node);
                }
            }
            at.pop();
        }
    }
    let mut leaves = BTreeMap::new();
    collect(table, &mut Vec::new(), &mut leaves);
    leaves
}

/// The paths of which only one can have a value together with this one: itself, those that lead to it, and those that
/// it leads to. By lookup: trees may have thousands of leaves.
fn related<'a, K: Ord, V>(
    leaves: &'a BTreeMap<Vec<K>, V>,
    path: &[K],
) -> impl Iterator<Item = (&'a Vec<K>, &'a V)> {
    let above = (0..path.len()).filter_map(|length| leaves.get_key_value(&path[..length]));
    let from_here = (Bound::Included(path), Bound::Unbounded);
    let at_and_below =
        leaves.range::<[K], _>(from_here).take_while(move |(other, _)| other.starts_with(path));
    above.chain(at_and_below)
}

fn of_environment(origin: &Origin) -> bool {
    match origin {
        Origin::Environment { .. } => true,
        // How figment names `Env::raw()`; one with a prefix is settings by intent.
        #[cfg(feature = "figment")]
        Origin::Figment { provider, .. } => provider.ends_with("` in environment variable(s)"),
        #[cfg(feature = "config")]
        Origin::Config { variable, .. } => *variable,
        _ => false,
    }
}

/// Whether a key is of this name, in whichever spelling, or of a longer name that starts with it: `DATABASE_URL` may be
/// meant for `database.url`.
fn begins_as(key: &str, name: &str) -> bool {
    let first = key.split('.').next().unwrap_or(key);
    let longer =
        first.strip_prefix(&name.to_ascii_lowercase()).is_some_and(|rest| rest.starts_with('_'));
    longer || relaxed(first) == relaxed(name)
}

/// Names may hold anything; in a table each is on one line.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

fn count<S: Serializer>(omitted: &[ExplainedKey], serializer: S) -> Result<S::Ok, S::Error> {
    omitted.len().serialize(serializer)
}

#[cfg(test)]
mod tests;

//! Where each key of the settings comes from, and what it hides in the layers below.
//!
//! `sources` keeps what an explanation is made of until someone asks for one; `build` compares the
//! layers with the tree that they were merged into; `fields`, `implied` and `overlooked` correct
//! the result by what the settings type reads; `display` prints it as a table. `Layers::explain`
//! and `Live` call them.
//!
//! An explanation holds names (keys, variables, files, secrets, versions), never a value. A key
//! that may be content is `*` in it (rule T1).

mod build;
mod display;
mod fields;
mod implied;
mod overlooked;
mod sources;

use serde::{Serialize, Serializer};

use crate::tree::Origin;

pub(crate) use fields::fields_of;
pub(crate) use overlooked::Overlooked;
pub(crate) use sources::{Below, Sources};

/// Which layer sets each key, and what that hides in the other layers.
///
/// `Display` is a table for people, `Serialize` the same for programs. Both name keys, variables,
/// files, secrets and versions, and say nothing about values.
///
/// Most variables of the process environment are not settings (`PATH`, `HOME`). Shown are those
/// that hide something, and those whose name starts like a key of another layer or like a field of
/// the settings type. The fields are known for [`Live`](crate::Live), unless the type uses
/// `flatten`. [`all`](Self::all) shows the other variables too.
///
/// For a [`Live`](crate::Live), a variable named after a nested key (`DATABASE_URL` for
/// `database.url`) is shown at that key if it fills it, and as hidden by that key if a higher layer
/// sets it. A key of a secret that is no field, because a variable fills that field in another
/// spelling (`DATABASE__PASSWORD` beside `database_password`), is shown as hidden by the variable.
///
/// A key is named only if it is a field of the settings type, or if the name of a secret or a
/// variable contains it. Other keys, such as those of a map, may be secret themselves: they are
/// shown as `*`, and those that come from the same place are one row with a [count].
///
/// Different spellings of a name (`database_url`, `database-url`, `databaseUrl`) are separate keys
/// here. The spelling in the higher layer hides the others, as it does for a field of a struct. In
/// a map, all of them are kept.
///
/// [count]: ExplainedKey::count
///
/// ```
/// # use secrets_provider::{Layers, Memory, SecretsManager};
/// # let memory = Memory::new();
/// # memory.put("gaara/prod/database", r#"{"username": "gaara", "password": "p"}"#);
/// let secrets = SecretsManager::prefix("gaara/prod").backend(memory).fetch_blocking()?;
/// let variables = [("DATABASE__PASSWORD", "p"), ("DATABASE__HOST", "db.local"), ("PATH", "/bin")];
/// let explanation = Layers::new()
///     .environment_from(variables)
///     .secrets(&secrets)
///     .explain()?;
/// assert_eq!(explanation.to_string(), "\
/// key                layer        source                            hides
/// database.*         secret       gaara/prod/database (version v1)
/// database.host      environment  DATABASE__HOST
/// database.password  secret       gaara/prod/database (version v1)  environment DATABASE__PASSWORD
/// and 1 other environment variable (`.all()` shows it)
/// ");
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    keys: Vec<ExplainedKey>,
    /// Environment variables that do not look like settings. Programs get only their number.
    #[serde(serialize_with = "count")]
    omitted: Vec<ExplainedKey>,
}

/// One key of the settings: where its value comes from, and which other values it hides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExplainedKey {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "is_one")]
    count: usize,
    #[serde(flatten)]
    source: Provenance,
    hides: Vec<Provenance>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) followed_by: Vec<String>,
}

/// The place that a value comes from: a variable, a variable in a file, or a version of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    layer: Layer,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// The layers that settings are made of. A value that a `Figment` or a `Config` has from a variable
/// of the process is of the environment, if its variable is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// A `.env` file.
    Dotenv,
    /// The process environment.
    Environment,
    /// A secret in AWS Secrets Manager or in another [`Backend`](crate::Backend).
    Secret,
    /// Another provider of a `Figment`.
    Figment,
    /// Another source of a `config::Config`.
    Config,
}

impl Provenance {
    fn of(origin: &Origin) -> Self {
        let new = |layer, name: &str| Self {
            layer,
            name: name.to_owned(),
            file: None,
            version_id: None,
            source: None,
        };
        match origin {
            Origin::Secret { name, version_id, source } => Self {
                version_id: Some(version_id.clone()),
                source: source.as_ref().map(|source| source.name.to_string()),
                ..new(Layer::Secret, name)
            },
            Origin::Environment { variable } => new(Layer::Environment, variable),
            Origin::Dotenv { file, variable } => {
                Self { file: Some(file.clone()), ..new(Layer::Dotenv, variable) }
            }
            #[cfg(feature = "figment")]
            Origin::Figment { name: Some(variable), .. } => new(Layer::Environment, variable),
            #[cfg(feature = "config")]
            Origin::Config { name: Some(variable), .. } => new(Layer::Environment, variable),
            #[cfg(feature = "figment")]
            Origin::Figment { provider, .. } => new(Layer::Figment, provider),
            #[cfg(feature = "config")]
            Origin::Config { source, .. } => {
                new(Layer::Config, source.as_deref().unwrap_or("unnamed source"))
            }
        }
    }

    /// The layer of the value.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// The name of the variable or secret. For another provider of a `Figment` or another source of
    /// a `Config`, such as a file, the name that those libraries give it. They don't keep the names
    /// of variables; where exactly one variable of the process fits, this is its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file, for a variable in a `.env` file.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The source of the secret, where there are several; see [`Sources`](crate::Sources).
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The id of the secret's version, for a secret.
    pub fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }
}

impl ExplainedKey {
    /// The dotted key path, with `*` for names that may be content.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many keys are shown as this one; more than one only if it has a `*`.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where its value comes from.
    pub fn source(&self) -> &Provenance {
        &self.source
    }

    /// The unused values for this key, or for one above or below it; the highest layer first.
    pub fn hides(&self) -> &[Provenance] {
        &self.hides
    }

    /// What in the program follows this key, for the explanation of a [`Live`](crate::Live):
    /// `derive` with the name or path of a derived value, `on_change` and `restart_on` with their
    /// paths, `changes` for a stream of changes. The table and the status page show it as soon as
    /// anything is followed.
    ///
    /// A key that nothing follows may still be read at each use, by `load`, `map` or an extractor,
    /// which cannot be seen here; or only once at the start, and then the program goes on with the
    /// old value after a rotation. Followers end with the value, stream or future that they are; at
    /// most a hundred different ones are regarded.
    pub fn followed_by(&self) -> &[String] {
        &self.followed_by
    }
}

impl Explanation {
    /// The keys, sorted, without the [omitted](Self::omitted) environment variables.
    pub fn keys(&self) -> &[ExplainedKey] {
        &self.keys
    }

    /// The key of this name, even if it is [omitted](Self::omitted).
    pub fn key(&self, key: &str) -> Option<&ExplainedKey> {
        self.keys.iter().chain(&self.omitted).find(|known| known.key == key)
    }

    /// How many environment variables are omitted because they do not look like settings.
    pub fn omitted(&self) -> usize {
        self.omitted.len()
    }

    /// The same with every environment variable.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.keys.append(&mut self.omitted);
        self.sort();
        self
    }

    /// The keys, with the omitted ones.
    pub(crate) fn all_keys_mut(&mut self) -> impl Iterator<Item = &mut ExplainedKey> {
        self.keys.iter_mut().chain(&mut self.omitted)
    }

    /// Whether anything follows one of the keys.
    pub(crate) fn is_followed(&self) -> bool {
        self.keys.iter().any(|key| !key.followed_by.is_empty())
    }

    fn sort(&mut self) {
        self.keys.sort_by(|a, b| a.key.cmp(&b.key));
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

fn count<S: Serializer>(omitted: &[ExplainedKey], serializer: S) -> Result<S::Ok, S::Error> {
    omitted.len().serialize(serializer)
}

#[cfg(test)]
mod tests;

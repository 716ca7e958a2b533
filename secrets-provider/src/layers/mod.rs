//! The layers of a service's settings: `.env` < environment < secrets.
//!
//! [`Layers`] turns variables into trees and merges them with the secrets; `stack` is the trait
//! that also lets a `Figment` or a `Config` be the layers of a `Live`; `explain` says where each
//! key came from. Programs call `Layers` directly, `Live` calls it through `stack`.
//!
//! A higher layer wins in whichever order they are added, and the process environment is never
//! written.

pub(crate) mod explain;
pub(crate) mod stack;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::env::dotenv;
use crate::error::{Error, ErrorKind};
use crate::extract;
use crate::load::snapshot::Snapshot;
use crate::secret::Text;
use crate::tree::names::Names;
use crate::tree::{Node, Origin, Table, Value};
use explain::{Explanation, Sources};

/// The layers that [`Live`](crate::Live) merges: a `.env` file, the process environment and
/// secrets. Secrets override the environment, and the environment overrides the file, in whichever
/// order they are added.
///
/// Variable names are lowercased, and `__` nests: `SMTP__HOST` is the key `smtp.host`. Values stay
/// text; the type of the field decides how they are read. If one variable is a scalar and another a
/// table of the same name (`SMTP` and `SMTP__HOST`), the table wins. Variables that are not UTF-8
/// are skipped. A `.env` file is read without changing the process environment.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Smtp { host: String, port: u16 }
/// #[derive(serde::Deserialize)]
/// struct Settings { smtp: Smtp }
///
/// use secrets_provider::Layers;
///
/// let settings: Settings = Layers::new()
///     .environment_from([("SMTP__HOST", "mail.local"), ("SMTP__PORT", "25")])
///     .extract()?;
/// assert_eq!((settings.smtp.host.as_str(), settings.smtp.port), ("mail.local", 25));
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Layers {
    dotenv: Option<PathBuf>,
    environment: Option<Variables>,
    prefix: String,
    /// The variables of [`variable`](Self::variable), each with its key path.
    assigned: Vec<(String, Vec<String>)>,
    secrets: Option<Snapshot>,
}

#[derive(Clone)]
enum Variables {
    Process,
    Given(Vec<(String, Text)>),
}

impl Layers {
    /// No layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// `.env`, the whole process environment and these secrets: the layers of
    /// [`live`](crate::SecretsManager::live).
    pub fn standard(secrets: &Snapshot) -> Self {
        Self::new().dotenv(".env").environment().secrets(secrets)
    }

    /// Adds a `.env` file as the lowest layer.
    ///
    /// A relative path is searched for in the working directory and then in its parents. A file
    /// that does not exist is an empty layer. The file is parsed by dotenvy: `$NAME` is the
    /// variable of the process environment if there is one, else a variable from the lines above.
    /// It is read on the calling thread whenever the layers are merged; a [`Live`](crate::Live)
    /// calls its layers on a thread of their own. A pipe is waited for a second.
    pub fn dotenv(mut self, file: impl AsRef<Path>) -> Self {
        self.dotenv = Some(file.as_ref().to_owned());
        self
    }

    /// Adds the process environment. It is read whenever the layers are merged.
    pub fn environment(mut self) -> Self {
        self.environment = Some(Variables::Process);
        self
    }

    /// Adds the variables of the process environment whose name starts with `prefix`, in any case;
    /// the prefix is removed. The prefix also applies to the variables of a `.env` file.
    pub fn environment_prefixed(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self.environment()
    }

    /// Adds these variables instead of the process environment, for tests.
    pub fn environment_from<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), Text::new(value)));
        self.environment = Some(Variables::Given(variables.collect()));
        self
    }

    /// Makes a variable set this key, and no other, in the environment, in the `.env` file, or in
    /// the secrets: a secret or a root key of that name (`CLERK_SECRET_KEY`, or
    /// `clerk-secret-key`) counts as the variable. The whole name is compared, in any case, and a
    /// prefix does not apply. A value named after the key itself wins within its layer.
    ///
    /// [`extract`](Self::extract), [`explain`](Self::explain) and a [`Live`](crate::Live) fail with
    /// `Config` if a segment of the key path is empty.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Clerk { secret_key: String }
    /// # #[derive(serde::Deserialize)] struct Settings { clerk: Clerk }
    /// use secrets_provider::Layers;
    ///
    /// let settings: Settings = Layers::new()
    ///     .environment_from([("CLERK_SECRET_KEY", "sk_test")])
    ///     .variable("CLERK_SECRET_KEY", "clerk.secret_key")
    ///     .extract()?;
    /// assert_eq!(settings.clerk.secret_key, "sk_test");
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    pub fn variable(mut self, name: impl Into<String>, key_path: &str) -> Self {
        self.assigned.push((name.into(), key_path.split('.').map(str::to_owned).collect()));
        self
    }

    /// Adds secrets as the highest layer.
    pub fn secrets(mut self, snapshot: &Snapshot) -> Self {
        self.secrets = Some(snapshot.clone());
        self
    }

    /// Merges the layers and reads settings from them.
    ///
    /// # Errors
    ///
    /// - `Invalid` if the `.env` file cannot be read or parsed, or if values are missing or do not
    ///   fit the types of their fields. All of these are listed, each with its key and layer and
    ///   without its value.
    /// - `Conflict` if one layer gives a field twice: in two spellings, or by an alias.
    /// - `Config` if a key path given to [`variable`](Self::variable) has an empty segment.
    pub fn extract<T: DeserializeOwned>(&self) -> Result<T, Error> {
        extract::extract(&self.merged()?, self.secret_names()).map_err(|error| {
            match &self.secrets {
                Some(secrets) => secrets.explain(error),
                None => error,
            }
        })
    }

    /// Where each key comes from, and what it hides in the layers below.
    ///
    /// The type of the settings is not known here, so the names in a secret's JSON may be content
    /// and are shown as `*`, unless a variable has the same name.
    ///
    /// # Errors
    ///
    /// - `Invalid` if the `.env` file cannot be read or parsed.
    /// - `Config` if a key path given to [`variable`](Self::variable) has an empty segment.
    pub fn explain(&self) -> Result<Explanation, Error> {
        let (merged, layers) = self.merged_with_layers()?;
        let sources = Sources::new(layers, Arc::new(merged), self.secret_names());
        Ok(Arc::unwrap_or_clone(sources.explanation()))
    }

    pub(crate) fn merged(&self) -> Result<Table, Error> {
        Ok(self.merge(self.variables()?))
    }

    /// The merged tree, and the layers that it is made of, the lowest first.
    pub(crate) fn merged_with_layers(&self) -> Result<(Table, Vec<Table>), Error> {
        let mut layers = self.variables()?;
        let merged = self.merge(layers.clone());
        let sources = self.secrets.iter().flat_map(Snapshot::layers);
        layers.extend(sources.map(|tree| self.placed(tree.clone())));
        Ok((merged, layers))
    }

    fn secret_names(&self) -> Names {
        self.secrets.as_ref().map(Snapshot::names).unwrap_or_default()
    }

    /// The tree of each layer of variables, the lowest first.
    fn variables(&self) -> Result<Vec<Table>, Error> {
        if let Some((name, path)) =
            self.assigned.iter().find(|(_, path)| path.iter().any(String::is_empty))
        {
            let message = format!(
                "variable `{name}` cannot set key `{}`: a segment of the key path is empty",
                path.join(".")
            );
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("use a dotted key path such as `api.key`"));
        }
        let mut layers = Vec::new();
        if let Some(path) = &self.dotenv {
            let file = path.display().to_string();
            let origin = |variable: &str| Origin::Dotenv {
                file: file.clone(),
                variable: variable.to_owned(),
            };
            let variables =
                dotenv::read(path)?.into_iter().map(|(name, value)| (name, Text::new(value)));
            layers.push(self.tree_of(variables.collect(), origin));
        }
        if let Some(variables) = &self.environment {
            let variables = match variables {
                Variables::Given(variables) => variables.clone(),
                Variables::Process => std::env::vars_os()
                    .filter_map(|(name, value)| {
                        Some((name.into_string().ok()?, Text::new(value.into_string().ok()?)))
                    })
                    .collect(),
            };
            let origin = |variable: &str| Origin::Environment { variable: variable.to_owned() };
            layers.push(self.tree_of(variables, origin));
        }
        Ok(layers)
    }

    /// Merges these layers of variables, and the secrets over them.
    fn merge(&self, variables: Vec<Table>) -> Table {
        let mut tree = Table::default();
        for layer in variables {
            tree.overlay_keeping_tables(layer);
        }
        if let Some(secrets) = self.secrets_tree() {
            tree.overlay(secrets);
        }
        tree
    }

    /// The secrets as a tree, in which those named as an assigned variable are at its key.
    fn secrets_tree(&self) -> Option<Table> {
        Some(self.placed(self.secrets.as_ref()?.tree().clone()))
    }

    fn placed(&self, mut tree: Table) -> Table {
        for (name, path) in &self.assigned {
            let named: Vec<String> =
                name.to_ascii_lowercase().split("__").map(str::to_owned).collect();
            if named == *path {
                continue;
            }
            if let Some(node) = tree.take(&named) {
                let mut placed = Table::nested(path, node.unnamed());
                // What has the key of its own wins.
                placed.overlay(std::mem::take(&mut tree));
                tree = placed;
            }
        }
        tree
    }

    /// The variables of one layer as a tree. They are sorted, so that of two names that differ only
    /// in case the same one always wins. Assigned variables come first, so that the others override
    /// them.
    fn tree_of(
        &self,
        mut variables: Vec<(String, Text)>,
        origin: impl Fn(&str) -> Origin,
    ) -> Table {
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        let assigned_path = |name: &str| {
            let mut assigned = self.assigned.iter();
            assigned
                .find(|(assigned, _)| assigned.eq_ignore_ascii_case(name))
                .map(|(_, path)| path.clone())
        };
        let (assigned, named): (Vec<_>, Vec<_>) = variables
            .into_iter()
            .map(|variable| (assigned_path(&variable.0), variable))
            .partition(|(path, _)| path.is_some());
        let mut tree = Table::default();
        for (path, (name, value)) in assigned.into_iter().chain(named) {
            let Some(path) = path.or_else(|| self.key_path(&name)) else { continue };
            let origin = Arc::new(origin(&name));
            let leaf = Node::new(Value::Text(value), origin.clone());
            let nested = path.into_iter().rev().fold(leaf, |node, segment| {
                let table = Table { entries: [(segment, node)].into(), source_text: None };
                Node::new(Value::Table(table), origin.clone())
            });
            if let Value::Table(table) = nested.value {
                tree.overlay_keeping_tables(table);
            }
        }
        tree
    }

    /// The key path of a variable's name; `None` without the prefix or with an empty segment.
    fn key_path(&self, name: &str) -> Option<Vec<String>> {
        let (head, rest) = name.split_at_checked(self.prefix.len())?;
        if !head.eq_ignore_ascii_case(&self.prefix) {
            return None;
        }
        let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        path.iter().all(|segment| !segment.is_empty()).then_some(path)
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = match &self.environment {
            Some(Variables::Process) => "process",
            Some(Variables::Given(_)) => "given",
            None => "none",
        };
        f.debug_struct("Layers")
            .field("dotenv", &self.dotenv)
            .field("environment", &environment)
            .field("prefix", &self.prefix)
            .field("assigned", &self.assigned)
            .field("secrets", &self.secrets)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(prefix: &str, dotenv: &str, env: &[(&str, &str)]) -> serde_json::Value {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".env");
        std::fs::write(&file, dotenv).expect("a file");
        let layers = Layers::new().dotenv(&file).environment_prefixed(prefix);
        layers.environment_from(env.iter().copied()).extract().expect("a tree")
    }

    #[test]
    fn variable_names_are_lowercased_and_nested_and_values_stay_text() {
        let env = [
            ("A", "007"),
            ("B__C", " x "),
            ("B__D__E", "true"),
            ("__X", "x"),
            ("Y__", "y"),
            ("Z____Z", "z"),
        ];
        let expected = serde_json::json!({"a": "007", "b": {"c": " x ", "d": {"e": "true"}}});
        assert_eq!(merged("", "", &env), expected);
    }

    #[test]
    fn a_table_wins_over_a_scalar_of_the_same_name_within_and_across_layers() {
        let expected = serde_json::json!({"a": {"b": "table"}});
        assert_eq!(merged("", "A=scalar\nA__B=table\n", &[]), expected);
        assert_eq!(merged("", "", &[("A__B", "table"), ("A", "scalar")]), expected);
        assert_eq!(merged("", "A=scalar\n", &[("A__B", "table")]), expected);
        assert_eq!(merged("", "A__B=table\n", &[("A", "scalar")]), expected);
    }

    #[test]
    fn a_prefix_applies_to_both_layers_in_any_case() {
        let expected = serde_json::json!({"a": "1", "b": {"c": "2"}});
        assert_eq!(
            merged("APP_", "APP_A=1\nA=no\n", &[("app_B__C", "2"), ("B", "no"), ("APP", "no")]),
            expected
        );
    }

    #[test]
    fn an_assigned_variable_sets_its_key_in_both_layers() {
        let read = |dotenv: &str, env: &[(&str, &str)]| {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join(".env");
            std::fs::write(&file, dotenv).expect("a file");
            let layers = Layers::new().dotenv(&file).environment_prefixed("APP_");
            let layers =
                layers.environment_from(env.iter().copied()).variable("OLD_KEY", "api.key");
            layers.extract::<serde_json::Value>().expect("a tree")
        };
        let key = |value: &str| serde_json::json!({"api": {"key": value}});
        assert_eq!(read("OLD_KEY=d", &[]), key("d"));
        for path in ["", "a..b", "."] {
            let error = Layers::new()
                .variable("X", path)
                .extract::<serde_json::Value>()
                .expect_err("an empty segment");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        assert_eq!(read("OLD_KEY=d", &[("old_key", "e")]), key("e"));
        assert_eq!(read("", &[("OLD_KEY", "old"), ("APP_API__KEY", "own")]), key("own"));
        assert_eq!(
            read("APP_API__KEY=d", &[("OLD_KEY", "e")]),
            key("e"),
            "the higher layer wins under either name"
        );
    }

    #[test]
    fn an_assigned_variable_is_found_in_the_secrets_before_the_environment() {
        let read = |secrets: &[(&str, &str)]| {
            let memory = crate::Memory::new();
            secrets.iter().for_each(|(name, text)| _ = memory.put(name, *text));
            let secrets = crate::SecretsManager::prefix("app").backend(memory).fetch_blocking();
            let layers = Layers::new()
                .environment_from([("CLERK_KEY", "stale")])
                .variable("CLERK_KEY", "api.clerk.key")
                .secrets(&secrets.expect("a snapshot"));
            layers.extract::<serde_json::Value>().expect("a tree")
        };
        let key = |value: &str| serde_json::json!({"api": {"clerk": {"key": value}}});
        assert_eq!(read(&[("app/clerk-key", "s")]), key("s"));
        assert_eq!(read(&[("app", r#"{"CLERK_KEY": "s"}"#)]), key("s"));
        assert_eq!(read(&[("app/CLERK_KEY", "old"), ("app/api/clerk/key", "own")]), key("own"));
        let beside = serde_json::json!({"api": {"clerk": {"key": "s"}, "x": "y"}});
        assert_eq!(read(&[("app/clerk-key", "s"), ("app/api", r#"{"x": "y"}"#)]), beside);
    }

    #[test]
    fn debug_shows_no_value() {
        let layers = Layers::new().environment_from([("PASSWORD", "hunter2")]);
        assert!(!format!("{layers:?}").contains("hunter2"));
    }
}

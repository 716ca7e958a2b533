//! The layers of a service's settings in their order: `.env` < environment < secrets.

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
use crate::tree::{Node, Origin, Table, Value};
use explain::Explanation;

/// The layers that [`Live`](crate::Live) merges: a `.env` file, the process environment, secrets, each on top of
/// the one before, whatever the order of the calls.
///
/// Variable names are lowercased and `__` nests: `SMTP__HOST` is the key `smtp.host`. Values stay the text they
/// are; the field's type decides how they are read. Where one variable is a scalar and another a table of the same
/// name (`SMTP` and `SMTP__HOST`), the table counts. Variables that are not UTF-8 are skipped. A `.env` file is
/// read without touching the process environment.
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
    /// Variables that are placed by hand: name, key path.
    placed: Vec<(String, Vec<String>)>,
    secrets: Option<Snapshot>,
}

#[derive(Clone)]
enum Variables {
    Process,
    Given(Vec<(String, Text)>),
}

impl Layers {
    /// No layer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `.env`, the whole process environment and these secrets: what [`live`](crate::SecretsManager::live) uses.
    pub fn standard(secrets: &Snapshot) -> Self {
        Self::new().dotenv(".env").environment().secrets(secrets)
    }

    /// Adds a `.env` file as the lowest layer. A relative path is looked for in the working directory and then in
    /// its parents; a file that does not exist is an empty layer. It is parsed by dotenvy, whose `$NAME` stands for
    /// the process's variable, if there is one, else for the file's own. It is read on the calling thread.
    pub fn dotenv(mut self, file: impl AsRef<Path>) -> Self {
        self.dotenv = Some(file.as_ref().to_owned());
        self
    }

    /// Adds the process environment, as it is when the layers are merged.
    pub fn environment(mut self) -> Self {
        self.environment = Some(Variables::Process);
        self
    }

    /// Adds those variables of the process environment whose name starts with `prefix` (in any case), without
    /// it. A `.env` file stands in for the environment, so of that too only such variables count.
    pub fn environment_prefixed(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self.environment()
    }

    /// Adds these variables in place of the process environment, for tests.
    pub fn environment_from<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), Text::new(value)));
        self.environment = Some(Variables::Given(variables.collect()));
        self
    }

    /// Says which key a variable is, in the environment or in the `.env` file: by its whole name, in any case, and
    /// whatever prefix there is. It is that key then and no other; a variable that is named after the key itself comes
    /// first within its layer.
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
        self.placed.push((name.into(), key_path.split('.').map(str::to_owned).collect()));
        self
    }

    /// Adds secrets as the highest layer.
    pub fn secrets(mut self, snapshot: &Snapshot) -> Self {
        self.secrets = Some(snapshot.clone());
        self
    }

    /// Merges the layers into settings.
    ///
    /// # Errors
    ///
    /// `Invalid`, if the `.env` file is malformed, or values are missing or do not fit the fields' types; all of
    /// them are listed, each with its key and its layer, none with its value.
    pub fn extract<T: DeserializeOwned>(&self) -> Result<T, Error> {
        extract::extract(&self.merged()?).map_err(|error| match &self.secrets {
            Some(secrets) => secrets.explain(error),
            None => error,
        })
    }

    /// Where each key comes from, and what it hides in the layers below.
    ///
    /// # Errors
    ///
    /// `Invalid`, if the `.env` file is malformed.
    pub fn explain(&self) -> Result<Explanation, Error> {
        Ok(self.merged_and_explained()?.1)
    }

    pub(crate) fn merged(&self) -> Result<Table, Error> {
        Ok(self.merge(self.variables()?))
    }

    pub(crate) fn merged_and_explained(&self) -> Result<(Table, Explanation), Error> {
        let variables = self.variables()?;
        let layers: Vec<&Table> =
            variables.iter().chain(self.secrets.as_ref().map(Snapshot::tree)).collect();
        let merged = self.merge(variables.clone());
        let explanation = explain::explain(&layers, &merged);
        Ok((merged, explanation))
    }

    /// The layers of variables, the lowest first.
    fn variables(&self) -> Result<Vec<Table>, Error> {
        if let Some((name, path)) =
            self.placed.iter().find(|(_, path)| path.iter().any(String::is_empty))
        {
            let message = format!(
                "variable `{name}` cannot be key `{}`: a part of the key path is empty",
                path.join(".")
            );
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("give a dotted key path such as `api.key`"));
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
            layers.push(self.nested(variables.collect(), origin));
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
            layers.push(self.nested(variables, origin));
        }
        Ok(layers)
    }

    /// The layers of variables and the secrets on top.
    fn merge(&self, variables: Vec<Table>) -> Table {
        let mut tree = Table::default();
        for layer in variables {
            tree.overlay_keeping_tables(layer);
        }
        if let Some(snapshot) = &self.secrets {
            tree.overlay(snapshot.tree().clone());
        }
        tree
    }

    /// Variables as a tree. Sorted first: of two names that differ in case alone the same one always wins. Those
    /// placed by hand come before the others, which lie over them.
    fn nested(&self, mut variables: Vec<(String, Text)>, origin: impl Fn(&str) -> Origin) -> Table {
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        let by_hand = |name: &str| {
            let mut placed = self.placed.iter();
            placed
                .find(|(placed, _)| placed.eq_ignore_ascii_case(name))
                .map(|(_, path)| path.clone())
        };
        let (placed, named): (Vec<_>, Vec<_>) = variables
            .into_iter()
            .map(|variable| (by_hand(&variable.0), variable))
            .partition(|(path, _)| path.is_some());
        let mut tree = Table::default();
        for (path, (name, value)) in placed.into_iter().chain(named) {
            let Some(path) = path.or_else(|| self.path(&name)) else { continue };
            let origin = Arc::new(origin(&name));
            let leaf = Node::new(Value::Text(value), origin.clone());
            let nested = path.into_iter().rev().fold(leaf, |node, part| {
                let table = Table { entries: [(part, node)].into(), source_text: None };
                Node::new(Value::Table(table), origin.clone())
            });
            if let Value::Table(table) = nested.value {
                tree.overlay_keeping_tables(table);
            }
        }
        tree
    }

    /// A variable's key path; `None` if it lacks the prefix, or a part of it is empty.
    fn path(&self, name: &str) -> Option<Vec<String>> {
        let (head, rest) = name.split_at_checked(self.prefix.len())?;
        if !head.eq_ignore_ascii_case(&self.prefix) {
            return None;
        }
        let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        path.iter().all(|part| !part.is_empty()).then_some(path)
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
            .field("placed", &self.placed)
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
    fn variables_are_lowercased_nested_and_stay_text() {
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
    fn a_table_beats_a_scalar_of_the_same_name_in_either_order_and_across_both_files() {
        let expected = serde_json::json!({"a": {"b": "table"}});
        assert_eq!(merged("", "A=scalar\nA__B=table\n", &[]), expected);
        assert_eq!(merged("", "", &[("A__B", "table"), ("A", "scalar")]), expected);
        assert_eq!(merged("", "A=scalar\n", &[("A__B", "table")]), expected);
        assert_eq!(merged("", "A__B=table\n", &[("A", "scalar")]), expected);
    }

    #[test]
    fn a_prefix_counts_in_both_layers_and_in_any_case() {
        let expected = serde_json::json!({"a": "1", "b": {"c": "2"}});
        assert_eq!(
            merged("APP_", "APP_A=1\nA=no\n", &[("app_B__C", "2"), ("B", "no"), ("APP", "no")]),
            expected
        );
    }

    #[test]
    fn a_variable_placed_by_hand_is_that_key_in_both_layers() {
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
                .expect_err("no path");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        assert_eq!(read("OLD_KEY=d", &[("old_key", "e")]), key("e"));
        assert_eq!(read("", &[("OLD_KEY", "old"), ("APP_API__KEY", "own")]), key("own"));
        assert_eq!(
            read("APP_API__KEY=d", &[("OLD_KEY", "e")]),
            key("e"),
            "the higher layer, however it is named"
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let layers = Layers::new().environment_from([("PASSWORD", "hunter2")]);
        assert!(!format!("{layers:?}").contains("hunter2"));
    }
}

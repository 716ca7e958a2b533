//! A built `Config` as our kind of tree, with the source of every value, so that our extraction can
//! read it. `Live` calls it, through `LayerStack`.
//!
//! config-rs keeps the name of a value's source. A value whose source and content are a secret's is
//! replaced by the snapshot's own node, which has the number's source text and the binary's bytes;
//! all other values are converted.

use std::cell::OnceCell;
use std::sync::Arc;

use config::{Config, ConfigError, Map, Value, ValueKind};

use super::error::rebuilt;
use super::values::{is_unchanged, scalar};
use crate::adapters::variables::ByValue;
use crate::error::Error;
use crate::layers::stack::{LayerStack, Merged, Sealed};
use crate::load::snapshot::Snapshot;
use crate::tree::origin::without_credentials;
use crate::tree::{self, Node, Origin, Table};

/// The name that config-rs gives to its `Environment`.
const ENVIRONMENT: &str = "the environment";

impl LayerStack for Config {}

impl Sealed for Config {
    fn merged(self, secrets: &Snapshot) -> Result<Merged, Error> {
        Ok(Merged(tree_of(self, secrets)))
    }
}

/// The result of `build()`, so that the closure of [`layers`](crate::LiveBuilder::layers) can
/// return it. An error is rebuilt, because config-rs's own may quote values.
impl LayerStack for Result<Config, ConfigError> {}

impl Sealed for Result<Config, ConfigError> {
    fn merged(self, secrets: &Snapshot) -> Result<Merged, Error> {
        self.map_err(rebuilt)?.merged(secrets)
    }
}

/// The merged values with their origins.
fn tree_of(config: Config, secrets: &Snapshot) -> Table {
    let mut reading = Reading::default();
    match config.cache.kind {
        ValueKind::Table(entries) => table_of(&mut reading, entries, Some(secrets.tree())),
        // Never happens: config-rs always makes the root a table.
        _ => Table::default(),
    }
}

/// What is known while a tree is converted.
#[derive(Default)]
struct Reading {
    /// The variables of the process, read for the first value that comes from one.
    variables: OnceCell<ByValue>,
    /// The path of the value.
    path: Vec<String>,
}

impl Reading {
    /// The variable of the process that a value of config-rs's `Environment` comes from.
    fn variable(&self, value: &ValueKind) -> Option<String> {
        let find =
            |text: &str| self.variables.get_or_init(ByValue::of_process).find(&self.path, text);
        let name = match value {
            ValueKind::String(text) => find(text),
            ValueKind::Boolean(_) | ValueKind::I64(_) | ValueKind::Float(_) => {
                find(&value.to_string())
            }
            _ => None,
        };
        name.map(str::to_owned)
    }
}

/// `ours` is the table of the secrets at the same place.
fn table_of(reading: &mut Reading, entries: Map<String, Value>, ours: Option<&Table>) -> Table {
    let entries = entries.into_iter().map(|(name, value)| {
        let ours = ours.and_then(|table| table.entries.get(&name));
        reading.path.push(name.clone());
        let node = node_of(reading, value, ours);
        reading.path.pop();
        (name, node)
    });
    let entries = entries.collect();
    // If nothing was merged into the table, the secret's text is still its text.
    let whole = ours.filter(|ours| ours.entries == entries);
    Table { entries, source_text: whole.and_then(|ours| ours.source_text.clone()) }
}

fn node_of(reading: &mut Reading, merged: Value, ours: Option<&Node>) -> Node {
    let origin = match (merged.origin(), ours) {
        (Some(name), Some(node)) if name == node.origin.to_string() => node.origin.clone(),
        (name, _) => Arc::new(Origin::Config {
            source: name.map(without_credentials),
            variable: name == Some(ENVIRONMENT),
            name: name
                .filter(|name| *name == ENVIRONMENT)
                .and_then(|_| reading.variable(&merged.kind)),
        }),
    };
    match merged.kind {
        ValueKind::Table(entries) => table_node(reading, entries, origin, ours),
        // Item by item: a higher layer may have set one of them, as `list[0]`.
        ValueKind::Array(items) => {
            let of_ours = match ours.map(|node| &node.value) {
                Some(tree::Value::Array(items)) => items.as_slice(),
                _ => &[],
            };
            let items = items.into_iter().enumerate();
            let items: Vec<Node> =
                items.map(|(at, item)| node_of(reading, item, of_ours.get(at))).collect();
            match ours {
                Some(node) if *origin == *node.origin && of_ours == items => node.clone(),
                _ => Node::new(tree::Value::Array(items), origin),
            }
        }
        kind => {
            // The origin is not enough: a value with its origin can be copied to another key.
            let ours = ours.filter(|node| *origin == *node.origin && is_unchanged(&kind, node));
            // Converted even if it is not used, because that wipes config-rs's text.
            let theirs = Node::new(scalar(kind), origin);
            ours.cloned().unwrap_or(theirs)
        }
    }
}

/// A table, whose origin config-rs often drops. A table that holds a value of a secret gets the
/// origin of the secrets' table at its place, because secrets are usually the highest layer; any
/// other table gets the origin of its first value.
fn table_node(
    reading: &mut Reading,
    entries: Map<String, Value>,
    origin: Arc<Origin>,
    ours: Option<&Node>,
) -> Node {
    let ours = ours.and_then(|node| match &node.value {
        tree::Value::Table(table) => Some((node, table)),
        _ => None,
    });
    let table = table_of(reading, entries, ours.map(|(_, table)| table));
    let secret = |node: &Node| matches!(*node.origin, Origin::Secret { .. });
    let (origin, previous) = match (&*origin, ours) {
        (Origin::Config { source: None, .. }, Some((node, _)))
            if table.entries.values().any(secret) =>
        {
            (node.origin.clone(), node.previous.clone())
        }
        (Origin::Config { source: None, .. }, _) => {
            (table.entries.values().next().map_or(origin, |node| node.origin.clone()), None)
        }
        (_, Some((node, _))) if *origin == *node.origin => (origin, node.previous.clone()),
        _ => (origin, None),
    };
    let spelling = ours.and_then(|(node, _)| node.spelling.clone());
    Node { previous, spelling, ..Node::new(tree::Value::Table(table), origin) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, SecretsManager};

    #[test]
    fn the_name_of_a_source_is_shown_without_credentials() {
        let value = Value::new(Some(&"db://me:hunter2@host".into()), "x");
        let config =
            Config::builder().set_override("key", value).and_then(|builder| builder.build());
        let tree = tree_of(config.expect("a config"), &snapshot("{}"));
        assert_eq!(tree.entries["key"].origin.to_string(), "config source `db://host`");
    }

    fn snapshot(json: &str) -> Snapshot {
        let secrets = Memory::new();
        secrets.put("app/db", json);
        secrets.put_binary("app/key", [0xff, 0xfe]);
        SecretsManager::prefix("app").backend(secrets).fetch_blocking().expect("a snapshot")
    }

    #[test]
    fn unchanged_secrets_come_back_as_they_were() {
        let secrets = snapshot(
            r#"{"ratio": 1.10, "big": 123456789012345678901, "list": [1.0, {"x": "y"}, null]}"#,
        );
        let config = Config::builder().add_source(secrets.clone()).build().expect("a config");
        let tree = tree_of(config, &secrets);
        assert!(tree == *secrets.tree(), "source text, bytes and origins");
        let text = |tree: &Table| match &tree.entries["db"].value {
            tree::Value::Table(table) => table.source_text.is_some(),
            _ => false,
        };
        assert!(text(&tree));

        let above = Config::builder()
            .add_source(secrets.clone())
            .set_override("db.more", 1)
            .expect("a key");
        let tree = tree_of(above.build().expect("a config"), &secrets);
        assert!(!text(&tree), "a table with additions has no source text");
        assert!(tree.find(&["db", "ratio"]) == secrets.tree().find(&["db", "ratio"]));
    }

    #[test]
    fn values_of_another_source_have_its_origin() {
        let secrets = snapshot(r#"{"user": "u", "password": "p", "list": ["a", "b"]}"#);
        let config = Config::builder().add_source(secrets.clone()).build().expect("a config");
        let password = config.get::<Value>("db.password").expect("a value");
        assert!(password.origin().is_none(), "`get` drops the origin");
        let password =
            Value::new(Some(&secrets.tree().entries["db"].origin.to_string()), password.kind);
        let config = Config::builder()
            .add_source(secrets.clone())
            .set_override("db.user", password)
            .and_then(|builder| builder.set_override("db.list[1]", "c"))
            .and_then(|builder| builder.build())
            .expect("a config");
        let tree = tree_of(config, &secrets);
        let text = |path: &[&str]| match tree.find(path).map(|node| &node.value) {
            Some(tree::Value::Text(text)) => text.as_str().to_owned(),
            _ => panic!("no text at {path:?}"),
        };
        assert_eq!(text(&["db", "user"]), "p");
        let Some(tree::Value::Array(items)) = tree.find(&["db", "list"]).map(|node| &node.value)
        else {
            panic!("no list")
        };
        let shown: Vec<_> = items.iter().map(|item| item.origin.to_string()).collect();
        assert!(shown[0].starts_with("secret `app/db`"), "{shown:?}");
        assert_eq!(shown[1], "a config source without a name: a default, an override or a string");
        assert!(matches!(&items[1].value, tree::Value::Text(text) if text.as_str() == "c"));
    }
}

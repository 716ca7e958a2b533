//! config-rs: the secrets as a source, and a `Config` as a tree of ours.

mod error;
mod tree;

use std::mem;

use async_trait::async_trait;
use config::{AsyncSource, Config, ConfigError, Map, Source, Value, ValueKind};

use crate::error::Error;
use crate::layers::stack::{LayerStack, Merged, Sealed};
use crate::load::manager::SecretsManager;
use crate::load::snapshot::Snapshot;
use crate::tree::{Node, Table, Value as TreeValue, base64};

impl LayerStack for Config {}

impl Sealed for Config {
    fn merged(self, secrets: &Snapshot) -> Result<Merged, Error> {
        Ok(Merged(tree::tree_of(self, secrets)))
    }
}

/// What `build()` returns, so that the closure need not unwrap it. The error is rebuilt: config-rs's own may quote
/// values.
impl LayerStack for Result<Config, ConfigError> {}

impl Sealed for Result<Config, ConfigError> {
    fn merged(self, secrets: &Snapshot) -> Result<Merged, Error> {
        self.map_err(error::rebuilt)?.merged(secrets)
    }
}

/// Secrets that are already here, as a source that needs no network. Each value has its secret and version as its
/// origin, which config-rs names in errors.
///
/// ```
/// use config::Config;
/// use secrets_provider::{Memory, SecretsManager};
///
/// let secrets = Memory::new();
/// secrets.put("gaara/prod/database", r#"{"username": "gaara", "port": 5432}"#);
/// let snapshot = SecretsManager::prefix("gaara/prod").backend(secrets).fetch_blocking()?;
///
/// let config = Config::builder().set_default("database.host", "localhost")?.add_source(snapshot).build()?;
/// assert_eq!(config.get::<u16>("database.port")?, 5432);
/// assert_eq!(config.get_string("database.host")?, "localhost");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Source for Snapshot {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(map(self.tree()))
    }

    fn collect_to(&self, cache: &mut Value) -> Result<(), ConfigError> {
        lay(self.tree(), cache);
        Ok(())
    }
}

/// Secrets that are fetched by each `build` or `build_cloned`. Those panic outside a tokio runtime, as
/// [`fetch`](SecretsManager::fetch) does; a failed fetch is `ConfigError::Foreign` with our [`Error`]
/// in it.
#[async_trait]
impl AsyncSource for SecretsManager {
    async fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(map(fetched(self).await?.tree()))
    }

    async fn collect_to(&self, cache: &mut Value) -> Result<(), ConfigError> {
        lay(fetched(self).await?.tree(), cache);
        Ok(())
    }
}

async fn fetched(manager: &SecretsManager) -> Result<Snapshot, ConfigError> {
    manager.fetch().await.map_err(|error| ConfigError::Foreign(Box::new(error)))
}

/// Lays a tree over what a builder has gathered so far, as config-rs itself merges, but by literal keys: it would
/// read a root key `a.b` as a path. Tables keep an origin, which config-rs drops. An asynchronous builder leaves it at
/// that; a synchronous one gathers all its sources first, and then merges the whole once more in its own way.
fn lay(above: &Table, below: &mut Value) {
    let mut entries = match mem::take(&mut below.kind) {
        ValueKind::Table(entries) => entries,
        _ => Map::new(),
    };
    for (name, node) in &above.entries {
        let value = match &node.value {
            TreeValue::Table(table) => {
                let kind = entries.remove(name).map_or(ValueKind::Nil, |below| below.kind);
                let mut merged = with_origin(node, kind);
                lay(table, &mut merged);
                merged
            }
            _ => value(node),
        };
        entries.insert(name.clone(), value);
    }
    below.kind = ValueKind::Table(entries);
}

fn map(table: &Table) -> Map<String, Value> {
    table.entries.iter().map(|(name, node)| (name.clone(), value(node))).collect()
}

/// A node as config-rs has it.
fn value(node: &Node) -> Value {
    let kind = match &node.value {
        TreeValue::Null => ValueKind::Nil,
        TreeValue::Bool(value) => ValueKind::Boolean(*value),
        TreeValue::Text(text) => ValueKind::String(text.as_str().to_owned()),
        TreeValue::Bytes(bytes) => ValueKind::String(base64(bytes).to_string()),
        TreeValue::Number(number) => self::number(number.as_str()),
        TreeValue::Array(items) => ValueKind::Array(items.iter().map(value).collect()),
        TreeValue::Table(table) => ValueKind::Table(map(table)),
    };
    with_origin(node, kind)
}

fn with_origin(node: &Node, kind: ValueKind) -> Value {
    Value::new(Some(&node.origin.to_string()), kind)
}

/// As config-rs reads a number of a JSON file. Its 128-bit kinds are not for us: what serde buffers (`flatten`,
/// `untagged`, `serde_json::Value`) refuses them.
fn number(text: &str) -> ValueKind {
    if let Ok(number) = text.parse::<i64>() {
        ValueKind::I64(number)
    } else if let Ok(number) = text.parse::<u64>() {
        ValueKind::U64(number)
    } else {
        ValueKind::Float(text.parse().unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[test]
    fn numbers_take_the_first_kind_that_holds_them() {
        for (text, expected) in [
            ("0", ValueKind::I64(0)),
            ("-9223372036854775808", ValueKind::I64(i64::MIN)),
            ("9223372036854775807", ValueKind::I64(i64::MAX)),
            ("9223372036854775808", ValueKind::U64(1 << 63)),
            ("18446744073709551615", ValueKind::U64(u64::MAX)),
            ("18446744073709551616", ValueKind::Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775809", ValueKind::Float(-9_223_372_036_854_775_808.0)),
            ("1e3", ValueKind::Float(1000.0)),
            ("0.5", ValueKind::Float(0.5)),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn values_have_their_secret_as_origin_and_tables_too_where_config_rs_keeps_it() {
        let secrets = Memory::new();
        secrets.put("app/db", r#"{"list": [1, null], "deep": {"x": true}}"#);
        secrets.put_binary("app/key", [0, 1, 2]);
        let manager = SecretsManager::prefix("app").backend(secrets);
        let snapshot = manager.fetch().await.expect("a snapshot");

        fn walk(value: &Value, at: &str, named: &mut Vec<String>) {
            if value.origin().is_some_and(|origin| origin.starts_with("secret `app/")) {
                named.push(at.to_owned());
            }
            match &value.kind {
                ValueKind::Table(table) => table
                    .iter()
                    .for_each(|(name, value)| walk(value, &format!("{at}.{name}"), named)),
                ValueKind::Array(items) => {
                    items.iter().for_each(|item| walk(item, &format!("{at}[]"), named))
                }
                _ => {}
            }
        }
        let builder = config::Config::builder();
        let all = [".db", ".db.deep", ".db.deep.x", ".db.list", ".db.list[]", ".db.list[]", ".key"];
        let synchronous = builder.clone().add_source(snapshot).build().expect("a config");
        let asynchronous = builder.add_async_source(manager).build().await.expect("a config");
        for (config, tables) in [(synchronous, false), (asynchronous, true)] {
            let mut named = Vec::new();
            walk(&config.cache, "", &mut named);
            named.sort();
            let expected = all.into_iter().filter(|at| tables || ![".db", ".db.deep"].contains(at));
            assert_eq!(named, expected.collect::<Vec<_>>());
            assert_eq!(config.get_string("key").expect("text"), "AAEC");
            assert_eq!(config.get::<Vec<Option<u8>>>("db.list").expect("a list"), [Some(1), None]);
        }
    }
}

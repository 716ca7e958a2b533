//! The secrets as sources of config-rs: a `Snapshot` synchronously, a `SecretsManager` by a fetch
//! per build.
//!
//! `collect_to` is implemented beside `collect` because config-rs's own reads a key at the root as
//! a path and drops the origin of tables.

use std::mem;

use async_trait::async_trait;
use config::{AsyncSource, ConfigError, Map, Source, Value, ValueKind};

use super::values::{map, value, with_origin};
use crate::load::manager::SecretsManager;
use crate::load::snapshot::Snapshot;
use crate::tree::{Table, Value as TreeValue};

/// Secrets that are already fetched, as a source that needs no network. The origin of each value is
/// its secret and version, which config-rs names in errors.
///
/// ```
/// use config::Config;
/// use secrets_provider::{Memory, SecretsManager};
///
/// let secrets = Memory::new();
/// secrets.put("gaara/prod/database", r#"{"username": "gaara", "port": 5432}"#);
/// let snapshot = SecretsManager::prefix("gaara/prod").backend(secrets).fetch_blocking()?;
///
/// let config = Config::builder()
///     .set_default("database.host", "localhost")?
///     .add_source(snapshot)
///     .build()?;
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
        overlay(self.tree(), cache);
        Ok(())
    }
}

/// Fetches the secrets on every `build` or `build_cloned`. Like [`fetch`](SecretsManager::fetch),
/// these panic outside a Tokio runtime. A failed fetch is `ConfigError::Foreign` with our
/// [`Error`](crate::Error) in it.
#[async_trait]
impl AsyncSource for SecretsManager {
    async fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(map(fetch(self).await?.tree()))
    }

    async fn collect_to(&self, cache: &mut Value) -> Result<(), ConfigError> {
        overlay(fetch(self).await?.tree(), cache);
        Ok(())
    }
}

async fn fetch(manager: &SecretsManager) -> Result<Snapshot, ConfigError> {
    manager.fetch().await.map_err(|error| ConfigError::Foreign(Box::new(error)))
}

/// Merges a tree over the values that a builder has gathered, as config-rs does, but by literal
/// keys and with an origin for each table. An asynchronous builder keeps the result; a synchronous
/// one merges all its sources once more in its own way.
fn overlay(above: &Table, below: &mut Value) {
    let mut entries = match mem::take(&mut below.kind) {
        ValueKind::Table(entries) => entries,
        _ => Map::new(),
    };
    for (name, node) in &above.entries {
        let value = match &node.value {
            TreeValue::Table(table) => {
                let kind = entries.remove(name).map_or(ValueKind::Nil, |below| below.kind);
                let mut merged = with_origin(node, kind);
                overlay(table, &mut merged);
                merged
            }
            _ => value(node),
        };
        entries.insert(name.clone(), value);
    }
    below.kind = ValueKind::Table(entries);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[tokio::test]
    async fn values_have_their_secret_as_origin_and_so_do_tables_of_an_asynchronous_builder() {
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

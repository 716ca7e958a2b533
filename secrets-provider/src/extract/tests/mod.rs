//! What extraction promises, by rule (T1 to T4, M4), and what its tests share: settings, and
//! readers of one payload or of layers.
//!
//! The readers go through `extract`, as `Live` and `Snapshot` do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::*;
use crate::load::mapping::{Mapping, assemble};
use crate::secret::Fetched;
use crate::tree::Origin;

/// Extraction that shows all names, so that keys of maps can be asserted.
fn extract<T: DeserializeOwned>(tree: &Table) -> Result<T, Error> {
    super::extract(tree, Names::of_all(tree))
}

/// The tree of one secret `app/x`, version `v1`, at key `x`.
fn secret(payload: &str) -> Result<Table, Error> {
    let mapping = Mapping { prefix: Some("app".into()), ..Mapping::default() };
    assemble(&[Fetched::text("app/x", "v1", payload)], &mapping)
}

#[derive(Debug, Deserialize, PartialEq)]
struct X<T> {
    x: T,
}

fn read<T: DeserializeOwned>(payload: &str) -> Result<T, Error> {
    extract::<X<T>>(&secret(payload)?).map(|x| x.x)
}

fn ok<T: DeserializeOwned>(payload: &str) -> T {
    read(payload).unwrap_or_else(|error| panic!("{error}"))
}

fn refused<T: DeserializeOwned>(payload: &str) -> String {
    match read::<T>(payload) {
        Ok(_) => panic!("no error"),
        Err(error) => error.to_string(),
    }
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Level {
    Debug,
    Info,
    Custom(u8),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only serde uses it")]
struct Strict {
    host: String,
    port: u16,
    #[serde(default)]
    proxy: Option<IpAddr>,
}

/// Extracts settings from the secret `app`, an environment and a `.env` file.
fn layered<T: DeserializeOwned>(
    secret: &str,
    env: &[(&str, &str)],
    dotenv: &str,
) -> Result<T, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    std::fs::write(&file, dotenv).expect("a file");
    let memory = crate::Memory::new();
    memory.put("app", secret);
    let snapshot =
        crate::SecretsManager::prefix("app").backend(memory).fetch_blocking().expect("a snapshot");
    crate::Layers::new()
        .dotenv(&file)
        .environment_from(env.iter().copied())
        .secrets(&snapshot)
        .extract()
}

mod all_errors;
mod almost;
mod ambient;
mod buffered;
mod conversions;
mod flattened;
mod lists;
mod names;
mod plain;
mod properties;
mod recovery;
mod redaction;
mod rich;
mod stored_names;
mod variables;
mod versions;

//! What the fuzz targets in `tests/fuzz` call.
//!
//! Compiled only under `cfg(fuzzing)`, which cargo-fuzz sets, so it is not part of the public API.
//! Each function takes any bytes and checks that parsing them neither panics nor shows parts of a
//! value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::load::mapping::{Mapping, Rename, assemble};
use crate::secret::id::below;
use crate::secret::{Fetched, Payload, Text};
use crate::tree::names::Names;
use crate::tree::payload as payloads;
use crate::tree::{Origin, Value};
use crate::{Key, Layers, Rotating, extract};

/// Any bytes as a payload: a value or a problem, never a panic; and the value extracts by any type
/// or says why not.
pub fn payload(data: &[u8]) {
    let origin =
        Arc::new(Origin::Secret { name: "s".to_owned(), version_id: "v".to_owned(), source: None });
    let payload = match std::str::from_utf8(data) {
        Ok(text) => Payload::text(text),
        Err(_) => Payload::binary(data),
    };
    if let Ok(node) = payloads::parse(&payload, &origin) {
        if let Value::Table(table) = &node.value {
            settings(table);
        }
        let parsed = node.value.kind();
        assert!(["a table", "text", "binary"].contains(&parsed), "{parsed}");
    }
    let _ = payloads::parse_root(&payload, &origin);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = payloads::parse_json(&Text::new(text), &origin);
    }
}

/// Lines of names, `name=payload`, `>from=to` for renames and `^prefix`: a tree or errors,
/// deterministic.
pub fn mapping(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut mapping = Mapping::default();
    let mut secrets = Vec::new();
    for line in text.lines() {
        if let Some(prefix) = line.strip_prefix('^') {
            mapping.prefix = Some(prefix.to_owned());
        } else if let Some((from, to)) =
            line.strip_prefix('>').and_then(|line| line.split_once('='))
        {
            mapping.renames.extend(Rename::parse(from, to));
        } else {
            let (name, payload) = line.split_once('=').unwrap_or((line, ""));
            let _ = below(mapping.prefix.as_deref().unwrap_or_default(), name);
            secrets.push(Fetched::text(name, "v", payload));
        }
    }
    let first = assemble(&secrets, &mapping).map_err(|error| error.to_string());
    let second = assemble(&secrets, &mapping).map_err(|error| error.to_string());
    match (first, second) {
        (Ok(first), Ok(second)) => assert!(first == second),
        (Err(first), Err(second)) => assert_eq!(first, second),
        _ => panic!("one mapping, two outcomes"),
    }
}

/// A `.env` file, read and extracted: errors show no value of eight characters or more.
pub fn dotenv(data: &[u8]) {
    let Ok(variables) = crate::env::dotenv::parse(data) else { return };
    let layers = Layers::new().environment_from(variables.clone());
    let Ok(table) = layers.merged() else { return };
    let Some(error) = settings(&table) else { return };
    for (_, value) in variables {
        // Ours are of plain words; a value of such a character can only stand there as itself.
        let foreign = value.len() >= 8
            && value.contains(['@', '#', '$', '%', '&', '*', '+', '=', '<', '>', '!', '^', '~']);
        assert!(!foreign || !error.contains(&value), "a value in an error");
    }
}

/// Types of every sort, under names that the corpus can hit. Returns the error's text.
fn settings(table: &crate::tree::Table) -> Option<String> {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Settings {
        #[serde(default)]
        a: Option<u16>,
        #[serde(default, alias = "bee")]
        b: Option<Level>,
        #[serde(default)]
        c: BTreeMap<String, Rotating<String>>,
        #[serde(default)]
        d: Vec<Option<f64>>,
        e: Option<Nested>,
        #[serde(default)]
        k: Option<Key<4>>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    struct Nested {
        url: String,
        wait: Option<Duration>,
        pair: Option<(char, bool)>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only serde reads it")]
    enum Level {
        Low,
        High(u8),
        Custom { name: String },
    }
    extract::extract::<Settings>(table, Names::default())
        .err()
        .map(|error| format!("{error} {error:?}"))
}

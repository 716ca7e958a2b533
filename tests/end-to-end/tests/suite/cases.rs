//! Each file of `cases/` is one case, in the format that the README there describes. Every case
//! runs over memory, over HTTP, through config-rs and over files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use config::{Config, ConfigError};
use fake_secrets_manager::FakeSecretsManager;
use figment::Figment;
use secrets_provider::{Directory, Layers, Memory, SecretsManager, Snapshot};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    select: Select,
    #[serde(default)]
    rename: BTreeMap<String, String>,
    secrets: BTreeMap<String, Payload>,
    tree: Option<Value>,
    stored: Option<Value>,
    dotenv: Option<String>,
    env: Option<BTreeMap<String, String>>,
    merged: Option<Value>,
    error: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Select {
    prefix: Option<String>,
    only: Option<Vec<String>>,
    names: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Payload {
    Text(String),
    Json(Value),
    BinaryBase64(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: String,
    mentions: Vec<String>,
    never: Vec<String>,
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let case = serde_json::from_slice(&fs::read(&path).unwrap());
            (name.clone(), case.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    cases
}

impl Case {
    fn manager(&self) -> SecretsManager {
        let mut manager = match (&self.select.prefix, &self.select.names) {
            (Some(prefix), None) => SecretsManager::prefix(prefix),
            (None, Some(names)) => SecretsManager::names(names),
            _ => panic!("a prefix or names"),
        };
        if let Some(only) = &self.select.only {
            manager = manager.only(only);
        }
        self.rename.iter().fold(manager, |manager, (from, to)| manager.rename(from, to))
    }

    fn seed(&self, text: impl Fn(&str, &str), binary: impl Fn(&str, Vec<u8>)) {
        for (name, payload) in &self.secrets {
            match payload {
                Payload::Text(payload) => text(name, payload),
                Payload::Json(payload) => text(name, &payload.to_string()),
                Payload::BinaryBase64(payload) => {
                    let bytes = payload.bytes().map(base64_digit).collect::<Vec<_>>();
                    binary(name, decode(&bytes));
                }
            }
        }
    }

    /// Writes each secret to its file below a folder. Returns the names of the binary ones, whose
    /// bytes may be UTF-8.
    fn write(&self, folder: &Path, newline: &str, file: impl Fn(&str) -> String) -> Vec<String> {
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(file(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let binaries = RefCell::new(Vec::new());
        self.seed(
            |name, text| write(name, format!("{text}{newline}").as_bytes()),
            |name, bytes| {
                write(name, &bytes);
                binaries.borrow_mut().push(name.to_owned());
            },
        );
        binaries.into_inner()
    }

    fn check(&self, name: &str, snapshot: Result<Snapshot, secrets_provider::Error>) {
        let about = format!("{name}: {}", self.about);
        match (&self.error, snapshot) {
            (None, Ok(snapshot)) => self.check_trees(&about, &snapshot),
            (Some(expected), Err(error)) => {
                assert_eq!(format!("{:?}", error.kind()), expected.kind, "{about}");
                let shown = format!("{error}");
                for mention in &expected.mentions {
                    assert!(shown.contains(mention.as_str()), "{about}: {shown}");
                }
                for secret in &expected.never {
                    assert!(!format!("{error} {error:?}").contains(secret.as_str()), "{about}");
                }
            }
            (None, Err(error)) => panic!("{about}: {error}"),
            (Some(_), Ok(_)) => panic!("{about}: no error"),
        }
    }

    fn check_trees(&self, about: &str, snapshot: &Snapshot) {
        let tree = self.tree.as_ref().unwrap();
        let stored = self.stored.as_ref().unwrap_or(tree);
        assert_eq!(snapshot.extract::<Value>().unwrap(), *stored, "{about}");
        assert_eq!(
            Figment::from(snapshot.clone()).extract::<Value>().unwrap(),
            *tree,
            "{about}, by figment"
        );
        let config = Config::builder().add_source(snapshot.clone()).build().unwrap();
        assert_eq!(config.try_deserialize::<Value>().unwrap(), *tree, "{about}, by config-rs");
        let Some(merged) = &self.merged else { return };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        fs::write(&file, self.dotenv.as_deref().unwrap_or_default()).unwrap();
        let environment = self.env.clone().unwrap_or_default();
        let layers = Layers::new().dotenv(&file).environment_from(environment).secrets(snapshot);
        assert_eq!(layers.extract::<Value>().unwrap(), *merged, "{about}, merged");
    }
}

fn base64_digit(digit: u8) -> u32 {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    digits.iter().position(|other| *other == digit).map_or(64, |at| u32::try_from(at).unwrap())
}

/// Decodes base64 without the code under test. 64 is padding.
fn decode(digits: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit & 63);
        let padding = group.iter().filter(|digit| **digit == 64).count();
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    bytes
}

#[test]
fn the_mapping_yields_the_expected_trees() {
    for (name, case) in cases() {
        let memory = Memory::new();
        case.seed(
            |name, text| {
                memory.put(name, text);
            },
            |name, bytes| {
                memory.put_binary(name, bytes);
            },
        );
        case.check(&name, case.manager().backend(memory).fetch_blocking());
    }
}

#[tokio::test]
async fn fetching_over_http_yields_the_expected_trees() {
    for (name, case) in cases() {
        let fake = FakeSecretsManager::start().await.unwrap();
        case.seed(
            |name, text| {
                fake.put(name, text);
            },
            |name, bytes| {
                fake.put_binary(name, bytes);
            },
        );
        case.check(&name, case.manager().client(end_to_end::client(&fake)).fetch().await);
    }
}

#[tokio::test]
async fn an_async_source_of_config_rs_yields_the_expected_trees() {
    for (name, case) in cases() {
        let fake = FakeSecretsManager::new();
        case.seed(
            |name, text| {
                fake.put(name, text);
            },
            |name, bytes| {
                fake.put_binary(name, bytes);
            },
        );
        let manager = case.manager().client(fake.client());
        match (&case.tree, Config::builder().add_async_source(manager.clone()).build().await) {
            (Some(tree), Ok(config)) => {
                assert_eq!(config.try_deserialize::<Value>().unwrap(), *tree, "{name}")
            }
            (None, Err(ConfigError::Foreign(error))) => {
                let error = error.downcast::<secrets_provider::Error>().unwrap();
                case.check(&name, Err(*error));
            }
            (_, outcome) => panic!("{name}: {:?}", outcome.map(|_| "a config")),
        }
    }
}

#[test]
fn a_tree_of_files_yields_the_expected_trees() {
    for (name, case) in cases() {
        let folder = tempfile::tempdir().unwrap();
        let is_folder =
            |name: &str| case.secrets.keys().any(|other| other.starts_with(&format!("{name}/")));
        let binaries = case.write(folder.path(), "\n", |name| match is_folder(name) {
            true => format!("{name}/.self"),
            false => name.to_owned(),
        });
        let directory = binaries.into_iter().fold(Directory::new(folder.path()), Directory::binary);
        case.check(&name, case.manager().backend(directory).fetch_blocking());
    }
}

/// With aliases, because the file names of a mount have `_` for both `/` and `_`.
#[test]
fn a_mount_with_aliases_yields_the_expected_trees() {
    for (name, case) in cases() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            format!("s{}", case.secrets.keys().position(|other| other == name).unwrap())
        };
        let binaries = case.write(folder.path(), "", file);
        let directory =
            binaries.into_iter().fold(Directory::mounted(folder.path()), Directory::binary);
        let aliased = case
            .secrets
            .keys()
            .fold(directory, |directory, name| directory.alias(file(name), name));
        case.check(&name, case.manager().backend(aliased).fetch_blocking());
    }
}

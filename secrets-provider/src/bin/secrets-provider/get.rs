//! `get`: the secrets with their versions and shapes; and the one command that prints a value.

use std::fmt;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, ErrorKind, Layers, Memory, SecretsManager, Snapshot};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use zeroize::Zeroizing;

use crate::output::{Output, Paint, printable};
use crate::select::Selection;
use crate::settings::Tree;
use crate::shapes::{self, PLACE};
use crate::store::{self, Described};
use crate::table::Row;
use crate::{Ended, WELL};

/// Show secrets: names, keys, versions, shapes; a value only with --reveal.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// One secret, by its name below the prefix, or by name or ARN. Without it, all selected ones.
    name: Option<String>,
    /// One key of its JSON object, with dots for an object within it.
    #[arg(long, requires = "name")]
    key: Option<String>,
    /// A version, by its id or label, such as AWSPREVIOUS.
    #[arg(long, requires = "name", value_name = "ID-OR-LABEL")]
    version: Option<String>,
    /// List the names of its keys, which may be secret themselves.
    #[arg(long, requires = "name", conflicts_with = "reveal")]
    keys: bool,
    /// Print the value: as it is, without a line break if standard output is no terminal.
    #[arg(long, requires = "name")]
    reveal: bool,
}

impl Get {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        match &self.name {
            None => all(selection, output).await?,
            Some(name) => self.one(name, selection, output).await?,
        }
        Ok(WELL)
    }

    async fn one(&self, name: &str, selection: &Selection, output: &Output) -> Result<(), Error> {
        let id = selection.manager().await?.secret_id(name)?;
        let secrets = self.read(&id, selection).await?;
        let layers = Layers::new().secrets(&secrets);
        let tree = Tree::of(&layers)?;
        let secret = tree.at(PLACE).ok_or_else(|| no_key(&id, ""))?;
        let found = match &self.key {
            Some(key) => secret.at(key).ok_or_else(|| no_key(&id, key))?,
            None => secret,
        };
        if self.reveal {
            // An object with only the key `value` counts as what is in it, where text is wanted.
            let wrapped =
                matches!(found, Tree::Table(keys) if keys.len() == 1 && keys.contains_key("value"));
            let exact = match wrapped && self.key.is_none() && selection.is_aws() {
                true => {
                    let version = secrets.secrets()[0].version_id();
                    let (_, text) =
                        store::version(&selection.one(&id).await?, &id, version).await?;
                    Some(text.into_bytes())
                }
                false => None,
            };
            return self.reveal(&id, found, &layers, exact, output);
        }
        let described = match selection.is_aws() {
            true => store::describe(selection, &id).await,
            false => Ok(Described::default()),
        };
        let version = &secrets.secrets()[0];
        let keys = self.keys.then(|| names(found));
        if output.json() {
            return output.value(&as_json(
                version.name(),
                version.version_id(),
                found,
                &described,
                keys,
            ));
        }
        let shown = |what: &str, text: &str| Row::new([what, printable(text).as_ref()]);
        let mut rows = vec![
            shown("secret", version.name()).paint(Some(Paint::Head)),
            shown("version", version.version_id()),
            shown("shape", &found.shape()),
        ];
        rows.extend(keys.iter().flatten().map(|key| shown("key", key)));
        match &described {
            Ok(described) => rows.extend(described.rows()),
            Err(error) => rows.push(Row::new(["has", &format!("unknown: {}", error.kind())])),
        }
        output.table(&[], rows)
    }

    /// The secret at [`PLACE`].
    async fn read(&self, id: &str, selection: &Selection) -> Result<Snapshot, Error> {
        let place = |manager: SecretsManager| manager.rename(id, PLACE);
        let one = selection.one(id).await?;
        match &self.version {
            None => place(one).fetch().await,
            Some(version) if store::is_version_id(version) && selection.is_aws() => {
                let (name, text) = store::version(&one, id, version).await?;
                let memory = Memory::new();
                match text {
                    store::Payload::Text(text) => memory.put(&name, text.expose_secret()),
                    store::Payload::Binary(bytes) => memory.put_binary(&name, bytes.to_vec()),
                };
                let secret = SecretsManager::names([&name]).rename(&name, PLACE);
                secret.backend(memory).fetch().await
            }
            Some(label) => place(one.stage(label)).fetch().await,
        }
    }

    fn reveal(
        &self,
        id: &str,
        found: &Tree,
        layers: &Layers,
        exact: Option<Zeroizing<Vec<u8>>>,
        output: &Output,
    ) -> Result<(), Error> {
        let value = match (found, &self.key) {
            (_, None) if exact.is_some() => exact.unwrap_or_default(),
            (Tree::Text(_) | Tree::Table(_), None) => {
                #[derive(Deserialize)]
                struct One {
                    secret: Bytes,
                }
                layers.extract::<One>()?.secret.0
            }
            (Tree::Text(text), Some(_)) => Zeroizing::new(text.expose_secret().as_bytes().to_vec()),
            (Tree::Table(_), Some(key)) => {
                let message = format!(
                    "secret `{}`: key `{}` is an object, and not one value",
                    printable(id),
                    printable(key)
                );
                return Err(Error::new(ErrorKind::Invalid, message)
                    .with_hint("give a key within it, or print the whole secret without --key"));
            }
        };
        if output.json() {
            let text = SecretString::from(String::from_utf8_lossy(&value).into_owned());
            return output.value(&json!({ "value": text.expose_secret() }));
        }
        output.bytes(&value)?;
        match std::io::stdout().is_terminal() {
            true => output.bytes(b"\n"),
            false => Ok(()),
        }
    }
}

/// Every selected secret, in a table.
async fn all(selection: &Selection, output: &Output) -> Result<(), Error> {
    let secrets = selection.manager().await?.fetch().await?;
    let shapes = shapes::of(selection, &secrets).await?;
    let secrets = secrets.secrets().iter().zip(shapes);
    if output.json() {
        let secrets = secrets.map(|(secret, shape)| {
            json!({
                "name": secret.name(),
                "key_path": secret.key_path(),
                "version_id": secret.version_id(),
                "shape": shape,
            })
        });
        return output.value(&secrets.collect::<Vec<_>>());
    }
    let rows = secrets.map(|(secret, shape)| {
        let key = match secret.key_path() {
            "" => "(root)".into(),
            path => printable(path),
        };
        let version = printable(secret.version_id());
        Row::new([printable(secret.name()), key, version, shape.into()])
    });
    output.table(&["secret", "key", "version", "shape"], rows.collect())
}

fn names(tree: &Tree) -> Vec<String> {
    match tree {
        Tree::Text(_) => Vec::new(),
        Tree::Table(members) => members.keys().cloned().collect(),
    }
}

fn as_json(
    name: &str,
    version_id: &str,
    found: &Tree,
    described: &Result<Described, Error>,
    keys: Option<Vec<String>>,
) -> Value {
    let mut value = json!({ "name": name, "version_id": version_id, "shape": found.shape() });
    if let Some(keys) = keys {
        value["keys"] = keys.into();
    }
    if let Ok(described) = described {
        value["versions"] = described.versions_json();
    }
    value
}

/// The key was an argument, so it may be shown.
fn no_key(id: &str, key: &str) -> Error {
    let message = format!("secret `{}` has no key `{}`", printable(id), printable(key));
    Error::new(ErrorKind::NotFound, message)
        .with_secret(id)
        .with_hint("keys are compared to the letter; --keys lists their names")
}

/// The bytes of a value: those of a SecretBinary, or of the text.
struct Bytes(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(Zeroizing::new(bytes.to_vec())))
            }
        }
        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

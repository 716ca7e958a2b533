//! `put`: a new value for a secret, or for one key of it.

use std::path::PathBuf;

use aws_sdk_secretsmanager::Client;
use clap::Args;
use secrecy::ExposeSecret as _;
use secrets_provider::{Error, ErrorKind};
use serde_json::json;
use zeroize::Zeroizing;

use crate::input::Asked;
use crate::output::{Output, printable};
use crate::select::Selection;
use crate::store::{self, Payload, Written};
use crate::{Ended, WELL, input, member, refused};

/// Store a new value: from standard input, or typed at a prompt that does not show it.
///
/// One line break at the end of the input is dropped. With --key, the other keys stay as they are,
/// to the byte, and a value that another program stores meanwhile is not lost.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The secret, by its name below the prefix, or by name or ARN.
    name: String,
    /// Set only this key of its JSON object, with dots for an object within it.
    #[arg(long)]
    key: Option<String>,
    /// The value of the key is JSON, such as a number, and not text.
    #[arg(long, requires = "key")]
    as_json: bool,
    /// Make the secret if it does not exist.
    #[arg(long)]
    create: bool,
    /// Keep a line break at the end of the input.
    #[arg(long)]
    exact: bool,
    /// Store nothing that a service whose settings have this JSON Schema would refuse.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

/// What is to be stored.
struct New {
    bytes: Zeroizing<Vec<u8>>,
    of: Of,
}

/// What becomes of the secret that is there.
enum Of {
    /// It gets a new version.
    Any,
    /// The same, if this is its version.
    Version(String),
    /// There is none.
    None,
}

impl Put {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let id = selection.manager().await?.secret_id(&self.name)?;
        let client = selection.writer("put").await?;
        let asked = input::value(&format!("new value of {}", printable(&id)), self.exact).await?;
        let bytes = match asked {
            Asked::Value(bytes) => bytes,
            Asked::Ended(signal) => {
                output.note("nothing was stored");
                let signal = u8::try_from(signal.as_raw_value()).unwrap_or_default();
                return Ok(Ended::AtOnce(128 + signal));
            }
        };
        let new = match &self.key {
            Some(key) => self.with_key(&client, &id, key, &bytes).await?,
            None => New { bytes, of: Of::Any },
        };
        if let Some(file) = &self.schema {
            let put = refused::Put { id: &id, key: self.key.as_deref(), bytes: &new.bytes };
            refused::check(file, &put, selection, &client).await?;
        }
        let stored = match &new.of {
            Of::Any => store::put(&client, &id, &new.bytes).await,
            Of::Version(version) => store::replace(&client, &id, version, &new.bytes).await,
            Of::None => store::create(&client, &id, &new.bytes).await,
        };
        let written = match stored {
            Err(error) if error.kind() == ErrorKind::NotFound && self.create => {
                store::create(&client, &id, &new.bytes).await?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(error.with_hint(MISSING));
            }
            result => result?,
        };
        say(&id, &written, output)?;
        Ok(WELL)
    }

    /// The secret that is there, with another value at this key.
    async fn with_key(
        &self,
        client: &Client,
        id: &str,
        key: &str,
        bytes: &[u8],
    ) -> Result<New, Error> {
        let invalid = |what: &str| {
            Error::new(ErrorKind::Invalid, format!("the value for key `{}` {what}", printable(key)))
        };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| invalid("is not UTF-8").with_hint("encode it, such as in base64"))?;
        let value = match self.as_json {
            true => {
                serde_json::from_str::<&serde_json::value::RawValue>(text).map_err(|_| {
                    invalid("is not JSON").with_hint("leave out --as-json for text")
                })?;
                Zeroizing::new(text.to_owned())
            }
            false => member::json_text(text),
        };
        let made = |text: Zeroizing<String>| Zeroizing::new(text.as_bytes().to_vec());
        match store::current(client, id).await? {
            Some((version, Payload::Text(text))) => {
                let new = member::with(text.expose_secret(), key, &value)
                    .map_err(|error| error.with_secret(id))?;
                Ok(New { bytes: made(new), of: Of::Version(version) })
            }
            Some((_, Payload::Binary(_))) => {
                let message = format!("secret `{}` is binary, and has no keys", printable(id));
                Err(Error::new(ErrorKind::Malformed, message).with_secret(id))
            }
            None if self.create => {
                Ok(New { bytes: made(member::with("{}", key, &value)?), of: Of::None })
            }
            None => {
                let message = format!("secret `{}` does not exist", printable(id));
                Err(Error::new(ErrorKind::NotFound, message).with_secret(id).with_hint(MISSING))
            }
        }
    }
}

/// What to do about a secret that does not exist.
const MISSING: &str = "check the name, or make the secret with --create";

fn say(id: &str, written: &Written, output: &Output) -> Result<(), Error> {
    let Written { version_id, created } = written;
    if output.json() {
        let value = json!({ "name": id, "version_id": version_id, "created": created });
        return output.value(&value);
    }
    let what = if *created { "created" } else { "updated" };
    output.text(&format!("{what} {}, version {}", printable(id), printable(version_id)))
}

//! `put`: a new value for a secret, or for one key of it.

use clap::Args;
use secrecy::ExposeSecret as _;
use secrets_provider::{Error, ErrorKind};
use serde_json::json;

use crate::output::{Output, printable};
use crate::select::Selection;
use crate::store::{self, Payload, Written};
use crate::{Ended, WELL, input, member};

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
}

impl Put {
    pub(crate) async fn run(self, selection: &Selection, output: &Output) -> Result<Ended, Error> {
        let id = selection.manager().await?.secret_id(&self.name)?;
        let client = selection.one(&id).await?.sdk_client().await?;
        let bytes = input::value(&format!("new value of {}", printable(&id)), self.exact)?;
        let written = match &self.key {
            Some(key) => self.key(&client, &id, key, &bytes).await?,
            None => match store::put(&client, &id, &bytes).await {
                Err(error) if error.kind() == ErrorKind::NotFound && self.create => {
                    store::create(&client, &id, &bytes).await?
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(error.with_hint("check the name, or make the secret with --create"));
                }
                result => result?,
            },
        };
        say(&id, &written, output)?;
        Ok(WELL)
    }

    async fn key(
        &self,
        client: &aws_sdk_secretsmanager::Client,
        id: &str,
        key: &str,
        bytes: &[u8],
    ) -> Result<Written, Error> {
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
                zeroize::Zeroizing::new(text.to_owned())
            }
            false => member::json_text(text),
        };
        match store::current(client, id).await? {
            Some((version, Payload::Text(text))) => {
                let new = member::with(text.expose_secret(), key, &value)
                    .map_err(|error| error.with_secret(id))?;
                store::replace(client, id, &version, &new).await
            }
            Some((_, Payload::Binary(_))) => {
                let message = format!("secret `{}` is binary, and has no keys", printable(id));
                Err(Error::new(ErrorKind::Malformed, message).with_secret(id))
            }
            None if self.create => {
                store::create(client, id, member::with("{}", key, &value)?.as_bytes()).await
            }
            None => {
                let message = format!("secret `{}` does not exist", printable(id));
                Err(Error::new(ErrorKind::NotFound, message)
                    .with_secret(id)
                    .with_hint("check the name, or make the secret with --create"))
            }
        }
    }
}

fn say(id: &str, written: &Written, output: &Output) -> Result<(), Error> {
    let Written { version_id, created } = written;
    if output.json() {
        let value = json!({ "name": id, "version_id": version_id, "created": created });
        return output.value(&value);
    }
    let what = if *created { "created" } else { "updated" };
    output.text(&format!("{what} {}, version {}", printable(id), printable(version_id)))
}

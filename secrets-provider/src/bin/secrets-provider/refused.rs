//! `put --schema`: whether a service would refuse what is to be stored, before it is.
//!
//! The selected secrets are read, the new value is put among them, and the schema is held against
//! both: what is wrong now, and was not, or is at the key that is put, is an error. So a secret can
//! be put while others are still missing. No value is in the error.

use std::path::Path;

use aws_sdk_secretsmanager::Client;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::ExposeSecret as _;
use secrets_provider::{Error, ErrorKind, Memory};
use serde_json::Value;

use crate::check::{self, Finding, Schema};
use crate::output::printable;
use crate::select::Selection;
use crate::settings::{Tree, is_within};
use crate::store::{self, Payload};

/// How many secrets are read at once.
const MAX_CALLS: usize = 10;

/// What is to be stored.
pub(crate) struct Put<'a> {
    pub(crate) id: &'a str,
    /// The key that changes, if it is not the whole secret.
    pub(crate) key: Option<&'a str>,
    /// The whole new secret.
    pub(crate) bytes: &'a [u8],
}

/// Holds the schema in the file against the settings with the new value.
///
/// # Errors
///
/// If they would be refused; if the file or the secrets cannot be read.
pub(crate) async fn check(
    file: &Path,
    put: &Put<'_>,
    selection: &Selection,
    client: &Client,
) -> Result<(), Error> {
    if put.id.starts_with("arn:") {
        let message = "--schema needs the secret's name, and not its ARN";
        return Err(Error::new(ErrorKind::Config, message).with_hint("give --prefix or --names"));
    }
    let schema = check::read(file)?;
    let store = copied(selection, client).await?;
    let before = settings(&store, selection).await.map(|(tree, _)| tree).ok();
    match std::str::from_utf8(put.bytes) {
        Ok(text) => store.put(put.id, text),
        Err(_) => store.put_binary(put.id, put.bytes),
    };
    let (after, place) = settings(&store, selection).await?;
    let place = place.iter().find(|(name, _)| name == put.id).map(|(_, path)| path.as_str());
    let Some(place) = place else {
        let message = format!("secret `{}` is not among the selected ones", printable(put.id));
        return Err(Error::new(ErrorKind::Config, message)
            .with_hint("a service would not read it: correct --prefix, --names or --only"));
    };
    let place = match put.key {
        Some(key) if place.is_empty() => key.to_owned(),
        Some(key) => format!("{place}.{key}"),
        None => place.to_owned(),
    };
    let wrong = refused(&schema, before.as_ref(), &after, &place);
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let message = format!("a service would refuse the value: {}", printable(&wrong.join("; ")));
    Err(Error::new(ErrorKind::Rejected, message)
        .with_secret(put.id)
        .with_hint("nothing was stored; correct the value, or leave out --schema"))
}

/// What a service would refuse because of what is put.
fn refused(schema: &Value, before: Option<&Tree>, after: &Tree, place: &str) -> Vec<Finding> {
    let schema = Schema::new(schema);
    let known = before.map(|before| schema.check(before)).unwrap_or_default();
    let at_place = |finding: &Finding| {
        matches!(finding, Finding::Wrong { .. }) && is_within(finding.key(), place)
    };
    let is_known = |finding: &Finding| {
        // How its neighbours are spelled does not matter.
        let missing = matches!(finding, Finding::Missing { .. });
        known.iter().any(|known| match known {
            Finding::Missing { key, .. } if missing => key == finding.key(),
            known => known == finding,
        })
    };
    let found = schema.check(after).into_iter();
    found.filter(|finding| !is_known(finding) || at_place(finding)).collect()
}

/// The selected secrets that can be read, as they are stored.
async fn copied(selection: &Selection, client: &Client) -> Result<Memory, Error> {
    // A prefix without any secret is where the first one is put.
    let fetched = selection.manager().await?.fallback_to_env().fetch().await;
    let secrets = fetched.map(|fetched| fetched.secrets().to_vec()).unwrap_or_default();
    let copies = stream::iter(secrets).map(|secret| async move {
        let found = store::current(client, secret.name()).await?;
        Ok::<_, Error>(found.map(|(_, payload)| (secret.name().to_owned(), payload)))
    });
    let copies: Vec<_> = copies.buffer_unordered(MAX_CALLS).try_collect().await?;
    let store = Memory::new();
    for (name, payload) in copies.into_iter().flatten() {
        match payload {
            Payload::Text(text) => store.put(&name, text.expose_secret()),
            Payload::Binary(bytes) => store.put_binary(&name, bytes.to_vec()),
        };
    }
    Ok(store)
}

/// What a service makes of these secrets, and which secret is where.
async fn settings(
    store: &Memory,
    selection: &Selection,
) -> Result<(Tree, Vec<(String, String)>), Error> {
    let secrets = selection.within(store.clone())?.fallback_to_env().fetch().await?;
    let tree = Tree::of(&selection.layers(&secrets))?;
    let places = secrets.secrets().iter();
    let places = places.map(|it| (it.name().to_owned(), it.key_path().to_owned())).collect();
    Ok((tree, places))
}

#[cfg(test)]
mod tests {
    use secrets_provider::Layers;
    use serde_json::json;

    use super::*;

    fn tree(variables: &[(&str, &str)]) -> Tree {
        Tree::of(&Layers::new().environment_from(variables.iter().copied())).expect("a tree")
    }

    #[test]
    fn what_was_wrong_before_and_elsewhere_does_not_count() {
        let schema = json!({"type": "object", "required": ["port", "mail"], "properties": {
            "port": {"type": "integer"}, "mail": {"type": "string"}, "debug": {"type": "boolean"}}});
        let before = tree(&[("DEBUG", "hunter2")]);
        for (after, place, expected) in [
            (&[("DEBUG", "hunter2"), ("PORT", "1")][..], "port", &[][..]),
            (
                &[("DEBUG", "hunter2"), ("PORT", "hunter3")],
                "port",
                &["port: expected a whole number"],
            ),
            (&[("DEBUG", "hunter3")], "debug", &["debug: expected `true` or `false`"]),
        ] {
            let found = refused(&schema, Some(&before), &tree(after), place);
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{place}");
        }
        let whole = tree(&[("PORT", "1"), ("MAIL", "m")]);
        let found = refused(&schema, Some(&whole), &tree(&[("PORT", "1")]), "mail");
        assert_eq!(found[0].to_string(), "mail: missing");
    }
}

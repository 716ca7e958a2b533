//! What the value of each secret is, without anything of it: one value, or an object with so many
//! keys. `get` and `doctor` show it.

use std::collections::BTreeMap;

use secrets_provider::{Error, Layers, SecretVersion, Snapshot};

use crate::select::Selection;
use crate::settings::{Tree, is_within};

/// Where a secret is that is read by itself.
pub(crate) const PLACE: &str = "secret";

/// The shape of each secret, in their order.
///
/// # Errors
///
/// If the secrets do not fit together.
pub(crate) async fn of(selection: &Selection, secrets: &Snapshot) -> Result<Vec<String>, Error> {
    let tree = Tree::of(&Layers::new().secrets(secrets))?;
    let secrets = secrets.secrets();
    // In the tree, they have the keys of others, too.
    let outer: Vec<&str> = secrets
        .iter()
        .filter(|secret| holds_any(secret, secrets))
        .map(SecretVersion::name)
        .collect();
    let mut by_themselves = by_themselves(selection, &outer).await.unwrap_or_default();
    let shape = |secret: &SecretVersion| match outer.contains(&secret.name()) {
        false => tree.at(secret.key_path()).map(Tree::shape).unwrap_or_default(),
        true => by_themselves.remove(secret.name()).unwrap_or_else(|| "JSON object".to_owned()),
    };
    Ok(secrets.iter().map(shape).collect())
}

/// Whether the place of another one of these is within that of the secret.
fn holds_any(secret: &SecretVersion, others: &[SecretVersion]) -> bool {
    let mut others = others.iter().filter(|other| other.name() != secret.name());
    others.any(|other| is_within(other.key_path(), secret.key_path()))
}

/// The shapes of these secrets by their names, each read at a place that it has for itself.
async fn by_themselves(
    selection: &Selection,
    names: &[&str],
) -> Result<BTreeMap<String, String>, Error> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut manager = selection.these(names.iter().copied()).await?;
    for (at, name) in names.iter().enumerate() {
        manager = manager.rename(*name, format!("{PLACE}{at}"));
    }
    // One that cannot be read again does not matter to the others.
    let read = manager.fallback_to_env().fetch().await?;
    let tree = Tree::of(&Layers::new().secrets(&read))?;
    let shape = |secret: &SecretVersion| {
        Some((secret.name().to_owned(), tree.at(secret.key_path())?.shape()))
    };
    Ok(read.secrets().iter().filter_map(shape).collect())
}

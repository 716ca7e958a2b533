//! What the value of each secret is, without anything of it: one value, or an object with so many
//! keys. `get` and `doctor` show it.

use secrets_provider::{Error, Layers, SecretVersion, Snapshot};

use crate::select::Selection;
use crate::settings::Tree;

/// Where a secret is that is read by itself.
pub(crate) const PLACE: &str = "secret";

/// The shape of each secret, in their order.
///
/// # Errors
///
/// If the secrets do not fit together.
pub(crate) async fn of(selection: &Selection, secrets: &Snapshot) -> Result<Vec<String>, Error> {
    let tree = Tree::of(&Layers::new().secrets(secrets))?;
    let mut shapes = Vec::new();
    for secret in secrets.secrets() {
        let others = secrets.secrets().iter().filter(|other| other.name() != secret.name());
        let shape = match holds_any(secret, others) {
            false => tree.at(secret.key_path()).map(Tree::shape).unwrap_or_default(),
            // In the tree, it has the keys of the others, too.
            true => by_itself(selection, secret).await.unwrap_or_else(|| "JSON object".to_owned()),
        };
        shapes.push(shape);
    }
    Ok(shapes)
}

/// Whether the place of one of these is within that of the secret.
fn holds_any<'a>(
    secret: &SecretVersion,
    mut others: impl Iterator<Item = &'a SecretVersion>,
) -> bool {
    others.any(|other| is_within(other.key_path(), secret.key_path()))
}

fn is_within(inner: &str, outer: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('.');
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(below)
}

/// The shape of a secret that is read without the others.
async fn by_itself(selection: &Selection, secret: &SecretVersion) -> Option<String> {
    let one = selection.one(secret.name()).await.ok()?;
    let read = one.rename(secret.name(), PLACE).fetch().await.ok()?;
    let tree = Tree::of(&Layers::new().secrets(&read)).ok()?;
    tree.at(PLACE).map(Tree::shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_within_another() {
        for (inner, outer, expected) in [
            ("database", "", true),
            ("database.url", "database", true),
            ("database", "database", true),
            ("database_url", "database", false),
            ("", "database", false),
        ] {
            assert_eq!(is_within(inner, outer), expected, "{inner} {outer}");
        }
    }
}

//! From a secret's name to its key path, and from many secrets to one tree (rules M1 to M3, M6).
//!
//! Two secrets may share a table but never a key. Pure, and independent of the order in which
//! secrets come.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::load::slip;
use crate::secret::id::{below, is_arn, names_of};
use crate::secret::{Fetched, SecretVersion};
use crate::tree::encoding;
use crate::tree::names::Names;
use crate::tree::origin::Source;
use crate::tree::payload::{self, PayloadError};
use crate::tree::{Node, Origin, Table, Value, join};

/// How names become key paths: by the prefix that is cut off, and by renames.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// What is cut off a name first; `None` if secrets are given by name and map by their whole
    /// path.
    pub(crate) prefix: Option<String>,
    /// Whole names that were given with a key path.
    pub(crate) placed: BTreeMap<String, Vec<String>>,
    pub(crate) renames: Vec<Rename>,
    /// Which of several sources the secrets are of.
    pub(crate) source: Option<Source>,
}

impl Mapping {
    /// The key path of a secret; empty at the root.
    pub(crate) fn key_path(&self, name: &str) -> Vec<String> {
        if let Some(path) = self.placed.get(name) {
            return path.clone();
        }
        let (whole, name) = (name, self.below_prefix(name));
        // Exact names come before patterns, in whichever order they were given.
        let exact = self.renames.iter().filter(|rename| rename.capture.is_none());
        let patterns = self.renames.iter().filter(|rename| rename.capture.is_some());
        exact.chain(patterns).find_map(|rename| rename.apply(name, whole)).unwrap_or_else(|| {
            name.split('/').filter(|part| !part.is_empty()).map(segment).collect()
        })
    }

    /// The name, key path and version of a secret.
    pub(crate) fn version(&self, secret: &Fetched) -> SecretVersion {
        let source = self.source.as_ref().map(|source| &*source.name);
        SecretVersion::new(secret, self.key_path(secret.name()).join("."), source)
    }

    /// The renames that match none of these names.
    pub(crate) fn idle_renames(&self, names: &[&str]) -> Vec<&Rename> {
        let is_idle = |rename: &&Rename| {
            !names.iter().any(|name| rename.apply(self.below_prefix(name), name).is_some())
        };
        self.renames.iter().filter(is_idle).collect()
    }

    fn below_prefix<'a>(&self, name: &'a str) -> &'a str {
        self.prefix.as_deref().and_then(|prefix| below(prefix, name)).unwrap_or(name)
    }
}

/// A dotted key path; `None` if a part of it is empty.
pub(crate) fn dotted(path: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

/// One segment of a name as a key (M2).
fn segment(part: &str) -> String {
    part.chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_') => c,
            _ => '_',
        })
        .collect()
}

/// A secret's name, or a pattern for names, and the key path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rename {
    /// The text before the capture; the whole name if there is no capture.
    before: String,
    after: String,
    /// `{n}` with its braces.
    capture: Option<String>,
    path: Vec<String>,
}

impl Rename {
    pub(crate) fn parse(from: &str, to: &str) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::new(ErrorKind::Config, format!("rename of `{from}` to `{to}`: {why}")).with_hint(
                "give a secret's name (below the prefix, if there is one) and a dotted key path; \
                 both may contain one capture such as `{n}`",
            )
        };
        let captured = capture(from).map_err(bad)?;
        let used = capture(to).map_err(bad)?;
        if let Some(used) = used
            && captured != Some(used)
        {
            return Err(bad(&format!("the name does not capture `{used}`")));
        }
        let path = match to {
            "" => Vec::new(),
            _ => dotted(to).ok_or_else(|| bad("a part of the key path is empty"))?,
        };
        if is_arn(from)
            && let Some(error) = slip::of_name(from)
        {
            return Err(error);
        }
        let from = from.trim_matches('/');
        let (before, after) = match captured {
            Some(capture) => from.split_once(capture).unwrap_or((from, "")),
            None => (from, ""),
        };
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
            capture: captured.map(str::to_owned),
            path,
        })
    }

    /// The key path of a name, if this rename matches it. An ARN matches the whole name that is in
    /// it.
    fn apply(&self, name: &str, whole: &str) -> Option<Vec<String>> {
        if is_arn(&self.before) && self.capture.is_none() {
            return names_of(&self.before).contains(&whole).then(|| self.path.clone());
        }
        let name = name.trim_matches('/');
        let Some(capture) = &self.capture else {
            return (name == self.before).then(|| self.path.clone());
        };
        let captured =
            name.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        if captured.is_empty() || captured.contains('/') {
            return None;
        }
        // As it is spelled: an id of a tenant or a region is data, and no name that this crate
        // chooses.
        Some(self.path.iter().map(|part| part.replace(capture.as_str(), captured)).collect())
    }
}

/// As it was given, without slashes at the ends of the name.
impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capture = self.capture.as_deref().unwrap_or_default();
        write!(f, "`{}{capture}{}` to `{}`", self.before, self.after, self.path.join("."))
    }
}

/// The one `{…}` of a pattern, with its braces.
fn capture(pattern: &str) -> Result<Option<&str>, &'static str> {
    let Some(open) = pattern.find('{') else {
        return if pattern.contains('}') { Err("it has a `}` without a `{`") } else { Ok(None) };
    };
    let close = pattern
        .find('}')
        .filter(|close| *close > open + 1)
        .ok_or("a capture needs a name, such as `{n}`")?;
    if pattern[close + 1..].contains(['{', '}']) {
        return Err("it has more than one capture");
    }
    Ok(Some(&pattern[open..=close]))
}

/// The tree of all secrets, or every reason why there is no such tree.
pub(crate) fn assemble(secrets: &[Fetched], mapping: &Mapping) -> Result<Table, Error> {
    let mut tree = Table::default();
    let mut errors = Vec::new();
    let mut secrets: Vec<&Fetched> = secrets.iter().collect();
    let paths: Vec<_> =
        secrets.iter().map(|secret| mapping.key_path(secret.name()).join(".")).collect();
    let names = Names::of_paths(paths.iter().map(String::as_str));
    secrets.sort_by_key(|secret| secret.name());
    for secret in secrets {
        match at_key_path(secret, &mapping.key_path(secret.name()), mapping.source.as_ref()) {
            Ok(table) => merge(&mut tree, table, "", &names, &mut errors),
            Err(error) => errors.push(error),
        }
    }
    match Error::all(errors) {
        None => Ok(tree),
        Some(error) => Err(error),
    }
}

/// One secret as a table that holds it at its key path.
fn at_key_path(secret: &Fetched, path: &[String], source: Option<&Source>) -> Result<Table, Error> {
    let origin = Arc::new(Origin::Secret {
        name: secret.name().to_owned(),
        version_id: secret.version_id().to_owned(),
        source: source.cloned(),
    });
    // A previous version that no longer has a place is left out without an error.
    let previous = secret.previous().and_then(|previous| {
        let origin = Origin::Secret {
            name: previous.name().to_owned(),
            version_id: previous.version_id().to_owned(),
            source: source.cloned(),
        };
        payload::parse(previous.payload(), &Arc::new(origin)).ok()
    });
    let Some((last, parents)) = path.split_last() else {
        let mut table = payload::parse_root(secret.payload(), &origin).map_err(|error| {
            let malformed = malformed(secret, &error);
            match (&error, payload::parse(secret.payload(), &origin)) {
                (PayloadError::NotAnObject(_), Ok(node))
                    if let Some(advice) = encoding::advice(&node.value) =>
                {
                    malformed.with_hint(advice)
                }
                (PayloadError::DuplicateKey(_), _) => malformed,
                _ => malformed.with_hint(
                    "a secret whose name is the prefix (or that is renamed to the root) has no key of its own: \
                     store a JSON object, or give it a key with `.rename(..)`",
                ),
            }
        })?;
        if let Some(Value::Table(previous)) = previous.map(|node| node.value) {
            table.set_previous(&previous);
        }
        return Ok(table);
    };
    let mut node = payload::parse(secret.payload(), &origin)
        .map_err(|error| malformed(secret, &error).with_key(path.join(".")))?;
    if let Some(previous) = previous {
        node.set_previous(previous);
    }
    let leaf = Table { entries: [(last.clone(), node)].into(), source_text: None };
    Ok(parents.iter().rev().fold(leaf, |table, name| Table {
        entries: [(name.clone(), Node::new(Value::Table(table), origin.clone()))].into(),
        source_text: None,
    }))
}

fn malformed(secret: &Fetched, error: &PayloadError) -> Error {
    let malformed =
        Error::new(ErrorKind::Malformed, format!("secret `{}`: {error}", secret.name()))
            .with_secret(secret.name());
    match error {
        PayloadError::DuplicateKey(_) => malformed.with_hint(
            "a key in SCREAMING_CASE is read as its name in lower case, nested at `__`: keep one of \
             the two",
        ),
        _ => malformed,
    }
}

/// Merges one secret's table into the tree. Two tables may meet at a key, anything else is a
/// conflict (M6). The key in its error is shown as far as the secrets' names give it (T1).
fn merge(tree: &mut Table, other: Table, at: &str, names: &Names, errors: &mut Vec<Error>) {
    for (name, node) in other.entries {
        let Some(standing) = tree.entries.get_mut(&name) else {
            tree.entries.insert(name, node);
            continue;
        };
        match (&mut standing.value, node.value) {
            (Value::Table(existing), Value::Table(table)) => {
                existing.source_text = None;
                merge(existing, table, &join(at, &name), names, errors);
                standing.merge_spelling(node.spelling);
            }
            _ => {
                let key = names.shown(&join(at, &name));
                errors.push(conflict(&key, &standing.origin, &node.origin));
            }
        }
    }
}

fn conflict(key: &str, one: &Origin, other: &Origin) -> Error {
    let name = |origin: &Origin| match origin {
        Origin::Secret { name, .. } => name.clone(),
        other => other.to_string(),
    };
    let mut names = [name(one), name(other)];
    names.sort();
    let [first, second] = names;
    Error::new(
        ErrorKind::Conflict,
        format!("secrets `{first}` and `{second}` both define the key `{key}`"),
    )
    .with_key(key)
    .with_secret(first)
    .with_hint("remove one of them, or move one to another key with `.rename(..)`")
}

#[cfg(test)]
mod tests;

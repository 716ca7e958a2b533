//! A secret's name → its key path, and many secrets → one tree (rules M1 to M3, M6). Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::backend::Fetched;
use crate::error::{Error, ErrorKind};
use crate::payload;
use crate::tree::{Node, Origin, Table, Value, join};

/// Whether a name is the prefix itself or stands below it (M1). Server-side filters match by leading text
/// alone, so `gaara/prod` finds `gaara/production` too.
pub(crate) fn below<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    match name.strip_prefix(trimmed(prefix))? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// A prefix without the slashes at its end.
pub(crate) fn trimmed(prefix: &str) -> &str {
    prefix.trim_end_matches('/')
}

/// How names become key paths: where they start from, and which ones are placed by hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// What is cut off a name first; `None` where secrets are given by name and map by their whole path.
    pub(crate) prefix: Option<String>,
    /// Whole names whose key path was given together with them.
    pub(crate) placed: BTreeMap<String, Vec<String>>,
    pub(crate) renames: Vec<Rename>,
}

impl Mapping {
    /// The key path of a secret; empty at the root.
    pub(crate) fn key_path(&self, name: &str) -> Vec<String> {
        if let Some(path) = self.placed.get(name) {
            return path.clone();
        }
        let name = self.below_prefix(name);
        // An exact name before a pattern, whichever was given first.
        let exact = self.renames.iter().filter(|rename| rename.capture.is_none());
        let patterns = self.renames.iter().filter(|rename| rename.capture.is_some());
        exact
            .chain(patterns)
            .find_map(|rename| rename.apply(name))
            .unwrap_or_else(|| name.split('/').filter(|part| !part.is_empty()).map(segment).collect())
    }

    /// The renames that are about none of these names.
    pub(crate) fn idle_renames(&self, names: &[&str]) -> Vec<&Rename> {
        let is_idle =
            |rename: &&Rename| !names.iter().any(|name| rename.apply(self.below_prefix(name)).is_some());
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

/// A secret's name, or a pattern of it, and the key path it is placed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rename {
    /// The text before the capture; the whole name where there is none.
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
                "give a secret's name (below the prefix, where there is one) and a dotted key path; \
                 one capture such as `{n}` may stand in both",
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

    /// The key path of a name that this rename is about.
    fn apply(&self, name: &str) -> Option<Vec<String>> {
        let name = name.trim_matches('/');
        let Some(capture) = &self.capture else {
            return (name == self.before).then(|| self.path.clone());
        };
        let captured = name.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        if captured.is_empty() || captured.contains('/') {
            return None;
        }
        let captured = segment(captured);
        Some(self.path.iter().map(|part| part.replace(capture.as_str(), &captured)).collect())
    }
}

/// As it was given, but for slashes at the name's ends.
impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capture = self.capture.as_deref().unwrap_or_default();
        write!(f, "`{}{capture}{}` to `{}`", self.before, self.after, self.path.join("."))
    }
}

/// The one `{…}` of a pattern, with its braces.
fn capture(pattern: &str) -> Result<Option<&str>, &'static str> {
    let Some(open) = pattern.find('{') else {
        return if pattern.contains('}') { Err("a `}` without its `{`") } else { Ok(None) };
    };
    let close =
        pattern.find('}').filter(|close| *close > open + 1).ok_or("a capture needs a name, as in `{n}`")?;
    if pattern[close + 1..].contains(['{', '}']) {
        return Err("at most one capture");
    }
    Ok(Some(&pattern[open..=close]))
}

/// The tree of all secrets, or everything that stands against it.
pub(crate) fn assemble(secrets: &[Fetched], mapping: &Mapping) -> Result<Table, Error> {
    let mut tree = Table::default();
    let mut errors = Vec::new();
    for secret in secrets {
        match placed(secret, &mapping.key_path(secret.name())) {
            Ok(table) => merge(&mut tree, table, "", &mut errors),
            Err(error) => errors.push(error),
        }
    }
    match Error::all(errors) {
        None => Ok(tree),
        Some(error) => Err(error),
    }
}

/// One secret as a table that holds it at its key path.
fn placed(secret: &Fetched, path: &[String]) -> Result<Table, Error> {
    let origin = Arc::new(Origin::Secret {
        name: secret.name().to_owned(),
        version_id: secret.version_id().to_owned(),
    });
    // A version before that has no place any more is forgotten, not refused.
    let previous = secret.previous().and_then(|previous| {
        let origin =
            Origin::Secret { name: previous.name().to_owned(), version_id: previous.version_id().to_owned() };
        payload::parse(previous.payload(), &Arc::new(origin)).ok()
    });
    let Some((last, parents)) = path.split_last() else {
        let mut table = payload::parse_root(secret.payload(), &origin).map_err(|problem| {
            malformed(secret, &problem).with_hint(
                "a secret that is named as the prefix (or renamed to the root) has no key of its own: \
                 store a JSON object, or give it a key with `.rename(..)`",
            )
        })?;
        if let Some(Value::Table(previous)) = previous.map(|node| node.value) {
            table.remember(&previous);
        }
        return Ok(table);
    };
    let mut node = payload::parse(secret.payload(), &origin)
        .map_err(|problem| malformed(secret, &problem).with_key(path.join(".")))?;
    if let Some(previous) = previous {
        node.remember(previous);
    }
    let leaf = Table { entries: [(last.clone(), node)].into(), source_text: None };
    Ok(parents.iter().rev().fold(leaf, |table, name| Table {
        entries: [(name.clone(), Node::new(Value::Table(table), origin.clone()))].into(),
        source_text: None,
    }))
}

fn malformed(secret: &Fetched, problem: &payload::Problem) -> Error {
    Error::new(ErrorKind::Malformed, format!("secret `{}`: {problem}", secret.name()))
        .with_secret(secret.name())
}

/// Merges one secret's table into those of the others: only tables may meet (M6).
fn merge(tree: &mut Table, other: Table, at: &str, errors: &mut Vec<Error>) {
    for (name, node) in other.entries {
        let Some(standing) = tree.entries.get_mut(&name) else {
            tree.entries.insert(name, node);
            continue;
        };
        match (&mut standing.value, node.value) {
            (Value::Table(standing), Value::Table(table)) => {
                standing.source_text = None;
                merge(standing, table, &join(at, &name), errors);
            }
            _ => errors.push(conflict(&join(at, &name), &standing.origin, &node.origin)),
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
    Error::new(ErrorKind::Conflict, format!("secrets `{first}` and `{second}` both give key `{key}`"))
        .with_key(key)
        .with_secret(first)
        .with_hint("remove one of them, or place one elsewhere with `.rename(..)`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_selects_itself_and_what_is_below_a_slash() {
        for prefix in ["gaara/prod", "gaara/prod/", "gaara/prod//"] {
            for (name, rest) in [
                ("gaara/prod", Some("")),
                ("gaara/prod/a", Some("a")),
                ("gaara/prod/a/b", Some("a/b")),
                ("gaara/prod/", Some("")),
                ("gaara/production", None),
                ("gaara/production/a", None),
                ("gaara/prod-eu", None),
                ("xgaara/prod/a", None),
                ("Gaara/prod/a", None),
                ("gaara", None),
            ] {
                assert_eq!(below(prefix, name), rest, "{prefix} {name}");
            }
        }
    }

    #[test]
    fn names_become_key_paths() {
        let prefix = Mapping { prefix: Some("app".into()), ..Mapping::default() };
        for (name, path) in [
            ("app/api-keys/clerk", "api_keys.clerk"),
            ("app//a///b/", "a.b"),
            ("app/DATABASE_URL", "database_url"),
            ("app/key.pem", "key_pem"),
            ("app", ""),
        ] {
            assert_eq!(prefix.key_path(name).join("."), path, "{name}");
        }
        assert_eq!(
            Mapping::default().key_path("pazpaz/encryption-key-v1").join("."),
            "pazpaz.encryption_key_v1"
        );
    }

    #[test]
    fn renames_apply_exactly_before_by_pattern() {
        let renames = [
            ("encryption-key-v{n}", "encryption_keys.{n}"),
            ("encryption-key-v9", "special"),
            ("tenants/{t}/db", "databases.{t}"),
            ("app", ""),
        ];
        let renames = renames.iter().map(|(from, to)| Rename::parse(from, to).expect("a rename")).collect();
        let mapping = Mapping { prefix: Some("p".into()), renames, ..Mapping::default() };
        for (name, path) in [
            ("p/encryption-key-v1", "encryption_keys.1"),
            ("p/encryption-key-v9", "special"),
            ("p/encryption-key-v", "encryption_key_v"),
            ("p/encryption-key-v1/x", "encryption_key_v1.x"),
            ("p/tenants/A.b/db", "databases.a_b"),
            ("p/tenants/a/b/db", "tenants.a.b.db"),
            ("p/app", ""),
        ] {
            assert_eq!(mapping.key_path(name).join("."), path, "{name}");
        }
    }

    #[test]
    fn a_placed_name_goes_before_every_rename_and_idle_renames_are_told() {
        let renames =
            ["a/b", "x{n}", "a/{n}", "gone"].map(|from| Rename::parse(from, "k").expect("a rename"));
        let placed = [("a/b".to_owned(), vec!["k".to_owned(), "l".to_owned()])].into();
        let mapping = Mapping { prefix: None, placed, renames: renames.into() };
        assert_eq!(mapping.key_path("a/b"), ["k", "l"]);
        let idle: Vec<_> = mapping.idle_renames(&["a/b", "c"]).iter().map(ToString::to_string).collect();
        assert_eq!(idle, ["`x{n}` to `k`", "`gone` to `k`"]);
    }

    #[test]
    fn renames_that_make_no_sense_are_refused() {
        for (from, to) in [
            ("a", "b..c"),
            ("a", "."),
            ("a", "b.{n}"),
            ("a{n}", "b.{m}"),
            ("a{n}{m}", "b.{n}"),
            ("a{}", "b"),
            ("a}n{", "b"),
            ("a{n", "b"),
        ] {
            let error = Rename::parse(from, to).expect_err("no rename");
            assert_eq!(error.kind(), ErrorKind::Config, "{from} {to}");
        }
    }

    fn secret(name: &str, text: &str) -> Fetched {
        Fetched::text(name, "v1", text)
    }

    #[test]
    fn every_conflict_and_malformed_secret_is_reported_at_once() {
        let secrets = [
            secret("a/db", r#"{"url": "x", "user": "y"}"#),
            secret("a/db/url", "x"),
            secret("a/db/user", "y"),
            secret("a/bad", r#"{"k": 1, "k": 2}"#),
        ];
        let mapping = Mapping { prefix: Some("a".into()), ..Mapping::default() };
        let Err(error) = assemble(&secrets, &mapping) else { panic!("an error") };
        let messages: Vec<_> = error.errors().iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(
            messages[0].contains("`a/bad`") && messages[0].contains("`bad`") || messages[0].contains("`k`")
        );
        assert!(messages[1].contains("`db.url`") && messages[2].contains("`db.user`"), "{messages:?}");
    }

    proptest! {
        #[test]
        fn mapping_never_panics_and_yields_clean_keys(name in "[ -~]{0,40}", prefix in "[a-z/]{0,6}") {
            let mapping = Mapping { prefix: Some(prefix), ..Mapping::default() };
            for part in mapping.key_path(&name) {
                prop_assert!(!part.is_empty());
                prop_assert!(part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')));
            }
        }

        #[test]
        fn conflicts_are_symmetric(a in "[ab]/[ab]|[ab]", b in "[ab]/[ab]|[ab]", x in "[ab]{1}", y in "[ab]{1}") {
            prop_assume!(a != b);
            let one = secret(&a, &format!("{{\"{x}\": 1}}"));
            let other = secret(&b, &y);
            let mapping = Mapping::default();
            let forth = assemble(&[one.clone(), other.clone()], &mapping).map_err(|error| error.to_string()).err();
            let back = assemble(&[other, one], &mapping).map_err(|error| error.to_string()).err();
            prop_assert_eq!(forth, back);
        }
    }
}

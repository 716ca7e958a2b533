//! Which names of a tree may be shown (rule T1). Pure.
//!
//! The keys of a map may be content, such as tokens by their owner. A name is shown only where the
//! program or the deployment has chosen it: it is a field of a struct or a variant of an enum, part
//! of a secret's key path, or part of a variable's name. Extraction notes the fields that it meets,
//! the layers add the rest, and every output asks [`Names::shown`] for a path or
//! [`Names::counted`] for many: a name without a voucher is `*` there.
//!
//! Names are compared as [`relaxed`] does it, so what is shown equals a known name but for case and
//! separators.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

#[cfg(feature = "figment")]
use super::Origin;
use super::spelling::relaxed;
use super::{Node, Table, Value, join};

/// The last part of a path whose name is not shown.
const HIDDEN: &str = "*";

/// Indices of arrays are shown up to this many digits. A longer one is no index.
const MAX_INDEX_DIGITS: usize = 6;

/// The names that may be shown, by the path of the table that they are in.
#[derive(Clone, Default)]
pub(crate) struct Names {
    tables: BTreeMap<String, Known>,
    /// The lists of fields of the types that were read, each once.
    lists: Vec<FieldList>,
}

#[derive(Clone, Default)]
struct Known {
    /// Which of the lists of fields are about this table.
    lists: BTreeSet<usize>,
    names: BTreeSet<String>,
    /// An array is read here, so its indices are no keys.
    items: bool,
}

#[derive(Clone)]
struct FieldList {
    fields: &'static [&'static str],
    relaxed: BTreeSet<String>,
}

/// A key path as it may be shown, and how many keys are shown so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Shown {
    pub(crate) path: String,
    pub(crate) count: usize,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.count > 1 { write!(f, " ({} keys)", self.count) } else { Ok(()) }
    }
}

impl Names {
    /// The names in these key paths, such as those of secrets.
    pub(crate) fn of_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        let paths = paths.into_iter().filter(|path| !path.is_empty());
        paths.for_each(|path| names.know(path.split('.')));
        names
    }

    /// All names in a tree.
    #[cfg(test)]
    pub(crate) fn of_all(tree: &Table) -> Self {
        fn walk(table: &Table, at: &str, names: &mut Names) {
            for (name, node) in &table.entries {
                names.know(join(at, name).split('.'));
                if let Value::Table(table) = &node.value {
                    walk(table, &join(at, name), names);
                }
            }
        }
        let mut names = Self::default();
        walk(tree, "", &mut names);
        names
    }

    /// With the names of the variables in a tree of layers.
    #[must_use]
    pub(crate) fn with_variables(mut self, tree: &Table) -> Self {
        fn walk<'a>(table: &'a Table, path: &mut Vec<&'a str>, names: &mut Names) {
            for (name, node) in &table.entries {
                path.push(name);
                match &node.value {
                    Value::Table(table) => walk(table, path, names),
                    _ => names.know(path.iter().copied().take(named_by_variable(node))),
                }
                path.pop();
            }
        }
        walk(tree, &mut Vec::new(), &mut self);
        self
    }

    /// With all names that `other` knows.
    #[cfg(feature = "figment")]
    pub(crate) fn extend(&mut self, other: &Self) {
        for (at, known) in &other.tables {
            let own = self.tables.entry(at.clone()).or_default();
            own.names.extend(known.names.iter().cloned());
            own.items |= known.items;
        }
        for (at, known) in &other.tables {
            for list in &known.lists {
                self.know_fields_at(at.clone(), other.lists[*list].fields);
            }
        }
    }

    /// Every part of this path is a name.
    fn know<'a>(&mut self, path: impl Iterator<Item = &'a str>) {
        let mut at = String::new();
        for name in path.map(relaxed) {
            let below = join(&at, &name);
            self.tables.entry(at).or_default().names.insert(name);
            at = below;
        }
    }

    /// A struct or an enum with these fields or variants is read at this path.
    pub(crate) fn know_fields(&mut self, at: &str, fields: &'static [&'static str]) {
        self.know_fields_at(relaxed_path(at), fields);
    }

    fn know_fields_at(&mut self, at: String, fields: &'static [&'static str]) {
        let known = self.lists.iter().position(|list| std::ptr::eq(list.fields, fields));
        let list = known.unwrap_or_else(|| {
            let relaxed = fields.iter().map(|field| relaxed(field)).collect();
            self.lists.push(FieldList { fields, relaxed });
            self.lists.len() - 1
        });
        self.tables.entry(at).or_default().lists.insert(list);
    }

    /// The fields of the structs that were read at this path.
    pub(crate) fn fields(&self, at: &str) -> Vec<&'static str> {
        let lists = self.tables.get(&relaxed_path(at)).map(|known| &known.lists);
        let lists = lists.into_iter().flatten();
        lists.flat_map(|list| self.lists[*list].fields).copied().collect()
    }

    /// The table at this path has a field of this name.
    pub(crate) fn know_field(&mut self, at: &str, name: &str) {
        self.tables.entry(relaxed_path(at)).or_default().names.insert(relaxed(name));
    }

    /// Whether every part of this path is in a list of fields of the types that were read.
    pub(crate) fn is_field(&self, path: &[&str]) -> bool {
        let mut at = String::new();
        path.iter().all(|part| {
            let name = relaxed(part);
            let is_field = self.tables.get(&at).is_some_and(|known| {
                known.lists.iter().any(|list| self.lists[*list].relaxed.contains(&name))
            });
            at = join(&at, &name);
            is_field
        })
    }

    /// An array is read at this path.
    pub(crate) fn know_items(&mut self, at: &str) {
        self.tables.entry(relaxed_path(at)).or_default().items = true;
    }

    /// A dotted path as it may be shown: what is not known to be a name is `*`.
    pub(crate) fn shown(&self, path: &str) -> String {
        Self::shown_by(&[self], path)
    }

    /// The same, for a name that one of several knows.
    fn shown_by(all: &[&Self], path: &str) -> String {
        if path.is_empty() {
            return String::new();
        }
        let (mut at, mut shown) = (String::new(), Vec::new());
        for part in path.split('.') {
            let name = relaxed(part);
            match all.iter().any(|names| names.knows(&at, part, &name)) {
                true => shown.push(part),
                // A key with dots in it is still one key.
                false if shown.last() == Some(&HIDDEN) => {}
                false => shown.push(HIDDEN),
            }
            at = join(&at, &name);
        }
        shown.join(".")
    }

    /// These paths as they may be shown, in the order of the shown paths, each once. `before` has
    /// the names of a generation that may have had some of them.
    pub(crate) fn counted<'a>(
        &self,
        before: &Self,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Shown> {
        let mut counts = BTreeMap::new();
        for path in paths {
            *counts.entry(Self::shown_by(&[self, before], path)).or_default() += 1;
        }
        counts.into_iter().map(|(path, count)| Shown { path, count }).collect()
    }

    fn knows(&self, at: &str, part: &str, name: &str) -> bool {
        let is_index =
            part.len() <= MAX_INDEX_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
        self.tables.get(at).is_some_and(|known| {
            (known.items && is_index)
                || known.names.contains(name)
                || known.lists.iter().any(|list| self.lists[*list].relaxed.contains(name))
        })
    }
}

/// Whether a shown path hides a name.
pub(crate) fn hides_a_name(shown: &str) -> bool {
    shown.split('.').any(|part| part == HIDDEN)
}

fn relaxed_path(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    path.split('.').fold(String::new(), |at, part| join(&at, &relaxed(part)))
}

/// How many parts of the path of this leaf are from a variable's name.
fn named_by_variable(leaf: &Node) -> usize {
    match &*leaf.origin {
        // figment parses the value of a variable, which may be a table with keys of its own.
        #[cfg(feature = "figment")]
        Origin::Figment { variable: true, .. } => 1,
        origin if origin.is_variable() => usize::MAX,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_shown() {
        let mut names = Names::of_paths(["tokens", "api_keys.clerk"]);
        names.know_fields("", &["database", "hosts"]);
        names.know_fields("database", &["maxConnections"]);
        names.know_fields("tokens.tk-1", &["owner"]);
        names.know_items("hosts");
        for (path, shown) in [
            ("", ""),
            ("database.max-connections", "database.max-connections"),
            ("database.hunter2", "database.*"),
            ("tokens", "tokens"),
            ("tokens.tk-1", "tokens.*"),
            ("tokens.tk-1.owner", "tokens.*.owner"),
            ("tokens.a.b.c", "tokens.*"),
            ("api_keys.clerk", "api_keys.clerk"),
            ("api_keys.hunter2", "api_keys.*"),
            ("hosts.12", "hosts.12"),
            ("hosts.4111111111111111", "hosts.*"),
            ("tokens.12", "tokens.*"),
            ("hunter2", "*"),
        ] {
            assert_eq!(names.shown(path), shown, "{path}");
        }
        let mut before = Names::of_paths(["other"]);
        before.know_fields("", &["extra"]);
        let paths = ["tokens.tk-1", "database", "tokens.tk-2", "other", "extra", "hunter2"];
        let counted = names.counted(&before, paths);
        let counted: Vec<_> = counted.iter().map(ToString::to_string).collect();
        assert_eq!(counted, ["*", "database", "extra", "other", "tokens.* (2 keys)"]);

        #[cfg(feature = "figment")]
        {
            before.extend(&names);
            for path in ["other", "extra", "database.maxConnections", "hosts.1", "tokens"] {
                assert_eq!(before.shown(path), path);
            }
        }
    }
}

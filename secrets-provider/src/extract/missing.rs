//! Missing fields: what fills them, and what is reported of them.
//!
//! A nested key may be filled by the secret or the variable that is named after it (rule T3). A
//! section that no layer has is tried if a variable's name begins with it. What nothing fills is
//! reported once for each table, with the other absent fields (rule T4), and a placeholder takes
//! its place on the next walk.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::error;
use super::marks::{State, Tried};
use super::near;
use crate::error::Error;
use crate::tree::spelling::{is_service_link, relaxed, variables_of};
use crate::tree::{Node, Origin, Table, Value, join};

/// A nested key that the secret or the variable named after it has filled.
pub(crate) struct Implied {
    pub(crate) key: String,
    pub(crate) origin: Arc<Origin>,
    node: Node,
}

impl Implied {
    /// Adds the value at the key that it fills, so that a new value is a change of that key.
    pub(crate) fn add_to(&self, tree: &mut Table) {
        let path: Vec<String> = self.key.split('.').map(str::to_owned).collect();
        tree.overlay(Table::nested(&path, self.node.clone()));
    }
}

/// For how many missing fields of a table a near key is looked for.
const MAX_WANTED: usize = 8;

/// What is there instead of a missing field, for the hint.
pub(super) struct Instead {
    pub(super) text: String,
    /// The secret that has the table.
    pub(super) secret: Option<String>,
}

/// What type a missing field has, as far as its placeholder shows.
pub(super) enum Shape {
    Table(&'static [&'static str]),
    Map,
    List,
}

impl State {
    /// The error of a missing field with its advice, which depends on the field's type: that shows
    /// only when a placeholder takes its place.
    pub(super) fn with_advice(&self, error: Error) -> Error {
        let Some(path) = error.key().filter(|path| self.is_missing(path)).map(str::to_owned) else {
            return error;
        };
        let known = self.names.fields(&path);
        let fields = match self.shapes.get(&path) {
            Some(Shape::Table(fields)) => fields,
            _ => known.as_slice(),
        };
        let how = match self.shapes.get(&path) {
            Some(Shape::List) => {
                let numbered = self.numbered.get(&path).map(|origin| &**origin);
                error::how_to_add_a_list(&self.names.shown(&path), numbered)
            }
            Some(Shape::Map) | None if fields.is_empty() => {
                let is_map = self.shapes.contains_key(&path);
                error::how_to_add(&self.names.shown(&path), is_map)
            }
            _ => error::how_to_add_a_table(&self.names.shown(&path), fields),
        };
        match self.instead.get(&path) {
            None => error.with_hint(how),
            Some(Instead { text, secret }) => {
                let error = error.with_hint(format!("{text}; {how}"));
                secret.iter().fold(error, Error::with_secret)
            }
        }
    }

    fn is_missing(&self, path: &str) -> bool {
        let (table, field) = path.rsplit_once('.').unwrap_or(("", path));
        let mark = self.mark(path);
        mark.is_none_or(|mark| mark.misfit.is_none())
            && (mark.is_some_and(|mark| mark.tried.is_some())
                || self.mark(table).is_some_and(|mark| {
                    mark.found
                        .iter()
                        .any(|(found, node)| *found == field && node.value == Value::Null)
                }))
    }

    /// A table lacks a field. The first one is reported, and its message names the others.
    fn lacks(&mut self, table: &str, path: &str, absent: &str) {
        let mark = self.marks.entry(table.to_owned()).or_default();
        let is_first = !std::mem::replace(&mut mark.incomplete, true);
        let misfit = self.marks.get(path).and_then(|mark| mark.misfit.clone());
        match is_first || misfit.is_some() {
            true => {
                let shown = self.names.shown(path);
                let error = match misfit {
                    Some(origin) => error::no_table(&shown, &origin),
                    None => error::missing(&shown, absent),
                };
                self.add(path, error);
            }
            false => {
                self.set(path, |mark| &mut mark.exhausted);
            }
        }
    }
}

impl<'a> Context<'a> {
    /// The fields that were missing in a table, with what was found for them.
    pub(super) fn found(&self, table: &str) -> Vec<(&'static str, Node)> {
        self.state.borrow().mark(table).map(|mark| mark.found.clone()).unwrap_or_default()
    }

    /// The fields that a secret or a variable named after their path has filled.
    pub(super) fn implied(&self) -> Vec<Implied> {
        let state = self.state.borrow();
        let found = state.marks.iter().flat_map(|(table, mark)| {
            mark.found.iter().map(move |(field, node)| (table, field, node))
        });
        found
            .filter(|(_, _, node)| node.is_leaf() && !matches!(node.value, Value::Null))
            .map(|(table, field, node)| Implied {
                key: join(table, field),
                origin: node.origin.clone(),
                node: node.clone(),
            })
            .collect()
    }

    /// Whether this table is one that no layer defines.
    pub(super) fn is_tried(&self, path: &str) -> bool {
        self.state.borrow().mark(path).is_some_and(|mark| mark.tried.is_some())
    }

    /// A required field that no layer defines. A nested one may be filled by the secret or the
    /// variable that is named after its path, `DATABASE_URL` for `database.url`; nothing else is
    /// guessed. `fields` are all of the struct, as far as they are known.
    pub(super) fn missing(
        &self,
        table: &str,
        node: Option<&Node>,
        field: &'static str,
        fields: &[&'static str],
    ) {
        let path = join(table, field);
        self.know_field(table, field);
        // It is there, but left out because no placeholder fits. An alias hides under which name.
        if self.is_spent(&path) || self.has_dropped_member(table) || self.has_refused_tag(table) {
            return;
        }
        let is_misfit = self.state.borrow().mark(&path).is_some_and(|mark| mark.misfit.is_some());
        if !table.is_empty()
            && !is_misfit
            && let Some(node) = self.variable(&path)
        {
            return self.state.borrow_mut().put(table, field, node);
        }
        let members = match node.map(|node| &node.value) {
            None => Some(self.root),
            Some(Value::Table(members)) => Some(members),
            Some(_) => None,
        };
        // Below `flatten`, serde asks for fields by their exact names.
        if fields.is_empty()
            && let by_tree_names = self.is_read_by_tree_names(table)
            && let Some((name, node)) =
                members.and_then(|members| spelled(members, field, by_tree_names))
            && !self.is_spent(&join(table, &name))
        {
            self.ignore(&join(table, &name));
            return self.state.borrow_mut().put(table, field, node.into_owned());
        }
        if let Some(origin) = self.numbered(&path, field, members) {
            self.state.borrow_mut().numbered.entry(path.clone()).or_insert(origin);
        }
        let mut present: BTreeSet<String> = members.map(relaxed_names).unwrap_or_default();
        present.extend(self.found(table).iter().map(|(found, _)| relaxed(found)));
        let absent = fields.iter().copied();
        let absent: Vec<_> =
            absent.filter(|other| *other != field && !present.contains(&relaxed(other))).collect();
        let also_absent = error::also_absent(absent.iter().copied());
        let origin = self.variable_below(&path).filter(|_| !self.is_tried(&path));
        if let Some(origin) = origin {
            let mut state = self.state.borrow_mut();
            let tried = Tried { table: table.to_owned(), absent: also_absent };
            state.marks.entry(path).or_default().tried = Some(tried);
            return state.put(table, field, Node::new(Value::Table(Table::default()), origin));
        }
        let wanted: Vec<_> = std::iter::once(field).chain(absent).collect();
        let instead = self.instead(table, node, &wanted, fields);
        let mut state = self.state.borrow_mut();
        state.lacks(table, &path, &also_absent);
        if let Some(instead) = instead {
            state.instead.entry(path).or_insert(instead);
        }
        // On the next walk, a placeholder takes its place.
        let origin = Arc::new(Origin::Environment { variable: String::new() });
        state.put(table, field, Node::new(Value::Null, origin));
    }

    /// What is there instead of the missing fields: where the table comes from, which of its keys
    /// are near, and how many others there are.
    fn instead(
        &self,
        table: &str,
        node: Option<&Node>,
        wanted: &[&str],
        fields: &[&str],
    ) -> Option<Instead> {
        let members = match node.map(|node| &node.value) {
            None => self.root,
            Some(Value::Table(members)) => members,
            Some(_) => return None,
        };
        let fields: BTreeSet<String> = fields.iter().map(|field| relaxed(field)).collect();
        let others: Vec<_> = members
            .stored()
            .into_iter()
            .filter(|(name, node)| {
                !fields.contains(&relaxed(name))
                    && !is_service_link(&name.to_ascii_lowercase(), node)
            })
            .take(near::MAX_KEYS)
            .collect();
        let of_secret = node.filter(|node| is_secret(node));
        let mut shown = Vec::new();
        for field in wanted.iter().take(MAX_WANTED) {
            let nearest = others.iter().filter_map(|(name, node)| {
                let source = match is_secret(node) {
                    true => near::Source::Secret,
                    false => near::Source::Variable,
                };
                Some((near::distance(field, name, source)?, *name, node))
            });
            let Some((_, name, near)) =
                nearest.min_by_key(|(distance, name, _)| (*distance, *name))
            else {
                shown.extend(elsewhere(field, &others));
                continue;
            };
            let what = match &*near.origin {
                origin if origin.is_variable() && near.is_leaf() => origin.to_string(),
                _ if of_secret.is_some() => format!("`{name}`"),
                origin => format!("`{name}` ({origin})"),
            };
            shown.push(format!("{what} instead of `{field}`"));
        }
        // `Database:Url` and `DATABSE_URL` are at the root.
        let path = join(table, wanted.first().copied().unwrap_or_default());
        if !table.is_empty() {
            let variable = &variables_of(&path)[0];
            let misnamed = self.root.stored().into_iter().find(|(name, node)| {
                node.is_leaf()
                    && match is_secret(node) {
                        true => near::differ_in_separators(&path, name),
                        false => {
                            near::distance(variable, name, near::Source::Variable).is_some()
                                && node.origin.is_variable()
                                && !is_service_link(name, node)
                        }
                    }
            });
            if let Some((name, node)) = misnamed {
                let place = self.state.borrow().names.shown(&path);
                shown.push(match node.origin.is_variable() {
                    true => format!("{} instead of `{place}`", node.origin),
                    false => format!("`{name}` ({}) instead of `{place}`", node.origin),
                });
            }
        }
        let rest = others.len().saturating_sub(shown.len());
        let keys = match (shown.as_slice(), rest) {
            ([], 0) => "no other keys".to_owned(),
            ([], 1) => "1 other key".to_owned(),
            ([], rest) => format!("{rest} other keys"),
            (shown, _) => shown.join(" and "),
        };
        let (text, secret) = match of_secret.map(|node| &*node.origin) {
            Some(origin @ Origin::Secret { name, .. }) => {
                let table = self.state.borrow().names.shown(table);
                (format!("`{table}` comes from {origin}, which has {keys}"), Some(name.clone()))
            }
            _ if shown.is_empty() => return None,
            _ => (format!("there is {keys}"), None),
        };
        Some(Instead { text, secret })
    }

    fn has_dropped_member(&self, table: &str) -> bool {
        let state = self.state.borrow();
        let start = if table.is_empty() { 0 } else { table.len() + 1 };
        state.below(table).any(|(path, mark)| mark.dropped && !path[start..].contains('.'))
    }

    /// The table at this path was only tried to see whether variables fill it, and they do not.
    pub(super) fn nothing_filled(&self, path: &str) {
        let mut state = self.state.borrow_mut();
        let tried = state.mark(path).and_then(|mark| mark.tried.clone()).unwrap_or_default();
        state.lacks(&tried.table, path, &tried.absent);
    }

    /// Reports tables that were tried and not filled, after a walk that succeeded.
    pub(super) fn check_tried(&self) {
        let state = self.state.borrow_mut();
        let is_filled = |state: &State, path: &str| {
            let own = state.mark(path).map(|mark| (path, mark));
            let below = state.below(path).map(|(path, mark)| (path.as_str(), mark));
            own.into_iter().chain(below).any(|(table, mark)| {
                let mut found = mark.found.iter();
                found.any(|(field, node)| node.is_leaf() && !state.is_spent(&join(table, field)))
            })
        };
        let unfilled: Vec<_> = state
            .marks
            .iter()
            .filter_map(|(path, mark)| Some((path, mark.tried.as_ref()?)))
            .filter(|(path, _)| {
                !is_filled(&state, path) && !state.is_spent(path) && !state.is_spent_below(path)
            })
            .map(|(path, tried)| {
                (path.clone(), error::missing(&state.names.shown(path), &tried.absent))
            })
            .collect();
        drop(state);
        unfilled.into_iter().for_each(|(path, error)| self.add_beside(&path, error));
    }

    /// The value that is named after a path: a secret's before a variable's, and of these the
    /// higher layer's.
    fn variable(&self, path: &str) -> Option<Node> {
        let wanted = variables_of(path);
        let mut nodes: Vec<_> =
            self.variables().filter(|(name, _)| wanted.contains(name)).collect();
        nodes.sort_by_key(|(name, node)| (is_secret(node), node.rank, **name == wanted[0]));
        nodes.pop().map(|(_, node)| node.clone())
    }

    /// Where the items of a list may be that somebody has numbered, but not as keys below it.
    fn numbered(&self, path: &str, field: &str, members: Option<&Table>) -> Option<Arc<Origin>> {
        let mut members = members.into_iter().flat_map(|members| &members.entries);
        let own = members.find(|(name, _)| near::is_numbered(field, name)).map(|(_, node)| node);
        let variable = &variables_of(path)[0];
        let node = own.or_else(|| {
            let mut variables = self.variables();
            Some(variables.find(|(name, _)| near::is_numbered(variable, name))?.1)
        });
        node.map(|node| node.origin.clone())
    }

    fn variable_below(&self, path: &str) -> Option<Arc<Origin>> {
        let starts = variables_of(path).map(|name| name + "_");
        let mut variables = self.variables();
        variables
            .find(|(name, _)| starts.iter().any(|start| name.starts_with(start)))
            .map(|(_, node)| node.origin.clone())
    }

    /// What may be named after a nested key: variables, and keys of secrets, which may be variables
    /// that have moved.
    fn variables(&self) -> impl Iterator<Item = (String, &'a Node)> {
        let nodes =
            self.root.entries.iter().filter(|(_, node)| {
                node.is_leaf() && (node.origin.is_variable() || is_secret(node))
            });
        nodes
            .map(|(name, node)| match is_secret(node) {
                // A secret's key may have any spelling (rule T3).
                true => {
                    let [parted, _] = variables_of(name);
                    (parted, node)
                }
                false => (name.to_ascii_lowercase(), node),
            })
            .filter(|(name, node)| is_secret(node) || !is_service_link(name, node))
    }
}

/// Where a field may be: a level deeper, because the prefix ends too early, or under keys that begin
/// with its name and a separator that does not nest.
fn elsewhere(field: &str, members: &[(&str, Cow<'_, Node>)]) -> Option<String> {
    members.iter().find_map(|(name, node)| match &node.value {
        Value::Table(table) => {
            let inner = |(inner, child): &(&str, Cow<'_, Node>)| {
                let Origin::Secret { name: secret, .. } = &*child.origin else { return None };
                let is_it = near::differ_in_separators(field, inner) && near::is_part(name, secret);
                is_it.then(|| format!("`{name}.{inner}` ({}) instead of `{field}`", child.origin))
            };
            table.stored().iter().take(near::MAX_KEYS).find_map(inner)
        }
        _ => {
            let start = near::beginning(field, name).filter(|_| is_secret(node))?;
            let separator = &start[start.len() - 1..];
            let variable = variables_of(field)[0].to_ascii_uppercase();
            Some(format!(
                "`{start}…` ({}) instead of `{field}`, where `{separator}` does not nest as a JSON \
                 object or `{variable}__…` does",
                node.origin
            ))
        }
    })
}

/// The member that is this name in another spelling, as it is handed out: of the highest layer, if
/// only one of that layer is.
fn spelled<'n>(
    table: &'n Table,
    field: &str,
    by_tree_names: bool,
) -> Option<(String, Cow<'n, Node>)> {
    let wanted = relaxed(field);
    let members = match by_tree_names {
        true => table.entries.iter().map(|(name, node)| (&**name, Cow::Borrowed(node))).collect(),
        false => table.stored(),
    };
    let mut alike: Vec<_> =
        members.into_iter().filter(|(name, _)| *name != field && relaxed(name) == wanted).collect();
    alike.sort_by_key(|(_, node)| std::cmp::Reverse(node.rank));
    match alike.as_slice() {
        [(_, first), (_, second), ..] if first.rank == second.rank => None,
        _ => alike.into_iter().next().map(|(name, node)| (name.to_owned(), node)),
    }
}

fn relaxed_names(table: &Table) -> BTreeSet<String> {
    let stored = table.stored().into_iter().map(|(name, _)| relaxed(name));
    stored.chain(table.entries.keys().map(|name| relaxed(name))).collect()
}

fn is_secret(node: &Node) -> bool {
    matches!(*node.origin, Origin::Secret { .. })
}

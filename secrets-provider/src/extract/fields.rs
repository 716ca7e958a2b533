//! Which member of a table is which field (rule T3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::context::Context;
use crate::tree::{Node, Origin, Table, Value, join};

/// A name without what spellings differ in: `database_url`, `DATABASE_URL`, `database-url` and `databaseUrl` are one.
pub(crate) fn relaxed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).map(|c| c.to_ascii_lowercase()).collect()
}

/// The variables that are named after a key path, in lower case: `database_max_connections`, and for a field
/// `maxConnections` also `database_maxconnections`.
pub(crate) fn variables_of(path: &str) -> [String; 2] {
    let mut parted = String::new();
    let mut before = '_';
    for c in path.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            parted.push('_');
        }
        parted.push(if matches!(c, '.' | '-') { '_' } else { c.to_ascii_lowercase() });
        before = c;
    }
    [parted, path.replace(['.', '-'], "_").to_ascii_lowercase()]
}

/// Whether a variable is one of those that Kubernetes injects for each service, such as `REDIS_PORT=tcp://10.0.0.1:6379`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
pub(super) fn is_link(name: &str, node: &Node) -> bool {
    let Value::Text(text) = &node.value else { return false };
    let scheme =
        ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.as_str().starts_with(scheme));
    scheme && (name.ends_with("_port") || name.contains("_port_"))
}

/// The members of a table that are fields of the struct, under the fields' names; and unknown ones of secrets, for
/// `deny_unknown_fields`. What else stands in the environment is nobody's mistake.
pub(super) fn fields<'a>(
    table: &'a Table,
    fields: &'static [&'static str],
    at: &str,
    context: &Context<'_>,
) -> Vec<(Cow<'a, str>, Cow<'a, Node>)> {
    let by_relaxed: BTreeMap<String, &'static str> =
        fields.iter().rev().map(|field| (relaxed(field), *field)).collect();
    let mut spellings: BTreeMap<&'static str, Vec<(&'a str, &'a Node)>> = BTreeMap::new();
    let mut members = Vec::new();
    for (name, node) in &table.entries {
        let exact = fields.iter().find(|field| **field == name.as_str());
        match exact.or_else(|| by_relaxed.get(&relaxed(name))) {
            Some(field) => spellings.entry(field).or_default().push((name, node)),
            None if matches!(&*node.origin, Origin::Secret { .. }) => {
                members.push((Cow::Borrowed(name.as_str()), Cow::Borrowed(node)));
            }
            None => {}
        }
    }
    for (field, mut candidates) in spellings {
        // The higher layer first; in one layer, the exact spelling.
        candidates.sort_by_key(|(name, node)| std::cmp::Reverse((node.rank, *name == field)));
        if let [(one, first), (other, second), ..] = candidates.as_slice()
            && first.rank == second.rank
            && *one != field
        {
            context.report_ambiguous(&join(at, field), &join(at, one), &join(at, other));
        }
        members.push((Cow::Borrowed(field), over(&candidates)));
    }
    for (field, node) in context.found(at) {
        members.push((Cow::Borrowed(field), Cow::Owned(node)));
    }
    members
}

/// The first of several spellings; where they are tables, with what the others have below it.
fn over<'a>(candidates: &[(&'a str, &'a Node)]) -> Cow<'a, Node> {
    let (_, first) = candidates[0];
    let tables: Option<Vec<&Table>> = candidates
        .iter()
        .map(|(_, node)| match &node.value {
            Value::Table(table) => Some(table),
            _ => None,
        })
        .collect();
    match tables {
        Some(tables) if tables.len() > 1 => {
            let mut merged = Table::default();
            tables.into_iter().rev().for_each(|table| merged.overlay_by_rank(table.clone()));
            Cow::Owned(Node { value: Value::Table(merged), ..first.clone() })
        }
        _ => Cow::Borrowed(first),
    }
}

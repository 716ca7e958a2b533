//! Compares the layers with the tree that they were merged into. Pure.
//!
//! The merge itself keeps no record of what it overwrote, so this walks each layer again: a leaf
//! that is not in the merged tree is hidden by the leaves that took its place. The work grows with
//! the number of leaves times its logarithm.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::fields::FirstNames;
use super::{ExplainedKey, Explanation, Provenance};
use crate::tree::spelling::relaxed;
use crate::tree::{Node, Origin, Table, Value};

/// Explains how `merged` came from `layers`, the lowest first. A layer that is not among them is
/// shown where its value is used, but not where it is hidden.
pub(crate) fn explain(layers: &[&Table], merged: &Table) -> Explanation {
    let winners = leaves(merged);
    // Of values in one layer, none outranks another.
    let lowest = winners.values().map(|node| node.rank).min();
    let are_ranked = winners.values().any(|node| Some(node.rank) != lowest);
    let relaxed: Vec<_> = match are_ranked {
        true => winners.keys().map(|path| relaxed_path(path)).collect(),
        false => vec![Vec::new(); winners.len()],
    };
    let mut spellings: BTreeMap<&[String], Vec<&Node>> = BTreeMap::new();
    for (path, node) in relaxed.iter().zip(winners.values()).filter(|_| are_ranked) {
        spellings.entry(path).or_default().push(node);
    }
    let mut hides: BTreeMap<&[&str], Vec<&Origin>> = BTreeMap::new();
    for layer in layers.iter().rev() {
        for (path, node) in losers(layer, merged) {
            for (winner, _) in related(&winners, &path) {
                hides.entry(winner).or_default().push(&node.origin);
            }
        }
    }
    // An environment variable is a setting only if another layer has a similar key.
    let mut known = FirstNames::default();
    for table in layers.iter().copied().chain([merged]) {
        known.extend(settings_in(table));
    }
    let mut explanation = Explanation::default();
    for ((path, node), path_spelled_alike) in winners.iter().zip(&relaxed) {
        let others = related(&spellings, path_spelled_alike).flat_map(|(_, others)| others);
        let outranked = others.filter(|other| other.rank < node.rank).map(|other| &*other.origin);
        let hides = hides.get(path.as_slice()).into_iter().flatten().copied().chain(outranked);
        let key = ExplainedKey {
            followed_by: Vec::new(),
            key: path.join("."),
            source: Provenance::of(&node.origin),
            hides: hides.map(Provenance::of).collect(),
            count: 1,
        };
        let shown = !key.hides.is_empty()
            || !is_environment(&node.origin)
            || path.first().is_some_and(|first| known.has_one_like(first));
        if shown { &mut explanation.keys } else { &mut explanation.omitted }.push(key);
    }
    explanation.sort();
    explanation
}

fn relaxed_path(path: &[&str]) -> Vec<String> {
    path.iter().map(|segment| relaxed(segment)).collect()
}

/// Every value of a tree that is not a table, by its path.
fn leaves(table: &Table) -> BTreeMap<Vec<&str>, &Node> {
    let mut leaves = Vec::new();
    for_each_leaf(table, &mut Vec::new(), &mut |path, node| leaves.push((path.to_vec(), node)));
    // In order already, so that the map is built in one pass.
    leaves.into_iter().collect()
}

/// Calls `visit` with every value of a tree that is not a table and its path, in their order.
pub(super) fn for_each_leaf<'a>(
    table: &'a Table,
    at: &mut Vec<&'a str>,
    visit: &mut impl FnMut(&[&'a str], &'a Node),
) {
    for (name, node) in &table.entries {
        at.push(name);
        match &node.value {
            Value::Table(table) => for_each_leaf(table, at, visit),
            _ => visit(at, node),
        }
        at.pop();
    }
}

/// The values of a layer that are not in the tree it was merged into. Walks both at once, because
/// nearly all are.
fn losers<'a>(layer: &'a Table, merged: &Table) -> Vec<(Vec<&'a str>, &'a Node)> {
    fn collect<'a>(
        layer: &'a Table,
        merged: Option<&Table>,
        at: &mut Vec<&'a str>,
        losers: &mut Vec<(Vec<&'a str>, &'a Node)>,
    ) {
        for (name, node) in &layer.entries {
            let winner = merged.and_then(|merged| merged.entries.get(name));
            at.push(name);
            match (&node.value, winner.map(|winner| &winner.value)) {
                (Value::Table(layer), Some(Value::Table(merged))) => {
                    collect(layer, Some(merged), at, losers);
                }
                (Value::Table(layer), _) => collect(layer, None, at, losers),
                _ if winner.is_some_and(|winner| winner.is_leaf() && is_same(winner, node)) => {}
                _ => losers.push((at.clone(), node)),
            }
            at.pop();
        }
    }
    let mut losers = Vec::new();
    collect(layer, Some(merged), &mut Vec::new(), &mut losers);
    losers
}

/// Whether two nodes have one origin.
fn is_same(one: &Node, other: &Node) -> bool {
    Arc::ptr_eq(&one.origin, &other.origin) || one.origin == other.origin
}

/// The leaves that cannot exist beside a leaf at `path`: those at this path, above it and below it.
/// By lookup, not by a scan: trees may have thousands of leaves.
fn related<'a, P: Borrow<[K]> + Ord, K: Ord + 'a, V>(
    leaves: &'a BTreeMap<P, V>,
    path: &[K],
) -> impl Iterator<Item = (&'a P, &'a V)> {
    let above = (0..path.len()).filter_map(|length| leaves.get_key_value(&path[..length]));
    let from_here = (Bound::Included(path), Bound::Unbounded);
    let at_and_below = leaves
        .range::<[K], _>(from_here)
        .take_while(move |(other, _)| (*other).borrow().starts_with(path));
    above.chain(at_and_below)
}

/// The first names of the tables and values in this tree that are not all from the environment.
fn settings_in(table: &Table) -> impl Iterator<Item = &str> {
    fn is_setting(node: &Node) -> bool {
        match &node.value {
            Value::Table(table) => table.entries.values().any(is_setting),
            _ => !is_environment(&node.origin),
        }
    }
    table.entries.iter().filter(|(_, node)| is_setting(node)).map(|(name, _)| name.as_str())
}

fn is_environment(origin: &Origin) -> bool {
    match origin {
        Origin::Environment { .. } => true,
        // The name that figment gives to `Env::raw()`. The variables of a prefix are all settings.
        #[cfg(feature = "figment")]
        Origin::Figment { provider, .. } => provider.ends_with("environment variable(s)"),
        #[cfg(feature = "config")]
        Origin::Config { variable, .. } => *variable,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn related_leaves_are_at_above_or_below_a_path(
            paths in proptest::collection::btree_set(
                proptest::collection::vec(0..3_u8, 0..4),
                0..20,
            ),
            path in proptest::collection::vec(0..3_u8, 0..4),
        ) {
            let leaves = paths.iter().map(|path| (path.clone(), ())).collect();
            let found: Vec<_> = related(&leaves, &path).map(|(other, ())| other).collect();
            let expected =
                paths.iter().filter(|other| other.starts_with(&path) || path.starts_with(other));
            proptest::prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
}

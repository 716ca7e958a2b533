//! "Did you mean": existing names that are like one that does not exist.
//!
//! Used for the hints of errors (`fetch/explain`, `backend/directory`). Pure.

use super::slip::between;

/// How many names a hint gives at most.
const MAX_SUGGESTIONS: usize = 3;
/// How similar a suggestion is at least, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.5;
/// How much less similar than the best suggestion the others may be.
const MAX_GAP: f64 = 0.25;

/// The first part of the wanted name, up to a separator. Names that start with it are candidates,
/// so a mistake after that part is found, and one in it is not.
pub(crate) fn first_part(wanted: &str) -> &str {
    let separator = wanted.char_indices().skip(2).find(|(_, c)| matches!(c, '/' | '-' | '_' | '.'));
    match separator {
        Some((at, _)) => &wanted[..at],
        None => wanted.char_indices().nth(3).map_or(wanted, |(at, _)| &wanted[..at]),
    }
}

/// The names most similar to the wanted one, the best first. Empty if the wanted name itself
/// exists.
pub(crate) fn nearest(wanted: &str, names: &[String]) -> Vec<String> {
    if names.iter().any(|name| name == wanted) {
        return Vec::new();
    }
    let mut alike: Vec<(f64, &String)> = names
        .iter()
        .map(|name| (similarity(wanted, name), name))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    alike.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.cmp(other)));
    alike.dedup_by(|a, b| a.1 == b.1);
    let best = alike.first().map_or(0.0, |(similarity, _)| *similarity);
    alike.retain(|(similarity, _)| *similarity >= best - MAX_GAP);
    alike.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.clone()).collect()
}

/// The prefixes that differ from the wanted one only in case and separators; else those of names,
/// as deep as the wanted one, the most similar first.
pub(crate) fn nearest_prefixes(wanted: &str, names: &[String]) -> Vec<String> {
    let depth = wanted.split('/').count();
    let cut = |name: &String| name.split('/').take(depth).collect::<Vec<_>>().join("/");
    // Those that differ only in case and separators may be of another depth.
    let above = |name: &String| -> Vec<String> {
        let ends = name.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        ends.chain([name.len()]).map(|end| name[..end].to_owned()).collect()
    };
    let mut same: Vec<String> =
        names.iter().flat_map(above).filter(|name| between(wanted, name).is_some()).collect();
    same.sort_unstable();
    same.dedup();
    if !same.is_empty() {
        same.truncate(MAX_SUGGESTIONS);
        return same;
    }
    let prefixes: Vec<String> = names.iter().map(cut).filter(|name| !name.is_empty()).collect();
    nearest(wanted, &prefixes)
}

/// Compares from the first segment that differs, because a shared beginning proves nothing. Case,
/// and `_` for `-`, make no difference.
fn similarity(one: &str, other: &str) -> f64 {
    let plain = |name: &str| name.to_lowercase().replace('_', "-");
    let (one, other) = (plain(one), plain(other));
    let differs = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let shared =
        one.as_bytes()[..differs].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    strsim::normalized_damerau_levenshtein(&one[shared..], &other[shared..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_ends_at_a_separator() {
        for (name, part) in [
            ("gaara/prod/database", "gaara"),
            ("gaara-prod-db", "gaara"),
            ("a/b", "a/b"),
            ("a/bc/d", "a/bc"),
            ("database", "dat"),
            ("db", "db"),
            ("", ""),
            ("ééé/é", "ééé"),
        ] {
            assert_eq!(first_part(name), part, "{name}");
        }
    }

    #[test]
    fn the_nearest_names_come_first_and_far_ones_not_at_all() {
        let names = [
            "gaara/prod/database",
            "gaara/prod/jwt-secret",
            "gaara/prod/api-keys/clerk",
            "gaara/staging/database",
            "gaara/prod/db1",
            "gaara/prod/db2",
            "gaara/prod/db3",
            "gaara/prod/db4",
        ];
        let names = names.map(str::to_owned);
        for (wanted, expected) in [
            ("gaara/prod/databse", vec!["gaara/prod/database"]),
            ("gaara/prd/database", vec!["gaara/prod/database"]),
            ("gaara/test/database", vec!["gaara/prod/database", "gaara/staging/database"]),
            ("gaara/prod/JWT_SECRET", vec!["gaara/prod/jwt-secret"]),
            ("gaara/prod/db5", vec!["gaara/prod/db1", "gaara/prod/db2", "gaara/prod/db3"]),
            ("gaara/prod/database", vec![]),
            ("gaara/prod/sentry-dsn", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(nearest(wanted, &names), expected, "{wanted}");
        }
        assert_eq!(nearest_prefixes("gaara/prd", &names), ["gaara/prod"]);
        assert_eq!(nearest_prefixes("gaara/stagin", &names), ["gaara/staging"]);
    }
}

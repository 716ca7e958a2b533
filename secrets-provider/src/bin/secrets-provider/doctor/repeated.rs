//! Where a JSON text has a key twice: its values' places, because a key's name may be secret. Pure.

use crate::member::Members;

/// Line and column, each from one.
pub(super) type Place = (usize, usize);

/// The deepest object that is looked into, as in the library.
const MAX_DEPTH: usize = 64;

/// The values of the first key that is there twice: to the letter, or as variables are read, where
/// `A__B` is the `b` of `a`.
pub(super) fn places(text: &str) -> Option<[Place; 2]> {
    let mut members = Vec::new();
    collect(text, text, &[], &mut members, 0);
    members.iter().enumerate().find_map(|(at, second)| {
        let first = members[..at].iter().find(|first| {
            first.path == second.path
                && (first.is_leaf
                    || second.is_leaf
                    || (&first.parent, &first.name) == (&second.parent, &second.name))
        })?;
        Some([place(text, first.start), place(text, second.start)])
    })
}

struct Member {
    parent: Vec<String>,
    name: String,
    path: Vec<String>,
    start: usize,
    is_leaf: bool,
}

fn collect(whole: &str, object: &str, parent: &[String], found: &mut Vec<Member>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let Ok(members) = serde_json::from_str::<Members<'_>>(object) else { return };
    for (name, value) in members.0 {
        let value = value.get();
        let mut path = parent.to_vec();
        path.extend(segments(&name));
        let is_leaf = !value.starts_with('{');
        // It is a part of the text, so its place follows from where both are.
        let start = value.as_ptr() as usize - whole.as_ptr() as usize;
        found.push(Member { parent: parent.to_vec(), name, path: path.clone(), start, is_leaf });
        if !is_leaf {
            collect(whole, value, &path, found, depth + 1);
        }
    }
}

/// A key as the library reads it (M4).
fn segments(name: &str) -> Vec<String> {
    let is_variable = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    match is_variable && name.contains("__") {
        true => name.split("__").map(str::to_ascii_lowercase).collect(),
        false => vec![name.to_owned()],
    }
}

fn place(text: &str, start: usize) -> Place {
    let before = text.get(..start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_repeated_key_are_found() {
        for (text, expected) in [
            (r#"{"a": 1, "a": 2}"#, Some([(1, 7), (1, 15)])),
            ("{\n  \"ä\": {\"b\": 1},\n  \"ä\": {}\n}", Some([(2, 8), (3, 8)])),
            (r#"{"x": {"a": 1, "b": 2, "a": 3}}"#, Some([(1, 13), (1, 29)])),
            (r#"{"A__B": 1, "a": {"b": 2}}"#, Some([(1, 10), (1, 24)])),
            (r#"{"a": {"b": 1}, "A__C": 2}"#, None),
            (r#"{"ACME": 1, "acme": 2}"#, None),
            ("no JSON", None),
        ] {
            assert_eq!(places(text), expected, "{text}");
        }
    }
}

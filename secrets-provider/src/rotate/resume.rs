//! What a pending version that is found at the start means for this rotation. Pure.
//!
//! It may be this rotation's own, from a run that died: then it is taken up as it is. The current
//! version may have been replaced since, by hand: then its new value is kept, because the target
//! system may have it already, and put into a version that is otherwise like the current one. Or it
//! is of a rotation of other members, and must not be thrown away.

use super::content::Content;
use super::value::NewValue;
use crate::secret::Payload;

/// What to do about a pending version.
#[derive(Debug)]
pub(super) enum Found {
    /// It is this rotation's: take it up.
    Ours,
    /// It is this rotation's, but the current version is not the one that it was made from.
    Outdated(Vec<(String, NewValue)>),
    /// It changes something else.
    Foreign,
}

/// Compares a pending version with the current one. `members` are those that this rotation makes,
/// `others` those that follow from them, where the secret has them.
pub(super) fn judge(
    current: &Content,
    pending: &Content,
    members: &[&str],
    others: &[&str],
) -> Found {
    if current.is_object() != pending.is_object() {
        return Found::Foreign;
    }
    if !current.is_object() {
        let same = current.payload() == pending.payload();
        return if same { Found::Foreign } else { Found::Ours };
    }
    let value = |content: &Content, member: &str| content.value(member).ok().flatten();
    let mut values = Vec::new();
    for member in members {
        match value(pending, member) {
            Some(new) if value(current, member).as_ref() != Some(&new) => {
                values.push(((*member).to_owned(), of_payload(&new)));
            }
            _ => return Found::Foreign,
        }
    }
    let followers = others
        .iter()
        .filter_map(|member| Some(((*member).to_owned(), of_payload(&value(pending, member)?))));
    let all: Vec<_> = values.iter().cloned().chain(followers).collect();
    let edits: Vec<_> = all.iter().map(|(member, value)| (member.as_str(), value)).collect();
    match current.edited(&edits) {
        Ok(rebuilt) if rebuilt.means(pending) => Found::Ours,
        _ => Found::Outdated(values),
    }
}

fn of_payload(payload: &Payload) -> NewValue {
    match payload {
        Payload::Text(text) => text.as_str().into(),
        Payload::Binary(bytes) => bytes.to_vec().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(current: &str, pending: &str) -> &'static str {
        let content = |text: &str| Content::new(&Payload::text(text));
        match judge(&content(current), &content(pending), &["password"], &["url", "rotated_at"]) {
            Found::Ours => "ours",
            Found::Outdated(values) => {
                assert_eq!(values[0].1.to_text().as_str(), "new");
                "outdated"
            }
            Found::Foreign => "foreign",
        }
    }

    #[test]
    fn a_pending_version_is_taken_up_kept_apart_or_left_alone() {
        let current = r#"{"host": "db", "password": "old", "url": "//old@db", "port": 5432}"#;
        for (pending, expected) in [
            (r#"{"host": "db", "password": "new", "url": "//new@db", "port": 5432}"#, "ours"),
            (r#"{"port":5432,"host":"\u0064b","password":"new","url":"//new@db"}"#, "ours"),
            (r#"{"host": "db2", "password": "new", "url": "//new@db", "port": 5432}"#, "outdated"),
            (r#"{"host": "db", "password": "new", "url": "//new@db", "port": 5432.0}"#, "outdated"),
            (r#"{"host": "db", "password": "new", "url": "//new@db"}"#, "outdated"),
            (r#"{"host": "db", "password": "old", "url": "//old@db", "port": 5433}"#, "foreign"),
            (r#"{"host": "db"}"#, "foreign"),
            ("new", "foreign"),
            (current, "foreign"),
        ] {
            assert_eq!(judged(current, pending), expected, "{pending}");
        }
        assert_eq!(judged("old", "new"), "ours");
        assert_eq!(judged("old", "old"), "foreign");
    }
}

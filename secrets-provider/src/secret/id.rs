//! Names, prefixes and ARNs of secrets: everything that is parsed of them, in one place.
//!
//! A secret is asked for by name or by ARN. An ARN ends in the name, a hyphen and six random characters; AWS also accepts it
//! without those, and a name's own end may look like them, so an ARN may stand for two names
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>).

/// The length of the random ending that AWS adds to a name in an ARN.
const ENDING_LENGTH: usize = 6;

/// Whether an id is an ARN rather than a name.
pub(crate) fn is_arn(id: &str) -> bool {
    id.starts_with("arn:")
}

/// The names that an id may stand for, the likelier first: a name for itself; an ARN for its name without the random
/// ending and, because the ending may have been left out, with what looks like one.
pub(crate) fn names_of(id: &str) -> Vec<&str> {
    // arn:partition:service:region:account:secret:name
    let Some(name) = id.strip_prefix("arn:").and_then(|arn| arn.splitn(6, ':').nth(5)) else {
        return vec![id];
    };
    match name.rsplit_once('-') {
        Some((stem, ending)) if is_random_ending(ending) => vec![stem, name],
        _ => vec![name],
    }
}

/// Whether two ids, names or ARNs, may mean one secret.
pub(crate) fn same_secret(one: &str, other: &str) -> bool {
    match (is_arn(one), is_arn(other)) {
        (false, false) => one == other,
        (true, true) => one == other || one.starts_with(other) || other.starts_with(one),
        _ => names_of(one).iter().any(|name| names_of(other).contains(name)),
    }
}

fn is_random_ending(text: &str) -> bool {
    text.len() == ENDING_LENGTH && text.bytes().all(|c| c.is_ascii_alphanumeric())
}

/// What follows the prefix in a name that is the prefix itself or below it (M1). Server-side filters only compare the
/// leading text, so `gaara/prod` also finds `gaara/production`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_stands_for_its_name_with_and_without_the_ending() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:";
        struct Case<'a> {
            id: &'a str,
            names: &'a [&'a str],
        }
        for Case { id, names } in [
            Case { id: "a/b", names: &["a/b"] },
            Case { id: "a/b-AbCdEf", names: &["a/b-AbCdEf"] },
            Case { id: &format!("{arn}a/b-AbCdEf"), names: &["a/b", "a/b-AbCdEf"] },
            Case { id: &format!("{arn}a/b"), names: &["a/b"] },
            Case { id: &format!("{arn}a/b-c"), names: &["a/b-c"] },
            Case { id: "arn:aws:s3:::bucket", names: &["arn:aws:s3:::bucket"] },
        ] {
            assert_eq!(names_of(id), names, "{id}");
        }
    }

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
}

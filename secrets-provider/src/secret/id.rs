//! Names, prefixes and ARNs of secrets: everything that is parsed of them, in one place.
//!
//! A secret is asked for by name or by ARN. An ARN ends in the name, a hyphen and six random
//! characters; AWS also accepts it without those, and a name's own end may look like them, so an
//! ARN may stand for two names
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>).

/// The length of the random ending that AWS adds to a name in an ARN.
const ENDING_LENGTH: usize = 6;

/// The parts of an ARN, `arn:partition:service:region:account:secret:name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    pub(crate) partition: &'a str,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    /// The name with its random ending, which may have been left out.
    name: Option<&'a str>,
}

impl<'a> Arn<'a> {
    /// The parts of an id that is an ARN; `None` for a name.
    pub(crate) fn parse(id: &'a str) -> Option<Self> {
        let mut parts = id.strip_prefix("arn:")?.splitn(6, ':');
        let (partition, service) = (parts.next()?, parts.next()?);
        let (region, account) = (parts.next()?, parts.next()?);
        Some(Self { partition, service, region, account, name: parts.nth(1) })
    }

    /// The name with its random ending, or without it.
    pub(crate) fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// The name without the random ending, if it has one or seems to have one.
    fn stem(&self) -> Option<&'a str> {
        let (stem, ending) = self.name?.rsplit_once('-')?;
        is_random_ending(ending).then_some(stem)
    }

    /// Whether the random ending is there, as far as one can see. AWS cannot see it either in an
    /// ARN without the ending whose name is such as `my-secret`, and advises against such names.
    pub(crate) fn has_ending(&self) -> bool {
        self.stem().is_some()
    }
}

/// Whether an id is an ARN rather than a name.
pub(crate) fn is_arn(id: &str) -> bool {
    id.starts_with("arn:")
}

/// The names that an id may stand for, the likelier first: a name for itself; an ARN for its name
/// without the random ending and, because the ending may have been left out, with what looks like
/// one.
pub(crate) fn names_of(id: &str) -> Vec<&str> {
    match Arn::parse(id).and_then(|arn| Some((arn.stem(), arn.name?))) {
        None => vec![id],
        Some((Some(stem), name)) => vec![stem, name],
        Some((None, name)) => vec![name],
    }
}

/// Whether an id, which is the name or the ARN with or without its random ending, asks for the
/// secret with this name and ARN.
#[cfg(any(feature = "agent", feature = "aws", fuzzing))]
pub(crate) fn asks_for(id: &str, name: Option<&str>, arn: Option<&str>) -> bool {
    let is_without_ending = |arn: &str| {
        let ending = arn.strip_prefix(id).and_then(|rest| rest.strip_prefix('-'));
        ending.is_some_and(is_random_ending)
    };
    name == Some(id) || arn == Some(id) || is_arn(id) && arn.is_some_and(is_without_ending)
}

/// The id of a secret's replica in this region: an ARN differs only in the region, and a name does
/// not.
pub(crate) fn in_region(id: &str, region: &str) -> String {
    match id.splitn(5, ':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, service, _, rest] => {
            format!("arn:{partition}:{service}:{region}:{rest}")
        }
        _ => id.to_owned(),
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

/// The rest of a name that is the prefix itself or below it (M1). Filters of a server only compare
/// the leading text, so `gaara/prod` also finds `gaara/production` there.
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
    fn the_arn_of_a_replica_differs_in_the_region() {
        let arn = |region: &str| {
            format!("arn:aws:secretsmanager:{region}:123456789012:secret:us-east-1/b-AbCdEf")
        };
        assert_eq!(in_region(&arn("us-east-1"), "eu-west-1"), arn("eu-west-1"));
        assert_eq!(in_region(&arn("eu-west-1"), "eu-west-1"), arn("eu-west-1"));
        for name in ["a/b", "us-east-1", "arn:aws", ""] {
            assert_eq!(in_region(name, "eu-west-1"), name);
        }
    }

    #[cfg(feature = "aws")]
    #[test]
    fn an_id_asks_for_a_secret_by_name_arn_or_partial_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b-AbCdEf";
        for (id, yes) in [
            ("a/b", true),
            (arn, true),
            (arn.strip_suffix("-AbCdEf").expect("a suffix"), true),
            ("arn:aws:secretsmanager:us-east-1:123456789012:secret:a", false),
            ("a", false),
            ("a/b-AbCdEf", false),
        ] {
            assert_eq!(asks_for(id, Some("a/b"), Some(arn)), yes, "{id}");
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

//! Spellings of one name (rule T3): which keys mean the same field, and which variable is named
//! after a key.
//!
//! Fields of structs, changed keys, and the explanation all compare names with [`relaxed`], so that
//! they agree on what one key is.

use super::{Node, Value};

/// A name without what its spellings differ in: `database_url`, `DATABASE_URL`, `database-url` and
/// `databaseUrl` are the same. Only case of ASCII letters and the separators `_`, `-` and `.` make
/// no difference; other letters do.
pub(crate) fn relaxed(name: &str) -> String {
    let mut relaxed = String::with_capacity(name.len());
    name.split(['_', '-', '.']).for_each(|part| relaxed.push_str(part));
    relaxed.make_ascii_lowercase();
    relaxed
}

/// Whether two names are relaxed to the same one; allocates nothing.
pub(crate) fn is_same_relaxed(one: &str, other: &str) -> bool {
    fn relaxed(name: &str) -> impl Iterator<Item = u8> {
        let kept = |byte: &u8| !matches!(byte, b'_' | b'-' | b'.');
        name.bytes().filter(kept).map(|byte| byte.to_ascii_lowercase())
    }
    relaxed(one).eq(relaxed(other))
}

/// Whether two names are spellings of one.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one == other || relaxed(one) == relaxed(other)
}

/// The variables that are named after a key path, in lower case: `database_max_connections`, and
/// for a field `maxConnections` also `database_maxconnections`.
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

/// Whether a variable is one of those that Kubernetes sets for each service, such as
/// `REDIS_PORT=tcp://10.0.0.1:6379`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
pub(crate) fn is_service_link(name: &str, node: &Node) -> bool {
    let Value::Text(text) = &node.value else { return false };
    let scheme =
        ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.as_str().starts_with(scheme));
    scheme && (name.ends_with("_port") || name.contains("_port_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_the_same() {
        struct Case {
            one: &'static str,
            other: &'static str,
            same: bool,
        }
        for Case { one, other, same } in [
            Case { one: "database_url", other: "DATABASE_URL", same: true },
            Case { one: "database_url", other: "databaseUrl", same: true },
            Case { one: "api-keys", other: "api.keys", same: true },
            Case { one: "", other: "_", same: true },
            Case { one: "database", other: "database1", same: false },
            Case { one: "größe", other: "grüße", same: false },
            Case { one: "Größe", other: "größe", same: true },
            Case { one: "Ärger", other: "ärger", same: false },
        ] {
            assert_eq!(same_name(one, other), same, "{one} {other}");
            assert_eq!(is_same_relaxed(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_variable_is_named_after_its_key() {
        for (path, variables) in [
            ("database.url", ["database_url", "database_url"]),
            ("database.maxConnections", ["database_max_connections", "database_maxconnections"]),
            ("api-keys.clerk", ["api_keys_clerk", "api_keys_clerk"]),
            ("s3.bucketName2Use", ["s3_bucket_name2_use", "s3_bucketname2use"]),
        ] {
            assert_eq!(variables_of(path), variables, "{path}");
        }
    }
}

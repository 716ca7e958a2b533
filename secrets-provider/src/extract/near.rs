//! Which present key may be a slip for a missing field (rules T1 and T4).
//!
//! A key that no field asks for may be content, so it is shown only if a field's name vouches for
//! it: it differs in a few letters or in separators, is a part of it, or is another common word for
//! the same thing. Variables need to be closer, because the environment has many that are not
//! meant. Pure; a long table is searched up to a bound.

/// How many keys of a table are compared at most, and how long each may be.
pub(super) const MAX_KEYS: usize = 200;
const MAX_LENGTH: usize = 64;

/// Words for one thing, as services and AWS's own secrets spell them.
const SYNONYMS: [&[&str]; 7] = [
    &["user", "username", "login", "usr"],
    &["password", "passwd", "passphrase", "pass", "pwd"],
    &["host", "hostname", "server", "endpoint", "address"],
    &["database", "dbname", "db", "name"],
    &["url", "uri", "dsn", "connectionstring"],
    &["key", "apikey", "secretkey", "secret", "token"],
    &["engine", "driver", "scheme"],
];

/// How a name is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Secret,
    Variable,
}

/// How far a name is from a field's, if it may be a slip for it.
pub(super) fn distance(field: &str, name: &str, source: Source) -> Option<usize> {
    if name.len() > MAX_LENGTH || field.len() > MAX_LENGTH {
        return None;
    }
    let (field, name) = (letters(field), letters(name));
    let (length, other) = (field.chars().count(), name.chars().count());
    let distance = strsim::damerau_levenshtein(&field, &name);
    let allowed = if length < 4 { 0 } else { (length / 4).clamp(1, 3) };
    if distance <= allowed {
        return (other > 0).then_some(distance);
    }
    let is_part = other >= 3 && other * 2 >= length && field.contains(&name)
        || length >= 4 && other <= length + 3 && name.contains(&field);
    let is_synonym = SYNONYMS
        .iter()
        .any(|words| words.contains(&field.as_str()) && words.contains(&name.as_str()));
    (source == Source::Secret && (is_part || is_synonym)).then_some(distance)
}

/// Whether two names differ only in case and in what is no letter and no digit.
pub(super) fn differ_in_separators(one: &str, other: &str) -> bool {
    let one = letters(one);
    !one.is_empty() && one == letters(other)
}

/// Whether a name is this field's with a number behind it, as `hosts_0` or `HOSTS0_NAME`: somebody
/// numbers the items of a list, but not as a key below the field.
pub(super) fn is_numbered(field: &str, name: &str) -> bool {
    let (field, name) = (letters(field), letters(name));
    let rest = name.strip_prefix(field.as_str()).filter(|_| !field.is_empty());
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The beginning of `Database:Url` or `database.url`, with the separator, if it is this field's name
/// in any spelling. Only `__` nests in a name.
pub(super) fn beginning<'a>(field: &str, name: &'a str) -> Option<&'a str> {
    let at = name.find([':', '.', '/'])?;
    (differ_in_separators(field, &name[..at]) && at + 1 < name.len()).then(|| &name[..=at])
}

/// Whether a key is a part of a secret's name, which vouches for it.
pub(super) fn is_part(key: &str, secret: &str) -> bool {
    secret.split('/').any(|part| differ_in_separators(part, key))
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_content_is_not() {
        use Source::{Secret, Variable};
        for (field, name, source, near) in [
            ("password", "passwrod", Secret, true),
            ("password", "Pass-Word", Secret, true),
            ("password", "pass", Secret, true),
            ("password", "pwd", Secret, true),
            ("password", "db_password", Secret, true),
            ("password", "password_hunter2", Secret, false),
            ("username", "user", Secret, true),
            ("username", "usrname", Secret, true),
            ("database_url", "Database:Url", Secret, true),
            ("port", "prot", Secret, true),
            ("port", "fort", Secret, true),
            ("url", "uri", Secret, true),
            ("url", "arl", Secret, false),
            ("key", "", Secret, false),
            ("username", "hunter2", Secret, false),
            ("username", "u", Secret, false),
            ("database_url", "databse_url", Variable, true),
            ("username", "user", Variable, false),
            ("pat", "path", Variable, false),
            ("password", "pwd", Variable, false),
        ] {
            assert_eq!(distance(field, name, source).is_some(), near, "{field} {name}");
        }
        for (field, name, start) in [
            ("database", "Database:Url", Some("Database:")),
            ("redis_cache", "redis-cache.url", Some("redis-cache.")),
            ("database", "database/url", Some("database/")),
            ("database", "database:", None),
            ("database", "databases:url", None),
            ("database", ":url", None),
            ("a", "é:url", None),
        ] {
            assert_eq!(beginning(field, name), start, "{field} {name}");
        }
        for (field, name, numbered) in [
            ("hosts", "hosts_0", true),
            ("hosts", "HOSTS_12", true),
            ("hosts", "hosts0", true),
            ("hosts", "hosts_0_name", true),
            ("maxHosts", "max_hosts_1", true),
            ("hosts", "hosts", false),
            ("hosts", "hosts_a", false),
            ("host", "hosts_0", false),
            ("", "0", false),
        ] {
            assert_eq!(is_numbered(field, name), numbered, "{field} {name}");
        }
        assert!(is_part("prod_eu", "app/Prod-EU/db") && !is_part("prod", "app/Prod-EU/db"));
        let long = "a".repeat(100_000);
        assert_eq!(distance("password", &long, Secret), None);
    }
}

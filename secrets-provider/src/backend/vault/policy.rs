//! The policy that a token needs, in HCL, for `vault policy write`.
//!
//! Which version of the key-value engine is mounted is only known after a call, so the policy has
//! the paths of both: those of the other version do not exist, and permit nothing. Pure.

use std::collections::BTreeSet;

use super::database::{DatabaseRole, Kind};
use crate::secret::id::below;

/// The least policy for a prefix, and for these secrets.
pub(super) fn hcl(
    mount: &str,
    roles: &[DatabaseRole],
    prefix: Option<&str>,
    ids: &[String],
) -> String {
    let is_read = |role: &&DatabaseRole| {
        let name = role.name();
        ids.contains(&name) || prefix.is_some_and(|prefix| below(prefix, &name).is_some())
    };
    let roles: Vec<&DatabaseRole> = roles.iter().filter(is_read).collect();
    let mut lines = Vec::new();
    let mut names: BTreeSet<String> = ids.iter().cloned().collect();
    roles.iter().for_each(|role| _ = names.remove(&role.name()));
    if names.is_empty() && prefix.is_none() {
        return credentials(&roles).join("\n") + "\n";
    }
    if let Some(prefix) = prefix {
        names.extend([prefix.to_owned(), format!("{prefix}/*")]);
    }
    let lists = prefix.map(|prefix| [format!("{prefix}/"), format!("{prefix}/*")]);
    let lists = lists.into_iter().flatten();
    lines.push("# Version 2 of the key-value engine.".to_owned());
    for name in &names {
        lines.push(rule(&format!("{mount}/data/{name}"), &["read"]));
    }
    for name in lists.clone() {
        lines.push(rule(&format!("{mount}/metadata/{name}"), &["list"]));
    }
    lines.push("# Version 1.".to_owned());
    for name in &names {
        let capabilities: &[&str] = if name.ends_with('*') { &["read", "list"] } else { &["read"] };
        lines.push(rule(&format!("{mount}/{name}"), capabilities));
    }
    if let Some(prefix) = prefix {
        lines.push(rule(&format!("{mount}/{prefix}/"), &["list"]));
    }
    lines.extend(credentials(&roles));
    lines.join("\n") + "\n"
}

/// The rules for credentials of databases.
fn credentials(roles: &[&DatabaseRole]) -> Vec<String> {
    let paths: BTreeSet<String> = roles.iter().map(|role| role.full_path()).collect();
    if paths.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["# Credentials of databases.".to_owned()];
    lines.extend(paths.iter().map(|path| rule(path, &["read"])));
    if roles.iter().any(|role| role.kind().is_ok_and(|kind| kind == Kind::Dynamic)) {
        lines.push(rule("sys/leases/renew", &["update"]));
        lines.push(rule("sys/leases/revoke", &["update"]));
    }
    lines
}

fn rule(path: &str, capabilities: &[&str]) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"");
    let capabilities: Vec<String> =
        capabilities.iter().map(|capability| format!("\"{capability}\"")).collect();
    format!("path \"{path}\" {{ capabilities = [{}] }}", capabilities.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_exactly_what_is_read() {
        let expected = r#"# Version 2 of the key-value engine.
path "secret/data/gaara/prod" { capabilities = ["read"] }
path "secret/data/gaara/prod/*" { capabilities = ["read"] }
path "secret/metadata/gaara/prod/" { capabilities = ["list"] }
path "secret/metadata/gaara/prod/*" { capabilities = ["list"] }
# Version 1.
path "secret/gaara/prod" { capabilities = ["read"] }
path "secret/gaara/prod/*" { capabilities = ["read", "list"] }
path "secret/gaara/prod/" { capabilities = ["list"] }
"#;
        assert_eq!(hcl("secret", &[], Some("gaara/prod"), &[]), expected);
        let ids = ["a/\"b".to_owned()];
        assert!(
            hcl("kv", &[], None, &ids)
                .contains(r#"path "kv/data/a/\"b" { capabilities = ["read"]"#)
        );
    }

    #[test]
    fn a_policy_has_the_paths_of_the_credentials_that_are_read() {
        let dynamic = DatabaseRole::new("creds/readonly").named("gaara/prod/database");
        let fixed = DatabaseRole::new("static-creds/app").mount("pg");
        let roles = [dynamic, fixed];
        let expected = r#"# Credentials of databases.
path "database/creds/readonly" { capabilities = ["read"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"#;
        let below = hcl("secret", &roles, Some("gaara/prod"), &[]);
        assert!(below.starts_with("# Version 2") && below.ends_with(expected), "{below}");
        assert_eq!(hcl("secret", &roles, None, &["gaara/prod/database".to_owned()]), expected);
        let expected = r#"# Credentials of databases.
path "pg/static-creds/app" { capabilities = ["read"] }
"#;
        assert_eq!(hcl("secret", &roles, None, &["pg/static-creds/app".to_owned()]), expected);
        assert!(!hcl("secret", &roles, None, &["a".to_owned()]).contains("creds"));
    }
}

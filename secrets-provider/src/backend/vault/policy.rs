//! The policy that a token needs, in HCL, for `vault policy write`.
//!
//! Which version of the key-value engine is mounted is only known after a call, so the policy has
//! the paths of both: those of the other version do not exist, and permit nothing. Pure.

use std::collections::BTreeSet;

/// The least policy for a prefix, and for these secrets.
pub(super) fn hcl(mount: &str, prefix: Option<&str>, ids: &[String]) -> String {
    let mut lines = Vec::new();
    let mut names: BTreeSet<String> = ids.iter().cloned().collect();
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
    lines.join("\n") + "\n"
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
        assert_eq!(hcl("secret", Some("gaara/prod"), &[]), expected);
        let ids = ["a/\"b".to_owned()];
        assert!(
            hcl("kv", None, &ids).contains(r#"path "kv/data/a/\"b" { capabilities = ["read"]"#)
        );
    }
}

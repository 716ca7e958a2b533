//! Names of sources as they may be shown. Pure.

/// A source's name without what a URL may hold of credentials. A password may be written unencoded, so that nobody can
/// tell where it ends and a query begins: then the scheme alone is left.
pub(crate) fn without_credentials(name: &str) -> String {
    let Some((scheme, rest)) = name.split_once("://") else { return name.to_owned() };
    let (before, address) = rest.rsplit_once('@').unwrap_or(("", rest));
    if before.contains(['?', '#']) {
        return format!("{scheme}://…");
    }
    let address = address.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sources_name_is_shown_without_credentials() {
        for (name, expected) in [
            ("the environment", "the environment"),
            ("conf/settings@home?.toml", "conf/settings@home?.toml"),
            ("etcd+http://127.0.0.1:2379", "etcd+http://127.0.0.1:2379"),
            ("redis://user:hun/ter@2@host/0", "redis://host/0"),
            ("https://host/path?token=hunter2", "https://host/path"),
            ("https://host/path#hunter2", "https://host/path"),
            ("https://me:hunter2@host/path?token=hunter2", "https://host/path"),
            ("https://host/path?token=a@hunter2", "https://…"),
            ("https://me:hunter2?@host", "https://…"),
            ("https://me:hunter#2@host", "https://…"),
        ] {
            assert_eq!(without_credentials(name), expected, "{name}");
        }
    }
}

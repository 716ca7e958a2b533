//! Which parameter a name means. Pure.

use crate::error::{Error, ErrorKind};
use crate::secret::id::is_arn;

/// Where parameters are that stand for secrets.
const REFERENCE: &str = "/aws/reference/secretsmanager/";

/// The parameter of a name: one with a hierarchy begins with a slash.
pub(super) fn parameter(name: &str) -> String {
    match name.contains('/') && !name.starts_with('/') {
        true => format!("/{name}"),
        false => name.to_owned(),
    }
}

/// The path of a prefix.
pub(super) fn path(prefix: &str) -> String {
    format!("/{}", prefix.trim_start_matches('/'))
}

/// The name of a listed parameter, spelled as the prefix is.
pub(super) fn listed(prefix: &str, parameter: &str) -> String {
    match prefix.starts_with('/') {
        true => parameter.to_owned(),
        false => parameter.trim_start_matches('/').to_owned(),
    }
}

/// What is wrong with a name, if it is not one that is read here.
pub(super) fn slip(name: &str) -> Option<Error> {
    let error = |what: &str, hint: String| {
        let message = format!("parameter `{name}`: {what}");
        Some(Error::new(ErrorKind::Config, message).with_secret(name).with_hint(hint))
    };
    if let Some(secret) = format!("{}/", parameter(name)).strip_prefix(REFERENCE) {
        let secret = secret.trim_end_matches('/');
        let hint = format!(
            "read the secret itself: `SecretsManager::names([\"{secret}\"])` without this backend"
        );
        return error("it stands for a secret of Secrets Manager", hint);
    }
    if is_arn(name) {
        return error("it is given by its ARN", "give its name".to_owned());
    }
    if let Some((parameter, _)) = name.split_once(':') {
        let hint = format!("give `{parameter}`, of which the current version is read");
        return error("it is given with a version or a label", hint);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slash_is_a_parameter_with_one_at_its_start() {
        for (name, expected) in [
            ("gaara/prod/database", "/gaara/prod/database"),
            ("/gaara/prod/database", "/gaara/prod/database"),
            ("token", "token"),
            ("/token", "/token"),
        ] {
            assert_eq!(parameter(name), expected);
        }
        assert_eq!((&*path("gaara/prod"), &*path("/gaara")), ("/gaara/prod", "/gaara"));
        assert_eq!(listed("gaara", "/gaara/token"), "gaara/token");
        assert_eq!(listed("/gaara", "/gaara/token"), "/gaara/token");
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_to_give() {
        for (name, expected) in [
            ("/aws/reference/secretsmanager/app/db", "names([\"app/db\"])"),
            ("aws/reference/secretsmanager/app/db", "names([\"app/db\"])"),
            ("arn:aws:ssm:us-east-1:123456789012:parameter/app/db", "its name"),
            ("app/db:3", "give `app/db`"),
            ("app/db:label", "give `app/db`"),
        ] {
            let error = slip(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.hint().is_some_and(|hint| hint.contains(expected)), "{error:?}");
        }
        for name in ["app/db", "/aws/service/ami", "token"] {
            assert!(slip(name).is_none(), "{name}");
        }
    }
}

//! Slips in prefixes, names and ARNs: what no store could mean, and what was probably meant.
//!
//! [`of_prefix`] and [`of_name`] find what is wrong in any store; `plan` calls them before
//! anything is read, so that such a slip is a `Config` error of its own and never counts as an
//! outage. [`between`] says in what a prefix differs from one that exists; `fetch/explain` calls it
//! after a failed start. Pure.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::secret::id::{Arn, is_arn, names_of, trimmed};

/// What is wrong with a prefix, if it cannot be one.
pub(crate) fn of_prefix(prefix: &str) -> Option<Error> {
    if is_arn(without_decoration(prefix)) {
        let arn = without_decoration(prefix);
        let name = names_of(arn).first().copied().unwrap_or_default();
        let name = without_wildcard(name);
        let hint = match name.starts_with("arn:") || name.is_empty() {
            true => "give the name that the secrets' names begin with, such as `gaara/prod`".into(),
            false => format!(
                "give the name itself: `{name}`, or what it begins with; one secret is read by \
                 its ARN with `SecretsManager::names([arn])`"
            ),
        };
        return Some(config("prefix", prefix, "a prefix is a part of names, not an ARN", hint));
    }
    slip(prefix).map(|(what, meant)| {
        let hint = match (what, meant) {
            (Slip::Wildcard, Some(meant)) => format!(
                "give `{meant}`: a prefix selects the secret of that name and all below `{meant}/`"
            ),
            (Slip::Placeholder, _) => "`prefix(..)` takes the text as it is: use `format!`, or \
                                       `SecretsManager::from_env_or_prefix(..)`, which replaces \
                                       `{env}` by the value of ENVIRONMENT"
                .to_owned(),
            (_, Some(meant)) => format!("give `{meant}`"),
            (Slip::Url, None) => {
                format!("give a part of the secrets' names, such as `gaara/prod`; {ENDPOINT}")
            }
            (_, None) => "give a part of the secrets' names, such as `gaara/prod`".to_owned(),
        };
        config("prefix", prefix, what.words(), hint)
    })
}

const ENDPOINT: &str =
    "the address of an endpoint is set by the variable AWS_ENDPOINT_URL_SECRETS_MANAGER";

/// What is wrong with the name or ARN of a secret, if it cannot be one.
pub(crate) fn of_name(id: &str) -> Option<Error> {
    let error = if is_arn(id) {
        let (what, hint) = arn_slip(id)?;
        config("secret", id, what, hint)
    } else {
        let (what, meant) = slip(id)?;
        let hint = match (what, meant) {
            (Slip::Wildcard, Some(meant)) => format!(
                "name each secret, or select all below `{meant}` with \
                 `SecretsManager::prefix(\"{meant}\")`"
            ),
            (Slip::Placeholder, _) => "names are taken as they are: use `format!`".to_owned(),
            (_, Some(meant)) => format!("give `{meant}`"),
            (Slip::Url, None) => format!("give the secret's name or ARN; {ENDPOINT}"),
            (_, None) => "give the secret's name or ARN".to_owned(),
        };
        config("secret", id, what.words(), hint)
    };
    Some(error.with_secret(shown(id)))
}

/// How long a name may be, its prefix included
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>).
const MAX_LENGTH: usize = 512;

/// What to do about a name that is not below the prefix.
pub(crate) const BELOW: &str = "give the name below the prefix, as in `database/primary`";

/// What is wrong with a name that a user may have given: AWS allows no such name, or it could leave
/// the prefix; and what to do. `length` is that of the whole name, with its prefix.
pub(crate) fn of_name_below(name: &str, length: usize) -> Option<(&'static str, &'static str)> {
    let characters = "use ASCII letters, digits and `/_+=.@!-`, at most 512 with the prefix";
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@!-".contains(c);
    match () {
        () if name.is_empty() => Some(("it is empty", BELOW)),
        () if length > MAX_LENGTH => Some(("it is longer than 512 characters", characters)),
        () if name.contains(':') => Some((
            "a name has no `:`",
            "give the name only, and read one of its keys with `.key(..)`",
        )),
        () if !name.chars().all(is_allowed) => {
            Some(("it has a character that no name has", characters))
        }
        () if name.starts_with('/') || name.ends_with('/') => {
            Some(("it begins or ends with `/`", BELOW))
        }
        () if name.split('/').any(|part| matches!(part, "." | "..")) => {
            Some(("`.` and `..` lead nowhere: a name is not a path", BELOW))
        }
        () => None,
    }
}

/// What is wrong with an ARN in any store.
fn arn_slip(id: &str) -> Option<(&'static str, String)> {
    let whole = "an ARN has the form `arn:aws:secretsmanager:region:account:secret:name-AbCdEf`";
    let Some(arn) = Arn::parse(id) else { return Some(("the ARN is not whole", whole.into())) };
    if arn.service != "secretsmanager" {
        return Some((
            "it is the ARN of another service",
            format!("only secrets of Secrets Manager are read: {whole}"),
        ));
    }
    match arn.name().filter(|name| !name.is_empty()) {
        None => Some(("the ARN is not whole", whole.into())),
        Some(name) if name.contains(':') => Some((
            "the ARN has an ending of a task definition in ECS",
            "leave out the ending `:key:stage:version`, which only `valueFrom` of an ECS task \
             definition has: a secret is read whole, and its JSON keys become settings"
                .to_owned(),
        )),
        Some(name) if name.contains('*') => Some((
            "an ARN names one secret and has no wildcard",
            "name each secret, or select all below a name with `SecretsManager::prefix(..)`"
                .to_owned(),
        )),
        Some(_) => None,
    }
}

/// What a name cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slip {
    Space,
    Quotes,
    Reference,
    Url,
    Wildcard,
    Placeholder,
    Backslash,
}

impl Slip {
    fn words(self) -> &'static str {
        match self {
            Self::Space => "there is white space around it",
            Self::Quotes => "there are quotes around it",
            Self::Reference => "it is a dynamic reference of CloudFormation",
            Self::Url => "it is a URL, not a name",
            Self::Wildcard => "it has a wildcard",
            Self::Placeholder => "it has a placeholder that was not replaced",
            Self::Backslash => "it has a `\\`; parts of names are separated by `/`",
        }
    }
}

/// The first slip in a name, and what was meant without any, if that is a name.
fn slip(name: &str) -> Option<(Slip, Option<String>)> {
    let unquoted = without_quotes(name.trim());
    let plain = without_wildcard(unquoted.trim());
    let slip = match () {
        () if name.trim() != name => Slip::Space,
        () if unquoted != name => Slip::Quotes,
        () if name.starts_with(RESOLVE) => {
            return Some((Slip::Reference, resolved(name).map(str::to_owned)));
        }
        () if name.contains("://") => return Some((Slip::Url, path_of_url(name))),
        () if name.contains(['{', '}', '$']) => Slip::Placeholder,
        () if name.contains(['*', '?']) => Slip::Wildcard,
        () if name.contains('\\') => Slip::Backslash,
        () => return None,
    };
    let meant = plain.replace('\\', "/");
    let is_name = !meant.is_empty() && !meant.contains(['{', '}', '$', '*', '?']);
    Some((slip, is_name.then_some(meant)))
}

/// How a dynamic reference of CloudFormation begins.
const RESOLVE: &str = "{{resolve:secretsmanager:";

/// The name or ARN in a dynamic reference.
fn resolved(reference: &str) -> Option<&str> {
    let id = reference.strip_prefix(RESOLVE)?.trim_end_matches('}');
    // An ARN is seven parts itself.
    let parts = if is_arn(id) { 7 } else { 1 };
    let end = id.match_indices(':').nth(parts - 1).map_or(id.len(), |(at, _)| at);
    (!id[..end].is_empty()).then(|| &id[..end])
}

/// The name that a URL of a scheme of its own has, such as `secretsmanager://app/db`; that of a web
/// address is not known.
fn path_of_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let name = rest.split(['?', '#']).next().unwrap_or_default();
    let is_name = !name.is_empty() && !name.contains(['@', ':', '{', '}', '$', '*']);
    (is_name && !scheme.starts_with("http")).then(|| trimmed(name).to_owned())
}

fn without_quotes(name: &str) -> &str {
    let within = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    ['"', '\'', '`'].into_iter().find_map(within).unwrap_or(name)
}

fn without_wildcard(name: &str) -> &str {
    trimmed(name.trim_end_matches(['*', '?']))
}

fn without_decoration(name: &str) -> &str {
    without_quotes(name.trim()).trim()
}

fn config(what: &str, name: &str, why: &str, hint: String) -> Error {
    Error::new(ErrorKind::Config, format!("{what} `{}`: {why}", shown(name))).with_hint(hint)
}

/// A name as it is shown: of a URL only the scheme, because there may be a password in the rest.
fn shown(name: &str) -> Cow<'_, str> {
    match name.split_once("://") {
        Some((scheme, _)) => Cow::Owned(format!("{scheme}://…")),
        None => Cow::Borrowed(name),
    }
}

/// In what a prefix differs from one that exists, if that is not its letters.
pub(crate) fn between(wanted: &str, existing: &str) -> Option<&'static str> {
    let lower = |name: &str| name.to_lowercase();
    let unled = wanted.trim_start_matches('/');
    let parts = |name: &str| -> Vec<String> {
        let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.map(str::to_lowercase).collect()
    };
    if wanted == existing || parts(wanted) != parts(existing) {
        return None;
    }
    Some(match () {
        () if lower(wanted) == lower(existing) => "names are case-sensitive",
        () if lower(unled) == lower(existing) => "a `/` in front is a part of the name",
        () if lower(wanted) == lower(existing.trim_start_matches('/')) => {
            "a `/` in front is a part of the name"
        }
        () if wanted.starts_with(existing) => "it is given without the separator at its end",
        () => "separators are a part of the name",
    })
}

/// A prefix or name as it may have been meant: in lower case, without a separator at its ends.
pub(crate) fn plainly(wanted: &str) -> String {
    wanted.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf";

    #[test]
    fn what_is_no_prefix_is_named_with_what_was_meant() {
        for (prefix, what, meant) in [
            ("app/*", "wildcard", "`app`"),
            ("app/**", "wildcard", "`app`"),
            ("app*", "wildcard", "`app`"),
            ("*", "wildcard", "such as `gaara/prod`"),
            (" app", "white space", "`app`"),
            ("app/ ", "white space", "`app`"),
            ("app\n", "white space", "`app`"),
            ("\"app\"", "quotes", "`app`"),
            ("'app/prod'", "quotes", "`app/prod`"),
            ("app/{env}", "placeholder", "from_env_or_prefix"),
            ("app/${ENV}", "placeholder", "format!"),
            ("https://x/app", "a URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            ("http://localhost:4566", "a URL", "such as `gaara/prod`"),
            ("secretsmanager://app/prod", "a URL", "give `app/prod`"),
            (
                "{{resolve:secretsmanager:app/db:SecretString:password}}",
                "CloudFormation",
                "`app/db`",
            ),
            ("app\\prod", "separated by `/`", "`app/prod`"),
            (ARN, "not an ARN", "`app/db`"),
            (&ARN.replace("db-AbCdEf", "*"), "not an ARN", "`app`"),
            (&ARN.replace("us-east-1", "eu-west-1"), "not an ARN", "`app/db`"),
            ("arn:aws:secretsmanager", "not an ARN", "such as `gaara/prod`"),
        ] {
            let error = of_prefix(prefix).unwrap_or_else(|| panic!("{prefix}"));
            assert_eq!(error.kind(), ErrorKind::Config, "{prefix}");
            assert!(error.to_string().contains(what), "{prefix}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains(meant)), "{prefix}: {error}");
        }
        for prefix in ["app", "app/", "/app", "app.", "APP", "a b", "app/prod:x", "größe", "a@b"]
        {
            assert!(of_prefix(prefix).is_none(), "{prefix}");
        }
    }

    #[test]
    fn what_is_no_name_nor_arn_is_named_with_what_was_meant() {
        for (id, what, meant) in [
            ("app/*", "wildcard", "prefix(\"app\")"),
            (" app/db", "white space", "`app/db`"),
            ("\"app/db\"", "quotes", "`app/db`"),
            ("app/{env}/db", "placeholder", "format!"),
            ("https://x/app", "a URL", "name or ARN"),
            ("https://u:p@x/app?y=z", "a URL", "name or ARN"),
            ("aws-sm://app/db", "a URL", "give `app/db`"),
            (
                "{{resolve:secretsmanager:app/db:SecretString:password}}",
                "CloudFormation",
                "`app/db`",
            ),
            ("{{resolve:secretsmanager:app/db}}", "CloudFormation", "give `app/db`"),
            (&format!("{{{{resolve:secretsmanager:{ARN}:SecretString}}}}"), "CloudFormation", ARN),
            (&format!("{ARN}:password::"), "ECS", "`:key:stage:version`"),
            (&format!("{ARN}:password:AWSCURRENT:"), "ECS", "`valueFrom`"),
            (&format!("{ARN}:::"), "ECS", "`valueFrom`"),
            (&format!("{ARN}::AWSPREVIOUS:"), "ECS", "`valueFrom`"),
            (&format!("{ARN}:password::id"), "ECS", "`valueFrom`"),
            ("arn:aws:s3:::bucket", "another service", "Secrets Manager"),
            ("arn:aws:ssm:us-east-1:1:parameter/x", "another service", "Secrets Manager"),
            ("arn:aws:secretsmanager:us-east-1:1:secret", "not whole", "`arn:aws:"),
            ("arn:aws:secretsmanager:us-east-1:1:secret:", "not whole", "`arn:aws:"),
            ("arn:aws", "not whole", "`arn:aws:"),
            (&ARN.replace("db-AbCdEf", "*"), "wildcard", "prefix"),
        ] {
            let error = of_name(id).unwrap_or_else(|| panic!("{id}"));
            assert_eq!((error.kind(), error.secret()), (ErrorKind::Config, Some(&*shown(id))));
            assert!(!error.to_string().contains("u:p"), "{error}");
            assert!(error.to_string().contains(what), "{id}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains(meant)), "{id}: {error}");
        }
        let (bare, cn) = (ARN.replace("-AbCdEf", ""), ARN.replace(":aws:", ":aws-cn:"));
        for id in [ARN, &bare, &cn, "app/db", "rds!cluster-1", "/ssm/style", "a+b=c@d"] {
            assert!(of_name(id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_prefix_differs_from_one_that_exists_by_more_than_letters() {
        for (wanted, existing, words) in [
            ("APP", "app", Some("case-sensitive")),
            ("App/Prod", "app/prod", Some("case-sensitive")),
            ("/app", "app", Some("`/` in front")),
            ("app", "/app", Some("`/` in front")),
            ("app.", "app", Some("without the separator")),
            ("app-", "app", Some("without the separator")),
            ("app:", "app", Some("without the separator")),
            ("app.prod", "app/prod", Some("separators")),
            ("app-prod", "app/prod", Some("separators")),
            ("app", "app", None),
            ("ap", "app", None),
        ] {
            let found = between(wanted, existing);
            let fits = match (found, words) {
                (Some(found), Some(words)) => found.contains(words),
                (found, words) => found.is_none() && words.is_none(),
            };
            assert!(fits, "{wanted}: {found:?}");
        }
    }
}

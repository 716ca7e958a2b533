//! Settings as variables of a program: which names, which values, and what of the own environment
//! stays.
//!
//! Pure: [`Variables::new`] decides by what it is given. `exec` calls it, before each start.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use clap::ValueEnum;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, ErrorKind};

use crate::output::printable;
use crate::settings::Tree;

/// How key paths become names of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// `database.password` is DATABASE__PASSWORD, as this library reads it.
    Nested,
    /// `database.password` is DATABASE_PASSWORD.
    Upper,
}

impl Format {
    fn name(self, path: &[&str]) -> String {
        let separator = match self {
            Self::Nested => "__",
            Self::Upper => "_",
        };
        let segment = |segment: &&str| -> String {
            let allowed =
                |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            segment.chars().map(allowed).collect()
        };
        path.iter().map(segment).collect::<Vec<_>>().join(separator)
    }
}

/// The variables to set, and those to take away.
pub(crate) struct Variables {
    pub(crate) set: BTreeMap<String, SecretString>,
    pub(crate) removed: Vec<String>,
}

impl Variables {
    /// The secrets over what the environment has over `.env`. `extra` are names of the user's own
    /// for key paths; `environment` the names of the own environment.
    pub(crate) fn new(
        secrets: &Tree,
        dotenv: &Tree,
        environment: &[String],
        format: Format,
        extra: &[(String, String)],
    ) -> Result<Self, Error> {
        let mut set = named(secrets, format, "secrets")?;
        let of_secrets: Vec<String> = set.keys().cloned().collect();
        for (name, value) in named(dotenv, format, "`.env`")? {
            if !environment.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                set.entry(name).or_insert(value);
            }
        }
        for (name, path) in extra {
            let found = secrets.at(path).or_else(|| dotenv.at(path));
            let Some(Tree::Text(value)) = found else {
                let what = if found.is_some() { "is not one value" } else { "does not exist" };
                let message = format!("key `{}` of --var {what}", printable(path));
                return Err(Error::new(ErrorKind::NotFound, message)
                    .with_key(path)
                    .with_hint("`secrets-provider explain` lists keys"));
            };
            set.insert(name.clone(), value.clone());
        }
        if let Some((name, _)) = set.iter().find(|(_, value)| value.expose_secret().contains('\0'))
        {
            let message =
                format!("the value for variable `{}` contains a NUL", shown(name, secrets));
            return Err(Error::new(ErrorKind::Invalid, message)
                .with_hint("no variable can hold it; let the program read the secret itself"));
        }
        // The same name in another case would be read as the same setting.
        let hidden = |name: &&String| {
            of_secrets.iter().any(|of| of != *name && of.eq_ignore_ascii_case(name))
        };
        let removed = environment.iter().filter(hidden).cloned().collect();
        Ok(Self { set, removed })
    }

    /// Whether both give a program the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.removed == other.removed
            && self.set.len() == other.set.len()
            && self.set.iter().zip(&other.set).all(|((name, value), (other, of_other))| {
                name == other && value.expose_secret() == of_other.expose_secret()
            })
    }
}

/// A variable's name, of which only the part that a secret's name vouches for may be shown.
fn shown(name: &str, secrets: &Tree) -> String {
    let Tree::Table(sections) = secrets else { return "*".to_owned() };
    let first = sections.keys().map(|section| Format::Nested.name(&[section]));
    first.filter(|section| name.starts_with(section.as_str())).max_by_key(String::len).map_or_else(
        || "*".to_owned(),
        |section| if section == name { section } else { format!("{section}_*") },
    )
}

fn named(tree: &Tree, format: Format, what: &str) -> Result<BTreeMap<String, SecretString>, Error> {
    let mut set = BTreeMap::new();
    for (path, value) in tree.texts() {
        let name = format.name(&path);
        // No shell could name it.
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        match set.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(entry) => {
                let message = format!(
                    "two keys of the {what} would both be the variable `{}`",
                    shown(entry.key(), tree)
                );
                return Err(Error::new(ErrorKind::Conflict, message).with_hint(
                    "give one of the secrets another place with --rename, or take another --format",
                ));
            }
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use secrets_provider::{Layers, Memory, SecretsManager};

    use super::*;

    fn tree(secrets: &[(&str, &str)]) -> Tree {
        let memory = Memory::new();
        for (name, text) in secrets {
            memory.put(&format!("app/{name}"), *text);
        }
        let secrets = SecretsManager::prefix("app").backend(memory).fetch_blocking();
        Tree::of(&Layers::new().secrets(&secrets.expect("secrets"))).expect("a tree")
    }

    fn dotenv(variables: &[(&str, &str)]) -> Tree {
        Tree::of(&Layers::new().environment_from(variables.iter().copied())).expect("a tree")
    }

    fn set(variables: &Variables) -> Vec<(&str, &str)> {
        variables.set.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect()
    }

    #[test]
    fn names_are_those_that_the_library_reads() {
        let secrets = tree(&[
            ("database", r#"{"password": "p", "pool": {"max-size": 5}}"#),
            ("api-keys/clerk", "k"),
            ("moved", r#"{"A__B": "nested"}"#),
        ]);
        let none = dotenv(&[]);
        let nested = Variables::new(&secrets, &none, &[], Format::Nested, &[]).expect("variables");
        let expected = [
            ("API_KEYS__CLERK", "k"),
            ("DATABASE__PASSWORD", "p"),
            ("DATABASE__POOL__MAX_SIZE", "5"),
            ("MOVED__A__B", "nested"),
        ];
        assert_eq!(set(&nested), expected);
        let upper = Variables::new(&secrets, &none, &[], Format::Upper, &[]).expect("variables");
        assert_eq!(upper.set.keys().next().map(String::as_str), Some("API_KEYS_CLERK"));
    }

    #[test]
    fn secrets_win_over_the_environment_and_that_over_dotenv() {
        let secrets = tree(&[("token", "secret")]);
        let dotenv = dotenv(&[("TOKEN", "file"), ("PORT", "1"), ("HOST", "h")]);
        let environment = ["token", "PORT", "PATH"].map(str::to_owned);
        let variables =
            Variables::new(&secrets, &dotenv, &environment, Format::Nested, &[]).expect("some");
        assert_eq!(set(&variables), [("HOST", "h"), ("TOKEN", "secret")]);
        assert_eq!(variables.removed, ["token"]);
    }

    #[test]
    fn a_name_of_the_users_own_is_set_too() {
        let secrets = tree(&[("database", r#"{"url": "u"}"#)]);
        let own = |path: &str| [("PGURL".to_owned(), path.to_owned())];
        let new =
            |path: &str| Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &own(path));
        assert_eq!(set(&new("database.url").expect("some"))[1], ("PGURL", "u"));
        assert!(new("database").is_err() && new("database.uri").is_err());
    }

    #[test]
    fn two_keys_for_one_variable_are_an_error_that_shows_no_key() {
        let secrets = tree(&[("tokens", r#"{"hunter-2": "a", "hunter_2": "b"}"#)]);
        let error = Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &[]).err();
        let text = error.expect("an error").to_string();
        assert!(text.contains("`TOKENS_*`") && !text.to_lowercase().contains("hunter"), "{text}");
    }

    #[test]
    fn a_value_with_a_nul_is_an_error() {
        let secrets = tree(&[("key", "a\0b")]);
        let error = Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &[]).err();
        assert!(error.expect("an error").to_string().contains("`KEY` contains a NUL"));
    }
}

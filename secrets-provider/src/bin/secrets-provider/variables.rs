//! Settings as variables of a program: which names, which values, and what of the own environment
//! stays.
//!
//! Pure: [`Variables::new`] decides by what it is given. `exec` calls it, before each start.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

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
    /// Names that no variable can have, as far as they may be shown.
    pub(crate) left_out: BTreeSet<String>,
}

impl Variables {
    /// The secrets over what the environment has over `.env`. `extra` are names of the user's own
    /// for key paths; `environment` the names of the own environment; `places` the key paths of the
    /// secrets, which may be shown.
    pub(crate) fn new(
        secrets: &Tree,
        dotenv: &Tree,
        environment: &[String],
        format: Format,
        extra: &[(String, String)],
        places: &[String],
    ) -> Result<Self, Error> {
        let vouched = |path: &[&str]| shown(path, places, format);
        let (mut set, mut left_out) = named(secrets, format, "secrets", &vouched)?;
        let of_secrets: Vec<String> = set.keys().cloned().collect();
        // A variable's name may be shown.
        let (of_dotenv, other) = named(dotenv, format, "`.env`", &|path| format.name(path))?;
        left_out.extend(other);
        for (name, value) in of_dotenv {
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
        let has_nul = |value: &SecretString| value.expose_secret().contains('\0');
        if set.values().any(has_nul) {
            let texts = secrets.texts().into_iter();
            let found = texts.filter(|(_, value)| has_nul(value)).map(|(path, _)| vouched(&path));
            let name = found.take(1).next().unwrap_or_else(|| "*".to_owned());
            let message = format!("the value for variable `{name}` contains a NUL");
            return Err(Error::new(ErrorKind::Invalid, message)
                .with_hint("no variable can hold it; let the program read the secret itself"));
        }
        // The same name in another case would be read as the same setting.
        let hidden = |name: &&String| {
            of_secrets.iter().any(|of| of != *name && of.eq_ignore_ascii_case(name))
        };
        let removed = environment.iter().filter(hidden).cloned().collect();
        Ok(Self { set, removed, left_out })
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
fn shown(path: &[&str], places: &[String], format: Format) -> String {
    let split = |place: &String| -> Vec<String> {
        place.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let is_start = |place: &Vec<String>| {
        place.len() <= path.len() && place.iter().zip(path).all(|(part, other)| part == other)
    };
    let longest = places.iter().map(split).filter(is_start).map(|place| place.len()).max();
    match longest.unwrap_or_default() {
        0 => "*".to_owned(),
        length if length == path.len() => format.name(path),
        length => format!("{}_*", format.name(&path[..length])),
    }
}

type Named = (BTreeMap<String, SecretString>, BTreeSet<String>);

/// Each text by its name, and the names that no variable can have.
fn named(
    tree: &Tree,
    format: Format,
    what: &str,
    shown: &dyn Fn(&[&str]) -> String,
) -> Result<Named, Error> {
    let mut set = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for (path, value) in tree.texts() {
        let name = format.name(&path);
        // No shell could name it.
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            left_out.insert(shown(&path));
            continue;
        }
        match set.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(_) => {
                let name = shown(&path);
                let message = format!("two keys of the {what} would both be the variable `{name}`");
                return Err(Error::new(ErrorKind::Conflict, message).with_hint(
                    "give one of the secrets another place with --rename, or take another --format",
                ));
            }
        }
    }
    Ok((set, left_out))
}

#[cfg(test)]
mod tests {
    use secrets_provider::{Layers, Memory, SecretsManager};

    use super::*;

    fn tree(secrets: &[(&str, &str)]) -> Tree {
        let memory = Memory::new();
        for (name, text) in secrets {
            memory.put(format!("app/{name}").trim_end_matches('/'), *text);
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
        let nested =
            Variables::new(&secrets, &none, &[], Format::Nested, &[], &[]).expect("variables");
        let expected = [
            ("API_KEYS__CLERK", "k"),
            ("DATABASE__PASSWORD", "p"),
            ("DATABASE__POOL__MAX_SIZE", "5"),
            ("MOVED__A__B", "nested"),
        ];
        assert_eq!(set(&nested), expected);
        let upper =
            Variables::new(&secrets, &none, &[], Format::Upper, &[], &[]).expect("variables");
        assert_eq!(upper.set.keys().next().map(String::as_str), Some("API_KEYS_CLERK"));
    }

    #[test]
    fn secrets_win_over_the_environment_and_that_over_dotenv() {
        let secrets = tree(&[("token", "secret")]);
        let dotenv = dotenv(&[("TOKEN", "file"), ("PORT", "1"), ("HOST", "h")]);
        let environment = ["token", "PORT", "PATH"].map(str::to_owned);
        let variables = Variables::new(&secrets, &dotenv, &environment, Format::Nested, &[], &[])
            .expect("some");
        assert_eq!(set(&variables), [("HOST", "h"), ("TOKEN", "secret")]);
        assert_eq!(variables.removed, ["token"]);
    }

    #[test]
    fn a_name_of_the_users_own_is_set_too() {
        let secrets = tree(&[("database", r#"{"url": "u"}"#)]);
        let own = |path: &str| [("PGURL".to_owned(), path.to_owned())];
        let new = |path: &str| {
            Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &own(path), &[])
        };
        assert_eq!(set(&new("database.url").expect("some"))[1], ("PGURL", "u"));
        assert!(new("database").is_err() && new("database.uri").is_err());
    }

    #[test]
    fn two_keys_for_one_variable_are_an_error_that_shows_no_key() {
        let places = ["tokens".to_owned()];
        let secrets = tree(&[("tokens", r#"{"hunter-2": "a", "hunter_2": "b"}"#)]);
        let error = Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &[], &places).err();
        let text = error.expect("an error").to_string();
        assert!(text.contains("`TOKENS_*`") && !text.to_lowercase().contains("hunter"), "{text}");
    }

    #[test]
    fn a_value_with_a_nul_is_an_error() {
        let places = ["key".to_owned()];
        let secrets = tree(&[("key", "a\0b")]);
        let error = Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &[], &places).err();
        assert!(error.expect("an error").to_string().contains("`KEY` contains a NUL"));
    }

    #[test]
    fn a_key_that_no_variable_can_be_is_named_as_far_as_a_secret_names_it() {
        let places = ["2fa", "tokens"].map(str::to_owned);
        let secrets = tree(&[("2fa", "a"), ("tokens", r#"{"1": "b"}"#)]);
        let root = tree(&[("", r#"{"7hunter2": "c"}"#)]);
        for (secrets, expected) in [(secrets, &["2FA"][..]), (root, &["*"])] {
            let variables =
                Variables::new(&secrets, &dotenv(&[]), &[], Format::Nested, &[], &places);
            let left_out = variables.expect("variables").left_out;
            assert_eq!(left_out.iter().collect::<Vec<_>>(), expected);
        }
    }
}

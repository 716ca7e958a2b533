//! The variables that say what to load: `ENVIRONMENT`, `USE_SECRETS_MANAGER`,
//! `SECRETS_MANAGER_PREFIX` and so on.
//!
//! `SecretsManager::from_env` reads them, from the environment over `.env`. Every variable that
//! makes no sense is in the error, and no value is. Pure except for [`process`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::backend::store::{self, Store};
use crate::env::dotenv;
use crate::env::{Environment, bad};
use crate::error::{Error, ErrorKind};
use crate::load::mapping;
use crate::load::plan::Selection;
use crate::secret::id::{names_of, trimmed};

const ENVIRONMENT: &str = "ENVIRONMENT";
const USE: &str = "USE_SECRETS_MANAGER";
const PREFIX: &str = "SECRETS_MANAGER_PREFIX";
const KEY_NAME: &str = "SECRETS_MANAGER_KEY_NAME";
const TTL: [&str; 2] = ["SECRET_CACHE_TTL", "SECRETS_CACHE_TTL"];
/// The names of the variables.
#[derive(Debug)]
struct Names {
    environment: String,
    on: String,
    prefix: String,
    key_name: String,
    ttl: [String; 2],
}

impl Names {
    /// The names with a program's own prefix, such as `APP` or `APP_`, if it has one.
    fn of(program: Option<&str>) -> Self {
        let program = program.map(|program| program.trim_end_matches('_'));
        let name = |name: &str| match program {
            Some(program) if !program.is_empty() => format!("{program}_{name}"),
            _ => name.to_owned(),
        };
        Self {
            environment: name(ENVIRONMENT),
            on: name(USE),
            prefix: name(PREFIX),
            key_name: name(KEY_NAME),
            ttl: TTL.map(name),
        }
    }

    fn has(&self, name: &str) -> bool {
        let Self { environment, on, prefix, key_name, ttl: [one, other] } = self;
        // The SDK's have no prefix.
        name.starts_with("AWS_")
            || [environment, on, prefix, key_name, one, other].iter().any(|known| *known == name)
    }
}

/// Which variables describe the secrets, and what does if they do not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sought<'a> {
    /// The program's own prefix of the variables' names.
    pub(crate) program: Option<&'a str>,
    /// The prefix of secrets where no variable names any.
    pub(crate) default_prefix: Option<&'a str>,
    /// The file in the place of `.env`.
    pub(crate) dotenv: Option<&'a Path>,
}

/// The environments without AWS calls, in any case.
const LOCAL: [&str; 3] = ["local", "development", "test"];
/// Replaced by the environment's name.
const PLACEHOLDER: &str = "{env}";
/// The longest accepted time between refreshes, in seconds.
const MAX_SECONDS: u64 = 365 * 24 * 3600;

/// What the switches say.
#[derive(Debug)]
pub(crate) struct Switches {
    /// The variable that turns reading off, if one does.
    pub(crate) off: Option<String>,
    pub(crate) selection: Selection,
    /// Key paths that were given together with names.
    pub(crate) placed: BTreeMap<String, Vec<String>>,
    pub(crate) interval: Option<Duration>,
    /// The environment that `ENVIRONMENT` names.
    pub(crate) environment: Option<String>,
    /// The default store, with what only `.env` sets for it.
    pub(crate) store: Arc<dyn Store>,
}

/// Reads the process environment over `.env`.
pub(crate) fn process(sought: Sought<'_>) -> Result<Switches, Error> {
    let names = Names::of(sought.program);
    // Wiped on drop: most of these values are not for us.
    let dotenv = dotenv::read(sought.dotenv.unwrap_or(Path::new(".env")))?;
    let dotenv = dotenv.into_iter().map(|(name, value)| (name, Zeroizing::new(value)));
    let mut environment = Vec::new();
    let mut errors = Vec::new();
    for (name, value) in std::env::vars_os() {
        let value = value.into_string().map(Zeroizing::new);
        let Some(name) = name.to_str().filter(|name| names.has(name)) else { continue };
        match value {
            Ok(value) => environment.push((name.to_owned(), value)),
            // The SDK reads its own variables and reports their errors itself.
            Err(_) if name.starts_with("AWS_") => {
                environment.push((name.to_owned(), Zeroizing::default()))
            }
            Err(_) => errors.push(bad(&format!("environment variable `{name}`"), "UTF-8")),
        }
    }
    match Error::all(errors) {
        Some(error) => Err(error),
        None => read(sought, environment, dotenv),
    }
}

/// Interprets these variables, the environment's over those of `.env`. The error lists every one
/// that makes no sense.
pub(crate) fn read(
    sought: Sought<'_>,
    environment: impl IntoIterator<Item = (String, Zeroizing<String>)>,
    dotenv: impl IntoIterator<Item = (String, Zeroizing<String>)>,
) -> Result<Switches, Error> {
    let names = Names::of(sought.program);
    let ours = |(name, _): &(String, Zeroizing<String>)| names.has(name);
    let environment =
        Environment::new(environment.into_iter().filter(ours), dotenv.into_iter().filter(ours));
    let parser = Parser(&environment, &names);
    let mut errors = Vec::new();
    let mut keep = |error: Error| errors.push(error);

    let interval = parser.interval().unwrap_or_else(|error| {
        keep(error);
        None
    });
    let off = parser.off().unwrap_or_else(|error| {
        keep(error);
        None
    });
    let (selection, placed) = match parser.selection(sought.default_prefix) {
        Ok(chosen) => chosen,
        // Secrets that are not read need not be named.
        Err(_) if off.is_some() => (Selection::Nothing, BTreeMap::new()),
        Err(error) => {
            keep(error);
            (Selection::Nothing, BTreeMap::new())
        }
    };
    let store = match off {
        Some(_) => store::default(),
        None => store::from_dotenv(&environment).unwrap_or_else(|error| {
            keep(error);
            store::default()
        }),
    };
    match Error::all(errors) {
        Some(error) => Err(error),
        None => {
            let environment = environment.value(ENVIRONMENT).map(str::to_owned);
            Ok(Switches { off, selection, placed, interval, environment, store })
        }
    }
}

/// Interprets one variable after another.
struct Parser<'a>(&'a Environment, &'a Names);

impl Parser<'_> {
    /// The variable that turns reading off, if one does.
    fn off(&self) -> Result<Option<String>, Error> {
        let Names { on, environment, .. } = self.1;
        match self.0.value(on) {
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(on.clone())),
            Some(_) => Err(self.0.bad(on, "`true` or `false`")),
            None => {
                let local = self.0.value(environment).is_some_and(|value| {
                    LOCAL.iter().any(|local| value.eq_ignore_ascii_case(local))
                });
                Ok(local.then(|| environment.clone()))
            }
        }
    }

    fn interval(&self) -> Result<Option<Duration>, Error> {
        let mut seconds = None;
        let ttl = &self.1.ttl;
        for name in ttl {
            let Some(value) = self.0.value(name) else { continue };
            let parsed =
                value.parse::<u64>().ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
            let parsed = parsed.ok_or_else(|| {
                self.0.bad(name, &format!("a whole number of seconds from 1 to {MAX_SECONDS}"))
            })?;
            if seconds.is_some_and(|seconds| seconds != parsed) {
                return Err(config(&format!(
                    "variables `{}` and `{}` have different values",
                    ttl[0], ttl[1]
                ))
                .with_hint("set only one of them, to the seconds between refreshes"));
            }
            seconds = Some(parsed);
        }
        Ok(seconds.map(Duration::from_secs))
    }

    fn selection(
        &self,
        default_prefix: Option<&str>,
    ) -> Result<(Selection, BTreeMap<String, Vec<String>>), Error> {
        let Names { environment, on, prefix, key_name, .. } = self.1;
        match (self.0.value(prefix), self.0.value(key_name), default_prefix) {
            (Some(_), Some(_), _) => {
                Err(config(&format!("variables `{prefix}` and `{key_name}` are both set"))
                    .with_hint("keep the one that names your secrets, and unset the other"))
            }
            (Some(given), None, _) => self
                .prefix(given)
                .map_err(|expected| self.0.bad(prefix, &expected))
                .map(selected_below),
            (None, Some(names), _) => {
                self::names(names).map_err(|expected| self.0.bad(key_name, expected))
            }
            (None, None, Some(given)) => self
                .prefix(given)
                .map_err(|expected| bad(&format!("prefix `{given}`"), &expected))
                .map(selected_below),
            (None, None, None) => Err(config(&format!(
                "neither variable `{prefix}` nor `{key_name}` is set"
            ))
            .with_hint(format!(
                "set one of them, such as `{prefix}=gaara/{PLACEHOLDER}`; to read no secrets, set \
                     `{on}=false` or `{environment}=local`"
            ))),
        }
    }

    /// A prefix with the environment's name filled in, or what was expected.
    fn prefix(&self, prefix: &str) -> Result<String, String> {
        let variable = &self.1.environment;
        let prefix = match self.0.value(variable) {
            Some(environment) => prefix.replace(PLACEHOLDER, environment),
            None if prefix.contains(PLACEHOLDER) => {
                return Err(format!(
                    "a prefix without `{PLACEHOLDER}`, because variable `{variable}` is not set"
                ));
            }
            None => prefix.to_owned(),
        };
        if trimmed(&prefix).is_empty() {
            return Err("a prefix of secret names, such as `gaara/prod`".to_owned());
        }
        if prefix.contains(['{', '}']) {
            return Err(format!("a prefix without braces other than `{PLACEHOLDER}`"));
        }
        if prefix.contains([',', '=']) || prefix.contains(char::is_whitespace) {
            return Err(format!("one prefix; names of secrets belong in `{}`", self.1.key_name));
        }
        Ok(prefix)
    }
}

fn selected_below(prefix: String) -> (Selection, BTreeMap<String, Vec<String>>) {
    (Selection::Prefix { prefix, only: None }, BTreeMap::new())
}

/// Names, each with or without a key path, or what was expected.
fn names(text: &str) -> Result<(Selection, BTreeMap<String, Vec<String>>), &'static str> {
    let mut paths: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for item in text.split(',') {
        let (path, name) = match item.split_once('=') {
            Some((path, name)) => (Some(path.trim()), name.trim()),
            None => (None, item.trim()),
        };
        if name.is_empty() || name.contains(['{', '}']) || name.contains(char::is_whitespace) {
            return Err("names of secrets, separated by commas, each `name` or `key.path=name`");
        }
        let path = match path {
            Some(path) if path.contains(char::is_whitespace) => None,
            Some(path) => mapping::dotted(path).map(Some),
            None => Some(None),
        };
        let path = path.ok_or("a dotted key path such as `api_keys.clerk` before each `=`")?;
        if paths.insert(name.to_owned(), path.clone()).is_some_and(|before| before != path) {
            return Err("only one key path for each secret");
        }
    }
    let placed = paths.iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
    let placed = placed.flat_map(|(name, path)| {
        names_of(name).into_iter().map(|name| (name.to_owned(), path.clone()))
    });
    let placed = placed.collect();
    Ok((Selection::Names { names: paths.into_keys().collect(), only: false }, placed))
}

fn config(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests;

//! Variables of the process environment over those of a `.env` file.
//!
//! The switches of `SecretsManager::from_env` and the SDK's own variables are read here, so that
//! both apply the same rules to the same two places. `dotenv` parses the file; the layers and
//! figment's `Dotenv` call it too. `open` opens a file that may turn out to be a pipe, and
//! `off_thread` keeps a read that hangs away from the runtime.
//!
//! The process environment is never written, and it is passed in, so that tests can choose it.
//! Values may be AWS credentials: no error shows one, and they are wiped when dropped.

mod bad_file;
pub(crate) mod dotenv;
pub(crate) mod off_thread;
pub(crate) mod open;

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// The process environment over `.env`.
pub(crate) struct Environment {
    process: BTreeMap<String, Zeroizing<String>>,
    dotenv: BTreeMap<String, Zeroizing<String>>,
}

impl Environment {
    pub(crate) fn new(
        process: impl IntoIterator<Item = (String, Zeroizing<String>)>,
        dotenv: impl IntoIterator<Item = (String, Zeroizing<String>)>,
    ) -> Self {
        Self { process: process.into_iter().collect(), dotenv: dotenv.into_iter().collect() }
    }

    /// A variable's value, trimmed. An empty one counts as unset, but in the process environment it
    /// still hides the one of `.env`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = self.process.get(name).or_else(|| self.dotenv.get(name))?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Whether the process environment sets the variable, even to an empty value.
    pub(crate) fn is_in_process(&self, name: &str) -> bool {
        self.process.contains_key(name)
    }

    /// The names of all variables, those of the process environment first.
    #[cfg(feature = "aws")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.process.keys().chain(self.dotenv.keys()).map(String::as_str)
    }

    /// The value in the process environment, as it is.
    #[cfg(feature = "aws")]
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.process.get(name).map(|value| value.as_str())
    }

    /// The value, if `.env` sets it and the process environment does not.
    #[cfg(feature = "aws")]
    pub(crate) fn of_dotenv(&self, name: &str) -> Option<&str> {
        if self.is_in_process(name) { None } else { self.value(name) }
    }

    /// An error for a variable whose value is not what was expected.
    pub(crate) fn bad(&self, name: &str, expected: &str) -> Error {
        match self.is_in_process(name) {
            true => bad(&format!("environment variable `{name}`"), expected),
            false => bad(&format!("variable `{name}` in `.env`"), expected),
        }
    }
}

/// An error for a setting whose value is not what was expected.
pub(crate) fn bad(what: &str, expected: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{what}: expected {expected}"))
        .with_hint("correct or remove it; its value is not shown because it may be secret")
}

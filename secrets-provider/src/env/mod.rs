//! Variables of the environment over those of a `.env` file.

pub(crate) mod dotenv;

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// The environment over `.env`. The values may be keys of AWS: no error shows one.
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

    /// A variable's value, trimmed. One that is set to nothing says nothing, but in the environment it hides the one
    /// of `.env`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let value = self.process.get(name).or_else(|| self.dotenv.get(name))?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Whether the environment sets it, were it to nothing.
    pub(crate) fn is_in_process(&self, name: &str) -> bool {
        self.process.contains_key(name)
    }

    /// The value, if `.env` alone sets it.
    #[cfg(feature = "aws")]
    pub(crate) fn of_dotenv(&self, name: &str) -> Option<&str> {
        if self.is_in_process(name) { None } else { self.value(name) }
    }

    /// That a variable has another value than was expected.
    pub(crate) fn bad(&self, name: &str, expected: &str) -> Error {
        match self.is_in_process(name) {
            true => bad(&format!("environment variable `{name}`"), expected),
            false => bad(&format!("variable `{name}` of `.env`"), expected),
        }
    }
}

/// That something has another value than was expected.
pub(crate) fn bad(what: &str, expected: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{what}: expected {expected}"))
        .with_hint("correct it, or take it out; what it holds is not shown, as it may be secret")
}

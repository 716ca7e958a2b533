//! serde's error for the extractor: keeps what is safe to say, drops what may quote a value.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

/// How a walk through a type ends early.
#[derive(Debug)]
pub(super) enum Failure {
    /// Already reported with its key.
    Reported,
    /// Raised by a visitor, which does not know where it is.
    Unplaced(Problem),
}

/// What a visitor objects to. Only names that stand in the program's source are kept.
#[derive(Debug)]
pub(super) enum Problem {
    Missing(&'static str),
    Duplicate(&'static str),
    UnknownField(String),
    UnknownVariant(&'static [&'static str]),
    /// Anything else: serde's text for it may hold the value.
    Refused,
}

impl Problem {
    /// What to say of it; `expected` is the type's name, where that is known.
    pub(super) fn describe(&self, expected: &str, buffered: bool) -> String {
        let refused = match self {
            Self::Missing(field) => return format!("field `{field}` is missing"),
            Self::Duplicate(field) => return format!("field `{field}` is given twice"),
            Self::UnknownField(field) => return format!("key `{field}` is not one of its fields"),
            Self::UnknownVariant(variants) => {
                let variants: Vec<_> =
                    variants.iter().map(|variant| format!("`{variant}`")).collect();
                return format!("expected one of {}", variants.join(", "));
            }
            Self::Refused if expected.is_empty() => "its type refuses the value there".to_owned(),
            Self::Refused => format!("expected {expected}, which refuses the value there"),
        };
        match buffered {
            false => refused,
            true => {
                refused
                    + "; below `flatten`, untagged and internally tagged types serde reads without a type, so text \
                       stays text and fills no number or bool"
            }
        }
    }
}

impl Error for Failure {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Unplaced(Problem::Refused)
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Unplaced(Problem::Refused)
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Unplaced(Problem::Refused)
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Unplaced(Problem::Refused)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Unplaced(Problem::UnknownVariant(expected))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Unplaced(Problem::UnknownField(field.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Unplaced(Problem::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Unplaced(Problem::Duplicate(field))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => f.write_str("reported"),
            Self::Unplaced(problem) => f.write_str(&problem.describe("", false)),
        }
    }
}

impl std::error::Error for Failure {}

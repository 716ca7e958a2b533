//! What `check` finds. A name is in it if the schema has it; other keys may be secret.

use std::fmt;

use serde::Serialize;

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
pub(crate) enum Finding {
    /// `almost`: a key beside it is spelled almost like it.
    Missing {
        key: String,
        almost: bool,
    },
    Wrong {
        key: String,
        expected: String,
    },
    Unknown {
        key: String,
        count: usize,
    },
}

impl Finding {
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Where it is.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Missing { key, .. } | Self::Wrong { key, .. } | Self::Unknown { key, .. } => key,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key, almost: false } => write!(f, "{key}: missing"),
            Self::Missing { key, almost: true } => {
                write!(f, "{key}: missing; a key beside it is spelled almost like it")
            }
            Self::Wrong { key, expected } => write!(f, "{key}: expected {expected}"),
            Self::Unknown { key, count: 1 } => write!(f, "{key}: a key that nothing reads"),
            Self::Unknown { key, count } => write!(f, "{key}: {count} keys that nothing reads"),
        }
    }
}

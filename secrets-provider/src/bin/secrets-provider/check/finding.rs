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

    /// What is wrong there.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Missing { almost: false, .. } => "missing".to_owned(),
            Self::Missing { almost: true, .. } => {
                "missing; a key beside it is spelled almost like it".to_owned()
            }
            Self::Wrong { expected, .. } => format!("expected {expected}"),
            Self::Unknown { count: 1, .. } => "a key that nothing reads".to_owned(),
            Self::Unknown { count, .. } => format!("{count} keys that nothing reads"),
        }
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
        write!(f, "{}: {}", self.key(), self.what())
    }
}

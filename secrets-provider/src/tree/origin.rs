//! Where a value came from: the name that an error shows instead of the value.
//!
//! An origin names a secret, a variable or a source of figment or config-rs, and never holds a
//! value. Names given by other libraries may be URLs with a password in them, so they go through
//! [`without_credentials`] before they become an origin.

use std::fmt;
use std::path::Path;
#[cfg(feature = "figment")]
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value came from, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Secret {
        name: String,
        version_id: String,
        /// The source that the secret is of, where there are several.
        source: Option<Source>,
    },
    Environment {
        variable: String,
    },
    Dotenv {
        file: String,
        variable: String,
    },
    /// A provider that figment merged, with the file that it has read, if it is one.
    #[cfg(feature = "figment")]
    Figment {
        provider: String,
        variable: bool,
        /// The name of the process's variable, where it is known.
        name: Option<String>,
        file: Option<PathBuf>,
    },
    /// A layer of a `config::Config`, by the name that it gives its values, where it gives one.
    #[cfg(feature = "config")]
    Config {
        source: Option<String>,
        variable: bool,
        /// The name of the process's variable, where it is known.
        name: Option<String>,
    },
}

/// One of several sources of secrets, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    /// How many sources lie over this one.
    pub(crate) below: u32,
}

impl Origin {
    /// The layer that such a value is usually in: the higher one wins.
    pub(super) fn rank(&self) -> u32 {
        match self {
            Self::Dotenv { .. } => 0,
            Self::Environment { .. } => 1,
            // A figment has its own order; its tree sets the ranks.
            #[cfg(feature = "figment")]
            Self::Figment { .. } => 0,
            // A built config does not keep the order of its sources; this is the usual one.
            #[cfg(feature = "config")]
            Self::Config { source: None, .. } => 0,
            #[cfg(feature = "config")]
            Self::Config { variable, .. } => 1 + u32::from(*variable),
            // Of several sources, each is a layer of its own.
            Self::Secret { source, .. } => {
                u32::MAX - source.as_ref().map_or(0, |source| source.below)
            }
        }
    }

    /// The file that a provider of figment has read, to which a path in it is relative.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            #[cfg(feature = "figment")]
            Self::Figment { file, .. } => file.as_deref(),
            _ => None,
        }
    }

    /// Whether the value came from a variable, of the environment or of a `.env` file.
    pub(crate) fn is_variable(&self) -> bool {
        match self {
            Self::Dotenv { .. } | Self::Environment { .. } => true,
            #[cfg(feature = "figment")]
            Self::Figment { variable, .. } => *variable,
            #[cfg(feature = "config")]
            Self::Config { variable, .. } => *variable,
            Self::Secret { .. } => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { name, version_id, source } => {
                write!(f, "secret `{name}`, version `{version_id}`")?;
                match source {
                    Some(Source { name, .. }) => write!(f, ", of source `{name}`"),
                    None => Ok(()),
                }
            }
            Self::Environment { variable } => write!(f, "environment variable `{variable}`"),
            Self::Dotenv { file, variable } => write!(f, "variable `{variable}` of `{file}`"),
            #[cfg(feature = "figment")]
            Self::Figment { provider, .. } => f.write_str(provider),
            #[cfg(feature = "config")]
            Self::Config { source: Some(source), .. } => write!(f, "config source `{source}`"),
            #[cfg(feature = "config")]
            Self::Config { source: None, .. } => {
                f.write_str("a config source without a name: a default, an override or a string")
            }
        }
    }
}

/// The name of a source without the credentials that a URL may hold. A password may be written
/// unencoded, so that it is unclear where it ends and a query begins: then only the scheme is kept.
#[cfg(any(feature = "config", feature = "figment"))]
pub(crate) fn without_credentials(name: &str) -> String {
    let Some((scheme, rest)) = name.split_once("://") else { return name.to_owned() };
    let (before, address) = rest.rsplit_once('@').unwrap_or(("", rest));
    if before.contains(['?', '#']) {
        return format!("{scheme}://…");
    }
    let address = address.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{address}")
}

#[cfg(all(test, any(feature = "config", feature = "figment")))]
mod tests {
    use super::*;

    #[test]
    fn a_sources_name_is_shown_without_credentials() {
        for (name, expected) in [
            ("the environment", "the environment"),
            ("conf/settings@home?.toml", "conf/settings@home?.toml"),
            ("etcd+http://127.0.0.1:2379", "etcd+http://127.0.0.1:2379"),
            ("redis://user:hun/ter@2@host/0", "redis://host/0"),
            ("https://host/path?token=hunter2", "https://host/path"),
            ("https://host/path#hunter2", "https://host/path"),
            ("https://me:hunter2@host/path?token=hunter2", "https://host/path"),
            ("https://host/path?token=a@hunter2", "https://…"),
            ("https://me:hunter2?@host", "https://…"),
            ("https://me:hunter#2@host", "https://…"),
        ] {
            assert_eq!(without_credentials(name), expected, "{name}");
        }
    }
}

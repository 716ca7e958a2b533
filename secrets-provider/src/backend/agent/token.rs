//! The token that proves to the agent that this process may ask (against requests that a server is
//! tricked into).
//!
//! The agent makes one at each of its starts, so it is kept only until it is refused. Files are read
//! on a thread for blocking work.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error;
use crate::error::Error;

/// The variables that name a token, in the order in which the agent itself looks at them.
const VARIABLES: [&str; 3] =
    ["AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];

/// How long a token may be. The agent's own has some dozen characters, a session token some
/// thousand.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// A token; wiped when it is dropped.
pub(super) type Token = Arc<Zeroizing<String>>;

/// Where the token comes from. `Debug` of it would be its `as_str`: no value shows.
#[derive(Clone)]
pub(super) enum Source {
    Variables,
    Given(Token),
    File(PathBuf),
}

impl Source {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Variables => "of the environment",
            Self::Given(_) => "given",
            Self::File(_) => "of a file",
        }
    }

    /// The token as it is now.
    ///
    /// # Errors
    ///
    /// `Config` if there is none, or its file cannot be read.
    pub(super) async fn token(&self) -> Result<Token, Error> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .map(|value| Zeroizing::new(value.into_string().unwrap_or_default()))
        };
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::File(path) => of_file(path.clone()).await,
            Self::Variables => match described(variable) {
                Some(Described::Token(token)) => Ok(token.into()),
                Some(Described::File(path)) => of_file(path).await,
                None => Err(error::no_token()),
            },
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

enum Described {
    Token(Zeroizing<String>),
    File(PathBuf),
}

/// What the first variable that is set says.
fn described(variable: impl Fn(&str) -> Option<Zeroizing<String>>) -> Option<Described> {
    let value = VARIABLES.into_iter().find_map(|name| {
        variable(name)
            .map(|value| Zeroizing::new(value.trim().to_owned()))
            .filter(|value| !value.is_empty())
    })?;
    Some(match value.strip_prefix("file://") {
        Some(path) => Described::File(PathBuf::from(path)),
        None => Described::Token(value),
    })
}

async fn of_file(path: PathBuf) -> Result<Token, Error> {
    let shown = path.clone();
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    let token = read.map_err(|_| error::shutting_down())?;
    token.map(Arc::new).ok_or_else(|| error::no_token_in(&shown))
}

/// The token in a file, without the white space around it. A pipe is not read: that may never end.
fn read(path: &Path) -> Option<Zeroizing<String>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    File::open(path).ok()?.take(MAX_TOKEN_BYTES).read_to_string(&mut text).ok()?;
    Some(Zeroizing::new(text.trim().to_owned())).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| Zeroizing::new((*value).to_owned()))
        };
        described(variable).map(|described| match described {
            Described::Token(token) => token.to_string(),
            Described::File(path) => format!("in {}", path.display()),
        })
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_token_or_its_file() {
        for (variables, expected) in [
            (&[][..], None),
            (&[("AWS_TOKEN", "a"), ("AWS_SESSION_TOKEN", "b")], Some("a")),
            (&[("AWS_TOKEN", " "), ("AWS_SESSION_TOKEN", "b\n")], Some("b")),
            (&[("AWS_CONTAINER_AUTHORIZATION_TOKEN", "c")], Some("c")),
            (&[("AWS_TOKEN", "file:///var/run/awssmatoken")], Some("in /var/run/awssmatoken")),
            (&[("VAULT_TOKEN", "d")], None),
        ] {
            assert_eq!(shown(variables).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_file_is_read_without_the_white_space_around_its_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        for (text, expected) in [(" t0ken\n", Some("t0ken")), ("", None), ("\n", None)] {
            std::fs::write(&file, text).expect("a file");
            let token = read(&file);
            assert_eq!(token.as_deref().map(String::as_str), expected, "{text:?}");
        }
        assert!(read(folder.path()).is_none(), "a folder is no token");
        assert!(read(&folder.path().join("absent")).is_none());
    }
}

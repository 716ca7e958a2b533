//! A value from standard input, or typed at a prompt that does not show it. Never an argument:
//! those are in `ps` and in the shell's history.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrets_provider::{Error, ErrorKind};
use zeroize::Zeroizing;

use crate::output::failed;

/// More than Secrets Manager stores in a secret.
const MAX: u64 = 65_537;

/// The value: all of standard input without one line break at its end, or a line that is typed.
///
/// # Errors
///
/// If it is empty or too large, or cannot be read.
pub(crate) fn value(prompt: &str, exact: bool) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let hidden = io::stdin().is_terminal().then(|| Hidden::new(prompt)).transpose();
    let hidden = hidden.map_err(|error| failed("the terminal", &error))?;
    let read = match hidden {
        Some(_) => io::stdin().lines().next().transpose().map(|line| {
            bytes.extend(Zeroizing::new(line.unwrap_or_default()).as_bytes());
        }),
        None => io::stdin().take(MAX).read_to_end(&mut bytes).map(|_| ()),
    };
    drop(hidden);
    read.map_err(|error| failed("standard input", &error))?;
    if !exact && bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "the value is empty, which AWS does not store")
            .with_hint("give it on standard input: `secrets-provider put NAME < file`"));
    }
    if bytes.len() as u64 >= MAX {
        return Err(Error::new(ErrorKind::Invalid, "the value has more than 65,536 bytes")
            .with_hint("that is the most that Secrets Manager stores in a secret"));
    }
    Ok(bytes)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new(prompt: &str) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        let hidden = Self(before);
        write!(io::stderr(), "{prompt}: ")?;
        io::stderr().flush()?;
        Ok(hidden)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing can be done if the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

//! A value from standard input, or typed at a prompt that does not show it. Never an argument:
//! those are in `ps` and in the shell's history.
//!
//! The prompt gives the terminal back as it was, however it ends: by a line, a failure, a panic, or
//! a signal such as Ctrl-C.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use secrets_provider::{Error, ErrorKind};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::output::failed;

/// More than Secrets Manager stores in a secret.
const MAX: u64 = 65_537;

/// Linux cuts a typed line off here, without saying so.
const MAX_LINE: usize = 4_095;

/// What ends a prompt.
const SIGNALS: [SignalKind; 4] =
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit(), SignalKind::hangup()];

/// What came of asking for a value.
pub(crate) enum Asked {
    Value(Zeroizing<Vec<u8>>),
    /// This signal ended the prompt.
    Ended(SignalKind),
}

/// The value: all of standard input without one line break at its end, or a line that is typed.
///
/// # Errors
///
/// If it is empty or too large, or cannot be read.
pub(crate) async fn value(prompt: &str, exact: bool) -> Result<Asked, Error> {
    let mut bytes = match io::stdin().is_terminal() {
        true => match typed(prompt).await? {
            Asked::Value(bytes) => bytes,
            ended => return Ok(ended),
        },
        false => {
            let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
            io::stdin()
                .take(MAX)
                .read_to_end(&mut bytes)
                .map_err(|error| failed("standard input", &error))?;
            bytes
        }
    };
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
    Ok(Asked::Value(bytes))
}

/// A line from the terminal, which does not show it.
async fn typed(prompt: &str) -> Result<Asked, Error> {
    let of_terminal = |error: io::Error| failed("the terminal", &error);
    // They are heard before the terminal is silent, so that none comes in between.
    let heard = SIGNALS.map(signal).into_iter().collect::<io::Result<Vec<_>>>();
    let mut heard = heard.map_err(of_terminal)?;
    let hidden = Hidden::new(io::stdin(), prompt).map_err(of_terminal)?;
    let line = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(vec![0; MAX_LINE + 1]);
        let read = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut line[..]));
        read.map(|length| {
            line.truncate(length);
            line
        })
    });
    let signalled = std::future::poll_fn(|context| {
        let mut which = SIGNALS.iter().zip(&mut heard);
        let signal = which
            .find_map(|(signal, heard)| heard.poll_recv(context).is_ready().then_some(*signal));
        signal.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    });
    let line = tokio::select! {
        biased;
        signal = signalled => return Ok(Asked::Ended(signal)),
        line = line => line,
    };
    drop(hidden);
    let line = line.map_err(|_| Error::new(ErrorKind::Invalid, "the prompt failed"))?;
    let line = line.map_err(|error| failed("the terminal", &error.into()))?;
    if line.len() >= MAX_LINE {
        let message = "a terminal takes no line of 4,095 bytes and more";
        return Err(Error::new(ErrorKind::Invalid, message)
            .with_hint("give it on standard input: `secrets-provider put NAME < file`"));
    }
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    Ok(Asked::Value(Zeroizing::new(line[..end].to_vec())))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<T: AsFd> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> Hidden<T> {
    fn new(terminal: T, prompt: &str) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        // A shell that this is stopped for, and taken up by again, would have it show what is typed.
        silent.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        let hidden = Self { terminal, before };
        write!(io::stderr(), "{prompt}: ")?;
        io::stderr().flush()?;
        Ok(hidden)
    }
}

/// `_POSIX_VDISABLE`: no character is this one.
const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

impl<T: AsFd> Drop for Hidden<T> {
    fn drop(&mut self) {
        // Nothing can be done if the terminal is gone.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back_as_it_was() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("its owner");
        unlockpt(&master).expect("it unlocks");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let terminal =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it opens");
        let echoes = || {
            let modes = tcgetattr(&terminal).expect("its modes").local_modes;
            modes.contains(LocalModes::ECHO)
        };
        assert!(echoes());
        let panicked = std::panic::catch_unwind(|| {
            let _hidden = Hidden::new(&terminal, "value").expect("hidden");
            assert!(!echoes());
            std::panic::resume_unwind(Box::new("a panic"));
        });
        assert!(panicked.is_err() && echoes());
    }
}

//! What goes to the terminal: text, tables, JSON, errors; with colours and columns only on a terminal.
//!
//! Rendering is separate from printing: the functions that make text are pure, and [`Output`] is
//! the only place that writes. Names come from outside, so whatever prints one calls [`printable`].

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use secrets_provider::{Error, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::table::{self, Row};
use crate::wording;

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// A colour, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Warn,
    Bad,
    Head,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Head => "1",
        }
    }
}

/// Where output goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    /// Whether standard output is a terminal.
    terminal: bool,
    /// Whether it has colours, and whether standard error has.
    out: bool,
    err: bool,
}

impl Output {
    pub(crate) fn new(args: &OutputArgs) -> Self {
        let wanted = |terminal: bool| match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let terminal = io::stdout().is_terminal();
        Self {
            json: args.json,
            terminal,
            out: wanted(terminal),
            err: wanted(io::stderr().is_terminal()),
        }
    }

    /// Whether JSON is wanted.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether a person reads standard output, and not a program or a file.
    pub(crate) fn terminal(&self) -> bool {
        self.terminal
    }

    /// The text in a colour, if standard output has colours.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        painted(self.out, paint, text)
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            // The reader has what it wanted: `| head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(failed("standard output", &error)),
            Ok(()) => Ok(()),
        }
    }

    /// Prints text that ends with a line break.
    pub(crate) fn text(&self, text: &str) -> Result<(), Error> {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.bytes(format!("{text}{end}").as_bytes())
    }

    /// Prints rows: on a terminal as columns below this heading, else each with tabs between its
    /// fields.
    pub(crate) fn table(&self, heading: &[&str], rows: Vec<Row>) -> Result<(), Error> {
        let mut rows = rows;
        if self.terminal && !heading.is_empty() {
            rows.insert(0, Row::new(heading.iter().copied()).paint(Some(Paint::Head)));
        }
        let lines = match self.terminal {
            true => table::aligned(&rows),
            false => rows.iter().map(Row::tabbed).collect(),
        };
        let painted = rows.iter().zip(lines).map(|(row, line)| match row.paint {
            Some(paint) => self.paint(paint, &line) + "\n",
            None => line + "\n",
        });
        self.text(&painted.collect::<String>())
    }

    /// Prints what a person sees below the rows, and nobody else.
    pub(crate) fn aside(&self, text: &str) -> Result<(), Error> {
        match self.terminal {
            true => self.text(text),
            false => Ok(()),
        }
    }

    /// Prints what matters below the rows; if something else than a person reads those, to standard
    /// error.
    pub(crate) fn remark(&self, text: &str) -> Result<(), Error> {
        match self.terminal {
            true => self.text(text),
            false => {
                complain(text);
                Ok(())
            }
        }
    }

    /// Prints a value as JSON.
    pub(crate) fn value(&self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|_| Error::new(ErrorKind::Invalid, "the result cannot be written as JSON"))?;
        self.text(&text)
    }

    /// Prints a line of JSON, for streams.
    pub(crate) fn line(&self, value: &Value) -> Result<(), Error> {
        self.text(&value.to_string())
    }

    /// Prints a line to standard error that is no result.
    pub(crate) fn note(&self, text: &str) {
        match self.json {
            true => complain(&json!({ "note": text }).to_string()),
            false => complain(text),
        }
    }

    /// Prints a warning to standard error.
    pub(crate) fn warning(&self, text: &str) {
        match self.json {
            true => complain(&json!({ "warning": text }).to_string()),
            false => complain(&format!("{}: {text}", painted(self.err, Paint::Warn, "warning"))),
        }
    }

    /// Prints an error.
    pub(crate) fn error(&self, error: &Error) {
        match self.json {
            true => complain(&json!({ "error": error_json(error) }).to_string()),
            false => {
                let error = error.to_string();
                let error = wording::of_program(&error);
                complain(&format!("{}: {error}", painted(self.err, Paint::Bad, "error")));
            }
        }
    }
}

/// Writes a line to standard error.
fn complain(line: &str) {
    // Nothing can be done if the terminal is gone.
    let _ = writeln!(io::stderr(), "{line}");
}

fn painted(colours: bool, paint: Paint, text: &str) -> String {
    match colours {
        true => format!("\x1b[{}m{text}\x1b[0m", paint.code()),
        false => text.to_owned(),
    }
}

/// An error, for programs.
pub(crate) fn error_json(error: &Error) -> Value {
    let mut value = json!({
        "kind": error.kind().as_str(),
        "message": wording::of_program(&error.to_string()),
    });
    if let Some(secret) = error.secret() {
        value["secret"] = secret.into();
    }
    if error.errors().len() > 1 {
        value["errors"] = error.errors().iter().map(error_json).collect();
    }
    value
}

/// An error of the operating system, about something of this program.
pub(crate) fn failed(what: &str, error: &io::Error) -> Error {
    Error::new(ErrorKind::Config, format!("{what}: {}", error.kind()))
}

/// The runtime of a command.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("the asynchronous runtime", &error))
}

/// Text on one line that drives no terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                    | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                    | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            )
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match hidden(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(printable("a/b"), "a/b");
        assert_eq!(printable("a\nb\u{1b}[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
    }
}

//! Wrong usage, and help: what clap says, without what may be a value; as JSON if that was asked for.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::json;

/// Prints help, or what is wrong with the arguments, and returns the code for it.
pub(crate) fn end(error: clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    let error = without_values(error);
    // Nothing can be done if the terminal is gone.
    let _ = match error.use_stderr() && wants_json(std::env::args_os()) {
        true => writeln!(io::stderr(), "{}", as_json(&error)),
        false => error.print(),
    };
    code
}

/// Whether `--json` is among the arguments of this program. What follows `--` is another program's.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut ours = arguments.skip(1).take_while(|argument| argument != "--");
    ours.any(|argument| argument == "--json")
}

/// As the program's other errors in JSON. Wrong usage has a kind of its own, beside those of the
/// library.
fn as_json(error: &clap::Error) -> serde_json::Value {
    let message = error.render().to_string();
    let message = message.trim_end();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    json!({ "error": { "kind": "usage", "message": message } })
}

/// An argument that is no switch may be a value that someone meant for a secret, so it is not
/// repeated.
fn without_values(mut error: clap::Error) -> clap::Error {
    use ErrorKind::{DisplayHelp, DisplayVersion, MissingSubcommand};
    if matches!(error.kind(), DisplayHelp | DisplayVersion | MissingSubcommand) {
        return error;
    }
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::TrailingArg] {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let shown = match (kind, text.split_once('=')) {
                (ContextKind::InvalidArg, Some((switch, _))) if text.starts_with("--") => {
                    switch.to_owned()
                }
                (ContextKind::InvalidArg, None) if text.starts_with("--") => continue,
                _ => "(not shown)".to_owned(),
            };
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error.remove(ContextKind::Suggested);
    // A word that looks like a command is a slip of the pen.
    if error.get(ContextKind::SuggestedSubcommand).is_none()
        && error.get(ContextKind::InvalidSubcommand).is_some()
    {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidSubcommand, hidden);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_another_program_ask_for_nothing() {
        for (line, expected) in [
            ("program get --json", true),
            ("program --json exec -- curl", true),
            ("program exec -- curl --json x", false),
            ("program get --jsonn", false),
        ] {
            let arguments = line.split(' ').map(OsString::from);
            assert_eq!(wants_json(arguments), expected, "{line}");
        }
    }
}

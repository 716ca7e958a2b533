//! All that a value can show: through `Display`, `Debug`, JSON and its accessors.

use std::error::Error as StdError;
use std::fmt::{Debug, Write as _};

use secrets_provider::{Error, Live};
use serde::Serialize;

/// `Debug`, on one line and pretty-printed.
pub(crate) fn debug(shown: &impl Debug) -> String {
    format!("{shown:?}\n{shown:#?}\n")
}

pub(crate) fn json(shown: &impl Serialize) -> String {
    serde_json::to_string_pretty(shown).unwrap()
}

/// One of our errors through every accessor, with the errors that it lists.
pub(crate) fn error(error: &Error) -> String {
    let mut shown = foreign(error);
    for part in error.errors() {
        let names = [part.hint(), part.key(), part.secret()];
        let _ = writeln!(shown, "{} {names:?} {}", part.kind(), foreign(part));
    }
    shown
}

/// Any error, with its chain of causes.
pub(crate) fn foreign(error: &dyn StdError) -> String {
    let shown = format!("{error}\n{error:#}\n{error:?}\n{error:#?}\n");
    shown + &error.source().map_or_else(String::new, foreign)
}

/// Everything that a live value shows.
pub(crate) fn live<T>(live: &Live<T>) -> String {
    let (status, explanation) = (live.status(), live.explain());
    let mut shown = debug(live) + &debug(&status) + &json(&status) + &debug(&live.load());
    if let Some(error) = status.last_error() {
        let _ = writeln!(shown, "{}\n{}", error.message(), debug(error) + &json(error));
    }
    shown
        + &explanation.to_string()
        + &debug(&explanation)
        + &json(&explanation)
        + &debug(&live.changes())
}

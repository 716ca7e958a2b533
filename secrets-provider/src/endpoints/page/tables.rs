//! The page's tables of secrets, derived values and keys, from the status and the explanation.
//!
//! Every name goes through `text` before it becomes HTML, whether a secret's, a variable's or a
//! file's.

use std::fmt::{self, Formatter, Write as _};
use std::time::SystemTime;

use super::html::{code, note, section, table, tag};
use super::text::{ago, multi_line, time_element, until};
use crate::layers::explain::{Explanation, Provenance};
use crate::observe::status::{DerivedStatus, Health, SecretState, SecretStatus, Status};

/// The CSS class and the word for a health.
pub(super) fn health(health: Health) -> (&'static str, &'static str) {
    match health {
        Health::Fresh => ("good", "fresh"),
        Health::Stale => ("warn", "stale"),
        Health::Fallback => ("warn", "fallback"),
        Health::Failing => ("bad", "failing"),
    }
}

/// The CSS class and the words for a secret's state.
fn state(state: SecretState) -> (&'static str, &'static str) {
    match state {
        SecretState::Current => ("good", "current"),
        SecretState::LastGood => ("warn", "last good"),
        SecretState::Absent => ("quiet", "absent"),
        SecretState::Fallback => ("warn", "fallback"),
        SecretState::Unread => ("warn", "unread"),
    }
}

pub(super) fn secrets(f: &mut Formatter<'_>, status: &Status, now: SystemTime) -> fmt::Result {
    section(f, "", ("secrets", "Secrets"), |f| {
        if status.secrets().is_empty() {
            let is_constant = status.interval().is_none();
            return note(
                f,
                match is_constant {
                    true => "No secrets: these settings are a constant.",
                    false => "No secrets are selected, or none exist.",
                },
            );
        }
        let columns = ["Secret", "State", "Key path", "Version"];
        table(f, "secrets", &columns, status.secrets().iter().map(|one| secret(one, now)))
    })
}

fn secret(secret: &SecretStatus, now: SystemTime) -> Vec<String> {
    let (class, word) = state(secret.state());
    let mut state = tag(class, word);
    if let Some(kind) = secret.error() {
        let _ = write!(state, " {}", tag("bad", kind.as_str()));
    }
    if let Some(since) = secret.deleted_since() {
        let (since, then) = match secret.leaves_at() {
            Some(at) => (ago(since, now), format!("it leaves {}", until(at, now))),
            None => (ago(since, now), "the settings need it".to_owned()),
        };
        let _ = write!(state, r#" <span class="words">deleted {since}: {then}</span>"#);
    }
    let key_path = match secret.key_path() {
        "" => "root".to_owned(),
        path => code(path),
    };
    let version = match secret.version_id() {
        "" => String::new(),
        version => code(version),
    };
    vec![code(secret.name()), state, key_path, version]
}

pub(super) fn derived(f: &mut Formatter<'_>, status: &Status, now: SystemTime) -> fmt::Result {
    if status.derived().is_empty() {
        return Ok(());
    }
    let columns = ["Follows", "State", "In use since", "Generation", "Built from generation"];
    let rows = status.derived().iter().map(|derived| derived_value(derived, now));
    section(f, "", ("derived", "Derived"), |f| table(f, "derived", &columns, rows))
}

fn derived_value(derived: &DerivedStatus, now: SystemTime) -> Vec<String> {
    let path = match derived.path() {
        "" => "all keys".to_owned(),
        path => code(path),
    };
    let mut state = match derived.failures() {
        0 => tag("good", "built"),
        1 => tag("bad", "1 failure"),
        failures => tag("bad", &format!("{failures} failures")),
    };
    if let Some(error) = derived.last_error().filter(|_| derived.failures() > 0) {
        let summary = multi_line(error.summary());
        let _ = write!(state, r#" <span class="words">{summary}</span>"#);
    }
    let at = derived.built_at();
    let built = format!("{}<br /><small>{}</small>", ago(at, now), time_element(at));
    let generation = derived.generation().to_string();
    vec![path, state, built, generation, derived.built_from().to_string()]
}

pub(super) fn keys(f: &mut Formatter<'_>, explanation: &Explanation) -> fmt::Result {
    section(f, "", ("keys", "Keys"), |f| {
        if explanation.keys().is_empty() {
            return note(f, "No layer sets a key of these settings.");
        }
        let rows = explanation.keys().iter().map(|key| {
            vec![code(&key.shown()), place(key.source()), key.hides().iter().map(place).collect()]
        });
        table(f, "keys", &["Key", "Comes from", "Hides"], rows)?;
        match explanation.omitted_in_words() {
            Some(omitted) => note(f, &format!("And {omitted}.")),
            None => Ok(()),
        }
    })
}

fn place(place: &Provenance) -> String {
    let class = if place.version_id().is_some() { "secret" } else { "quiet" };
    let mut html = format!("{} {}", tag(class, &place.layer().to_string()), code(place.name()));
    if let Some(file) = place.file() {
        let _ = write!(html, " <small>in {}</small>", code(file));
    }
    if let Some(version_id) = place.version_id() {
        let _ = write!(html, r#" <small class="version">version {}</small>"#, code(version_id));
    }
    format!("<div>{html}</div>")
}

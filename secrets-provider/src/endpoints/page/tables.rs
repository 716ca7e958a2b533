//! The page's tables of secrets and of derived values, from the status.
//!
//! What needs someone's attention comes first, and a table ends after a bound, with the number of
//! the other rows. Every name goes through `text` before it becomes HTML.

use std::fmt::{self, Formatter, Write as _};
use std::time::SystemTime;

use super::html::{code, note, section, table, tag};
use super::keys::more;
use super::text::{ago, duration, multi_line, one_line, time_element, until};
use crate::observe::status::{
    DerivedStatus, Health, SecretState, SecretStatus, SourceStatus, Status,
};

/// How many secrets are shown, and how many derived values.
const MAX_ROWS: usize = 200;

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
        let mut secrets: Vec<_> = status.secrets().iter().collect();
        // Stable: within each half, they stay in the order of the names.
        secrets.sort_by_key(|secret| !needs_attention(secret));
        let columns = ["Secret", "State", "Key path", "Version", "In use since"];
        let rows = secrets.iter().take(MAX_ROWS).map(|known| secret(known, now));
        table(f, "secrets", &columns, rows)?;
        more(f, secrets.len().saturating_sub(MAX_ROWS), "secret", "secrets")
    })
}

/// An optional secret that does not exist is as it should be.
fn needs_attention(secret: &SecretStatus) -> bool {
    !matches!(secret.state(), SecretState::Current | SecretState::Absent)
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
    if let Some(at) = secret.expires_at() {
        let end = match at > now {
            true => format!("its lease ends {}, unless it is renewed", until(at, now)),
            false => "its lease has ended".to_owned(),
        };
        let _ = write!(state, r#" <span class="words">{end}</span>"#);
    }
    let key_path = match secret.key_path() {
        "" => "root".to_owned(),
        path => code(path),
    };
    let version = match secret.version_id() {
        "" => String::new(),
        version => code(version),
    };
    let since = secret.changed_at().map_or_else(String::new, |at| since(at, now));
    let name = match secret.source() {
        Some(source) => {
            format!("{}<br /><small>of {}</small>", code(secret.name()), one_line(source))
        }
        None => code(secret.name()),
    };
    vec![name, state, key_path, version, since]
}

/// The sources, where there are several.
pub(super) fn sources(f: &mut Formatter<'_>, status: &Status, now: SystemTime) -> fmt::Result {
    if status.sources().is_empty() {
        return Ok(());
    }
    let columns = ["Source", "State", "Last success", "Every", "Last error"];
    // The highest first: its keys hide those of the others.
    let mut sources: Vec<_> = status.sources().iter().rev().collect();
    sources.sort_by_key(|source| !source.error_persists());
    section(f, "", ("sources", "Sources"), |f| {
        let rows = sources.iter().take(MAX_ROWS).map(|known| source(known, now));
        table(f, "sources", &columns, rows)?;
        more(f, sources.len().saturating_sub(MAX_ROWS), "source", "sources")
    })
}

fn source(source: &SourceStatus, now: SystemTime) -> Vec<String> {
    let (class, word) = health(source.health());
    let mut state = tag(class, word);
    if !source.is_ready() {
        let _ = write!(state, " {}", tag("bad", "not ready"));
    }
    if let Some(failover) = source.failover().filter(|failover| failover.is_active()) {
        let region = one_line(failover.region());
        let _ = write!(state, r#" <span class="words">from replicas in {region}</span>"#);
    }
    let success = match source.has_succeeded() {
        true => since(source.last_success(), now),
        false => "never".to_owned(),
    };
    let error = source.last_error().filter(|_| source.error_persists()).map(|error| {
        let kind = tag("bad", error.kind().as_str());
        format!(r#"{kind} <span class="words">{}</span>"#, multi_line(error.message()))
    });
    let every = duration(source.interval());
    vec![code(source.name()), state, success, every, error.unwrap_or_default()]
}

pub(super) fn derived(f: &mut Formatter<'_>, status: &Status, now: SystemTime) -> fmt::Result {
    if status.derived().is_empty() {
        return Ok(());
    }
    let columns = ["Follows", "State", "In use since", "Generation", "Built from generation"];
    let mut derived: Vec<_> = status.derived().iter().collect();
    derived.sort_by_key(|derived| derived.failures() == 0);
    let rows = derived.into_iter().map(|derived| derived_value(derived, now));
    section(f, "", ("derived", "Derived"), |f| {
        table(f, "derived", &columns, rows.take(MAX_ROWS))?;
        more(f, status.derived().len().saturating_sub(MAX_ROWS), "value", "values")
    })
}

fn derived_value(derived: &DerivedStatus, now: SystemTime) -> Vec<String> {
    let path = match derived.path() {
        "" => "all keys".to_owned(),
        path => code(path),
    };
    let follows = match derived.label() {
        label if label == derived.path() => path,
        label => format!("{}<br /><small>{path}</small>", code(label)),
    };
    let mut state = match derived.failures() {
        0 => tag("good", "built"),
        1 => tag("bad", "1 failure"),
        failures => tag("bad", &format!("{failures} failures")),
    };
    if let Some(error) = derived.last_error().filter(|_| derived.failures() > 0) {
        let message = multi_line(error.message());
        let _ = write!(state, r#" <span class="words">{message}</span>"#);
    }
    let built = since(derived.built_at(), now);
    let generation = derived.generation().to_string();
    vec![follows, state, built, generation, derived.built_from().to_string()]
}

fn since(at: SystemTime, now: SystemTime) -> String {
    format!("{}<br /><small>{}</small>", ago(at, now), time_element(at))
}

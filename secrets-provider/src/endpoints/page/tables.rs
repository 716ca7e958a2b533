//! The page's tables: what each secret, derived value and key stands at.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use super::text::{ago, lines, moment, name};
use crate::layers::explain::{Explanation, Provenance};
use crate::observe::status::{DerivedStatus, Health, SecretState, SecretStatus, Status};

/// How a health looks, and is called.
pub(super) fn health(health: Health) -> (&'static str, &'static str) {
    match health {
        Health::Fresh => ("good", "fresh"),
        Health::Stale => ("warn", "stale"),
        Health::Fallback => ("warn", "fallback"),
        Health::Failing => ("bad", "failing"),
    }
}

fn state(state: SecretState) -> (&'static str, &'static str) {
    match state {
        SecretState::Current => ("good", "current"),
        SecretState::LastGood => ("warn", "last good"),
        SecretState::Absent => ("quiet", "absent"),
        SecretState::Fallback => ("warn", "fallback"),
        SecretState::Unread => ("warn", "unread"),
    }
}

/// A word in a coloured box.
pub(super) fn tag(class: &str, word: &str) -> String {
    format!("<span class=\"tag {class}\">{word}</span>")
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", name(text))
}

/// A table with its heading. The first cell of a row is its header; cells are HTML. Roles are given by hand, because on
/// a phone rows are shown as blocks, which takes them away.
fn table(
    f: &mut fmt::Formatter<'_>,
    (id, title): (&str, &str),
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    writeln!(f, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>")?;
    write!(
        f,
        "<table role=\"table\" aria-labelledby=\"{id}\">\n<thead role=\"rowgroup\"><tr role=\"row\">"
    )?;
    for column in columns {
        write!(f, "<th scope=\"col\" role=\"columnheader\">{column}</th>")?;
    }
    f.write_str("</tr></thead>\n<tbody role=\"rowgroup\">\n")?;
    for row in rows {
        f.write_str("<tr role=\"row\">")?;
        for (at, (cell, column)) in row.iter().zip(columns).enumerate() {
            match (at, cell.as_str()) {
                (0, cell) => write!(f, "<th scope=\"row\" role=\"rowheader\">{cell}</th>")?,
                (_, "") => f.write_str("<td role=\"cell\"></td>")?,
                (_, cell) => {
                    write!(f, "<td role=\"cell\" data-label=\"{column}\"><div>{cell}</div></td>")?;
                }
            }
        }
        f.write_str("</tr>\n")?;
    }
    f.write_str("</tbody>\n</table>\n")
}

fn empty(f: &mut fmt::Formatter<'_>, (id, title): (&str, &str), why: &str) -> fmt::Result {
    writeln!(f, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>")?;
    writeln!(f, "<p class=\"empty\">{why}</p>\n</section>")
}

pub(super) fn secrets(f: &mut fmt::Formatter<'_>, status: &Status) -> fmt::Result {
    const HEADING: (&str, &str) = ("secrets", "Secrets");
    if status.secrets().is_empty() {
        let constant = status.interval().is_none();
        let why = if constant {
            "None: these settings are a constant."
        } else {
            "None are selected, or none exist."
        };
        return empty(f, HEADING, why);
    }
    let row = |secret: &SecretStatus| {
        let (class, word) = state(secret.state());
        let mut stands = tag(class, word);
        if let Some(kind) = secret.error() {
            stands += &format!(" {}", tag("bad", kind.as_str()));
        }
        let at = if secret.key_path().is_empty() {
            "the root".to_owned()
        } else {
            code(secret.key_path())
        };
        let version = secret.version_id();
        let version = if version.is_empty() { String::new() } else { code(version) };
        vec![code(secret.name()), stands, at, version]
    };
    table(
        f,
        HEADING,
        &["Secret", "State", "Key path", "Version"],
        status.secrets().iter().map(row),
    )?;
    f.write_str("</section>\n")
}

pub(super) fn derived(f: &mut fmt::Formatter<'_>, status: &Status, now: SystemTime) -> fmt::Result {
    if status.derived().is_empty() {
        return Ok(());
    }
    let row = |derived: &DerivedStatus| {
        let path =
            if derived.path().is_empty() { "every key".to_owned() } else { code(derived.path()) };
        let mut stands = match derived.failures() {
            0 => tag("good", "built"),
            1 => tag("bad", "1 failure"),
            failures => tag("bad", &format!("{failures} failures")),
        };
        let error = derived.last_error().filter(|_| derived.failures() > 0);
        if let Some(error) = error {
            let _ = write!(stands, " <span class=\"words\">{}</span>", lines(error.summary()));
        }
        let built = derived.built_at();
        let built = format!("{}<br /><small>{}</small>", ago(built, now), moment(built));
        vec![
            path,
            stands,
            built,
            derived.generation().to_string(),
            derived.built_from().to_string(),
        ]
    };
    let columns = ["Follows", "State", "In use since", "Generation", "Built from generation"];
    table(f, ("derived", "Derived"), &columns, status.derived().iter().map(row))?;
    f.write_str("</section>\n")
}

pub(super) fn keys(f: &mut fmt::Formatter<'_>, explanation: &Explanation) -> fmt::Result {
    const HEADING: (&str, &str) = ("keys", "Keys");
    if explanation.keys().is_empty() {
        return empty(f, HEADING, "Nothing is known of keys: no layer gives any that is settings.");
    }
    let rows = explanation.keys().iter().map(|key| {
        vec![code(key.key()), place(key.source()), key.hides().iter().map(place).collect()]
    });
    table(f, HEADING, &["Key", "Comes from", "Hides"], rows)?;
    if let Some(omitted) = explanation.omitted_in_words() {
        writeln!(f, "<p class=\"empty\">And {omitted}.</p>")?;
    }
    f.write_str("</section>\n")
}

fn place(place: &Provenance) -> String {
    let layer = place.layer().to_string();
    let class = if place.version_id().is_some() { "secret" } else { "quiet" };
    let mut told = format!("{} {}", tag(class, &name(&layer).to_string()), code(place.name()));
    if let Some(file) = place.file() {
        let _ = write!(told, " <small>in {}</small>", code(file));
    }
    if let Some(version_id) = place.version_id() {
        let _ = write!(told, " <small class=\"version\">version {}</small>", code(version_id));
    }
    format!("<div>{told}</div>")
}

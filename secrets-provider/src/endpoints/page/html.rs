//! The pieces of HTML that the page is built of: sections, tables, cards and tags.
//!
//! `tables` and the page itself call them. Arguments called `html` are written as they are, so
//! callers escape names first, with `text`; all other texts here are fixed words.

use std::fmt::{self, Formatter};
use std::time::Duration;

use super::text::one_line;

/// A section with a heading. `class` may be empty.
pub(super) fn section(
    f: &mut Formatter<'_>,
    class: &str,
    (id, heading): (&str, &str),
    body: impl FnOnce(&mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
    writeln!(f, r#"<section{class} aria-labelledby="{id}">"#)?;
    writeln!(f, r#"<h2 id="{id}">{heading}</h2>"#)?;
    body(f)?;
    f.write_str("</section>\n")
}

/// A table, labelled by the heading with this id. Cells are HTML; the first cell of a row is its
/// header.
///
/// The roles repeat what the elements mean. On a phone, the style shows rows as blocks, and
/// browsers then no longer report them as parts of a table.
pub(super) fn table(
    f: &mut Formatter<'_>,
    labelled_by: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    writeln!(f, r#"<table role="table" aria-labelledby="{labelled_by}">"#)?;
    f.write_str(r#"<thead role="rowgroup"><tr role="row">"#)?;
    for column in columns {
        write!(f, r#"<th scope="col" role="columnheader">{column}</th>"#)?;
    }
    writeln!(f, "</tr></thead>\n<tbody role=\"rowgroup\">")?;
    for row in rows {
        f.write_str(r#"<tr role="row">"#)?;
        for (at, (cell, column)) in row.iter().zip(columns).enumerate() {
            match (at, cell.as_str()) {
                (0, cell) => write!(f, r#"<th scope="row" role="rowheader">{cell}</th>"#)?,
                (_, "") => f.write_str(r#"<td role="cell"></td>"#)?,
                (_, cell) => {
                    write!(f, r#"<td role="cell" data-label="{column}"><div>{cell}</div></td>"#)?;
                }
            }
        }
        f.write_str("</tr>\n")?;
    }
    f.write_str("</tbody>\n</table>\n")
}

/// A short paragraph in a section: why it is empty, or what it leaves out.
pub(super) fn note(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, r#"<p class="empty">{text}</p>"#)
}

/// One figure of the summary, with HTML below it.
pub(super) fn card(f: &mut Formatter<'_>, title: &str, value: &str, html: &str) -> fmt::Result {
    writeln!(f, "<div><dt>{title}</dt><dd><strong>{value}</strong><span>{html}</span></dd></div>")
}

/// A word in a coloured box.
pub(super) fn tag(class: &str, word: &str) -> String {
    format!(r#"<span class="tag {class}">{word}</span>"#)
}

/// A name, escaped.
pub(super) fn code(name: &str) -> String {
    format!("<code>{}</code>", one_line(name))
}

/// A bar: how much of the time until settings count as failing has passed.
pub(super) fn gauge(age: Duration, bound: Duration) -> String {
    let used = if bound.is_zero() { 1.0 } else { age.as_secs_f64() / bound.as_secs_f64() };
    let percent = (used * 100.0).clamp(0.0, 100.0).round();
    let class = match percent {
        ..60.0 => "good",
        ..100.0 => "warn",
        _ => "bad",
    };
    let svg = format!(
        r#"<svg class="gauge {class}" viewBox="0 0 100 4" preserveAspectRatio="none" role="img""#
    );
    let label = format!(r#"aria-label="{percent} % of the bound""#);
    let whole = r#"<rect width="100" height="4" />"#;
    let used = format!(r#"<rect class="used" width="{percent}" height="4" />"#);
    format!("{svg} {label}>{whole}{used}</svg>")
}

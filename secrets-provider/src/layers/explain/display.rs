//! An explanation as a table for people. Names may hold any character, so control characters are
//! escaped: each row stays on one line.
//!
//! `print!("{explanation}")` and the status page use it, the page row by row. It has names only;
//! there is no value in an explanation that it could show.

use std::fmt;

use super::{ExplainedKey, Explanation, Layer, Provenance};
use crate::error::escape;
use crate::tree::names::Shown;

const COLUMNS: [&str; 5] = ["key", "layer", "source", "hides", "followed by"];

/// How many followers of one key are shown.
const MAX_FOLLOWERS: usize = 10;

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` honours the width of a format string.
        f.pad(match self {
            Self::Dotenv => ".env",
            Self::Environment => "environment",
            Self::Secret => "secret",
            Self::Figment => "figment",
            Self::Config => "config",
        })
    }
}

impl Provenance {
    /// The place without its layer.
    fn place(&self) -> String {
        let name = escape(&self.name).into_owned();
        match (&self.file, &self.version_id, &self.source) {
            (Some(file), ..) => format!("{name} in {}", escape(file)),
            (_, Some(version_id), None) => format!("{name} (version {})", escape(version_id)),
            (_, Some(version_id), Some(source)) => {
                let (version_id, source) = (escape(version_id), escape(source));
                format!("{name} (version {version_id}, source {source})")
            }
            _ => name,
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.layer, self.place())
    }
}

impl Explanation {
    /// How many environment variables are omitted, in words; `None` if none are.
    pub(crate) fn omitted_in_words(&self) -> Option<String> {
        match self.omitted.len() {
            0 => None,
            1 => Some("1 other environment variable".to_owned()),
            count => Some(format!("{count} other environment variables")),
        }
    }
}

impl ExplainedKey {
    /// The key path, with the number of keys if there are several.
    pub(crate) fn shown(&self) -> String {
        Shown { path: self.key.clone(), count: self.count }.to_string()
    }

    /// What follows the key, up to a bound; `-` if nothing does.
    pub(crate) fn followed_by_in_words(&self) -> String {
        let shown: Vec<_> =
            self.followed_by.iter().take(MAX_FOLLOWERS).map(|by| escape(by)).collect();
        match self.followed_by.len() {
            0 => "-".to_owned(),
            all if all > shown.len() => {
                format!("{} and {} more", shown.join(", "), all - shown.len())
            }
            _ => shown.join(", "),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.keys.iter().map(|key| {
            let hides: Vec<String> = key.hides.iter().map(ToString::to_string).collect();
            let (layer, place) = (key.source.layer.to_string(), key.source.place());
            let followed_by = key.followed_by_in_words();
            [escape(&key.shown()).into_owned(), layer, place, hides.join(", "), followed_by]
        });
        let mut rows: Vec<_> = std::iter::once(COLUMNS.map(str::to_owned)).chain(rows).collect();
        if !self.is_followed() {
            rows.iter_mut().for_each(|[.., followed_by]| followed_by.clear());
        }
        let mut widths = [0; COLUMNS.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        let Some(omitted) = self.omitted_in_words() else { return Ok(()) };
        let them = if self.omitted.len() == 1 { "it" } else { "them" };
        writeln!(f, "and {omitted} (`.all()` shows {them})")
    }
}

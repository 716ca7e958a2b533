//! The page's keys, grouped by where they come from: one `<details>` for each secret, for the
//! environment, for each `.env` file, and for the sources of figment and config-rs.
//!
//! A group is open if there are few keys. Groups, their keys and what a key hides are shown up to a
//! bound, each with the number of the others, so that the page stays small for any secret.

use std::collections::BTreeMap;
use std::fmt::{self, Formatter, Write as _};

use super::html::{code, note, section, table, tag};
use super::text::one_line;
use crate::layers::explain::{ExplainedKey, Explanation, Layer, Provenance};

/// How many keys of one group are shown.
const MAX_KEYS: usize = 100;

/// How many groups are shown.
const MAX_GROUPS: usize = 100;

/// How many hidden places of one key are shown.
const MAX_HIDDEN: usize = 10;

/// Up to this many keys, all groups are open.
const MAX_OPEN: usize = 50;

/// The head of the column that is there as soon as anything is followed.
const FOLLOWED: &str = "Followed by";

const UNFOLLOWED: &str = "A key that nothing follows (-) is read at each use, or only once at the \
                          start: then a rotation needs a restart.";

/// The keys of one source.
#[derive(Default)]
struct Group<'a> {
    keys: Vec<&'a ExplainedKey>,
    /// How many keys these are: one row may be several.
    count: usize,
}

/// What the keys of a group have in common, in the order of the groups: secrets come first, because
/// the page is about them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Source<'a> {
    is_lower: bool,
    layer: Layer,
    /// The secret with its version, or the file.
    name: Option<(&'a str, Option<&'a str>)>,
}

impl<'a> Source<'a> {
    fn of(place: &'a Provenance) -> Self {
        let name = match place.layer() {
            Layer::Secret => Some((place.name(), place.version_id())),
            Layer::Dotenv => place.file().map(|file| (file, None)),
            Layer::Environment | Layer::Figment | Layer::Config => None,
        };
        let layer = place.layer();
        Self { is_lower: layer != Layer::Secret, layer, name }
    }

    fn html(&self) -> String {
        let mut html = layer_tag(self.layer);
        if let Some((name, version_id)) = self.name {
            let _ = write!(html, " {}", code(name));
            if let Some(version_id) = version_id {
                let _ = write!(html, " <small>version {}</small>", code(version_id));
            }
        }
        html
    }
}

pub(super) fn keys(f: &mut Formatter<'_>, explanation: &Explanation) -> fmt::Result {
    section(f, "", ("keys", "Keys"), |f| {
        if explanation.keys().is_empty() {
            return note(f, "No layer sets a key of these settings.");
        }
        let mut groups: BTreeMap<Source<'_>, Group<'_>> = BTreeMap::new();
        for key in explanation.keys() {
            let group = groups.entry(Source::of(key.source())).or_default();
            group.count += key.count();
            group.keys.push(key);
        }
        let is_open = explanation.keys().len() <= MAX_OPEN;
        let is_followed = explanation.is_followed();
        for (number, (source, group)) in groups.iter().take(MAX_GROUPS).enumerate() {
            details(f, (number, is_open, is_followed), source, group)?;
        }
        more(f, groups.len().saturating_sub(MAX_GROUPS), "group", "groups")?;
        if is_followed {
            note(f, UNFOLLOWED)?;
        }
        match explanation.omitted_in_words() {
            Some(omitted) => note(f, &format!("And {omitted}.")),
            None => Ok(()),
        }
    })
}

fn details(
    f: &mut Formatter<'_>,
    (number, is_open, is_followed): (usize, bool, bool),
    source: &Source<'_>,
    group: &Group<'_>,
) -> fmt::Result {
    let id = format!("keys-{number}");
    let open = if is_open { r#" open="open""# } else { "" };
    let count = match group.count {
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    writeln!(f, "<details{open}>")?;
    writeln!(f, r#"<summary id="{id}">{} <small>{count}</small></summary>"#, source.html())?;
    // The summary names the source of all keys of a secret.
    let has_source = source.layer != Layer::Secret;
    let heads =
        [("Key", true), ("Comes from", has_source), ("Hides", true), (FOLLOWED, is_followed)];
    let heads: Vec<_> = heads.iter().filter(|(_, is_there)| *is_there).map(|head| head.0).collect();
    let rows = group.keys.iter().take(MAX_KEYS).map(|key| {
        let mut row = vec![code(&key.shown())];
        row.extend(has_source.then(|| code(key.source().name())));
        row.push(hidden(key));
        row.extend(is_followed.then(|| one_line(&key.followed_by_in_words()).to_string()));
        row
    });
    table(f, &id, &heads, rows)?;
    let left_out = group.keys.iter().skip(MAX_KEYS).map(|key| key.count()).sum();
    more(f, left_out, "key", "keys")?;
    f.write_str("</details>\n")
}

/// How many are left out, if any are.
pub(super) fn more(f: &mut Formatter<'_>, count: usize, one: &str, many: &str) -> fmt::Result {
    match count {
        0 => Ok(()),
        1 => note(f, &format!("And 1 more {one}.")),
        _ => note(f, &format!("And {count} more {many}.")),
    }
}

fn hidden(key: &ExplainedKey) -> String {
    let mut html: String = key.hides().iter().take(MAX_HIDDEN).map(place).collect();
    if let more @ 1.. = key.hides().len().saturating_sub(MAX_HIDDEN) {
        let _ = write!(html, "<div>and {more} more</div>");
    }
    html
}

fn place(place: &Provenance) -> String {
    let mut html = format!("{} {}", layer_tag(place.layer()), code(place.name()));
    if let Some(file) = place.file() {
        let _ = write!(html, " <small>in {}</small>", code(file));
    }
    if let Some(version_id) = place.version_id() {
        let _ = write!(html, r#" <small class="version">version {}</small>"#, code(version_id));
    }
    format!("<div>{html}</div>")
}

fn layer_tag(layer: Layer) -> String {
    let class = if layer == Layer::Secret { "secret" } else { "quiet" };
    tag(class, &layer.to_string())
}

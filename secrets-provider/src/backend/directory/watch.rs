//! Changes of the files in use, seen by their times.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Directory;
use super::folder::Reader;
use crate::backend::BoxStream;
use crate::error::Error;

/// How often to look. A look costs a `stat` per secret, and a listing where there is a prefix.
const EVERY: Duration = Duration::from_secs(1);

/// What was asked of the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// The secret of this name or ARN.
    Secret(String),
    /// The names at or below this prefix.
    Below(String),
}

/// What there was to see of each: a version id, the names, or nothing.
pub(super) type Sightings = BTreeMap<Asked, Option<String>>;

/// A listing as it is compared.
pub(super) fn names(listed: &Result<Vec<String>, Error>) -> Option<String> {
    listed.as_ref().ok().map(|names| names.join("\n"))
}

/// A signal after each look that finds anything else than what was read or seen last.
pub(super) fn changes(directory: Directory) -> BoxStream<'static, ()> {
    let seen = directory.memory().asked.clone();
    Box::pin(stream::unfold((directory, seen), |(directory, mut seen)| async move {
        loop {
            sleep(EVERY).await;
            // What was asked for since counts as it was read then, so nothing falls between reading and looking.
            let asked = directory.memory().asked.clone();
            for (asked, sighting) in &asked {
                seen.entry(asked.clone()).or_insert_with(|| sighting.clone());
            }
            let reader = directory.reader.clone();
            // Only a runtime that shuts down cuts it short.
            let now = spawn_blocking(move || look(&reader, asked.into_keys())).await.ok()?;
            if now != seen {
                return Some(((), (directory, now)));
            }
        }
    }))
}

fn look(reader: &Reader, asked: impl Iterator<Item = Asked>) -> Sightings {
    let sighting = |asked| {
        let sighting = match &asked {
            Asked::Secret(id) => reader.version_id(id),
            Asked::Below(prefix) => names(&reader.list(prefix)),
        };
        (asked, sighting)
    };
    asked.map(sighting).collect()
}

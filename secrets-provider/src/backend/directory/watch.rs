//! Changes of the files in use, found by polling their times.
//!
//! [`Seen`] remembers what the last read found; [`changes`] looks once a second whether that is
//! still so. It polls because notifications do not cross container and network mounts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::folder::Folder;
use crate::backend::BoxStream;
use crate::error::Error;
use crate::unwind::lock;

/// How often to look. Each time costs a `stat` per secret, and a listing per prefix.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A question that was asked of the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    /// The secret of this name or ARN.
    Secret(String),
    /// The names at or below this prefix.
    Below(String),
}

/// The answers: version ids and listed names, or `None` if there was nothing to find.
type Answers = BTreeMap<Asked, Option<String>>;

/// What was asked for, and what was found. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Answers>>);

impl Seen {
    pub(super) fn record_secret(&self, id: &str, version_id: Option<String>) {
        lock(&self.0).insert(Asked::Secret(id.to_owned()), version_id);
    }

    pub(super) fn record_names(&self, prefix: &str, listed: &Result<Vec<String>, Error>) {
        lock(&self.0).insert(Asked::Below(prefix.to_owned()), joined(listed));
    }

    fn answers(&self) -> Answers {
        lock(&self.0).clone()
    }
}

/// A listing in a form that can be compared.
fn joined(listed: &Result<Vec<String>, Error>) -> Option<String> {
    listed.as_ref().ok().map(|names| names.join("\n"))
}

/// A signal after each look that finds something other than the last read or look did.
pub(super) fn changes(folder: Folder, seen: Seen) -> BoxStream<'static, ()> {
    let last = seen.answers();
    Box::pin(stream::unfold((folder, seen, last), |(folder, seen, mut last)| async move {
        loop {
            sleep(POLL_INTERVAL).await;
            // A secret that was read since the last look is compared to that read, so that no
            // change between the two is missed.
            let asked = seen.answers();
            for (asked, answer) in &asked {
                last.entry(asked.clone()).or_insert_with(|| answer.clone());
            }
            let looked_at = folder.clone();
            // It only fails if the runtime shuts down.
            let now = spawn_blocking(move || look(&looked_at, asked.into_keys())).await.ok()?;
            if now != last {
                return Some(((), (folder, seen, now)));
            }
        }
    }))
}

fn look(folder: &Folder, asked: impl Iterator<Item = Asked>) -> Answers {
    let answer = |asked| {
        let answer = match &asked {
            Asked::Secret(id) => folder.version_id(id),
            Asked::Below(prefix) => joined(&folder.list(prefix)),
        };
        (asked, answer)
    };
    asked.map(answer).collect()
}

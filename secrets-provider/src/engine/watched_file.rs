//! Changes of one file, found by looking at its times once a second.
//!
//! `Trigger::file` is the stream of them. Polling needs no dependency, and sees what notifications
//! do not carry: edits on mounts of containers and networks, and a file that is replaced or linked
//! again. The file itself is not opened. A look that hangs is left behind, on a thread of its own.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Stream, stream};
use tokio::time::sleep;

use crate::env::dotenv;
use crate::env::off_thread::OffThread;

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long one look may take.
const MAX_LOOK: Duration = Duration::from_secs(10);

/// What an edit changes: which file it is, its time and its size. `None` if there is no such file.
type Look = Option<(PathBuf, Option<SystemTime>, u64, Identity)>;

/// The inode, and when anything of it changed: an edit may keep time and size.
#[cfg(unix)]
type Identity = (u64, i64, i64);

#[cfg(not(unix))]
type Identity = ();

fn look(path: &Path) -> Look {
    let found = dotenv::find(path)?;
    let metadata = std::fs::metadata(&found).ok()?;
    Some((found, metadata.modified().ok(), metadata.len(), identity(&metadata)))
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}

/// An item for each look that finds something other than the one before. The first look is now.
pub(super) fn changes(path: PathBuf) -> impl Stream<Item = ()> + Send + 'static {
    let (last, off_thread) = (look(&path), Arc::<OffThread>::default());
    stream::unfold((path, last, off_thread), |(path, last, off_thread)| async move {
        loop {
            sleep(POLL_INTERVAL).await;
            let looked_at = path.clone();
            let now = off_thread.run("looking at a file", MAX_LOOK, move || look(&looked_at));
            // A look that fails says nothing about the file.
            if let Ok(now) = now.await
                && now != last
            {
                return Some(((), (path, now, off_thread)));
            }
        }
    })
}

//! Reading secrets from a folder. All calls here block.
//!
//! Each read is of one generation: if the folder's generation is replaced in the middle of it,
//! the read starts again with the next one. `listing` finds names; this file finds a secret's file
//! and reads it. [`Directory`](super::Directory) calls both on a thread for blocking work.

mod listing;

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use super::error::{self, Failures};
use super::layout::{Layout, Names, OWN_FILE};
use super::root::Root;
use super::version::{exposed, settles_in};
use crate::env::open;
use crate::error::Error;
use crate::secret::{Fetched, Payload};

/// For how long a read is repeated because its generation or its file keeps changing. A swap comes
/// with a rotation, so the first repetition normally succeeds.
const RETRY_LIMIT: Duration = Duration::from_secs(1);

/// The limit of AWS for a secret's value, in bytes
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
const MAX_BYTES: usize = 65_536;

/// How many bytes are read beyond the limit: a final `\r\n`, which does not count, and one more
/// byte, which shows that the file is larger.
const EXTRA_BYTES: usize = 3;

/// A folder of secrets and its naming rules. Cheap to clone.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    names: Arc<Names>,
    /// Whether the caller has stopped waiting, so that reading is of no use any more.
    stopped: Arc<AtomicBool>,
}

/// Stops the work of a folder when dropped.
pub(super) struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file that others than its owner and group may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposed {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
}

/// The result of reading one secret's file.
pub(super) struct FileRead {
    pub(super) outcome: Result<Fetched, Error>,
    /// The version id of the value or, if it could not be read, of the file before the attempt.
    pub(super) version_id: Option<String>,
    pub(super) exposed: Option<Exposed>,
}

/// The file of a secret.
struct Found {
    /// The secret's name.
    name: String,
    /// The path as it is shown, with links.
    path: PathBuf,
    metadata: Metadata,
}

impl FileRead {
    fn failed(error: Error) -> Self {
        Self { outcome: Err(error), version_id: None, exposed: None }
    }
}

impl Folder {
    pub(super) fn new(path: PathBuf, names: Names) -> Self {
        Self { path, names: Arc::new(names), stopped: Arc::default() }
    }

    /// The same folder for one piece of work, which ends soon after the guard is dropped.
    pub(super) fn until_dropped(&self) -> (Self, Stop) {
        let stopped = Arc::<AtomicBool>::default();
        (Self { stopped: stopped.clone(), ..self.clone() }, Stop(stopped))
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn names_mut(&mut self) -> &mut Names {
        Arc::make_mut(&mut self.names)
    }

    /// Reads the secrets with these names or ARNs, all from one generation, in the given order.
    pub(super) fn read(&self, ids: &[String]) -> Vec<FileRead> {
        self.in_one_generation(
            |root| ids.iter().map(|id| self.read_one(root, id)).collect::<Vec<_>>(),
            |reads| reads.iter().all(|read| read.outcome.is_ok()),
        )
        .unwrap_or_else(|error| {
            ids.iter().map(|id| FileRead::failed(error.clone().with_secret(id))).collect()
        })
    }

    /// The current version id of a secret's file, which is not read; `None` if there is no such
    /// file, or it is not accessible.
    pub(super) fn version_id(&self, id: &str) -> Option<String> {
        let version_id = |root: &Root| Some(root.version_id(&self.find(root, id).ok()?.metadata));
        self.in_one_generation(version_id, Option::is_some).ok().flatten()
    }

    /// Does work within one generation. If the generation was replaced meanwhile, its files may
    /// have been removed, so work that is not complete is repeated with the next generation.
    fn in_one_generation<T>(
        &self,
        work: impl Fn(&Root) -> T,
        is_complete: impl Fn(&T) -> bool,
    ) -> Result<T, Error> {
        let start = Instant::now();
        loop {
            let root =
                Root::find(&self.path).map_err(|error| error::no_folder(&self.path, &error))?;
            let result = work(&root);
            if is_complete(&result) || !root.is_past() {
                return Ok(result);
            }
            if self.is_stopped() || start.elapsed() > RETRY_LIMIT {
                return Err(error::swapping(&self.path, RETRY_LIMIT));
            }
        }
    }

    fn read_one(&self, root: &Root, id: &str) -> FileRead {
        if self.is_stopped() {
            return FileRead::failed(error::interrupted().with_secret(id));
        }
        let found = match self.find(root, id) {
            Ok(found) => found,
            Err(error) => return FileRead::failed(error.with_secret(id)),
        };
        let outcome = self.read_found(root, id, &found).map_err(|error| error.with_secret(id));
        let version_id = match &outcome {
            Ok(secret) => secret.version_id().to_owned(),
            Err(_) => root.version_id(&found.metadata),
        };
        FileRead { outcome, version_id: Some(version_id), exposed: self.exposed(root, &found) }
    }

    fn read_found(&self, root: &Root, id: &str, found: &Found) -> Result<Fetched, Error> {
        let Found { name, path, .. } = found;
        let failures = Failures { names: &self.names, folder: &root.folder, id };
        let content =
            self.content(root, path).map_err(|error| failures.unreadable(path, &error))?;
        let (bytes, metadata) = content.ok_or_else(|| error::changing(id))?;
        let payload =
            self.payload(id, name, bytes).ok_or_else(|| error::too_large(path, MAX_BYTES))?;
        // AWS has no empty secret, and a writer that truncates a file fills it only later.
        let is_empty = match &payload {
            Payload::Text(text) => text.as_str().is_empty(),
            Payload::Binary(bytes) => bytes.is_empty(),
        };
        if is_empty {
            return Err(error::empty(id, path));
        }
        Ok(Fetched::new(name.clone(), root.version_id(&metadata), payload))
    }

    /// The file, if others may read it. Not for mounts: they are memory file systems that only the
    /// containers of one pod see, with modes that their driver chooses.
    fn exposed(&self, root: &Root, found: &Found) -> Option<Exposed> {
        if root.generation.is_some() || self.names.layout() == Layout::Mounted {
            return None;
        }
        exposed(&found.metadata).map(|mode| Exposed { path: found.path.clone(), mode })
    }

    fn find(&self, root: &Root, id: &str) -> Result<Found, Error> {
        let failures = Failures { names: &self.names, folder: &root.folder, id };
        let mut missing = None;
        for place in self.names.places(id)? {
            let mut path = root.folder.join(&place.path);
            let mut metadata = fs::metadata(&path);
            if self.names.layout() == Layout::Tree && metadata.as_ref().is_ok_and(Metadata::is_dir)
            {
                path.push(OWN_FILE);
                metadata = fs::metadata(&path);
            }
            match metadata {
                Ok(metadata) if metadata.is_file() => {
                    return match root.confined(&path) {
                        Ok(Some(_)) => Ok(Found { name: place.name, path, metadata }),
                        Ok(None) => Err(failures.leads_out(&path)),
                        Err(error) => Err(failures.unreadable(&path, &error)),
                    };
                }
                Ok(metadata) => return Err(failures.not_a_file(&path, &metadata)),
                Err(error) => missing = Some(failures.unreadable(&path, &error)),
            }
        }
        Err(missing
            .unwrap_or_else(|| failures.unreadable(&root.folder, &io::ErrorKind::NotFound.into())))
    }

    /// A file's content, and the metadata that belong to exactly that content; `None` if the file
    /// changed during every attempt.
    fn content(
        &self,
        root: &Root,
        path: &Path,
    ) -> io::Result<Option<(Zeroizing<Vec<u8>>, Metadata)>> {
        let start = Instant::now();
        loop {
            // Opened by its resolved path, because a link could be swapped after the check.
            let Some(real) = root.confined(path)? else {
                return Err(io::ErrorKind::NotFound.into());
            };
            // What was a file when it was found may be a pipe by now.
            let mut file = open::without_waiting(&real)?;
            let before = file.metadata()?;
            if !before.is_file() {
                return Err(io::ErrorKind::Unsupported.into());
            }
            // Files of a generation are never written again.
            let settles_in = match root.generation {
                Some(_) => Duration::ZERO,
                None => settles_in(&before, SystemTime::now()),
            };
            if !settles_in.is_zero() && start.elapsed() < RETRY_LIMIT {
                drop(file);
                thread::sleep(settles_in);
                continue;
            }
            // The full capacity at once: a buffer that grows leaves copies of the value behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + EXTRA_BYTES));
            (&mut file).take((MAX_BYTES + EXTRA_BYTES) as u64).read_to_end(&mut bytes)?;
            if root.generation.is_some()
                || root.version_id(&file.metadata()?) == root.version_id(&before)
            {
                return Ok(Some((bytes, before)));
            }
            // A file that never settles is read without waiting for as long again.
            if start.elapsed() > 2 * RETRY_LIMIT {
                return Ok(None);
            }
        }
    }

    /// The value that a file's bytes are; `None` if AWS would not accept one of that size.
    fn payload(&self, id: &str, name: &str, mut bytes: Zeroizing<Vec<u8>>) -> Option<Payload> {
        let is_text = !self.names.is_binary(id, name) && std::str::from_utf8(&bytes).is_ok();
        if is_text && self.names.layout() == Layout::Tree {
            let length = without_newline(&bytes).len();
            bytes.truncate(length);
        }
        if bytes.len() > MAX_BYTES {
            return None;
        }
        // A copy of the right size. The large buffer is wiped.
        let bytes = bytes.to_vec();
        Some(match is_text {
            true => String::from_utf8(bytes)
                .map_or_else(|error| Payload::binary(error.into_bytes()), Payload::text),
            false => Payload::binary(bytes),
        })
    }
}

/// Text without one final newline, which editors add.
fn without_newline(text: &[u8]) -> &[u8] {
    match text {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        text => text,
    }
}

#[cfg(test)]
mod tests;

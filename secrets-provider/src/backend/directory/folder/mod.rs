//! Reading the folder: blocking, and of one generation at a time.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use super::error::{self, Failures};
use super::layout::{Layout, Names, OWN_FILE, Place, is_name};
use super::version::{exposed, settles_in, version_id_in};

use crate::error::Error;
use crate::secret::{Fetched, Payload};

/// The link that Kubernetes' volumes swap, and the CSI driver's.
const GENERATION: &str = "..data";

/// For how long a reading is taken up again because the generation was swapped and removed in the middle of it, or
/// because the file changed. A swap comes with a rotation, so once more is plenty; the rest is for storms.
const PATIENCE: Duration = Duration::from_secs(1);

/// The limit of AWS for a secret's value, in bytes:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>.
const MAX_BYTES: usize = 65_536;

/// Reads secrets of a folder under its naming rules. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reader {
    folder: PathBuf,
    names: Arc<Names>,
}

/// A file that others may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposed {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
}

/// What one secret's file came to.
pub(super) struct Reading {
    pub(super) outcome: Result<Fetched, Error>,
    /// As [`Reader::version_id`] would have said before the file was read, or of what was read.
    pub(super) version_id: Option<String>,
    pub(super) exposed: Option<Exposed>,
}

/// The folder as one reading sees it.
struct Root {
    /// Where files are looked for: the folder itself, or its generation's.
    folder: PathBuf,
    /// The folder without links, which nothing may lead out of.
    real: PathBuf,
    /// Where the link of the generation leads, if there is one.
    generation: Option<PathBuf>,
}

impl Root {
    fn find(folder: &Path) -> io::Result<Self> {
        let real = fs::canonicalize(folder)?;
        if !real.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let generation = fs::read_link(real.join(GENERATION)).ok();
        let folder =
            generation.as_ref().map_or_else(|| folder.to_owned(), |target| folder.join(target));
        Ok(Self { folder, real, generation })
    }

    /// Whether the generation is another one by now.
    fn is_past(&self) -> bool {
        self.generation.is_some()
            && fs::read_link(self.real.join(GENERATION)).ok() != self.generation
    }

    fn version_id(&self, metadata: &Metadata) -> String {
        let generation = self.generation.as_ref().and_then(|target| target.file_name()?.to_str());
        version_id_in(generation.map(|name| name.trim_start_matches('.')), metadata)
    }

    /// The file without links, if no link leads out of the folder.
    fn confined(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        Ok(Some(fs::canonicalize(path)?).filter(|path| path.starts_with(&self.real)))
    }
}

impl Reader {
    pub(super) fn new(folder: PathBuf, names: Names) -> Self {
        Self { folder, names: Arc::new(names) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn names_mut(&mut self) -> &mut Names {
        Arc::make_mut(&mut self.names)
    }

    /// The secrets with these names or ARNs, in their order, all of one generation.
    pub(super) fn read(&self, ids: &[String]) -> Vec<Reading> {
        let failed = |error: Error| -> Vec<Reading> {
            let reading = |id| Reading {
                outcome: Err(error.clone().with_secret(id)),
                version_id: None,
                exposed: None,
            };
            ids.iter().map(reading).collect()
        };
        self.whole(
            |root| ids.iter().map(|id| self.read_one(root, id)).collect::<Vec<_>>(),
            |readings| readings.iter().all(|reading| reading.outcome.is_ok()),
        )
        .unwrap_or_else(failed)
    }

    /// The names of the secrets at or below a prefix.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        // A folder that is being removed lists what is left of it.
        let mut names = self.whole(|root| self.list_in(root, prefix), |_| false)??;
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The version id that a secret's file has now, unread; `None` if there is none to see.
    pub(super) fn version_id(&self, id: &str) -> Option<String> {
        let look = |root: &Root| {
            let (_, _, metadata) = self.find(root, id).ok()?;
            Some(root.version_id(&metadata))
        };
        self.whole(look, Option::is_some).ok().flatten()
    }

    /// Does something within one generation. What may be incomplete because the generation was removed meanwhile is
    /// done again with the next.
    fn whole<T>(
        &self,
        work: impl Fn(&Root) -> T,
        complete: impl Fn(&T) -> bool,
    ) -> Result<T, Error> {
        let start = Instant::now();
        loop {
            let root =
                Root::find(&self.folder).map_err(|error| error::no_folder(&self.folder, &error))?;
            let result = work(&root);
            if complete(&result) || !root.is_past() {
                return Ok(result);
            }
            if start.elapsed() > PATIENCE {
                return Err(error::swapping(&self.folder, PATIENCE));
            }
        }
    }

    fn read_one(&self, root: &Root, id: &str) -> Reading {
        let mut reading =
            Reading { outcome: Err(error::changing(id)), version_id: None, exposed: None };
        let found = self.find(root, id);
        let (place, path, metadata) = match found {
            Ok(found) => found,
            Err(error) => return Reading { outcome: Err(error.with_secret(id)), ..reading },
        };
        reading.version_id = Some(root.version_id(&metadata));
        // A mount is a memory file system that one pod sees, and its driver says which modes it has.
        if root.generation.is_none() && self.names.layout() == Layout::Tree {
            reading.exposed = exposed(&metadata).map(|mode| Exposed { path: path.clone(), mode });
        }
        reading.outcome = self
            .content(root, &path)
            .map_err(|error| {
                Failures { names: &self.names, folder: &root.folder, id }.unreadable(&path, &error)
            })
            .and_then(|content| content.ok_or_else(|| error::changing(id)))
            .and_then(|(bytes, metadata)| {
                let payload = self
                    .payload(id, &place.name, bytes)
                    .ok_or_else(|| error::too_large(&path, MAX_BYTES))?;
                Ok(Fetched::new(place.name, root.version_id(&metadata), payload))
            })
            .map_err(|error| error.with_secret(id));
        if let Ok(secret) = &reading.outcome {
            reading.version_id = Some(secret.version_id().to_owned());
        }
        reading
    }

    /// The file that a secret is in, its path as it is shown, and what the file system says of it.
    fn find(&self, root: &Root, id: &str) -> Result<(Place, PathBuf, Metadata), Error> {
        let failures = Failures { names: &self.names, folder: &root.folder, id };
        let mut missing = None;
        for place in self.names.places(id)? {
            let mut path = root.folder.join(&place.path);
            let mut found = fs::metadata(&path);
            if self.names.layout() == Layout::Tree && found.as_ref().is_ok_and(Metadata::is_dir) {
                path.push(OWN_FILE);
                found = fs::metadata(&path);
            }
            match found {
                Ok(metadata) if metadata.is_file() => {
                    return match root.confined(&path) {
                        Ok(Some(_)) => Ok((place, path, metadata)),
                        Ok(None) => Err(failures.leads_out(&path)),
                        Err(error) => Err(failures.unreadable(&path, &error)),
                    };
                }
                Ok(metadata) => return Err(failures.no_file(&path, &metadata)),
                Err(error) => missing = Some(failures.unreadable(&path, &error)),
            }
        }
        Err(missing
            .unwrap_or_else(|| failures.unreadable(&root.folder, &io::ErrorKind::NotFound.into())))
    }

    /// What a file holds, and what the file system says of exactly that; `None` if it changes all the time.
    fn content(
        &self,
        root: &Root,
        path: &Path,
    ) -> io::Result<Option<(Zeroizing<Vec<u8>>, Metadata)>> {
        let start = Instant::now();
        loop {
            // Opened by the path without links, which was found to be within the folder.
            let Some(real) = root.confined(path)? else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let mut file = File::open(real)?;
            let before = file.metadata()?;
            // Files of a generation are never written again.
            let settles_in = match root.generation {
                Some(_) => Duration::ZERO,
                None => settles_in(&before, SystemTime::now()),
            };
            if !settles_in.is_zero() && start.elapsed() < PATIENCE {
                drop(file);
                thread::sleep(settles_in);
                continue;
            }
            // Room for all of it, so that no copy of the value is left behind by growing.
            let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + NEWLINE_AND_MORE));
            (&mut file).take((MAX_BYTES + NEWLINE_AND_MORE) as u64).read_to_end(&mut bytes)?;
            if root.generation.is_some()
                || root.version_id(&file.metadata()?) == root.version_id(&before)
            {
                return Ok(Some((bytes, before)));
            }
            // One that never settles is tried for as long again without that.
            if start.elapsed() > 2 * PATIENCE {
                return Ok(None);
            }
        }
    }

    /// `None` if it is more than AWS would take.
    fn payload(&self, id: &str, name: &str, mut bytes: Zeroizing<Vec<u8>>) -> Option<Payload> {
        let text = !self.names.is_binary(id, name) && std::str::from_utf8(&bytes).is_ok();
        if text && self.names.layout() == Layout::Tree {
            let length = without_newline(&bytes).len();
            bytes.truncate(length);
        }
        if bytes.len() > MAX_BYTES {
            return None;
        }
        // A copy of the right size; the larger one is wiped.
        let bytes = bytes.to_vec();
        Some(match text {
            true => String::from_utf8(bytes)
                .map_or_else(|error| Payload::binary(error.into_bytes()), Payload::text),
            false => Payload::binary(bytes),
        })
    }

    fn list_in(&self, root: &Root, prefix: &str) -> Result<Vec<String>, Error> {
        let failures = Failures { names: &self.names, folder: &root.folder, id: prefix };
        let path = self.names.path(prefix, prefix)?;
        if self.names.layout() == Layout::Mounted {
            let files =
                entries(&root.folder).map_err(|error| failures.unreadable(&root.folder, &error))?;
            let files =
                files.iter().filter(|entry| !entry.path.is_dir()).map(|entry| entry.name.as_str());
            return Ok(self.names.mounted(prefix, &files.collect::<Vec<_>>()));
        }
        let path = root.folder.join(path);
        let mut names = Vec::new();
        let walked = fs::metadata(&path).and_then(|metadata| match metadata.is_dir() {
            true => Walk { root, ancestors: Vec::new(), names: &mut names }.folder(&path, prefix),
            false => {
                names.push(prefix.to_owned());
                Ok(())
            }
        });
        let names = self.names.aliased(prefix, names, |file| root.folder.join(file).exists());
        match walked {
            Err(error) if names.is_empty() || error.kind() != io::ErrorKind::NotFound => {
                Err(failures.unreadable(&path, &error))
            }
            _ => Ok(names),
        }
    }
}

/// A walk through a tree that takes down names.
struct Walk<'a> {
    root: &'a Root,
    /// The folders it is in, without links: one that leads back into them would have no end.
    ancestors: Vec<PathBuf>,
    names: &'a mut Vec<String>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, name: &str) -> io::Result<()> {
        match self.root.confined(folder)? {
            Some(real) if self.ancestors.contains(&real) => return Ok(()),
            Some(real) => self.ancestors.push(real),
            // Whoever reads it is told why it cannot be.
            None => {
                self.names.push(name.to_owned());
                return Ok(());
            }
        }
        for entry in entries(folder)? {
            if entry.name == OWN_FILE {
                self.names.push(name.to_owned());
            } else if is_name(&entry.name) {
                let name = format!("{name}/{}", entry.name);
                match fs::metadata(&entry.path) {
                    Ok(metadata) if metadata.is_dir() => self.folder(&entry.path, &name)?,
                    // It went between listing and looking. A link that leads nowhere stays, to be told of.
                    Err(_) if fs::symlink_metadata(&entry.path).is_err() => {}
                    _ => self.names.push(name),
                }
            }
        }
        self.ancestors.pop();
        Ok(())
    }
}

/// An entry of a folder whose name is text.
pub(super) struct Entry {
    pub(super) name: String,
    path: PathBuf,
}

pub(super) fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(Entry { name, path: entry.path() });
        }
    }
    Ok(entries)
}

/// How much more than a value is read: the longest newline, and a byte that tells that there is more.
const NEWLINE_AND_MORE: usize = 3;

/// Text without the one newline that editors put at its end.
fn without_newline(text: &[u8]) -> &[u8] {
    match text {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        text => text,
    }
}

#[cfg(test)]
mod tests;

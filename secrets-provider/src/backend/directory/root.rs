//! The folder as one read sees it: one generation of it, without links that lead out.
//!
//! The volumes of Kubernetes and of the CSI driver replace all files at once by swapping the link
//! `..data`. A [`Root`] is made for each read and remembers where that link leads, so that
//! `folder` can tell whether its files are of one generation. Every path goes through
//! [`Root::confined`] before it is opened.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::version::version_id_in;

/// The link that volumes of Kubernetes and of the CSI driver swap.
pub(super) const GENERATION: &str = "..data";

/// The folder as one read sees it.
pub(super) struct Root {
    /// Where files are looked for: the folder itself, or that of its generation.
    pub(super) folder: PathBuf,
    /// The target of the generation's link, if there is one.
    pub(super) generation: Option<PathBuf>,
    /// The folder with its links resolved. No path may lead out of it.
    real: PathBuf,
}

impl Root {
    pub(super) fn find(folder: &Path) -> io::Result<Self> {
        let real = fs::canonicalize(folder)?;
        if !real.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let generation = fs::read_link(real.join(GENERATION)).ok();
        let folder =
            generation.as_ref().map_or_else(|| folder.to_owned(), |target| folder.join(target));
        Ok(Self { folder, generation, real })
    }

    /// Whether another generation has replaced this one.
    pub(super) fn is_past(&self) -> bool {
        self.generation.is_some()
            && fs::read_link(self.real.join(GENERATION)).ok() != self.generation
    }

    pub(super) fn version_id(&self, metadata: &Metadata) -> String {
        let generation = self.generation.as_ref().and_then(|target| target.file_name()?.to_str());
        version_id_in(generation.map(|name| name.trim_start_matches('.')), metadata)
    }

    /// The path with its links resolved, or `None` if they lead out of the folder.
    pub(super) fn confined(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        Ok(Some(fs::canonicalize(path)?).filter(|path| path.starts_with(&self.real)))
    }
}

/// An entry of a folder.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// The entries of a folder whose names are UTF-8. Names of secrets are ASCII.
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

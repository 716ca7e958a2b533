//! Which secrets are at or below a prefix: a walk through a tree, or the files of a mount.
//!
//! `Directory` calls it for each listing. The walk is on a thread that may block, ends once no one
//! waits for it, and is of one generation: a mount that is swapped meanwhile is walked again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Folder;
use crate::backend::directory::error::Failures;
use crate::backend::directory::layout::{Layout, OWN_FILE, is_name};
use crate::backend::directory::root::{Root, entries};
use crate::error::Error;

impl Folder {
    /// The names of the secrets at or below a prefix.
    pub(in super::super) fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        // A folder that is being removed only lists the files that are left, so a listing is never
        // complete while the generation changes.
        let mut names = self.in_one_generation(|root| self.list_in(root, prefix), |_| false)??;
        names.sort();
        names.dedup();
        Ok(names)
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
            true => {
                let ancestors = Vec::new();
                Walk { of: self, root, ancestors, names: &mut names }.folder(&path, prefix)
            }
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

/// A walk through a tree that collects names.
struct Walk<'a> {
    of: &'a Folder,
    root: &'a Root,
    /// The folders that the walk is in, with links resolved. A link back into one of them is not
    /// followed, because the walk would never end.
    ancestors: Vec<PathBuf>,
    names: &'a mut Vec<String>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, name: &str) -> io::Result<()> {
        // Links between folders make exponentially many paths.
        if self.of.is_stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.root.confined(folder)? {
            Some(real) if self.ancestors.contains(&real) => return Ok(()),
            Some(real) => self.ancestors.push(real),
            // Listed, so that reading it fails with the reason.
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
                    // Removed since the folder was listed. A link without a target is still there,
                    // and is listed so that reading it fails with the reason.
                    Err(_) if fs::symlink_metadata(&entry.path).is_err() => {}
                    _ => self.names.push(name),
                }
            }
        }
        self.ancestors.pop();
        Ok(())
    }
}

//! The search for the programs of servers.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders in which Debian and Red Hat install packages, by version.
const PACKAGES: [&str; 2] = ["/usr/lib/postgresql", "/usr"];

/// Debian keeps servers out of the `PATH` of most users.
#[cfg(any(feature = "mariadb", feature = "redis"))]
const FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/bin"];

/// Searches the `PATH` and Debian's folders for a program of this package.
#[cfg(any(feature = "mariadb", feature = "redis"))]
pub(crate) fn find(name: &str, package: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file()).ok_or_else(|| {
        let message = format!("no `{name}` in PATH: apt-get install {package}");
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// Those of PostgreSQL, which lie in folders of their version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) initdb: PathBuf,
    pub(crate) postgres: PathBuf,
}

impl Programs {
    /// Searches the `PATH`, then the folder that `pg_config` names, then the newest package.
    pub(crate) fn find() -> io::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::among(std::env::split_paths(&path).chain(named_by_pg_config()).chain(packaged()))
    }

    fn among(folders: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        folders
            .into_iter()
            .map(|folder| Self { initdb: folder.join("initdb"), postgres: folder.join("postgres") })
            .find(|programs| programs.initdb.is_file() && programs.postgres.is_file())
            .ok_or_else(|| {
                let message = "no `initdb` and `postgres` in PATH, by `pg_config` or in /usr/lib/postgresql: \
                               apt-get install postgresql";
                io::Error::new(io::ErrorKind::NotFound, message)
            })
    }
}

fn named_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn packaged() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = PACKAGES
        .iter()
        .flat_map(|folder| Path::new(folder).read_dir().into_iter().flatten().flatten())
        .filter_map(|entry| Some((version(&entry.file_name())?, entry.path().join("bin"))))
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The major version in the name of a folder: `15`, `pgsql-16`.
fn version(name: &OsStr) -> Option<u32> {
    let name = name.to_str()?;
    name.strip_prefix("pgsql-").unwrap_or(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_reported_with_the_command_that_installs_them() {
        let error = Programs::among([PathBuf::from("/nowhere")]).expect_err("nothing is there");
        assert!(error.to_string().ends_with("apt-get install postgresql"), "{error}");
    }

    #[test]
    fn the_name_of_a_package_folder_gives_its_version() {
        let versions = ["15", "pgsql-9", "lib", "9.6"].map(|name| version(OsStr::new(name)));
        assert_eq!(versions, [Some(15), Some(9), None, None]);
    }
}

//! What failed, which file was looked for, and what to do about it. Names paths, never content.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::layout::{Layout, Names, OWN_FILE, is_name};
use super::folder::entries;
use crate::error::{Error, ErrorKind};

/// How many names to offer in place of one that is not there.
const OFFERED: usize = 3;

/// The failures of looking for one secret, or for those below a prefix.
pub(super) struct Failures<'a> {
    pub(super) names: &'a Names,
    pub(super) folder: &'a Path,
    /// The name, ARN or prefix.
    pub(super) id: &'a str,
}

/// The folder itself cannot be opened.
pub(super) fn no_folder(folder: &Path, error: &io::Error) -> Error {
    let shown = folder.display();
    let hint = match std::env::current_dir() {
        Ok(current) if folder.is_relative() => {
            format!(
                "the path is taken from the working directory, which is `{}`",
                current.display()
            )
        }
        _ => "create it, or give the folder that holds the secrets".to_owned(),
    };
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("there is no folder `{shown}`")).with_hint(hint)
        }
        io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::NotFound, format!("`{shown}` is a file, not a folder"))
                .with_hint(hint)
        }
        _ => unreadable(folder, error),
    }
}

/// A mount whose generations came and went faster than they could be read.
pub(super) fn swapping(folder: &Path, patience: Duration) -> Error {
    let message = format!(
        "`{}` was swapped again and again for {patience:?} while it was read",
        folder.display()
    );
    Error::new(ErrorKind::Unavailable, message)
}

/// A file that was never the same before and after it was read.
pub(super) fn changing(id: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("secret `{id}`: its file changed each time it was read"),
    )
}

/// More than a secret can hold.
pub(super) fn too_large(path: &Path, limit: usize) -> Error {
    Error::new(ErrorKind::Malformed, format!("`{}` holds more than {limit} bytes", path.display()))
        .with_hint("no secret of AWS Secrets Manager can be as large")
}

impl Failures<'_> {
    pub(super) fn unreadable(&self, path: &Path, error: &io::Error) -> Error {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => {
                Error::new(ErrorKind::NotFound, format!("`{shown}` is a link that leads nowhere"))
            }
            io::ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                format!("secret `{}`: there is no file `{shown}`", self.id),
            )
            .with_hint(self.advice(path)),
            io::ErrorKind::NotADirectory => Error::new(
                ErrorKind::NotFound,
                format!(
                    "secret `{}`: there is no file `{shown}`, as it would be in a file",
                    self.id
                ),
            )
            .with_hint(format!("a secret that is a folder too is the file `{OWN_FILE}` in it")),
            _ => unreadable(path, error),
        }
    }

    /// It is there, but nothing that can be read as a file.
    pub(super) fn no_file(&self, path: &Path, metadata: &Metadata) -> Error {
        let shown = path.display();
        if metadata.is_dir() {
            let error = Error::new(
                ErrorKind::NotFound,
                format!("secret `{}`: `{shown}` is a folder", self.id),
            );
            return match self.names.layout() {
                Layout::Tree => error,
                Layout::Mounted => error.with_hint("for files in folders, use `Directory::new`"),
            };
        }
        Error::new(
            ErrorKind::Malformed,
            format!("secret `{}`: `{shown}` is no regular file", self.id),
        )
    }

    pub(super) fn leads_out(&self, path: &Path) -> Error {
        Error::new(
            ErrorKind::Config,
            format!(
                "secret `{}`: `{}` leads out of the folder of the secrets",
                self.id,
                path.display()
            ),
        )
        .with_hint("copy the file into the folder in place of the link")
    }

    /// What there is in place of a file that is not there.
    fn advice(&self, path: &Path) -> String {
        if path.file_name().is_some_and(|name| name == OWN_FILE)
            && let Some(folder) = path.parent()
        {
            return format!(
                "`{}` is a folder, and the secret named as it is its file `{OWN_FILE}`",
                folder.display()
            );
        }
        let folder = path.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(self.folder);
        let missing = path.strip_prefix(folder).ok().and_then(|rest| rest.iter().next()?.to_str());
        let (shown, missing) = (folder.display(), missing.unwrap_or_default());
        let names = entries(folder).unwrap_or_default().into_iter().map(|entry| entry.name);
        let nearest = nearest(missing, names.filter(|name| is_name(name)).collect());
        if nearest.is_empty() {
            return format!("`{shown}` holds no secrets");
        }
        let extension = nearest
            .iter()
            .any(|name| name.strip_prefix(missing).is_some_and(|e| e.starts_with('.')));
        let listed = nearest.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let rule =
            if extension { "; a file is named as its secret, without an extension" } else { "" };
        format!("`{shown}` holds {listed}{rule}")
    }
}

/// Whatever else the operating system says; its own words hold no content.
fn unreadable(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::AccessDenied, format!("`{shown}` may not be read by this user")).with_hint(
                "let the user that runs this read the file (chmod, chown) and enter the folders above it",
            )
        }
        kind => Error::new(ErrorKind::Unavailable, format!("`{shown}` cannot be read: {kind}")),
    }
}

/// The names most like one, most like first: those that continue it, then by the changes it takes.
fn nearest(name: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|other| {
        (!other.starts_with(name), distance(name, other), other.clone())
    });
    names.truncate(OFFERED);
    names
}

/// How many bytes must be added, dropped or replaced to make one name the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("database", "databse", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        let names = ["jwt-secret", "smtp", "databse", "database.json", "x"].map(str::to_owned);
        assert_eq!(nearest("database", names.to_vec()), ["database.json", "databse", "smtp"]);
    }

    #[test]
    fn what_the_system_says_has_a_kind_and_advice() {
        let folder = Path::new("/nowhere");
        let names = Names::new(Layout::Tree);
        let failures = Failures { names: &names, folder, id: "app/db" };
        for (error, kind, hint) in [
            (io::ErrorKind::PermissionDenied, ErrorKind::AccessDenied, true),
            (io::ErrorKind::NotFound, ErrorKind::NotFound, true),
            (io::ErrorKind::NotADirectory, ErrorKind::NotFound, true),
            (io::ErrorKind::TimedOut, ErrorKind::Unavailable, false),
        ] {
            let error = failures.unreadable(&folder.join("app/db"), &error.into());
            assert_eq!((error.kind(), error.hint().is_some()), (kind, hint), "{error}");
            assert!(error.to_string().contains("/nowhere/app/db"), "{error}");
        }
        for (error, kind) in [
            (io::ErrorKind::PermissionDenied, ErrorKind::AccessDenied),
            (io::ErrorKind::NotFound, ErrorKind::NotFound),
            (io::ErrorKind::NotADirectory, ErrorKind::NotFound),
        ] {
            let error = no_folder(Path::new("secrets"), &error.into());
            assert_eq!(error.kind(), kind);
            assert!(error.hint().is_some() && error.to_string().contains("`secrets`"), "{error}");
        }
    }
}

//! The errors of a [`Directory`](super::Directory): what failed, which file was looked for, and
//! what to do about it.
//!
//! They name paths, never content. Of the operating system's errors only the kind is kept.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::layout::{Layout, Names, OWN_FILE, is_name};
use super::root::entries;
use crate::error::{Error, ErrorKind};

/// How many existing names a hint lists when a file is missing.
const MAX_SUGGESTIONS: usize = 3;

/// Errors about one secret, or about those below a prefix.
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
                "the path is relative to the working directory, which is `{}`",
                current.display()
            )
        }
        _ => "create it, or give the folder that contains the secrets".to_owned(),
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

/// The generations of a mount were replaced faster than they could be read.
pub(super) fn swapping(folder: &Path, retried_for: Duration) -> Error {
    let message = format!(
        "`{}` was replaced again each time it was read, for {retried_for:?}",
        folder.display()
    );
    Error::new(ErrorKind::Unavailable, message)
}

/// A file was never the same before and after it was read.
pub(super) fn changing(id: &str) -> Error {
    let message = format!("secret `{id}`: its file changed each time it was read");
    Error::new(ErrorKind::Unavailable, message)
}

/// A file has no value, or not yet.
pub(super) fn empty(id: &str, path: &Path) -> Error {
    let message = format!("secret `{id}`: `{}` is empty", path.display());
    Error::new(ErrorKind::Unavailable, message).with_hint(
        "AWS has no empty secrets; write the value to another file and rename that one, so that no \
         half-written file is read",
    )
}

/// A file is larger than a secret can be.
pub(super) fn too_large(path: &Path, limit: usize) -> Error {
    let message = format!("`{}` is larger than {limit} bytes", path.display());
    Error::new(ErrorKind::Malformed, message)
        .with_hint("AWS Secrets Manager does not accept larger secrets either")
}

/// The thread that reads files was stopped, which only happens when the runtime shuts down.
pub(super) fn interrupted() -> Error {
    Error::new(ErrorKind::Unavailable, "reading the folder was interrupted")
        .with_hint("the tokio runtime is shutting down")
}

impl Failures<'_> {
    pub(super) fn unreadable(&self, path: &Path, error: &io::Error) -> Error {
        let (id, shown) = (self.id, path.display());
        match error.kind() {
            io::ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => Error::new(
                ErrorKind::NotFound,
                format!("`{shown}` is a link, and its target does not exist"),
            ),
            io::ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                format!("secret `{id}`: there is no file `{shown}`"),
            )
            .with_hint(self.advice(path)),
            io::ErrorKind::NotADirectory => Error::new(
                ErrorKind::NotFound,
                format!("secret `{id}`: `{shown}` cannot exist, because it would be inside a file"),
            )
            .with_hint(format!(
                "if a name is both a secret and a folder, the secret is the file `{OWN_FILE}` in it"
            )),
            io::ErrorKind::Unsupported => self.not_regular(path),
            _ => unreadable(path, error),
        }
    }

    fn not_regular(&self, path: &Path) -> Error {
        let message = format!("secret `{}`: `{}` is not a regular file", self.id, path.display());
        Error::new(ErrorKind::Malformed, message)
    }

    /// The path exists, but is not a file that can be read.
    pub(super) fn not_a_file(&self, path: &Path, metadata: &Metadata) -> Error {
        let (id, shown) = (self.id, path.display());
        if !metadata.is_dir() {
            return self.not_regular(path);
        }
        let message = format!("secret `{id}`: `{shown}` is a folder");
        let error = Error::new(ErrorKind::NotFound, message);
        match self.names.layout() {
            Layout::Tree => error,
            Layout::Mounted => error.with_hint("for files in folders, use `Directory::new`"),
        }
    }

    pub(super) fn leads_out(&self, path: &Path) -> Error {
        let (id, shown) = (self.id, path.display());
        let message = format!("secret `{id}`: a link in `{shown}` leads out of the folder");
        Error::new(ErrorKind::Config, message).with_hint("replace the link with a copy of the file")
    }

    /// What exists instead of a missing file.
    fn advice(&self, path: &Path) -> String {
        if path.file_name().is_some_and(|name| name == OWN_FILE)
            && let Some(folder) = path.parent()
        {
            return format!(
                "`{}` is a folder, so the secret of that name is the file `{OWN_FILE}` in it",
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
        let has_extension = nearest
            .iter()
            .any(|name| name.strip_prefix(missing).is_some_and(|rest| rest.starts_with('.')));
        let rule = match has_extension {
            true => "; a file has exactly the name of its secret, without an extension",
            false => "",
        };
        let listed = nearest.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!("`{shown}` holds {listed}{rule}")
    }
}

/// Any other error of the operating system.
fn unreadable(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let message = format!("the user of this process may not read `{shown}`");
            Error::new(ErrorKind::AccessDenied, message).with_hint(
                "let that user read the file and enter the folders above it (chmod, chown)",
            )
        }
        kind => Error::new(ErrorKind::Unavailable, format!("`{shown}` cannot be read: {kind}")),
    }
}

/// The names that are most like one: those that continue it first, then by edit distance.
fn nearest(name: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|other| {
        (!other.starts_with(name), strsim::levenshtein(name, other), other.clone())
    });
    names.truncate(MAX_SUGGESTIONS);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_continue_the_missing_one_come_first_then_the_nearest() {
        let names = ["jwt-secret", "smtp", "databse", "database.json", "x"].map(str::to_owned);
        assert_eq!(nearest("database", names.to_vec()), ["database.json", "databse", "smtp"]);
    }

    #[test]
    fn errors_of_the_system_get_a_kind_and_a_hint() {
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

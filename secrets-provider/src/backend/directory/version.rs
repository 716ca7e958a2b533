//! A file's version id: from its metadata, never from its content.
//!
//! An id must differ for any two values of a file, and must not say anything about the value. So it
//! is made of times and the inode, and a file that has just changed is first left to settle: within
//! one tick of the file system's clock, two changes have one time.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// How long after a change the next one may still get the same time. File systems use the kernel's
/// coarse clock, which ticks at least every 10 ms.
const SETTLED_AFTER: Duration = Duration::from_millis(20);

/// The version id of a file: its modification time, change time and inode. Programs cannot set the
/// change time, so it shows an edit that restores the modification time; the inode shows a
/// replacement. The size is left out, because it says something about the secret.
#[cfg(unix)]
pub(super) fn version_id(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    let modified = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
    let changed = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
    format!("{modified:x}-{changed:x}-{:x}", metadata.ino())
}

/// The version id of a file: its modification time and creation time.
#[cfg(not(unix))]
pub(super) fn version_id(metadata: &Metadata) -> String {
    let nanoseconds = |time: std::io::Result<SystemTime>| {
        let since = time.ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.unwrap_or_default().as_nanos()
    };
    format!("{:x}-{:x}", nanoseconds(metadata.modified()), nanoseconds(metadata.created()))
}

/// The version id of a file in a generation of a mount. The generation's folder is part of it,
/// because inodes are reused.
pub(super) fn version_id_in(generation: Option<&str>, metadata: &Metadata) -> String {
    match generation {
        Some(generation) => format!("{generation}-{}", version_id(metadata)),
        None => version_id(metadata),
    }
}

/// How long to wait until another change is sure to give another version id. Zero if the last
/// change is old enough, or has a time from a clock that is ahead of ours.
pub(super) fn settles_in(metadata: &Metadata, now: SystemTime) -> Duration {
    let age = changed(metadata).and_then(|changed| now.duration_since(changed).ok());
    age.map_or(Duration::ZERO, |age| SETTLED_AFTER.saturating_sub(age))
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt as _;
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    let nanoseconds = Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?);
    Some(SystemTime::UNIX_EPOCH + seconds + nanoseconds)
}

#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

/// The file's mode, if others than its owner and group may read it.
#[cfg(unix)]
pub(super) fn exposed(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o004 != 0).then_some(mode)
}

/// There are no modes on this system.
#[cfg(not(unix))]
pub(super) fn exposed(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};
    use std::path::Path;
    use std::thread;

    use super::*;

    fn of(path: &Path) -> String {
        let metadata = fs::metadata(path).expect("a file");
        // As in a read, a file that has just changed settles first.
        thread::sleep(settles_in(&metadata, SystemTime::now()));
        version_id(&fs::metadata(path).expect("a file"))
    }

    type Change = fn(&Path);

    #[test]
    fn every_change_of_a_file_gives_it_another_id() {
        let changes: [(&str, Change); 6] = [
            ("another value", |path| fs::write(path, "other").expect("a write")),
            ("a value of the same length", |path| fs::write(path, "fourth").expect("a write")),
            ("the same value", |path| fs::write(path, "secret").expect("a write")),
            ("a replacement", |path| {
                let new = path.with_extension("new");
                fs::write(&new, "secret").expect("a write");
                fs::rename(new, path).expect("a rename");
            }),
            ("an edit that sets the time back", |path| {
                let modified =
                    fs::metadata(path).and_then(|metadata| metadata.modified()).expect("a time");
                fs::write(path, "fourth").expect("a write");
                let file = File::options().write(true).open(path).expect("a file");
                file.set_times(FileTimes::new().set_modified(modified)).expect("a time set");
            }),
            ("a removal and a new file", |path| {
                fs::remove_file(path).expect("a removal");
                fs::write(path, "secret").expect("a write");
            }),
        ];
        for (what, change) in changes {
            // Other systems only have the modification time.
            if cfg!(not(unix)) && what.contains("back") {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("database");
            fs::write(&path, "secret").expect("a write");
            let before = of(&path);
            assert_eq!(of(&path), before, "nothing changed");
            change(&path);
            assert_ne!(of(&path), before, "{what}");
        }
    }

    #[test]
    fn only_a_recent_change_is_waited_for_and_only_briefly() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("database");
        fs::write(&path, "secret").expect("a write");
        let metadata = fs::metadata(&path).expect("a file");
        let changed = changed(&metadata).expect("a time");
        let ms = Duration::from_millis;
        for (now, wait) in [
            (changed, ms(20)),
            (changed + ms(15), ms(5)),
            (changed + ms(20), ms(0)),
            (changed + ms(60_000), ms(0)),
            // The clock of a file server is ahead.
            (changed - ms(60_000), ms(0)),
        ] {
            assert_eq!(settles_in(&metadata, now), wait);
        }
    }

    #[test]
    fn a_generation_is_part_of_the_id() {
        let folder = tempfile::tempdir().expect("a folder");
        let metadata = fs::metadata(folder.path()).expect("a folder");
        let id = version_id_in(Some("2024_11_22"), &metadata);
        assert_eq!(id, format!("2024_11_22-{}", version_id_in(None, &metadata)));
    }

    #[cfg(unix)]
    #[test]
    fn a_mode_that_lets_others_read_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("database");
        fs::write(&path, "secret").expect("a write");
        for (mode, expected) in [
            (0o600, None),
            (0o640, None),
            (0o400, None),
            (0o642, None),
            (0o644, Some(0o644)),
            (0o604, Some(0o604)),
            (0o777, Some(0o777)),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(exposed(&fs::metadata(&path).expect("a file")), expected, "{mode:o}");
        }
    }
}

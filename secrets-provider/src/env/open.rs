//! Opens files without waiting: opening a pipe normally waits for its other end, and a path may
//! become a pipe between a look at it and the opening. So a file is opened first, and what was
//! opened is looked at afterwards. `dotenv` and the backend for folders open files here.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens for reading, and never waits. A read of a pipe may return `WouldBlock`.
pub(crate) fn without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(libc::O_NONBLOCK);
    }
    options.open(path)
}

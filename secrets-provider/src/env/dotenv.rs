//! Finds and parses a `.env` file without touching the process environment.
//!
//! The grammar is dotenvy's (`export`, comments, quotes, `$NAME`), so that a file keeps its
//! meaning. The layers, the switches and figment's `Dotenv` call [`read`]; the fuzzer calls
//! [`parse`].
//!
//! dotenvy's errors quote the line, which may hold a secret. Only the line's number is kept.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::{Zeroize as _, Zeroizing};

use super::bad_file::{BadFile, MARK, bad_line};
use super::off_thread::reading;
use super::open;
use crate::error::{Error, ErrorKind};
use crate::tree::encoding;

/// For how long a pipe may bring nothing. It bounds what a missing writer costs.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long a pipe may bring something.
const MAX_PIPE_TIME: Duration = Duration::from_secs(30);
const PIPE_POLL: Duration = Duration::from_millis(5);
/// How much is read from a pipe or a device, which may have no end.
const MAX_PIPED_BYTES: usize = 64 << 20;

/// The variables of a file, in order. A repeated name counts once, with its first value, as when
/// dotenvy loads the file. A file that does not exist has no variables.
///
/// # Errors
///
/// `Invalid` if the file cannot be read or a line is not an assignment. The error names the file
/// and the line and shows no content.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let Some(found) = find(path) else {
        return Ok(Vec::new());
    };
    let content = match reading(&found, || content(&found)) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let message =
                format!("`{}` is a pipe, and no one wrote to it for {PATIENCE:?}", found.display());
            return Err(Error::new(ErrorKind::Invalid, message).with_hint(
                "start the program that writes to it first, or write the variables to a file",
            ));
        }
        Err(error) => {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("cannot read `{}`: {}", found.display(), error.kind()),
            ));
        }
    };
    parse(&content).map_err(|bad| {
        let (message, hint) = bad.explained(&found.display().to_string());
        Error::new(ErrorKind::Invalid, message).with_hint(hint)
    })
}

/// The same, but a pipe has no variables: it can be read only once, and is left to the layers.
///
/// # Errors
///
/// Those of [`read`].
#[cfg(feature = "aws")]
pub(crate) fn read_if_file(path: &Path) -> Result<Vec<(String, String)>, Error> {
    match find(path) {
        Some(found) if found.is_file() => read(&found),
        _ => Ok(Vec::new()),
    }
}

/// An absolute path as it is; a relative one in the working directory or its nearest parent, where
/// dotenvy and figment's file providers look too. A folder of that name is not it (Python's virtual
/// environments have one); a pipe is, and a link in a circle, so that reading it says why it fails.
pub(crate) fn find(path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let here = std::env::current_dir().ok()?;
    let is_there = |candidate: &PathBuf| match std::fs::metadata(candidate) {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
        ),
    };
    here.ancestors().map(|folder| folder.join(path)).find(is_there)
}

/// What a file or a pipe holds. A pipe is read to its end, for as long as something comes.
fn content(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = open::without_waiting(path)?;
    let metadata = file.metadata()?;
    let size = if metadata.is_file() { usize::try_from(metadata.len()).unwrap_or(0) } else { 0 };
    let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
    if metadata.is_file() || metadata.is_dir() {
        file.read_to_end(&mut content)?;
        return Ok(content);
    }
    let mut buffer = Zeroizing::new([0; 8192]);
    let begun = Instant::now();
    let mut last = begun;
    while content.len() <= MAX_PIPED_BYTES {
        match file.read(&mut buffer[..]) {
            // Without a writer, a pipe is at its end before it began.
            Ok(0) if !content.is_empty() || !is_pipe(&metadata) => return Ok(content),
            Ok(count) if count > 0 => {
                content.extend_from_slice(&buffer[..count]);
                last = Instant::now();
            }
            Ok(_) => thread::sleep(PIPE_POLL),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PIPE_POLL),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if begun.elapsed() > MAX_PIPE_TIME {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if last.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Err(io::ErrorKind::FileTooLarge.into())
}

#[cfg(unix)]
fn is_pipe(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
}

/// The assignments, or why there are none.
pub(crate) fn parse(content: &[u8]) -> Result<Vec<(String, String)>, BadFile> {
    if let Some(encoding) = encoding::foreign(content) {
        return Err(BadFile::Encoding(encoding));
    }
    let content = content.strip_prefix(MARK).unwrap_or(content);
    let lines = Rc::new(Cell::new(0));
    let reader = LineByLine { rest: content, left: 0, lines: lines.clone() };
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut names = HashSet::new();
    for variable in dotenvy::from_read_iter(reader) {
        match variable {
            Ok((name, value)) if names.insert(name.clone()) => variables.push((name, value)),
            Ok((_, mut value)) => value.zeroize(),
            Err(_) => {
                variables.iter_mut().for_each(|(_, value)| value.zeroize());
                return Err(bad_line(content, lines.get()));
            }
        }
    }
    Ok(variables)
}

/// Returns one line per call of `read`, so that counting calls gives dotenvy's line number. The end
/// of each line is looked for once, however many reads it takes.
struct LineByLine<'a> {
    rest: &'a [u8],
    /// How much of the current line is left.
    left: usize,
    lines: Rc<Cell<usize>>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            self.left = end.map_or(self.rest.len(), |at| at + 1);
        }
        let count = self.left.min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.left -= count;
        if count > 0 && self.left == 0 {
            self.lines.set(self.lines.get() + 1);
        }
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_mean_to_dotenvy() {
        let content = "\u{feff}A=1\n# comment\nexport B = two # tail\nC='si#ngle $A'\n\
                       D=\"x\\ny\"\nE=\"multi\nline\"\nF=\nG=${A}-$B\nA=again\n";
        let variables = parse(content.as_bytes()).expect("a good file");
        let expected = [
            ("A", "1"),
            ("B", "two"),
            ("C", "si#ngle $A"),
            ("D", "x\ny"),
            ("E", "multi\nline"),
            ("F", ""),
            ("G", "1-two"),
        ];
        let expected: Vec<_> = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(variables, expected);
    }

    #[test]
    fn an_error_names_the_line() {
        for (content, line) in [
            ("A=1\nhunter2\n", 2),
            ("A=1\r\n\r\nB hunter2\r\n", 3),
            ("A=hunter 2", 1),
            ("A=1\nB=\"x\ny\"\nC=hunter\\x\n", 4),
            (&format!("A={}\nbad line\n", "x".repeat(100_000)), 2),
        ] {
            let bad = Err(BadFile::Line(line));
            assert_eq!(parse(content.as_bytes()), bad, "{}", content.len());
        }
    }

    #[test]
    fn an_error_names_the_encoding() {
        for (content, bad) in [
            (&b"\xff\xfeA\0=\x001\0"[..], BadFile::Encoding("UTF-16")),
            (b"\xfe\xff\0A\0=\x001", BadFile::Encoding("UTF-16")),
            (b"A\0=\x001\0", BadFile::Encoding("UTF-16")),
            (b"\0A\0=\x001", BadFile::Encoding("UTF-16")),
            (b"\xff\xfe\0\0A\0\0\0", BadFile::Encoding("UTF-32")),
            (b"A=1\nB=caf\xe9\n", BadFile::NotUtf8(2)),
            (b"A=1\n\xef\xbb\xbfB=1\n", BadFile::Mark(2)),
        ] {
            assert_eq!(parse(content), Err(bad));
            let (message, hint) = bad.explained(".env");
            assert!(!format!("{message}{hint}").contains("caf"), "{message}");
        }
    }

    /// Without the bound on one look per line, this takes minutes.
    #[test]
    fn a_long_line_is_read_in_linear_time() {
        let content = format!("A={}\n", "x".repeat(8 << 20));
        let begun = Instant::now();
        let variables = parse(content.as_bytes()).expect("a good file");
        assert_eq!(variables[0].1.len(), 8 << 20);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_and_without_a_writer_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join(".env");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        let writer = {
            let pipe = pipe.clone();
            thread::spawn(move || std::fs::write(pipe, "A=1\nB=2\n"))
        };
        let expected = [("A", "1"), ("B", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(read(&pipe).expect("a writer"), expected);
        writer.join().expect("no panic").expect("written");
        let error = read(&pipe).expect_err("no writer");
        assert!(error.to_string().contains("is a pipe, and no one wrote to it"), "{error}");
    }

    #[test]
    fn a_missing_file_is_empty_and_errors_show_no_content() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(&folder.path().join("none")).expect("no file"), []);
        let file = folder.path().join(".env");
        std::fs::write(&file, "PASSWORD=hunter2 x\n").expect("a file");
        let error = read(&file).expect_err("a bad line");
        assert!(error.to_string().contains(".env`, line 1"), "{error}");
        assert!(!format!("{error}{error:?}").contains("hunter2"));
        let error = read(folder.path()).expect_err("a folder is not a file");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

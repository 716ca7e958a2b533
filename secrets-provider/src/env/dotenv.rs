//! Finds and parses a `.env` file without touching the process environment.
//!
//! The grammar is dotenvy's (`export`, comments, quotes, `$NAME`), so that a file keeps its
//! meaning. The layers, the switches and figment's `Dotenv` call [`read`]; the fuzzer calls
//! [`parse`].
//!
//! dotenvy's errors quote the line, which may hold a secret. Only the line's number is kept.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use zeroize::Zeroize as _;

use crate::error::{Error, ErrorKind};

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
    let content = match std::fs::read(&found) {
        Ok(content) => zeroize::Zeroizing::new(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("cannot read `{}`: {}", found.display(), error.kind()),
            ));
        }
    };
    parse(&content).map_err(|line| {
        Error::new(
            ErrorKind::Invalid,
            format!("`{}`, line {line}: expected `NAME=value`", found.display()),
        )
        .with_hint(
            "put single quotes around a value that contains spaces, `#`, `$`, quotes or a backslash",
        )
    })
}

/// An absolute path as it is; a relative one in the working directory or its nearest parent, where
/// dotenvy and figment's file providers look too.
fn find(path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(path)).find(|candidate| candidate.is_file())
}

/// The assignments, or the number of the first line that is not one.
pub(crate) fn parse(content: &[u8]) -> Result<Vec<(String, String)>, usize> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = Rc::new(Cell::new(0));
    let reader = LineByLine { rest: content, lines: lines.clone() };
    let mut variables: Vec<(String, String)> = Vec::new();
    for variable in dotenvy::from_read_iter(reader) {
        match variable {
            Ok((name, value)) if variables.iter().all(|(known, _)| *known != name) => {
                variables.push((name, value))
            }
            Ok((_, mut value)) => value.zeroize(),
            Err(_) => {
                variables.iter_mut().for_each(|(_, value)| value.zeroize());
                return Err(lines.get());
            }
        }
    }
    Ok(variables)
}

/// Returns one line per call of `read`, so that counting calls gives dotenvy's line number.
struct LineByLine<'a> {
    rest: &'a [u8],
    lines: Rc<Cell<usize>>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end =
            self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |at| at + 1);
        let count = end.min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        if count > 0 && (count == end) {
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
            ("A=1\r\n\r\n1B=hunter2\r\n", 3),
            ("A=hunter 2", 1),
            ("A=1\nB=\"x\ny\"\nC=hunter\\x\n", 4),
            (&format!("A={}\nbad line\n", "x".repeat(100_000)), 2),
        ] {
            assert_eq!(parse(content.as_bytes()), Err(line), "{}", content.len());
        }
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

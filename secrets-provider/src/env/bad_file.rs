//! Why a file is no `.env` file, in words that fit what is there instead.
//!
//! `dotenv` finds the line; here it is looked at for what was probably meant: YAML, JSON, another
//! name. No word of its content is kept. Pure.

/// Why a file is not one of assignments. It holds no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadFile {
    /// The file is in this encoding.
    Encoding(&'static str),
    /// This line is not UTF-8.
    NotUtf8(usize),
    /// This line starts with a byte order mark.
    Mark(usize),
    /// This line is not an assignment.
    Line(usize),
    /// This line is `NAME: value`.
    Colon(usize),
    /// This line begins a JSON object or array.
    Json(usize),
    /// This line assigns JSON without quotes.
    UnquotedJson(usize),
    /// The name in this line has a character that no name of a variable has.
    Name(usize),
}

impl BadFile {
    /// The message and the hint.
    pub(super) fn explained(self, file: &str) -> (String, &'static str) {
        let save = "save it as UTF-8 (in PowerShell, `Out-File -Encoding utf8`)";
        match self {
            Self::Encoding(encoding) => {
                (format!("`{file}` is encoded in {encoding}, expected UTF-8"), save)
            }
            Self::NotUtf8(line) => (
                format!("`{file}`, line {line}: not UTF-8, but perhaps Latin-1 or Windows-1252"),
                save,
            ),
            Self::Mark(line) => (
                format!("`{file}`, line {line}: starts with a byte order mark"),
                "remove the mark; it is left over where one file was appended to another",
            ),
            Self::Colon(line) => (
                format!("`{file}`, line {line}: expected `NAME=value`, found `NAME: value`"),
                "write `=` instead of `:`; a `.env` file is not YAML",
            ),
            Self::Json(line) => (
                format!("`{file}`, line {line}: expected `NAME=value`, found JSON"),
                "write one variable for each key, `NAME__KEY=value`, or one that holds the JSON in \
                 single quotes, `NAME='{\"key\": \"value\"}'`",
            ),
            Self::UnquotedJson(line) => (
                format!("`{file}`, line {line}: the JSON is not in quotes"),
                "put single quotes around the JSON, `NAME='{\"key\": \"value\"}'`, because a \
                 `.env` file drops the quotes inside of it",
            ),
            Self::Name(line) => (
                format!("`{file}`, line {line}: expected `NAME=value`, found another name"),
                "a name begins with a letter or `_`, and has letters, digits, `_` and `.` only: \
                 write `_` for `-`",
            ),
            Self::Line(line) => (
                format!("`{file}`, line {line}: expected `NAME=value`"),
                "put single quotes around a value that contains spaces, `#`, `$`, quotes or a \
                 backslash",
            ),
        }
    }
}

/// The byte order mark of UTF-8.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// What is wrong with the line of this number.
pub(super) fn bad_line(content: &[u8], number: usize) -> BadFile {
    let line = content.split(|byte| *byte == b'\n').nth(number.saturating_sub(1));
    match line.unwrap_or_default() {
        line if std::str::from_utf8(line).is_err() => BadFile::NotUtf8(number),
        line if line.starts_with(MARK) => BadFile::Mark(number),
        line => shape_of(String::from_utf8_lossy(line).trim(), number),
    }
}

/// What a line is that is no assignment.
fn shape_of(line: &str, number: usize) -> BadFile {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
    };
    let assigned = line.split_once('=').map(|(name, value)| (name.trim_end(), value.trim_start()));
    let key = line.split_once(':').map(|(key, _)| key.trim_matches(['"', '\'']));
    match assigned {
        _ if line.starts_with(['{', '[', '}', ']']) => BadFile::Json(number),
        Some((name, value)) if is_name(name) && value.starts_with(['{', '[']) => {
            BadFile::UnquotedJson(number)
        }
        Some((name, _)) if !is_name(name) && is_name(&name.replace('-', "_")) => {
            BadFile::Name(number)
        }
        Some((name, _)) if name.starts_with(|c: char| c.is_ascii_digit()) => BadFile::Name(number),
        Some((name, _)) if is_name(name) => BadFile::Line(number),
        _ if key.is_some_and(|key| is_name(&key.replace('-', "_"))) => BadFile::Colon(number),
        _ => BadFile::Line(number),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dotenv::parse;
    use super::*;

    #[test]
    fn an_error_says_what_is_there_instead_of_an_assignment() {
        for (content, bad, advice) in [
            ("A=1\nPASSWORD: hunter2\n", BadFile::Colon(2), "write `=` instead of `:`"),
            ("\"PASSWORD\": \"hunter2\",\n", BadFile::Colon(1), "`=` instead of"),
            ("password:\n  user: hunter2\n", BadFile::Colon(1), "not YAML"),
            ("api-key: hunter2\n", BadFile::Colon(1), "not YAML"),
            ("PASSWORD:hunter2", BadFile::Colon(1), "`=` instead of"),
            ("{\"PASSWORD\": \"hunter2\"}", BadFile::Json(1), "one variable for each key"),
            ("A=1\n{\n\"B\": \"hunter2\"\n}\n", BadFile::Json(2), "in single quotes"),
            ("[\"hunter2\"]", BadFile::Json(1), "one variable for each key"),
            ("V={\"a\": \"hunter2\"}", BadFile::UnquotedJson(1), "single quotes around the JSON"),
            ("A=1\nexport V = [1, \"hunter2\"]", BadFile::UnquotedJson(2), "drops the quotes"),
            ("API-KEY=hunter2", BadFile::Name(1), "`_` for `-`"),
            ("2FA=hunter2", BadFile::Name(1), "begins with a letter"),
            ("A=hunter2 x", BadFile::Line(1), "single quotes around a value"),
            ("A=url: hunter2 x", BadFile::Line(1), "single quotes around a value"),
            ("hunter2", BadFile::Line(1), "single quotes"),
            ("=hunter2", BadFile::Line(1), "single quotes"),
        ] {
            assert_eq!(parse(content.as_bytes()), Err(bad), "{content}");
            let (message, hint) = bad.explained(".env");
            assert!(hint.contains(advice), "{content}: {hint}");
            assert!(!format!("{message}{hint}").contains("hunter"), "{message}");
        }
    }
}

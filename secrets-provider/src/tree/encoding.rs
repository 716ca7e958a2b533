//! Forms in which JSON or text is stored by mistake: another encoding, compressed, in base64, or
//! another format, such as YAML or the lines of a `.env` file.
//!
//! `.env` files and secrets are read as UTF-8, and tables as JSON. What is not is refused; here is
//! the word for it, so that the error can say what to do. Pure, and no value is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Value;

/// How much text is decoded to see what it holds.
const MAX_DECODED: usize = 64;

/// What to do about a value that is the JSON that is wanted, but in another form.
pub(crate) fn advice(value: &Value) -> Option<String> {
    let (what, instead) = match value {
        Value::Bytes(bytes) => match (foreign(bytes), &bytes[..]) {
            (Some(encoding), _) => (format!("the bytes are text in {encoding}"), "it in UTF-8"),
            (None, [0x1f, 0x8b, ..]) => ("the bytes are compressed (gzip)".into(), "the JSON"),
            (None, [b'P', b'K', 3, 4, ..]) => ("the bytes are a zip file".into(), "the JSON"),
            _ => return None,
        },
        Value::Text(text) if is_base64_of_json(text.as_str()) => {
            ("the text is base64 of JSON".into(), "the JSON itself")
        }
        Value::Text(text) => {
            (format!("the text looks like {}", format_of(text.as_str())?), "it as a JSON object")
        }
        _ => return None,
    };
    Some(format!("{what}: store {instead}"))
}

/// What to do about a value that is no scalar of the type that is wanted, because of its form.
pub(crate) fn advice_for_scalar(value: &Value) -> Option<&'static str> {
    let text = match value {
        Value::Bytes(_) => return Some("the value is binary: store it as text (SecretString)"),
        Value::Text(text) => text.as_str().trim(),
        _ => return None,
    };
    let is_within = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    match () {
        () if text.starts_with('\u{feff}') => {
            Some("the text begins with a byte order mark: store it without one")
        }
        () if is_within('"') || is_within('\'') => {
            Some("the text has quotes around it: store it without them")
        }
        () => None,
    }
}

/// The encoding, if a text begins as none in UTF-8 does: with another byte order mark, or with
/// an ASCII character of two bytes.
pub(crate) fn foreign(content: &[u8]) -> Option<&'static str> {
    match content {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [first, 0, second, 0, ..] | [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            Some("UTF-16")
        }
        _ => None,
    }
}

/// How many lines of a text are looked at.
const MAX_LINES: usize = 100;

/// The format of text that is not JSON, as far as its lines show; each of them must fit.
fn format_of(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with("<?xml") || text.starts_with('<') && text.ends_with('>') {
        return Some("XML");
    }
    if text.starts_with("-----BEGIN ") {
        return Some("PEM");
    }
    if text.split_once("://").is_some_and(|(scheme, _)| is_name(scheme, "+-.")) {
        return Some("a URL");
    }
    // A line that begins with white space continues the one before it.
    let lines = || {
        let lines = text.lines().take(MAX_LINES).filter(|line| !line.trim().is_empty());
        lines.filter(|line| !line.trim_start().starts_with(['#', ';']))
    };
    let is_section = |line: &str| line.starts_with('[') && line.trim_end().ends_with(']');
    let is_of_yaml = |line: &str| {
        let key = |line: &str| {
            let (key, rest) = line.split_once(':').unwrap_or(("", line));
            let key = key.trim_matches(['"', '\'']);
            is_name(key, "-.") && (rest.is_empty() || rest.starts_with([' ', '\t']))
        };
        line == "---"
            || line.starts_with([' ', '\t'])
            || line == "-"
            || line.starts_with("- ")
            || key(line)
    };
    let is_of_dotenv = |line: &str| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let name = line.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| is_name(name, "-.")) && !is_padding(line)
    };
    let is_of_toml = |line: &str| {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        is_section(line) || name.is_some_and(|name| is_name(name, "-.")) && !is_padding(line)
    };
    let is_list = || {
        let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.is_some_and(|inner| inner.trim_start().starts_with('{'))
    };
    match () {
        () if lines().next().is_none() => None,
        () if is_list() => Some("a JSON list"),
        () if lines().all(is_of_dotenv) => Some("the lines of a `.env` file (`NAME=value`)"),
        () if lines().all(is_of_toml) => Some("TOML or INI"),
        () if lines().all(is_of_yaml) => Some("YAML"),
        () => None,
    }
}

/// Whether this may be the name of a key; `also` are characters that it may have beside letters,
/// digits and `_`.
fn is_name(name: &str, also: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(c))
}

/// Whether a `=` only ends a line, as the padding of base64 does.
fn is_padding(line: &str) -> bool {
    line.trim_end().trim_end_matches('=').len() < line.trim_end().len()
        && !line.trim_end().trim_end_matches('=').contains('=')
}

fn is_base64_of_json(text: &str) -> bool {
    let text = text.trim().as_bytes();
    let start = &text[..text.len().min(MAX_DECODED) / 4 * 4];
    let decoded = STANDARD.decode(start).map(zeroize::Zeroizing::new);
    decoded.is_ok_and(|decoded| {
        let first = decoded.iter().find(|byte| !byte.is_ascii_whitespace());
        matches!(first, Some(b'{' | b'[')) && std::str::from_utf8(&decoded[..1]).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Text;

    #[test]
    fn a_scalar_in_quotes_or_bytes_says_what_to_do() {
        let text = |text: &str| advice_for_scalar(&Value::Text(Text::new(text)));
        for quoted in ["\"5\"", " 'true'\n", "\"\""] {
            assert!(text(quoted).is_some_and(|advice| advice.contains("quotes")), "{quoted}");
        }
        assert!(text("\u{feff}5").is_some_and(|advice| advice.contains("byte order mark")));
        for plain in ["5x", "\"", "it's", "'5", ""] {
            assert_eq!(text(plain), None, "{plain}");
        }
        let bytes = Value::Bytes(std::sync::Arc::new(zeroize::Zeroizing::new(b"5".to_vec())));
        assert!(advice_for_scalar(&bytes).is_some_and(|advice| advice.contains("SecretString")));
    }

    #[test]
    fn a_form_that_is_not_read_is_named_with_what_to_do() {
        let utf16: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16be: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [&[0xff, 0xfe][..], &utf16].concat();
        let base64 = STANDARD.encode(format!("{{\"password\": \"{}\"}}", "x".repeat(100)));
        let text = |text: &str| Value::Text(Text::new(text));
        let bytes = |bytes: &[u8]| {
            Value::Bytes(std::sync::Arc::new(zeroize::Zeroizing::new(bytes.to_vec())))
        };
        for (value, expected) in [
            (bytes(&utf16), Some("UTF-16")),
            (bytes(&utf16be), Some("UTF-16")),
            (bytes(&marked), Some("UTF-16")),
            (bytes(&[0x1f, 0x8b, 8, 0]), Some("gzip")),
            (bytes(b"PK\x03\x04.."), Some("zip")),
            (bytes(&[1, 2, 3, 4]), None),
            (text(&base64), Some("base64")),
            (text("eyJhIjogMX0="), Some("base64")),
            (text("user: hunter2\npassword: hunter3\n"), Some("YAML")),
            (text("---\n# x\ndatabase:\n  user: hunter2\n  hosts:\n    - a\n"), Some("YAML")),
            (text("- hunter2\n- b"), Some("YAML")),
            (text("user: hunter2"), Some("YAML")),
            (text("\"user\": hunter2"), Some("YAML")),
            (text("USER=hunter2\nPASSWORD='x y'\n"), Some("`.env`")),
            (text("# x\nexport USER=hunter2\r\n\r\nEMPTY=\"\"\r\n"), Some("`.env`")),
            (text("host=h user=hunter2"), Some("`.env`")),
            (text("[database]\nuser = \"hunter2\"\n"), Some("TOML")),
            (text("[default]\nuser=hunter2\n"), Some("TOML")),
            (text("user = hunter2"), Some("TOML")),
            (text("[{\"user\": \"hunter2\"}]"), Some("a JSON list")),
            (text("<a><b>hunter2</b></a>"), Some("XML")),
            (text("-----BEGIN PRIVATE KEY-----\nhunter2"), Some("PEM")),
            (text("postgres://u:hunter2@h/db"), Some("a URL")),
            (text("hunter2hunter2"), None),
            (text("hunter2=="), None),
            (text("YWJjZGVmZ2g="), None),
            (text("a:hunter2"), None),
            (text("hunter 2: x = y"), None),
            (text("correct horse battery staple"), None),
            (text("user: hunter2\nnot a line"), None),
            (text("{user: hunter2}"), None),
            (text("{\"user\": "), None),
            (text("007"), None),
            (text("# only"), None),
            (text(""), None),
        ] {
            let advice = advice(&value);
            assert_eq!(advice.is_some(), expected.is_some(), "{expected:?} {advice:?}");
            let advice = advice.unwrap_or_default();
            assert!(advice.contains(expected.unwrap_or_default()), "{expected:?}: {advice}");
            assert!(!advice.contains("hunter"), "{advice}");
        }
    }
}

//! Forms in which JSON or text is stored by mistake: another encoding, compressed, or in base64.
//!
//! `.env` files and secrets are read as UTF-8. What is not is refused; here is the word for it, so
//! that the error can say what to do. Pure, and no value is shown.

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
        _ => return None,
    };
    Some(format!("{what}: store {instead}"))
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
            (text("hunter2hunter2"), None),
            (text(""), None),
        ] {
            let advice = advice(&value);
            assert_eq!(advice.is_some(), expected.is_some(), "{expected:?}");
            assert!(advice.is_none_or(|text| text.contains(expected.unwrap_or_default())));
        }
    }
}

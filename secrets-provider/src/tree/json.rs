//! JSON text, read and written without leaving a copy behind. Pure.
//!
//! serde_json unescapes strings in a buffer of its own, and writes into one that grows; both are
//! freed as they are. Here every buffer has its full size from the start and is wiped on drop.
//! `payload` reads secrets with these, and a rotation edits them.

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// A character escaped as `\u0000`, the longest form.
const MAX_ESCAPED_BYTES: usize = 6;

/// Text as a JSON string.
pub(crate) fn string(text: &str) -> Zeroizing<String> {
    let mut json = Zeroizing::new(Vec::with_capacity(text.len() * MAX_ESCAPED_BYTES + 2));
    // Neither text nor a vector fails.
    let _ = serde_json::to_writer(&mut *json, text);
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *json)).unwrap_or_default())
}

/// What a JSON string holds. `None` if this is no string, or one that is not Unicode.
pub(crate) fn text(json: &str) -> Option<Zeroizing<String>> {
    let inner = json.trim().strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Zeroizing::new(inner.to_owned()));
    }
    let (mut decoded, is_unicode) = unescape(inner.as_bytes());
    let decoded = String::from_utf8(std::mem::take(&mut *decoded)).map(Zeroizing::new);
    decoded.ok().filter(|_| is_unicode)
}

/// The items of a JSON array; none if it is no array.
pub(crate) fn items(array: &str) -> Vec<&RawValue> {
    serde_json::from_str(array).unwrap_or_default()
}

/// The members of a JSON object in their order, repeated keys included, which a map would swallow.
/// `None` if this is no object, or a key is not Unicode.
pub(crate) fn members(object: &str) -> Option<Vec<(Zeroizing<String>, &RawValue)>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(&'de RawValue, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    let members = serde_json::Deserializer::from_str(object).deserialize_map(Members).ok()?;
    members.into_iter().map(|(key, value)| Some((text(key.get())?, value))).collect()
}

/// Text without its escapes, which may be those of SQL and shells, too; and whether each `\\u` in it
/// was a character.
pub(crate) fn unescape(text: &[u8]) -> (Zeroizing<Vec<u8>>, bool) {
    // No escape is shorter than what it stands for.
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut is_unicode = true;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escaped = text.get(at + 1).filter(|_| *byte == b'\\');
        let unit = |at: usize| {
            let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
            u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let units = [unit(at), unit(at + 6)];
        let character = char::decode_utf16(units.into_iter().map_while(|unit| unit)).next();
        match (escaped, character) {
            (Some(b'u'), Some(Ok(character))) => {
                let mut buffer = [0; 4];
                decoded.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                at += 6 * character.len_utf16();
            }
            (Some(escaped), _) => {
                is_unicode &= *escaped != b'u';
                decoded.push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    other => *other,
                });
                at += 2;
            }
            (None, _) => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    (decoded, is_unicode)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_string_of_unicode_is_text() {
        for json in [r#""\ud800""#, r#""\ud800x""#, r#""\ud83d\u0041""#, "1", "null", "\"", ""] {
            assert_eq!(text(json), None, "{json}");
        }
        let escapes = r#" "\u0041\/\"\\\b\f\n\r\t\ud83d\ude00" "#;
        assert_eq!(*text(escapes).expect("text"), "A/\"\\\u{8}\u{c}\n\r\t😀");
        let object = r#"{"\u0061": 1, "a": 2}"#;
        let members = members(object).expect("an object");
        let keys: Vec<_> = members.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(keys, [("a", "1"), ("a", "2")]);
        assert!(super::members("[1]").is_none() && super::members(r#"{"\ud800": 1}"#).is_none());
    }

    proptest! {
        #[test]
        fn it_reads_and_writes_as_serde_json_does(any in any::<String>()) {
            let json = serde_json::to_string(&any).expect("JSON");
            let written = string(&any);
            prop_assert_eq!(written.as_str(), &json);
            let read = text(&json).expect("text");
            prop_assert_eq!(read.as_str(), &any);
        }
    }
}

//! Whether an old value still occurs in a new secret. Pure.
//!
//! It is looked for in every text of the secret, as it is and in the forms in which a value becomes
//! part of another one: percent-encoded (a URL), escaped as JSON (JSON inside of JSON), and base64
//! (an `Authorization` header). Forms are taken off the text rather than put on the value, so that
//! upper and lower case of escapes, and what stands beside the value, do not matter.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, decoded_len_estimate};
use zeroize::Zeroizing;

use super::content::Content;
use crate::tree::json;

/// Values up to this length count only as a whole word: `1` is part of many a port.
const SHORT: usize = 7;

/// How many forms may lie over each other.
const MAX_DEPTH: u32 = 3;

/// Runs of base64 characters below this length encode less than a word.
const MIN_BASE64: usize = 8;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Whether the old value occurs anywhere in the content. An empty one occurs nowhere.
pub(super) fn occurs(old: &[u8], content: &Content) -> bool {
    if old.is_empty() {
        return false;
    }
    let mut found = false;
    content.texts(&mut |text| found = found || occurs_in(old, text, MAX_DEPTH));
    found
}

fn occurs_in(old: &[u8], text: &[u8], depth: u32) -> bool {
    if is_part(old, text) {
        return true;
    }
    if depth == 0 {
        return false;
    }
    let decoded = [percent_decoded(text, false), percent_decoded(text, true), unescaped(text)];
    decoded.iter().flatten().any(|decoded| occurs_in(old, decoded, depth - 1))
        || base64_runs(text).any(|run| {
            [STANDARD, URL_SAFE].iter().any(|engine| {
                let mut decoded =
                    Zeroizing::new(Vec::with_capacity(decoded_len_estimate(run.len())));
                engine.decode_vec(run, &mut decoded).is_ok() && occurs_in(old, &decoded, depth - 1)
            })
        })
}

/// Whether it is a part of the text; a short one only between characters that end a word.
fn is_part(old: &[u8], text: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|c| c.is_ascii_alphanumeric() || *c >= 0x80);
    text.windows(old.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let whole = !is_word(before) && !is_word(text.get(at + old.len()));
        window == old && (old.len() > SHORT || whole)
    })
}

/// Percent signs with two hex digits decoded, and `+` as a space where a form is meant.
/// `None` if there is nothing to decode.
fn percent_decoded(text: &[u8], form: bool) -> Option<Zeroizing<Vec<u8>>> {
    if !text.contains(if form { &b'+' } else { &b'%' }) {
        return None;
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (Some(high), Some(low)) if *byte == b'%' => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                decoded.push(if form && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    Some(decoded)
}

/// What a backslash escapes, as in JSON, SQL and shells; `None` if there is none.
fn unescaped(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    text.contains(&b'\\').then(|| json::unescape(text).0)
}

/// The longest runs of characters of either base64 alphabet.
fn base64_runs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_base64 = |c: &u8| c.is_ascii_alphanumeric() || b"+/-_=".contains(c);
    text.split(move |c| !is_base64(c)).filter(|run| run.len() >= MIN_BASE64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Payload;

    fn in_json(value: &serde_json::Value) -> Content {
        Content::new(&Payload::text(value.to_string()))
    }

    #[test]
    fn an_old_value_is_found_in_every_form() {
        let old = "p@ss w/\"ö\\rd+1";
        let url = "postgres://app:p%40ss%20w%2F%22%C3%B6%5Crd%2B1@db/app";
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("app:{old}"));
        let url_safe = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("{{{old}}}"));
        for (what, member) in [
            ("as it is", serde_json::json!(old)),
            ("in a DSN", serde_json::json!(format!("host=db password='{old}'"))),
            ("in a URL", serde_json::json!(url)),
            ("in a URL in lower case", serde_json::json!(url.to_lowercase())),
            ("in a form", serde_json::json!("a=b&password=p%40ss+w%2F%22%C3%B6%5Crd%2B1")),
            ("in a URL in a URL", serde_json::json!(url.replace('%', "%25"))),
            ("in a header", serde_json::json!(format!("Basic {basic}"))),
            ("in base64 for URLs", serde_json::json!(url_safe)),
            ("in JSON in JSON", serde_json::json!(serde_json::json!({"p": old}).to_string())),
            ("in ASCII JSON in JSON", serde_json::json!(r#"{"p": "p@ss w\/\"\u00f6\\rd+1"}"#)),
            ("in a list", serde_json::json!([1, {"deep": [old]}])),
            ("as a key", serde_json::json!({ old: 1 })),
        ] {
            assert!(occurs(old.as_bytes(), &in_json(&serde_json::json!({"m": member}))), "{what}");
        }
        let free = in_json(&serde_json::json!({"m": "postgres://app:new@db/app", "n": 1}));
        assert!(!occurs(old.as_bytes(), &free));
    }

    #[test]
    fn pairs_of_escapes_are_one_character() {
        let content = Content::new(&Payload::text(r#"{"p": "\ud83d\ude00 is happy"}"#));
        assert!(occurs("😀 is happy".as_bytes(), &content));
        let nested = in_json(&serde_json::json!({"n": r#"{"p": "\ud83d\ude00 is happy"}"#}));
        assert!(occurs("😀 is happy".as_bytes(), &nested));
    }

    #[test]
    fn short_values_count_as_whole_words_and_empty_ones_not_at_all() {
        for (old, text, found) in [
            ("", "", false),
            ("1", r#"{"port": 5431}"#, false),
            ("5431", r#"{"port": 5431}"#, true),
            ("app", r#"{"name": "application"}"#, false),
            ("app", r#"{"url": "postgres://u:app@db"}"#, true),
            ("hunter2", "hunter22", false),
            ("hunter22", "xhunter222", true),
        ] {
            let found_there = occurs(old.as_bytes(), &Content::new(&Payload::text(text)));
            assert_eq!(found_there, found, "{old} in {text}");
        }
        assert!(occurs(b"\x00\xff", &Content::new(&Payload::binary(*b"\x00\xff"))));
    }

    proptest! {
        #[test]
        fn any_value_is_found_where_it_was_put(
            old in ".{8,20}",
            before in ".{0,9}",
            after in ".{0,9}",
        ) {
            let url: String = old.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for text in [format!("{before}{old}{after}"), format!("{before}{url}{after}")] {
                let nested = serde_json::json!({ "x": text }).to_string();
                for value in [serde_json::json!({ "a": [text] }), serde_json::json!({ "b": nested })] {
                    prop_assert!(occurs(old.as_bytes(), &in_json(&value)));
                }
            }
        }

        #[test]
        fn no_bytes_are_too_strange(old in any::<Vec<u8>>(), text in any::<Vec<u8>>()) {
            let _ = occurs(&old, &Content::new(&Payload::binary(text)));
        }
    }
}

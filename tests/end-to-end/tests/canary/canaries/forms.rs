//! Eight characters, or bytes, in each encoding.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// How to compare a form with a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Matching {
    Exact,
    AnyCase,
    /// In any case, as a whole number.
    Digits,
    /// In any case, ignoring white space.
    Squeezed,
}

/// One encoding of one window.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) needle: Vec<u8>,
    pub(super) matching: Matching,
}

impl Form {
    fn new(name: &'static str, matching: Matching, needle: impl Into<Vec<u8>>) -> Self {
        Self { name, needle: needle.into(), matching }
    }
}

pub(super) fn of_text(text: &str) -> Vec<Form> {
    use Matching::{AnyCase, Digits, Squeezed};
    let debug = text.escape_debug().to_string();
    let json = in_json(text);
    let number = text.bytes().all(|byte| byte.is_ascii_digit());
    let mut forms = vec![
        Form::new("in clear", if number { Digits } else { AnyCase }, text),
        Form::new("escaped as Debug does", AnyCase, debug.as_str()),
        Form::new("escaped as Debug does, twice", AnyCase, debug.escape_debug().to_string()),
        Form::new(
            "escaped as JSON, and that as Debug does",
            AnyCase,
            json.escape_debug().to_string(),
        ),
        Form::new("escaped by escape_default", AnyCase, text.escape_default().to_string()),
        Form::new("escaped as JSON", AnyCase, json.as_str()),
        Form::new("escaped as JSON, twice", AnyCase, in_json(&json)),
        Form::new("escaped as JSON, slashes too", AnyCase, json.replace('/', "\\/")),
        Form::new("escaped as JSON in ASCII", AnyCase, in_ascii_json(text)),
        Form::new("percent-encoded", AnyCase, percent(text, |byte| byte.is_ascii_alphanumeric())),
        Form::new("percent-encoded but for marks", AnyCase, percent(text, is_unreserved)),
        Form::new("percent-encoded as a URL's user info", AnyCase, percent(text, is_user_info)),
        Form::new("encoded as a form", AnyCase, percent(text, is_in_form).replace("%20", "+")),
        Form::new("percent-encoded throughout", AnyCase, percent(text, |_| false)),
        Form::new("escaped as HTML", AnyCase, in_html(text)),
        Form::new(
            "as a list of characters",
            Squeezed,
            listed(text.chars().map(|c| format!("{c:?}"))),
        ),
    ];
    if !number {
        forms.retain(|form| form.name == "in clear" || form.needle != text.as_bytes());
    } else {
        forms.retain(|form| {
            matches!(form.matching, Digits | Squeezed) || form.needle != text.as_bytes()
        });
    }
    forms.extend(
        of_bytes(text.as_bytes()).into_iter().filter(|form| form.needle != text.as_bytes()),
    );
    forms
}

pub(super) fn of_bytes(bytes: &[u8]) -> Vec<Form> {
    use Matching::{AnyCase, Exact, Squeezed};
    let hex = |before: &str| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{before}{byte:02x}");
            hex
        })
    };
    let mut forms = vec![
        Form::new("as raw bytes", Exact, bytes),
        Form::new("escaped as bytes are", AnyCase, bytes.escape_ascii().to_string()),
        Form::new("in hex", Squeezed, hex("")),
        Form::new("in hex with `\\x`", AnyCase, hex("\\x")),
        Form::new("in hex with colons", AnyCase, &hex(":")[1..]),
        Form::new("as a list of bytes", Squeezed, listed(bytes.iter().map(u8::to_string))),
        Form::new(
            "as a list of bytes in hex",
            Squeezed,
            listed(bytes.iter().map(|byte| format!("{byte:x}"))),
        ),
        Form::new(
            "as a list of bytes in padded hex",
            Squeezed,
            listed(bytes.iter().map(|byte| format!("{byte:02x}"))),
        ),
        Form::new(
            "as a list of bytes in 0x",
            Squeezed,
            listed(bytes.iter().map(|byte| format!("{byte:#x}"))),
        ),
        Form::new(
            "as a list of bytes in 0x0",
            Squeezed,
            listed(bytes.iter().map(|byte| format!("{byte:#04x}"))),
        ),
    ];
    for (name, encoding) in [
        ("in base64", BASE64_STANDARD_NO_PAD),
        ("in base64 of the URL-safe alphabet", BASE64_URL_SAFE_NO_PAD),
    ] {
        forms.extend((0..3).map(|before| Form::new(name, Exact, base64(bytes, before, &encoding))));
    }
    forms
}

/// The base64 characters that these bytes always have after so many other bytes, independent of
/// what surrounds them.
fn base64(bytes: &[u8], before: usize, encoding: &GeneralPurpose) -> String {
    let padded = [vec![0; before], bytes.to_vec()].concat();
    // A character encodes six bits. Those that include bits of surrounding bytes are left out.
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoding.encode(&padded)[first..last].to_owned()
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn in_ascii_json(text: &str) -> String {
    in_json(text).chars().fold(String::new(), |mut json, c| {
        match c.is_ascii() {
            true => json.push(c),
            false => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
        json
    })
}

fn percent(text: &str, stays: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match stays(byte) {
            true => encoded.push(char::from(byte)),
            false => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The characters that the WHATWG's URLs do not escape in a password.
fn is_user_info(byte: u8) -> bool {
    is_unreserved(byte) || b"!$%&'()*+,".contains(&byte)
}

fn is_in_form(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"*-._".contains(&byte)
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

//! The search finds the output of each encoder, and nothing else.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::{Canaries, WINDOW};

/// A canary, and eight of its characters from the middle: `start` characters after its own start.
fn piece(text: &str, start: usize) -> String {
    text.chars().skip(start).take(WINDOW).collect()
}

#[track_caller]
fn found(canaries: &Canaries, shown: impl AsRef<[u8]>) -> bool {
    !canaries.sightings(shown.as_ref()).is_empty()
}

/// Each window of an awkward canary, so that every special character is escaped in it.
#[test]
fn any_eight_characters_are_found_however_text_is_escaped() {
    let mut canaries = Canaries::of("escaping");
    let canary = canaries.awkward("here");
    let url = |text: &str| {
        let mut url = url::Url::parse("postgres://me@host/db").expect("a URL");
        url.set_password(Some(text)).expect("a password");
        url.query_pairs_mut().append_pair("key", "value");
        url.to_string()
    };
    let form = |text: &str| {
        let mut url = url::Url::parse("https://host/").expect("a URL");
        url.query_pairs_mut().append_pair("key", text);
        url.to_string()
    };
    type Encode<'a> = (&'a str, &'a dyn Fn(&str) -> String);
    let encodings: [Encode<'_>; 21] = [
        ("clear", &|text| text.to_owned()),
        ("lower case", &|text| text.to_ascii_lowercase()),
        ("upper case", &|text| text.to_ascii_uppercase()),
        ("Debug", &|text| format!("{text:?}")),
        ("Debug of Debug", &|text| format!("{:?}", format!("{text:?}"))),
        ("Debug of a list", &|text| format!("{:#?}", [Some(text)])),
        ("escape_debug", &|text| text.escape_debug().to_string()),
        ("escape_default", &|text| text.escape_default().to_string()),
        ("escape_unicode", &|text| text.chars().map(|c| c.escape_debug().to_string()).collect()),
        ("JSON", &|text| serde_json::json!({ "key": text }).to_string()),
        ("JSON in JSON", &|text| {
            serde_json::json!(serde_json::json!([text]).to_string()).to_string()
        }),
        ("JSON in Debug", &|text| format!("{:?}", serde_json::json!(text).to_string())),
        ("a URL's password", &url),
        ("a form", &form),
        ("a path", &|text| {
            url::Url::parse("https://h").expect("a URL").join(&url_path(text)).expect("one").into()
        }),
        ("Debug of bytes", &|text| format!("{:?}", text.as_bytes())),
        ("alternate Debug of bytes", &|text| format!("{:#?}", text.as_bytes())),
        ("bytes in hex", &|text| format!("{:02x?}", text.as_bytes())),
        ("bytes in upper hex", &|text| format!("{:#04X?}", text.as_bytes())),
        ("a byte string", &|text| text.as_bytes().escape_ascii().to_string()),
        ("Debug of characters", &|text| format!("{:#?}", text.chars().collect::<Vec<_>>())),
    ];
    let length = canary.chars().count();
    for (name, encode) in encodings {
        for start in 0..=length - WINDOW {
            let shown = format!("before {} after", encode(&piece(&canary, start)));
            assert!(found(&canaries, &shown), "{name}: the window at {start} of {length}");
        }
        assert!(found(&canaries, encode(&canary)), "{name}: the whole");
    }
}

fn url_path(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn bytes_and_text_are_found_in_hex_and_in_base64_at_each_alignment() {
    let mut canaries = Canaries::of("encoding");
    let text = canaries.plain("text").into_bytes();
    let awkward = canaries.awkward("awkward");
    let bytes = canaries.bytes("bytes", 32);
    let windows = |canary: &[u8]| canary.windows(WINDOW).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let of_chars = (0..20).map(|start| piece(&awkward, start).into_bytes()).collect();
    for (name, pieces) in
        [("text", windows(&text)), ("awkward", of_chars), ("bytes", windows(&bytes))]
    {
        for piece in pieces {
            for before in 0..4 {
                for after in 0..4 {
                    let whole = [
                        &b"\xfb\xff\xbf"[..before.min(3)],
                        &piece,
                        &b"\xfb\xff\xbf"[..after.min(3)],
                    ]
                    .concat();
                    assert!(
                        found(&canaries, BASE64_STANDARD.encode(&whole)),
                        "{name}: base64, {before} before"
                    );
                    assert!(
                        found(&canaries, BASE64_URL_SAFE_NO_PAD.encode(&whole)),
                        "{name}: URL-safe, {before}"
                    );
                }
            }
            let hex: Vec<String> = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            for hex in
                [hex.concat(), hex.join(" "), hex.join(":"), format!("\\x{}", hex.join("\\x"))]
            {
                assert!(
                    found(&canaries, &hex) && found(&canaries, hex.to_uppercase()),
                    "{name}: hex"
                );
            }
            assert!(found(&canaries, format!("{piece:?}")), "{name}: Debug of bytes");
            assert!(
                found(&canaries, serde_json::json!(piece).to_string()),
                "{name}: JSON of bytes"
            );
        }
    }
}

#[test]
fn a_number_is_found_but_not_within_an_id() {
    let mut canaries = Canaries::of("numbers");
    let number = canaries.number("here");
    assert_eq!(number.parse::<u64>().expect("a number").to_string(), number);
    let piece = &number[4..12];
    for shown in
        [format!("u16: {piece}."), piece.to_owned(), format!("x{piece}/"), format!("n={number}z")]
    {
        assert!(found(&canaries, &shown));
    }
    for id in [format!("0{piece}1c3"), format!("d{piece}"), format!("4f{piece}-81")] {
        assert!(!found(&canaries, &id));
    }
    assert!(found(&canaries, format!("{:?}", number.as_bytes())));
    assert!(found(&canaries, BASE64_STANDARD.encode(&number)));
}

#[test]
fn seven_characters_are_no_leak_and_neither_is_other_text() {
    let mut canaries = Canaries::of("noise");
    let texts = [canaries.plain("plain"), canaries.awkward("awkward"), canaries.number("number")];
    let mut others = Canaries::of("other noise");
    for text in &texts {
        let chars: Vec<char> = text.chars().collect();
        for window in chars.windows(WINDOW - 1) {
            let seven: String = window.iter().collect();
            // No UTF-8 character starts with this byte.
            let before_another = [seven.as_bytes(), b"\x90"].concat();
            for shown in [seven, BASE64_STANDARD.encode(before_another)] {
                assert!(!found(&canaries, format!("~{shown}~")));
            }
        }
    }
    let noise =
        [others.plain("plain"), others.awkward("awkward"), others.number("number")].concat();
    assert!(!found(&canaries, &noise) && !found(&canaries, BASE64_STANDARD.encode(&noise)));
    assert!(!found(&canaries, "the quick brown fox jumps over the lazy dog, 1234567890 times"));
}

#[test]
fn canaries_are_distinct_and_the_same_in_each_run() {
    let plant = |test| {
        let mut canaries = Canaries::of(test);
        [
            canaries.plain("a"),
            canaries.plain("b"),
            canaries.awkward("c"),
            canaries.line("d"),
            canaries.number("e"),
        ]
    };
    assert_eq!(plant("one"), plant("one"));
    let all: std::collections::BTreeSet<_> = plant("one").into_iter().chain(plant("two")).collect();
    assert_eq!(all.len(), 10);
}

#[test]
fn a_sighting_names_the_canary_without_showing_it() {
    let mut canaries = Canaries::of("naming");
    let canary = canaries.plain("the password");
    let caught =
        std::panic::catch_unwind(|| canaries.assert_absent("an error", format!("x {canary}")));
    let message = caught.expect_err("a sighting");
    let message = message.downcast_ref::<String>().expect("text");
    assert!(
        message.starts_with("an error shows the canary `the password`, in clear, at byte 2; "),
        "{message}"
    );
    assert!(!found(&canaries, message));
}

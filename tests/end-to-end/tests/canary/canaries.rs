//! Canaries, and the search for any eight consecutive characters of one, in clear or in any form
//! that a formatter, an encoder or a log gives them. Canaries are distinct and look random. This
//! module has no I/O.

mod forms;

use std::collections::HashMap;

use forms::{Form, Matching};

/// This many consecutive characters of a canary are a leak.
const WINDOW: usize = 8;

/// The canaries of one test, each at a place of its own.
#[derive(Default)]
pub(crate) struct Canaries {
    /// The name of the test, which makes its canaries differ from those of others.
    test: &'static str,
    places: Vec<String>,
    /// Needles that are compared byte by byte.
    exact: Needles,
    /// Needles in lower case: some forms come in either case.
    folded: Needles,
    /// Needles in lower case and without white space: lists come in one line or in many.
    squeezed: Needles,
}

/// A piece of a canary that was found. It names the place and the encoding, and never shows the
/// text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) place: String,
    pub(crate) form: &'static str,
    /// The position in the text.
    at: usize,
}

impl Canaries {
    pub(crate) fn of(test: &'static str) -> Self {
        Self { test, ..Self::default() }
    }

    /// Letters and digits: only base64 and hex change this text, and no parser takes it for a
    /// number, a date or a URL.
    pub(crate) fn plain(&mut self, place: &str) -> String {
        let mut random = self.random(place);
        let text = std::iter::repeat_with(|| random.alphanumeric()).take(40).collect();
        self.plant_text(place, text)
    }

    /// Letters and digits, between characters that each encoding escapes differently.
    pub(crate) fn awkward(&mut self, place: &str) -> String {
        const ESCAPED: [char; 17] = [
            '\n', '"', '\'', '\\', '\t', 'é', '𝄞', '%', '&', '+', '/', '=', '<', '>', ' ', '$', '#',
        ];
        let mut random = self.random(place);
        let mut escaped = ESCAPED.to_vec();
        random.shuffle(&mut escaped);
        // Some windows have many escaped characters, and some have none.
        let lengths = [9, 2, 2, 1, 1, 1, 3, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 9];
        let mut text = String::new();
        for (index, length) in lengths.into_iter().enumerate() {
            text.extend(std::iter::repeat_with(|| random.alphanumeric()).take(length));
            text.extend(escaped.get(index));
        }
        self.plant_text(place, text)
    }

    /// Like [`awkward`](Self::awkward), in one line.
    pub(crate) fn line(&mut self, place: &str) -> String {
        let mut other = Self::of(self.test);
        let text = other.awkward(place).replace('\n', "!");
        self.plant_text(place, text)
    }

    /// Sixteen digits, which are a number in JSON.
    pub(crate) fn number(&mut self, place: &str) -> String {
        let mut random = self.random(place);
        // The number does not start like a year in the dates of logs.
        let text = format!(
            "9{}",
            std::iter::repeat_with(|| random.digit(10)).take(15).collect::<String>()
        );
        self.plant_text(place, text)
    }

    /// Bytes that are not UTF-8.
    pub(crate) fn bytes(&mut self, place: &str, length: usize) -> Vec<u8> {
        let mut random = self.random(place);
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        bytes[0] = 0xff;
        self.plant_bytes(place, &bytes);
        bytes
    }

    /// Plants a text as a canary, such as the base64 of bytes that are a canary too.
    pub(crate) fn plant_text(&mut self, place: &str, text: String) -> String {
        let chars: Vec<char> = text.chars().collect();
        for window in chars.windows(WINDOW) {
            let window: String = window.iter().collect();
            self.search_for(place, forms::of_text(&window));
        }
        self.places.push(place.to_owned());
        text
    }

    fn plant_bytes(&mut self, place: &str, bytes: &[u8]) {
        for window in bytes.windows(WINDOW) {
            self.search_for(place, forms::of_bytes(window));
        }
        self.places.push(place.to_owned());
    }

    /// Random numbers that are the same in each run, and differ for each place of each test.
    fn random(&self, place: &str) -> fastrand::Rng {
        assert!(!self.places.iter().any(|known| known == place), "two canaries at {place}");
        // FNV-1a: no library update changes it.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed =
            self.test.bytes().chain([0]).chain(place.bytes()).fold(0xcbf2_9ce4_8422_2325, hash);
        fastrand::Rng::with_seed(seed)
    }

    fn search_for(&mut self, place: &str, forms: Vec<Form>) {
        for Form { name, needle, matching } in forms {
            let target = Target { place: place.to_owned(), form: name, digits: false };
            match matching {
                Matching::Exact => self.exact.add(needle, target),
                Matching::AnyCase => self.folded.add(needle.to_ascii_lowercase(), target),
                Matching::Digits => self.folded.add(needle, Target { digits: true, ..target }),
                Matching::Squeezed => self.squeezed.add(squeezed(&needle), target),
            }
        }
    }

    /// Every piece of a canary in a text.
    pub(crate) fn sightings(&self, text: &[u8]) -> Vec<Sighting> {
        let folded = text.to_ascii_lowercase();
        let squeezed = squeezed(text);
        let mut sightings = self.exact.found_in(text);
        sightings.extend(self.folded.found_in(&folded));
        sightings.extend(self.squeezed.found_in(&squeezed));
        sightings
    }

    /// # Panics
    /// If the text contains any piece of a canary. The message names the canary and the encoding,
    /// and shows nothing of it.
    #[track_caller]
    pub(crate) fn assert_absent(&self, surface: &str, shown: impl AsRef<[u8]>) {
        assert!(!self.places.is_empty(), "{surface}: nothing is planted");
        let sightings = self.sightings(shown.as_ref());
        let first = sightings.first().map(|Sighting { place, form, at }| {
            format!(
                "the canary `{place}`, {form}, at byte {at}; {} sightings in all",
                sightings.len()
            )
        });
        assert!(first.is_none(), "{surface} shows {}", first.unwrap_or_default());
    }
}

/// The canary and the form that a needle comes from.
#[derive(Debug, Clone)]
struct Target {
    place: String,
    form: &'static str,
    /// Whether it counts only as a whole number, not as part of an id in hex.
    digits: bool,
}

/// The needles, by their first eight bytes: each form of eight characters has at least eight bytes.
struct Needles {
    by_start: HashMap<[u8; WINDOW], Vec<(Vec<u8>, Target)>>,
    /// For each fingerprint of four bytes, whether a needle starts with such bytes. Most of a text
    /// has none of them.
    starts: Vec<bool>,
}

impl Default for Needles {
    fn default() -> Self {
        Self { by_start: HashMap::new(), starts: vec![false; 1 << FINGERPRINT_BITS] }
    }
}

impl Needles {
    fn add(&mut self, needle: Vec<u8>, target: Target) {
        let start =
            *needle.first_chunk().unwrap_or_else(|| panic!("a short form: {}", target.form));
        self.starts[fingerprint(start[..4].iter().fold(0, shifted_in))] = true;
        let known = self.by_start.entry(start).or_default();
        if !known.iter().any(|(same, _)| *same == needle) {
            known.push((needle, target));
        }
    }

    fn found_in(&self, text: &[u8]) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        let mut last_four = 0;
        for (end, byte) in text.iter().enumerate() {
            last_four = shifted_in(last_four, byte);
            if !self.starts[fingerprint(last_four)] || end < 3 {
                continue;
            }
            let at = end - 3;
            let found = text[at..].first_chunk().and_then(|start| self.by_start.get(start));
            for (needle, target) in found.into_iter().flatten() {
                if text[at..].starts_with(needle) && !(target.digits && in_an_id(text, at)) {
                    sightings.push(Sighting { place: target.place.clone(), form: target.form, at });
                }
            }
        }
        sightings
    }
}

const FINGERPRINT_BITS: u32 = 20;

fn shifted_in(last_four: u32, byte: &u8) -> u32 {
    last_four << 8 | u32::from(*byte)
}

fn fingerprint(four: u32) -> usize {
    (four.wrapping_mul(0x9e37_79b1) >> (32 - FINGERPRINT_BITS)) as usize
}

/// Whether the digits at a place are part of an id in hex, such as a signature: any digits may
/// occur there by chance.
fn in_an_id(text: &[u8], at: usize) -> bool {
    let (before, after) = text.split_at(at);
    let neighbour = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'a'..=b'f'));
    neighbour(before.iter().rev().find(|byte| !byte.is_ascii_digit()))
        || neighbour(after.iter().find(|byte| !byte.is_ascii_digit()))
}

fn squeezed(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests;

//! What values begin with. The test draws it at random for each run, and hands it over disguised;
//! it is compared byte by byte, and never put together here. So what the search finds is a value.

use std::io::BufRead as _;
use std::sync::OnceLock;

const DISGUISE: u8 = 0x5a;
/// The number of the rotation follows, in so many digits.
const DIGITS: usize = 5;

static DISGUISED: OnceLock<Vec<u8>> = OnceLock::new();

/// Reads it from the environment, where it is in hexadecimal digits.
pub(crate) fn read() {
    let text = std::env::var("CANARY").expect("CANARY is set");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    let disguised = (0..text.len()).step_by(2).map(byte).collect();
    DISGUISED.set(disguised).expect("it is read once");
}

/// Where values begin in these bytes, with their rotation's number.
pub(crate) fn values(bytes: &[u8]) -> Vec<(usize, usize)> {
    let Some(disguised) = DISGUISED.get() else { return Vec::new() };
    let (first, mut found) = (disguised[0] ^ DISGUISE, Vec::new());
    let mut rest = bytes;
    // Unlike `position`, compiled with optimisation in a debug build, too.
    while rest.skip_until(first).is_ok_and(|skipped| skipped > 0) {
        let at = bytes.len() - rest.len() - 1;
        if let Some(number) = number_of(&bytes[at..], disguised) {
            found.push((at, number));
        }
    }
    found
}

/// The number of the value that begins here.
fn number_of(bytes: &[u8], disguised: &[u8]) -> Option<usize> {
    let (value, digits) = bytes.get(..disguised.len() + DIGITS)?.split_at(disguised.len());
    let is_value = value.iter().zip(disguised).all(|(byte, other)| byte ^ DISGUISE == *other)
        && digits.iter().all(u8::is_ascii_digit);
    let digit = |number, digit: &u8| number * 10 + usize::from(digit - b'0');
    is_value.then(|| digits.iter().fold(0, digit))
}

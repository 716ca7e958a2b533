//! What the stores with an HTTP client of this crate share: an answer's body, read up to a bound
//! into a buffer that is wiped, text in a URL, and the causes of an error.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use bytes::Bytes;
use http_body_util::BodyExt;
use zeroize::Zeroizing;

/// A body, wiped when it is dropped.
pub(super) type Body = Zeroizing<Vec<u8>>;

/// Why there is no whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFailure {
    /// The connection was closed before its end.
    CutOff,
    /// It is longer than the limit.
    TooLong,
}

/// The whole of a body of at most this many bytes.
pub(super) async fn whole(
    mut body: impl BodyExt<Data = Bytes> + Unpin,
    limit: usize,
) -> Result<Body, BodyFailure> {
    let mut whole = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyFailure::CutOff)?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(BodyFailure::TooLong);
        }
        grow(&mut whole, data.len());
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

/// Makes room for more bytes without leaving a copy behind.
fn grow(buffer: &mut Body, more: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(buffer.capacity() * 2)));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
}

/// Text with what is special in a URL encoded; these bytes are kept too.
pub(super) fn encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ if kept.contains(&byte) => encoded.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

/// An error and its causes. That of an `io::Error` is what it was made of, which `source()` skips.
pub(super) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|error| error as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

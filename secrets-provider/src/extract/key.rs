//! [`Key`]: key material of a known length.
//!
//! It reads itself from text or bytes and leaves the reason of a rejection in `serde_internals`,
//! because serde would reduce it to text. Wiped on drop, compared in constant time.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::error::KeyError;
use super::serde_internals::{KEY, leave_key_error};

/// `N` bytes of key material: from base64 text (standard or URL-safe, padded or not), from hex
/// text, or from SecretBinary. Wiped when dropped; compared in constant time; `Debug` only shows
/// its length.
///
/// ```
/// use secrets_provider::{Key, Layers};
///
/// #[derive(serde::Deserialize)]
/// struct Settings { encryption_key: Key<4> }
///
/// for text in ["AAECAw==", "AAECAw", "00010203"] {
///     let settings: Settings = Layers::new().environment_from([("ENCRYPTION_KEY", text)]).extract()?;
///     assert_eq!(settings.encryption_key.as_bytes(), &[0, 1, 2, 3]);
/// }
/// let error = Layers::new().environment_from([("ENCRYPTION_KEY", "AAEQ")]).extract::<Settings>().err().unwrap();
/// assert!(error.to_string().contains("must be 4 bytes, got 3"));
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Clone)]
pub struct Key<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Key<N> {
    /// A key of these bytes.
    pub fn new(bytes: [u8; N]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(Box::new(*bytes))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    fn of(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut key = Box::new([0; N]);
        if bytes.len() != N {
            return Err(KeyError::Length { expected: N, found: bytes.len() });
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    fn decoded(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let hex = hex(text);
        if let Some(bytes) = hex.as_ref().filter(|bytes| bytes.len() == N) {
            return Self::of(bytes);
        }
        let base64 = base64(text);
        match (base64, hex) {
            (Some(bytes), _) if bytes.len() == N => Self::of(&bytes),
            // Text that only has hex digits is rarely base64, so its length is reported as hex.
            (_, Some(bytes)) | (Some(bytes), None) => Self::of(&bytes),
            (None, None) => Err(KeyError::Encoding { expected: N }),
        }
    }
}

/// Decodes hex digits into one buffer, which is wiped even if decoding fails half-way.
fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks(2) {
        let digit =
            |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(bytes)
}

/// Decodes base64, standard or URL-safe, padded or not, into one buffer, which is wiped even if
/// decoding fails half-way.
fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let decoded = [alphabet::STANDARD, alphabet::URL_SAFE].iter().find_map(|alphabet| {
        GeneralPurpose::new(alphabet, config).decode_slice(text, &mut bytes).ok()
    })?;
    bytes.truncate(decoded);
    Some(bytes)
}

impl<const N: usize> PartialEq for Key<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl<const N: usize> Eq for Key<N> {}

impl<const N: usize> AsRef<[u8]> for Key<N> {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

impl<const N: usize> Drop for Key<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Key<N> {}

impl<const N: usize> fmt::Debug for Key<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key<{N}>([redacted])")
    }
}

impl<'de, const N: usize> Deserialize<'de> for Key<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<const N: usize>;

        fn checked<T, E: Error>(key: Result<T, KeyError>) -> Result<T, E> {
            key.map_err(|error| {
                leave_key_error(error);
                E::custom(error)
            })
        }

        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = Key<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes as base64 or hex text")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Self::Value, D::Error> {
                deserializer.deserialize_str(self)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                checked(Key::decoded(text))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                checked(Key::of(bytes))
            }
        }

        deserializer.deserialize_newtype_struct(KEY, Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_by_every_usual_encoding() {
        let bytes = [0xfb, 0xff, 0x00, 0x10];
        for text in
            ["+/8AEA==", "+/8AEA", "-_8AEA==", "-_8AEA", "fbff0010", "FBFF0010", " fbff0010\n"]
        {
            assert_eq!(
                Key::decoded(text).map(|key: Key<4>| *key.as_bytes()).ok(),
                Some(bytes),
                "{text}"
            );
        }
        // 32 bytes as 64 hex digits, which are base64 of 48 bytes too.
        assert!(Key::<32>::decoded(&"ab".repeat(32)).is_ok());
        assert!(Key::<48>::decoded(&"ab".repeat(32)).is_ok());
    }

    #[test]
    fn a_wrong_length_or_encoding_is_described_without_the_text() {
        let error = |text: &str| Key::<32>::decoded(text).expect_err("no key").to_string();
        assert_eq!(error("AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"), "must be 32 bytes, got 24");
        assert_eq!(error(&"ab".repeat(16)), "must be 32 bytes, got 16");
        assert_eq!(error(""), "must be 32 bytes, got 0");
        assert_eq!(
            error("hunter2 hunter2"),
            "must be 32 bytes as base64 or hex text, and the text is neither"
        );
    }

    #[test]
    fn equality_and_debug() {
        assert_eq!(Key::new([1, 2]), Key::new([1, 2]));
        assert_ne!(Key::new([1, 2]), Key::new([1, 3]));
        assert_eq!(format!("{:?}", Key::new([1, 2])), "Key<2>([redacted])");
    }

    #[test]
    fn other_deserializers_read_text() {
        let key: Key<2> = serde_json::from_str("\"0102\"").expect("a key");
        assert_eq!(key.as_bytes(), &[1, 2]);
        let error = serde_json::from_str::<Key<2>>("\"010203\"").expect_err("too long");
        assert!(error.to_string().contains("must be 2 bytes, got 3"), "{error}");
    }
}

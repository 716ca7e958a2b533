//! New passwords and keys from the operating system's randomness.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// What a password consists of: letters and digits, which neither a URL nor SQL nor a shell nor
/// JSON gives a meaning.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How many characters a password has: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// Bytes from here on would make the first characters of the alphabet likelier than the others.
const FAIR: u8 = (256 / ALPHABET.len() * ALPHABET.len()) as u8;

/// A new password.
///
/// # Errors
///
/// `Unavailable` if the operating system has no randomness.
pub(super) fn password() -> Result<Zeroizing<String>, Error> {
    password_from(bytes::<64>)
}

/// New key material.
///
/// # Errors
///
/// `Unavailable` if the operating system has no randomness.
pub(super) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| {
        Error::new(ErrorKind::Unavailable, "the operating system gives no random numbers")
    })?;
    Ok(bytes)
}

fn password_from(
    mut random: impl FnMut() -> Result<Zeroizing<[u8; 64]>, Error>,
) -> Result<Zeroizing<String>, Error> {
    // With its whole length, so that nothing is left behind by growing.
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD_LENGTH));
    while password.len() < PASSWORD_LENGTH {
        let bytes = random()?;
        let fair = bytes.iter().filter(|byte| **byte < FAIR);
        let missing = PASSWORD_LENGTH - password.len();
        let characters = fair.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        password.extend(characters.take(missing));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_32_letters_and_digits_and_never_comes_again() {
        let one = password().expect("randomness");
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(*one, *password().expect("randomness"));
        assert_ne!(*bytes::<32>().expect("randomness"), [0; 32]);
    }

    /// Each byte below the bound is as likely as any other, so each character must come from the
    /// same number of them.
    #[test]
    fn every_character_is_equally_likely() {
        let mut counts = [0; 128];
        for byte in 0..=u8::MAX {
            let mut first = true;
            let mut feed = || {
                let fill = if std::mem::take(&mut first) { byte } else { 0 };
                let mut bytes = Zeroizing::new([u8::MAX; 64]);
                bytes[0] = fill;
                Ok(bytes)
            };
            let password = password_from(&mut feed).expect("a password");
            if byte < FAIR {
                counts[usize::from(password.as_bytes()[0])] += 1;
            } else {
                assert_eq!(password.as_bytes()[0], ALPHABET[0], "{byte} is not used");
            }
        }
        assert!(ALPHABET.iter().all(|c| counts[usize::from(*c)] == 4), "{counts:?}");
    }

    #[test]
    fn without_randomness_there_is_no_password() {
        let error = || Err(Error::new(ErrorKind::Unavailable, "none"));
        assert_eq!(password_from(error).expect_err("no password").kind(), ErrorKind::Unavailable);
    }
}

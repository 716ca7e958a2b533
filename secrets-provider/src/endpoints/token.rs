//! Who may ask for a refresh.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::error::{Error, ErrorKind};

/// The token that allows a refresh over HTTP: whoever sends `Authorization: Bearer <token>`. Make it long and random,
/// such as `openssl rand -hex 32` prints. Wiped when dropped; compared in constant time, but for its length; `Debug`
/// shows nothing of it.
///
/// ```
/// use secrets_provider::endpoints::RefreshToken;
///
/// let token = RefreshToken::new("a-long-random-token")?;
/// assert!(token.allows(b"Bearer a-long-random-token"));
/// assert!(!token.allows(b"Bearer another-token"));
/// assert!(RefreshToken::new("").is_err());
/// # Ok::<(), secrets_provider::Error>(())
/// ```
#[derive(Clone)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// A token: a `SecretString` of the crate `secrecy`, or a string, which becomes one.
    ///
    /// # Errors
    ///
    /// `Config`, if it is empty, or holds anything but visible ASCII characters: no request could carry it (white space
    /// at its end is the usual mistake).
    pub fn new(token: impl Into<SecretString>) -> Result<Self, Error> {
        let token = token.into();
        let problem = match token.expose_secret().as_bytes() {
            [] => "the refresh token is empty",
            bytes if bytes.iter().all(u8::is_ascii_graphic) => return Ok(Self(token)),
            _ => {
                "the refresh token holds a space, a line break or another character that no header can carry"
            }
        };
        Err(Error::new(ErrorKind::Config, problem)
            .with_hint("take visible ASCII characters, such as `openssl rand -hex 32` prints"))
    }

    /// Whether this value of an `Authorization` header is `Bearer` and the token.
    pub fn allows(&self, authorization: &[u8]) -> bool {
        const SCHEME: &[u8] = b"bearer ";
        let Some((scheme, given)) = authorization.split_at_checked(SCHEME.len()) else {
            return false;
        };
        let expected = self.0.expose_secret().as_bytes();
        scheme.eq_ignore_ascii_case(SCHEME) && given.trim_ascii_start().ct_eq(expected).into()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "s3cr3t-t0ken";

    #[test]
    fn only_the_whole_token_after_its_scheme_is_let_in() {
        let token = RefreshToken::new(TOKEN).expect("a token");
        for allowed in
            [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}"), format!("BEARER   {TOKEN}")]
        {
            assert!(token.allows(allowed.as_bytes()));
        }
        let (prefix, shouted) = (&TOKEN[..TOKEN.len() - 1], TOKEN.to_uppercase());
        for refused in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Bearer {prefix}"),
            format!("Bearer {TOKEN}x"),
            format!("Bearer {TOKEN} "),
            format!("Bearer {TOKEN}, Bearer {TOKEN}"),
            format!("Bearer {shouted}"),
            format!("Bearer{TOKEN}"),
            format!("Basic {TOKEN}"),
            format!("Token {TOKEN}"),
            TOKEN.to_owned(),
        ] {
            assert!(!token.allows(refused.as_bytes()), "{}", refused.replace(TOKEN, "TOKEN"));
        }
        assert!(!token.allows(b"Bearer \xff\xfe"));
    }

    #[test]
    fn a_token_that_no_header_carries_is_refused_without_repeating_it() {
        for (text, told) in [
            ("", "empty"),
            ("two words", "a space"),
            ("token\n", "line break"),
            ("clé", "character"),
        ] {
            let error = RefreshToken::new(text).expect_err("no token");
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(told), "{shown}");
            assert!(text.is_empty() || !shown.contains(text), "it is repeated");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let token = RefreshToken::new(SecretString::from(TOKEN)).expect("a token");
        assert_eq!(format!("{:?}", token.clone()), "RefreshToken([redacted])");
    }
}

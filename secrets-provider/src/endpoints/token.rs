//! The bearer token that protects `POST /refresh`. The framework crates re-export it; `refresh`
//! checks it.
//!
//! The token is a secret: it is wiped when dropped, compared in constant time, and never shown.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::error::{Error, ErrorKind};

/// The token that a client sends as `Authorization: Bearer <token>` to refresh over HTTP.
///
/// Make it long and random: `openssl rand -hex 32` prints a good one. It is wiped when dropped;
/// comparing it takes constant time for tokens of the same length; `Debug` does not show it.
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
    /// A token from a `SecretString` of the crate `secrecy`, or from a string.
    ///
    /// # Errors
    ///
    /// `Config` if the token is empty or contains anything but visible ASCII characters, because no
    /// request could send it. White space at the end is the usual mistake.
    pub fn new(token: impl Into<SecretString>) -> Result<Self, Error> {
        let token = token.into();
        let problem = match token.expose_secret().as_bytes() {
            [] => "the refresh token is empty",
            bytes if bytes.iter().all(u8::is_ascii_graphic) => return Ok(Self(token)),
            _ => {
                "the refresh token contains a space, a line break or a character that is not ASCII"
            }
        };
        Err(Error::new(ErrorKind::Config, problem)
            .with_hint("use visible ASCII characters: `openssl rand -hex 32` prints a token"))
    }

    /// Whether this value of an `Authorization` header is `Bearer` followed by the token.
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
    fn only_the_whole_token_after_bearer_is_allowed() {
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
    fn an_invalid_token_is_rejected_and_not_shown() {
        for (text, reason) in [
            ("", "empty"),
            ("two words", "a space"),
            ("token\n", "line break"),
            ("clé", "character"),
        ] {
            let error = RefreshToken::new(text).expect_err("an invalid token");
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(reason), "{shown}");
            assert!(text.is_empty() || !shown.contains(text), "the token is shown");
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let token = RefreshToken::new(SecretString::from(TOKEN)).expect("a token");
        assert_eq!(format!("{:?}", token.clone()), "RefreshToken([redacted])");
    }
}

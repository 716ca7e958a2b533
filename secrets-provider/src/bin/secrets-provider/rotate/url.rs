//! The password in the URL of a database, replaced in place. Pure.

use std::ops::Range;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The URL with another password, of letters and digits. `None` if it is no URL with a user and a
/// password: `postgres://user:password@host/database`.
pub(super) fn with_password(url: &SecretString, password: &SecretString) -> Option<SecretString> {
    let url = url.expose_secret();
    let place = place(url)?;
    let (before, after) = (&url[..place.start], &url[place.end..]);
    Some([before, password.expose_secret(), after].concat().into())
}

/// The password itself, if there is one.
pub(super) fn password(url: &SecretString) -> Option<SecretString> {
    let url = url.expose_secret();
    let encoded = &url[place(url)?];
    let decoded = Zeroizing::new(decoded(encoded));
    std::str::from_utf8(&decoded).ok().map(SecretString::from)
}

/// Without percent-encoding.
fn decoded(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let digit = |at: usize| text.get(at).and_then(|c| char::from(*c).to_digit(16));
        match (digit(at + 1), digit(at + 2)) {
            (Some(high), Some(low)) if *byte == b'%' => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

fn place(url: &str) -> Option<Range<usize>> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme.is_empty()
        || !scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
    {
        return None;
    }
    let begin = scheme.len() + "://".len();
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (login, _) = authority.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    if user.is_empty() || password.is_empty() {
        return None;
    }
    let start = begin + user.len() + 1;
    Some(start..start + password.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_changes() {
        for (url, expected) in [
            (
                "postgres://app:old@db:5432/app?sslmode=require",
                Some("postgres://app:new@db:5432/app?sslmode=require"),
            ),
            (
                "postgresql+asyncpg://a%40b:o%2Fl%3Ad@db/app",
                Some("postgresql+asyncpg://a%40b:new@db/app"),
            ),
            ("postgres://app:o@ld@db", Some("postgres://app:new@db")),
            (
                "postgres://app:old@/app?host=/run/x:y@z",
                Some("postgres://app:new@/app?host=/run/x:y@z"),
            ),
            ("postgres://app@db/app", None),
            ("postgres://app:@db/app", None),
            ("postgres://db/app?password=old", None),
            ("host=db password=old", None),
            ("", None),
        ] {
            let found = with_password(&url.into(), &"new".into());
            assert_eq!(found.as_ref().map(ExposeSecret::expose_secret), expected, "{url}");
            assert_eq!(password(&url.into()).is_some(), expected.is_some());
        }
    }

    #[test]
    fn the_password_is_decoded() {
        let found = password(&"postgres://a%40b:o%2Fl%3Ad%@db/app".into()).expect("a password");
        assert_eq!(found.expose_secret(), "o/l:d%");
    }
}

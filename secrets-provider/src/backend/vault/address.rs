//! Where the server is, and how names become paths of its URLs.
//!
//! An address may hold credentials by mistake, so it is shown only once it was found to be without.
//! Pure.

use crate::env;
use crate::error::{Error, ErrorKind};
use crate::secret::id::is_arn;

/// A checked address: a scheme, an authority, and perhaps a path, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    url: String,
    pub(super) is_https: bool,
}

impl Address {
    /// # Errors
    ///
    /// `Config` if it is no URL of `http` or `https`, or has credentials or a query.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let bad = || {
            env::bad("Vault's address", "a URL such as `https://vault:8200`, without user or query")
        };
        let url = text.trim().trim_end_matches('/');
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') || uri.host().unwrap_or_default().is_empty() {
            return Err(bad());
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(bad());
        }
        // `https://vault:8200/v1` is a slip that is easily made.
        let url = url.strip_suffix("/v1").unwrap_or(url);
        Ok(Self { url: url.to_owned(), is_https })
    }

    /// The URL as it was given.
    pub(super) fn as_str(&self) -> &str {
        &self.url
    }

    /// The URL of a path below `/v1/`, which is encoded already.
    pub(super) fn of(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.url)
    }
}

/// The address for `Debug`.
pub(super) fn shown(text: &str) -> String {
    match Address::parse(text) {
        Ok(address) => address.url,
        Err(_) => "not valid".to_owned(),
    }
}

/// A path with what is special in a URL encoded, except for slashes.
pub(super) fn encoded(path: &str) -> String {
    crate::backend::http::encoded(path, b"/")
}

/// What is wrong with the name of a secret, or with a prefix, if Vault has no such path: it would
/// redirect to another path, or read a folder.
pub(super) fn slip(what: &str, name: &str) -> Option<Error> {
    let bad_part = |part: &str| part.is_empty() || part == "." || part == "..";
    let (problem, hint) = if is_arn(name) {
        ("is an ARN, which Vault does not have", "give the path below the mount")
    } else if name.split('/').any(bad_part) {
        (
            "has an empty part, or `.` or `..`",
            "give the path below the mount, without a slash at \
          either end",
        )
    } else if name.chars().any(char::is_control) || name.ends_with(char::is_whitespace) {
        ("has a control character, or white space at its end", "correct the name")
    } else {
        return None;
    };
    Some(Error::new(ErrorKind::Config, format!("{what} `{name}` {problem}")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_without_credentials() {
        for (text, url) in [
            ("https://vault:8200", "https://vault:8200"),
            ("http://127.0.0.1:8200/", "http://127.0.0.1:8200"),
            (" https://[::1]:8200/proxy/ ", "https://[::1]:8200/proxy"),
            ("https://vault:8200/v1/", "https://vault:8200"),
        ] {
            assert_eq!(Address::parse(text).expect(text).as_str(), url);
            assert_eq!(shown(text), url);
        }
        for text in [
            "",
            "vault:8200",
            "vault",
            "ftp://vault",
            "https://",
            "unix:///run/vault.sock",
            "https://user:hunter2@vault:8200",
            "https://vault?token=hunter2",
            "https://a b",
            "https://vault#hunter2",
        ] {
            let error = Address::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {}", shown(text)).contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_path_keeps_its_slashes_and_nothing_else_that_is_special() {
        for (path, expected) in [
            ("gaara/prod/db-1_a.b~c", "gaara/prod/db-1_a.b~c"),
            ("a b/%41?x#y", "a%20b/%2541%3Fx%23y"),
            ("schlüssel", "schl%C3%BCssel"),
        ] {
            assert_eq!(encoded(path), expected);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-AbCdEf";
        for name in ["", "/a", "a/", "a//b", "a/../b", ".", "a\nb", "a ", arn] {
            let error = slip("secret", name).unwrap_or_else(|| panic!("{name:?}"));
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        for name in ["a", "a/b", "a b", "a:b", "...", "ä"] {
            assert!(slip("secret", name).is_none(), "{name}");
        }
    }
}

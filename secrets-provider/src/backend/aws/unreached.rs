//! Why a request got no answer at all: no connection, no TLS, no credentials to sign with.
//!
//! The SDK keeps these causes in private types, so some show only in the words of its errors. Those
//! words are compared, and never shown; `error` has ours.

use aws_credential_types::provider::error::CredentialsError;

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreached {
    Certificate,
    NoTls,
    Name,
    Refused,
    Unknown,
}

impl Unreached {
    /// rustls is behind the SDK's connector, so only its words show what TLS met.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let says = |phrases: &[&str]| {
            let mut chain = std::iter::successors(Some(error), |error| error.source());
            chain.any(|error| {
                let text = error.to_string().to_ascii_lowercase();
                phrases.iter().any(|phrase| text.contains(phrase))
            })
        };
        match () {
            () if says(&["certificate", "unknownissuer", "unknownca"]) => Self::Certificate,
            () if says(&["corrupt message", "invalidcontenttype", "handshake"]) => Self::NoTls,
            () if says(&["dns error", "failed to lookup address"]) => Self::Name,
            () if says(&["connection refused"]) => Self::Refused,
            () => Self::Unknown,
        }
    }
}

/// Whether there were no credentials to sign with. The SDK's type for that is private, so only its
/// words show it.
pub(super) fn without_provider(error: &(dyn std::error::Error + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).any(|text| text.contains("auth scheme"))
}

pub(super) fn credentials_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a CredentialsError> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn no_connection_is_told_apart_by_its_cause() {
        for (text, expected) in [
            ("invalid peer certificate: UnknownIssuer", Unreached::Certificate),
            ("received fatal alert: UnknownCA", Unreached::Certificate),
            ("received corrupt message of type InvalidContentType", Unreached::NoTls),
            ("dns error: failed to lookup address information", Unreached::Name),
            ("tcp connect error: Connection refused (os error 111)", Unreached::Refused),
            ("connection reset by peer", Unreached::Unknown),
        ] {
            let error = io::Error::other(io::Error::other(text));
            assert_eq!(Unreached::of(&error), expected, "{text}");
        }
    }
}

//! Why a request got no answer at all: no connection, no TLS, no credentials to sign with; and
//! whether that happened at the endpoint or at a proxy in front of it.
//!
//! rustls's error is found by its type. The SDK keeps most other causes in private types, so they
//! show only in the words of its errors, and so does a certificate for another TLS library. Those
//! words are compared, and never shown; `unanswered` has ours.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreached {
    Certificate(Certificate),
    NoTls,
    Name,
    Refused,
    /// The proxy asks for credentials, or for other ones.
    ProxyCredentials,
    /// The proxy answered that it does not connect.
    ProxyRefuses,
    Unknown,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(any(feature = "rustls-aws-lc", feature = "rustls-ring")),
    allow(dead_code, reason = "without rustls, nothing says what is wrong")
)]
pub(super) enum Certificate {
    Untrusted,
    Expired,
    NotYetValid,
    OfAnotherName,
}

impl Unreached {
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        if let Some(cause) = chain(error).find_map(of_rustls) {
            return cause;
        }
        match () {
            () if says(error, &["proxy authorization required"]) => Self::ProxyCredentials,
            () if says(error, &["tunnel error: unsuccessful"]) => Self::ProxyRefuses,
            () if says(error, &["certificate", "unknownissuer", "unknownca"]) => {
                Self::Certificate(Certificate::Untrusted)
            }
            () if says(error, &["corrupt message", "invalidcontenttype", "handshake"]) => {
                Self::NoTls
            }
            () if says(error, &["dns error", "failed to lookup address"]) => Self::Name,
            () if says(error, &["connection refused"]) => Self::Refused,
            () => Self::Unknown,
        }
    }
}

/// What TLS met, if this is rustls's error. It is the same type for each provider of cryptography.
#[cfg(any(feature = "rustls-aws-lc", feature = "rustls-ring"))]
fn of_rustls(error: &(dyn StdError + 'static)) -> Option<Unreached> {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error as Tls};
    Some(match error.downcast_ref()? {
        Tls::InvalidCertificate(bad) => Unreached::Certificate(match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => Certificate::Expired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => Certificate::NotYetValid,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Certificate::OfAnotherName,
            _ => Certificate::Untrusted,
        }),
        Tls::NoCertificatesPresented
        | Tls::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateRequired
            | Alert::CertificateUnknown,
        ) => Unreached::Certificate(Certificate::Untrusted),
        Tls::InvalidMessage(_) | Tls::AlertReceived(_) | Tls::PeerIncompatible(_) => {
            Unreached::NoTls
        }
        _ => return None,
    })
}

#[cfg(not(any(feature = "rustls-aws-lc", feature = "rustls-ring")))]
fn of_rustls(_: &(dyn StdError + 'static)) -> Option<Unreached> {
    None
}

/// An error and its causes. That of an `io::Error` is what it was made of, which `source()` skips.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|error| error as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

fn says(error: &(dyn StdError + 'static), phrases: &[&str]) -> bool {
    chain(error).any(|error| {
        let text = error.to_string().to_ascii_lowercase();
        phrases.iter().any(|phrase| text.contains(phrase))
    })
}

/// Whether it happened on the way to a proxy, or at it. Calls by HTTPS go through a tunnel.
pub(super) fn is_of_tunnel(error: &(dyn StdError + 'static)) -> bool {
    says(error, &["tunnel error"])
}

/// Whether there were no credentials to sign with. The SDK's type for that is private, so only its
/// words show it.
pub(super) fn without_provider(error: &(dyn StdError + 'static)) -> bool {
    chain(error).map(ToString::to_string).any(|text| text.contains("auth scheme"))
}

pub(super) fn credentials_error<'a>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a CredentialsError> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// Why STS gave no credentials for a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleRefusal {
    /// The role may not be assumed, or does not exist.
    Role,
    /// The token of the web identity is not accepted.
    Token,
}

impl RoleRefusal {
    /// What the codes of STS mean
    /// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
    /// Others are outages, or pass by themselves.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        match () {
            () if says(error, &["invalididentitytoken", "expiredtoken", "idprejectedclaim"]) => {
                Some(Self::Token)
            }
            () if says(error, &["accessdenied"]) => Some(Self::Role),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_connection_is_told_apart_by_its_cause() {
        for (text, expected) in [
            (
                "invalid peer certificate: UnknownIssuer",
                Unreached::Certificate(Certificate::Untrusted),
            ),
            ("received fatal alert: UnknownCA", Unreached::Certificate(Certificate::Untrusted)),
            ("received corrupt message of type InvalidContentType", Unreached::NoTls),
            ("dns error: failed to lookup address information", Unreached::Name),
            ("tcp connect error: Connection refused (os error 111)", Unreached::Refused),
            ("tunnel error: proxy authorization required", Unreached::ProxyCredentials),
            ("tunnel error: unsuccessful", Unreached::ProxyRefuses),
            ("connection reset by peer", Unreached::Unknown),
        ] {
            let error = io::Error::other(io::Error::other(text));
            assert_eq!(Unreached::of(&error), expected, "{text}");
        }
    }

    /// As hyper-rustls nests it.
    #[cfg(any(feature = "rustls-aws-lc", feature = "rustls-ring"))]
    #[test]
    fn what_tls_met_is_known_by_its_type() {
        use rustls::{AlertDescription, CertificateError as Bad, Error, InvalidMessage};
        for (error, expected) in [
            (Error::InvalidCertificate(Bad::Expired), Unreached::Certificate(Certificate::Expired)),
            (
                Error::InvalidCertificate(Bad::NotValidYet),
                Unreached::Certificate(Certificate::NotYetValid),
            ),
            (
                Error::InvalidCertificate(Bad::NotValidForName),
                Unreached::Certificate(Certificate::OfAnotherName),
            ),
            (
                Error::InvalidCertificate(Bad::Revoked),
                Unreached::Certificate(Certificate::Untrusted),
            ),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                Unreached::Certificate(Certificate::Untrusted),
            ),
            (Error::AlertReceived(AlertDescription::ProtocolVersion), Unreached::NoTls),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Unreached::NoTls),
            (
                Error::General("certificate".to_owned()),
                Unreached::Certificate(Certificate::Untrusted),
            ),
            (Error::DecryptError, Unreached::Unknown),
        ] {
            let text = error.to_string();
            let error = io::Error::other(io::Error::other(error));
            assert_eq!(Unreached::of(&error), expected, "{text}");
        }
    }

    #[test]
    fn a_refusal_of_sts_is_known_by_its_code() {
        for (text, expected) in [
            ("unhandled error (AccessDenied)", Some(RoleRefusal::Role)),
            ("InvalidIdentityTokenException: canary", Some(RoleRefusal::Token)),
            ("ExpiredTokenException: canary", Some(RoleRefusal::Token)),
            ("IDPRejectedClaimException", Some(RoleRefusal::Token)),
            ("IDPCommunicationErrorException", None),
            ("unhandled error (Throttling)", None),
            ("dns error", None),
        ] {
            assert_eq!(RoleRefusal::of(&io::Error::other(text)), expected, "{text}");
        }
    }
}

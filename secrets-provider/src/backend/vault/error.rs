//! The errors of [`Vault`](super::Vault): what failed, on which path, which capability is missing,
//! and what to do about it.
//!
//! They name paths, capabilities, mounts and namespaces. Vault's own messages are only compared
//! with known texts, because a plugin may put anything into them.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::address::Address;
use super::answer::Answer;
use crate::backend::http::chain;
use crate::error::{Error, ErrorKind};

/// What was asked of Vault, for the words of an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// What it is about: "secret `a/b`: ", or nothing.
    pub(super) subject: &'a str,
    /// The capability that it needs.
    pub(super) capability: &'a str,
    /// The path, without `/v1/` and not encoded.
    pub(super) path: &'a str,
    pub(super) mount: &'a str,
    pub(super) namespace: Option<&'a str>,
}

impl Call<'_> {
    /// Words about where a path is.
    fn place(&self) -> String {
        match self.namespace {
            Some(namespace) => format!(" in the namespace `{namespace}`"),
            None => String::new(),
        }
    }

    pub(super) fn error(&self, kind: ErrorKind, problem: impl std::fmt::Display) -> Error {
        Error::new(kind, format!("{}{problem}", self.subject))
    }

    /// The error of an answer that is none of those that the call expects.
    pub(super) fn failed(&self, answer: &Answer) -> Error {
        match answer.status {
            403 => self.denied(),
            404 if answer.complains_of("namespace not found") => self.no_namespace(),
            404 if answer.complains_of("no handler for route") => self.no_mount(),
            404 => self.absent(),
            200..=299 => self.unintelligible(),
            _ => self.not_served(answer),
        }
    }

    /// The error of an answer that is not about what was asked.
    pub(super) fn not_served(&self, answer: &Answer) -> Error {
        let unavailable = |problem: &str| self.error(ErrorKind::Unavailable, problem);
        match answer.status {
            status @ 300..=399 => {
                unavailable(&format!("this node of Vault redirects to another (status {status})"))
                    .with_hint(
                        "give the address of the active node, or of a load balancer that only \
                         sends to it; redirects are not followed, because the token would be too",
                    )
            }
            400 if said(answer, "Client sent an HTTP request to an HTTPS server") => self
                .error(ErrorKind::Config, "Vault speaks HTTPS at this address, and not HTTP")
                .with_hint("write the address with `https://`"),
            429 => self
                .error(ErrorKind::Throttled, "a quota of Vault is used up for now")
                .with_hint("`vault list sys/quotas/rate-limit` shows the quotas"),
            412 | 472 | 473 => unavailable("this node of Vault cannot serve the request yet")
                .with_hint("it is a standby that lags behind, or of a disaster recovery cluster"),
            501 => unavailable("Vault is not initialized").with_hint("run `vault operator init`"),
            503 if answer.complains_of("sealed") => {
                unavailable("Vault is sealed").with_hint("run `vault operator unseal`")
            }
            status => {
                let path = self.path;
                unavailable(&format!("Vault answered `{path}` with the status {status}"))
                    .with_hint("its log says more: `vault monitor`")
            }
        }
    }

    pub(super) fn denied(&self) -> Error {
        let Self { capability, path, .. } = self;
        let place = self.place();
        let problem = format!("Vault denies `{capability}` on `{path}`{place}");
        self.error(ErrorKind::AccessDenied, problem).with_hint(format!(
            "add to a policy of this token: `path \"{path}\" {{ capabilities = \
             [\"{capability}\"] }}`; a mount that does not exist is denied too"
        ))
    }

    fn no_namespace(&self) -> Error {
        let namespace = self.namespace.unwrap_or("root");
        self.error(ErrorKind::Config, format!("Vault has no namespace `{namespace}`"))
            .with_hint("list them with `vault namespace list`")
    }

    pub(super) fn no_mount(&self) -> Error {
        let (mount, place) = (self.mount, self.place());
        self.error(ErrorKind::Config, format!("Vault has nothing mounted at `{mount}`{place}"))
            .with_hint(
                "list mounts with `vault secrets list`, and set `mount(..)` or `namespace(..)`",
            )
    }

    fn absent(&self) -> Error {
        let (path, place) = (self.path, self.place());
        self.error(ErrorKind::NotFound, format!("Vault has nothing at `{path}`{place}"))
    }

    /// The current version was deleted.
    pub(super) fn deleted(&self, id: &str, version: u64) -> Error {
        let (mount, place) = (self.mount, self.place());
        let problem = format!("its version {version} in `{mount}` is deleted{place}");
        self.error(ErrorKind::PendingDeletion, problem).with_hint(format!(
            "`vault kv undelete -mount={mount} -versions={version} {id}` brings it back"
        ))
    }

    /// The current version was destroyed.
    pub(super) fn destroyed(&self, version: u64) -> Error {
        let (mount, place) = (self.mount, self.place());
        let problem = format!("its version {version} in `{mount}` is destroyed{place}");
        self.error(ErrorKind::NotFound, problem)
            .with_hint("it cannot be brought back: put a new version")
    }

    pub(super) fn unintelligible(&self) -> Error {
        let path = self.path;
        self.error(ErrorKind::Unavailable, format!("the answer to `{path}` is not one of Vault"))
            .with_hint("check that the address is Vault's, and not that of a proxy's login page")
    }
}

/// Whether a body is such a text. Go's server answers in plain text before Vault sees the request.
fn said(answer: &Answer, text: &str) -> bool {
    answer.body.windows(text.len()).any(|part| part == text.as_bytes())
}

/// The token is no token, or none any more.
pub(super) fn token_refused(hint: &str) -> Error {
    let message = "Vault refuses the token: it is not valid, was revoked or has expired";
    Error::new(ErrorKind::AccessDenied, message).of_caller().with_hint(hint)
}

/// A token with characters that no header may have.
pub(super) fn no_token_at_all() -> Error {
    let message = "Vault's token has characters that no token has, such as a line's end";
    Error::new(ErrorKind::Config, message).of_caller().with_hint("give the token by itself")
}

/// No connection, or one that broke.
pub(super) fn unreached(address: &Address, error: &(dyn StdError + 'static)) -> Error {
    use rustls::{CertificateError as Bad, Error as Tls};
    let url = address.as_str();
    let error_of = |kind, problem: &str| Error::new(kind, format!("Vault at `{url}`: {problem}"));
    let unavailable = |problem: &str| error_of(ErrorKind::Unavailable, problem);
    if let Some(tls) = chain(error).find_map(|cause| cause.downcast_ref::<Tls>()) {
        return match tls {
            Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
                unavailable("its certificate has expired").with_hint("renew it")
            }
            Tls::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
                unavailable("its certificate is not valid yet").with_hint("check the clocks")
            }
            Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
                unavailable("its certificate is for another name")
                    .with_hint("give the address by a name that is in the certificate")
            }
            Tls::InvalidCertificate(_) => unavailable("its certificate is not trusted")
                .with_hint("give the file of its authority: `ca_cert(..)`, or VAULT_CACERT"),
            Tls::InvalidMessage(_) => {
                unavailable("it does not speak TLS").with_hint("write the address with `http://`")
            }
            Tls::AlertReceived(_) => unavailable("it refused the TLS handshake").with_hint(
                "client certificates are not supported; check Vault's \
                 `tls_require_and_verify_client_cert`",
            ),
            _ => unavailable("the TLS handshake failed"),
        };
    }
    let kind = chain(error).find_map(|cause| cause.downcast_ref::<io::Error>());
    match kind.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => unavailable("the connection was refused")
            .with_hint("check that Vault runs, and the port"),
        Some(io::ErrorKind::TimedOut) => {
            unavailable("no connection in time").with_hint("check the address and firewalls")
        }
        _ if chain(error).any(|cause| cause.to_string().contains("dns error")) => {
            unavailable("its name cannot be resolved").with_hint("check the address")
        }
        _ => unavailable("it could not be reached, or closed the connection")
            .with_hint("check the address; is it `https://`?"),
    }
}

pub(super) fn late(address: &Address, limit: Duration) -> Error {
    let message = format!("Vault at `{}` did not answer within {limit:?}", address.as_str());
    Error::new(ErrorKind::Unavailable, message).with_hint("check `vault status`")
}

pub(super) fn cut_off(address: &Address) -> Error {
    let message = format!("Vault at `{}` closed the connection in its answer", address.as_str());
    Error::new(ErrorKind::Unavailable, message)
}

pub(super) fn too_long(address: &Address, limit: usize) -> Error {
    let message = format!("Vault at `{}` sent more than {limit} bytes", address.as_str());
    Error::new(ErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn an_answer_gets_a_kind_and_vaults_own_words_are_not_shown() {
        let call = Call {
            subject: "secret `a/b`: ",
            capability: "read",
            path: "secret/data/a/b",
            mount: "secret",
            namespace: Some("team1"),
        };
        for (status, body, kind, expected) in [
            (
                403,
                "permission denied hunter2",
                ErrorKind::AccessDenied,
                "denies `read` on `secret/",
            ),
            (404, "", ErrorKind::NotFound, "nothing at `secret/data/a/b` in the namespace `team1`"),
            (404, "no handler for route \\\"x\\\"", ErrorKind::Config, "nothing mounted at"),
            (404, "namespace not found", ErrorKind::Config, "no namespace `team1`"),
            (503, "Vault is sealed", ErrorKind::Unavailable, "Vault is sealed"),
            (503, "hunter2", ErrorKind::Unavailable, "status 503"),
            (500, "hunter2", ErrorKind::Unavailable, "status 500"),
            (429, "rate limit quota exceeded", ErrorKind::Throttled, "quota"),
            (307, "", ErrorKind::Unavailable, "redirects"),
            (473, "", ErrorKind::Unavailable, "cannot serve"),
            (501, "", ErrorKind::Unavailable, "not initialized"),
            (200, "hunter2", ErrorKind::Unavailable, "not one of Vault"),
            (400, "Client sent an HTTP request to an HTTPS server.", ErrorKind::Config, "HTTPS"),
        ] {
            let body = format!(r#"{{"errors":["{body}"]}}"#).into_bytes();
            let error = call.failed(&Answer { status, body: Zeroizing::new(body) });
            assert_eq!(error.kind(), kind, "{error}");
            let shown = format!("{error} {error:#?}");
            assert!(shown.contains(expected) && shown.contains("secret `a/b`: "), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

//! The errors of calls that got no answer, or one that is a proxy's.
//!
//! `error` calls this; `unreached` knows the cause, and `route` the way that the call took. A slip
//! in the set-up is `Config`, and what may be over soon is `Unavailable`. Of a proxy only its
//! variable is named.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::error::{Call, NOT_AWS};
use super::route::Route;
use super::setup::Setup;
use super::unreached::{Certificate, Unreached, is_of_tunnel};
use super::values::near_region;
use super::variables::ENDPOINTS;
use crate::error::{Error, ErrorKind};

impl Call<'_> {
    /// The error of a call that reached no server, or no proxy.
    pub(super) fn unreached(self, error: Option<&ConnectorError>, in_time: bool) -> Error {
        let error = error.map(|error| error as &(dyn StdError + 'static));
        let cause = error.map_or(Unreached::Unknown, Unreached::of);
        let setup = Setup::with_dotenv();
        let url = setup.endpoint_url(self.location);
        let route = setup.route(&url);
        if let Route::Socks(_) = route {
            return self.without_answer("", route);
        }
        let proxy = match route {
            _ if error.is_some_and(is_of_tunnel) => {
                Some(setup.https_proxy().unwrap_or("HTTPS_PROXY"))
            }
            // Without a tunnel, the proxy is the only one that is asked for a connection.
            Route::Proxy(name) if url.starts_with("http:") => Some(name),
            _ => None,
        };
        if let Some(name) = proxy {
            return self.proxy_unreached(cause, name);
        }
        let what = match cause {
            Unreached::Certificate(bad) => {
                let slip = setup.certificate_slip().filter(|_| bad == Certificate::Untrusted);
                if let Some((what, hint)) = slip {
                    return self.error(ErrorKind::Config, &what).with_hint(hint);
                }
                let what = format!("the endpoint's TLS certificate {}", bad.what());
                let ignored =
                    setup.ignored_certificates().filter(|_| bad == Certificate::Untrusted);
                let ignored = ignored.map_or_else(String::new, |name| {
                    format!("the SDK for Rust does not read `{name}`: set SSL_CERT_FILE; ")
                });
                let hint = format!("{ignored}{} and AWS_ENDPOINT_URL{}", bad.check(), bad.mend());
                return self.error(ErrorKind::Config, &what).with_hint(hint);
            }
            Unreached::NoTls => {
                return self.error(ErrorKind::Config, "the endpoint does not speak TLS").with_hint(
                    "check the scheme and the port of AWS_ENDPOINT_URL: `https://` needs TLS, \
                         an emulator often speaks only `http://`; and check any proxy",
                );
            }
            Unreached::Name => "the endpoint's name is not found by DNS",
            Unreached::Refused => "the endpoint refuses connections",
            _ if in_time => "the endpoint cannot be reached",
            _ => "no connection in time",
        };
        let error = self.without_answer(what, route);
        let check = error.hint().unwrap_or_default();
        let setting = || setup.misnamed_setting(&["endpoint_url"]);
        if let Some((slip, hint)) = setup.misnamed(&ENDPOINTS).or_else(setting) {
            // It may be another program's, so an outage stays one.
            let hint = format!("{slip}: {hint}; {check}");
            return error.with_hint(hint);
        }
        if let Some(slip) = setup.endpoint_of_dotenv(self.location) {
            let hint = format!("{slip}; {check}");
            return error.with_hint(hint);
        }
        match self.location.region().and_then(near_region).filter(|_| cause == Unreached::Name) {
            None => error,
            // A name that no DNS knows is no outage of a region.
            Some(near) => self
                .error(ErrorKind::Config, &format!("{what}, and AWS has no such region"))
                .with_hint(format!("set AWS_REGION to `{near}`, if that is meant; {check}")),
        }
    }

    /// The error of a call that the endpoint did not answer, and that went this way.
    pub(super) fn without_answer(self, what: &str, route: Route) -> Error {
        let check = self.unreachable();
        let unavailable = |hint| self.error(ErrorKind::Unavailable, what).with_hint(hint);
        match route {
            Route::Direct => unavailable(check),
            Route::Proxy(name) => unavailable(format!(
                "the call goes by the proxy of `{name}`: check that it lets the call through, or \
                 add the endpoint's host to `NO_PROXY`; {check}"
            )),
            Route::Excepted { proxy, by } => unavailable(format!(
                "the call does not go by the proxy of `{proxy}`, because `{by}` excepts the \
                 endpoint's host; {check}"
            )),
            Route::OnlyInDotenv(name) => unavailable(format!(
                "`{name}` is set only in `.env`, and the SDK reads proxies only from the process \
                 environment: set it there, if the endpoint is behind a proxy; {check}"
            )),
            Route::Socks(name) => self
                .error(ErrorKind::Config, &format!("variable `{name}` names a SOCKS proxy"))
                .with_hint(
                    "the SDK speaks only to HTTP proxies: set `http://host:port`, or add the \
                     endpoint's host to `NO_PROXY`",
                ),
            Route::Ignored(name) => {
                let what = format!(
                    "{what}, and variable `{name}` does not name a proxy, so that the SDK ignores \
                     it"
                );
                self.error(ErrorKind::Config, &what).with_hint(format!(
                    "correct it, such as `http://host:port`, or unset it; {check}"
                ))
            }
        }
    }

    /// The error of a call that did not come past the proxy of this variable.
    pub(super) fn proxy_unreached(self, cause: Unreached, name: &str) -> Error {
        let subject = format!("the proxy of `{name}`");
        let (kind, what, hint) = match cause {
            Unreached::Certificate(bad) => (
                ErrorKind::Config,
                format!("{subject} has a TLS certificate that {}", bad.what()),
                format!("{} and the URL of the proxy{}", bad.check(), bad.mend()),
            ),
            Unreached::NoTls => (
                ErrorKind::Config,
                format!("{subject} does not speak TLS"),
                format!(
                    "write `http://` in `{name}`: that is how the proxy is asked, and calls by \
                     HTTPS are encrypted within"
                ),
            ),
            Unreached::ProxyCredentials => (
                ErrorKind::Config,
                format!("{subject} asks for credentials, or for other ones"),
                format!(
                    "write them into `{name}` (`http://user:password@host:port`, with special \
                     characters percent-encoded)"
                ),
            ),
            Unreached::ProxyRefuses => (
                ErrorKind::Unavailable,
                format!("{subject} does not connect to the endpoint"),
                format!(
                    "allow the endpoint's host and port in the proxy, and check that `{name}` is \
                     the URL of an HTTP proxy"
                ),
            ),
            Unreached::Name => (
                ErrorKind::Unavailable,
                format!("the name of {subject} is not found by DNS"),
                format!("check the host in `{name}`"),
            ),
            Unreached::Refused => (
                ErrorKind::Unavailable,
                format!("{subject} refuses connections"),
                format!("check host and port in `{name}`, and that the proxy runs"),
            ),
            Unreached::Unknown => (
                ErrorKind::Unavailable,
                format!("{subject} cannot be reached, or is no HTTP proxy"),
                format!("check scheme, host and port in `{name}`, and that the proxy runs"),
            ),
        };
        self.error(kind, &what).with_hint(format!(
            "{hint}; for calls without a proxy, add the endpoint's host to `NO_PROXY`"
        ))
    }

    /// The error of an answer that Secrets Manager does not give. Without TLS, it may be a proxy's.
    pub(super) fn answered_by_proxy(self, error: Error, status: Option<u16>) -> Error {
        let setup = Setup::with_dotenv();
        let url = setup.endpoint_url(self.location);
        match setup.route(&url) {
            Route::Proxy(name) if url.starts_with("http:") && status == Some(407) => {
                self.proxy_unreached(Unreached::ProxyCredentials, name)
            }
            Route::Proxy(name) if url.starts_with("http:") => {
                let hint = format!(
                    "{NOT_AWS}; the call goes by the proxy of `{name}`, which may have answered: \
                     for calls without it, add the endpoint's host to `NO_PROXY`"
                );
                error.with_hint(hint).of_caller()
            }
            _ => error.with_hint(NOT_AWS).of_caller(),
        }
    }

    /// A proxy on the way to credentials, if that is what failed.
    pub(super) fn credentials_behind_proxy(
        self,
        error: &CredentialsError,
        setup: &Setup,
        what: &str,
    ) -> Option<Error> {
        if is_of_tunnel(error) {
            let name = setup.https_proxy().unwrap_or("HTTPS_PROXY");
            return Some(
                self.proxy_unreached(Unreached::of(error), name).with_note(&format!(" ({what})")),
            );
        }
        let (url, host) = setup.credentials_url()?;
        match setup.route(&url) {
            Route::Proxy(name) | Route::Socks(name) => {
                let hint = format!(
                    "`{name}` also applies to the server of credentials: add `{host}` to \
                     `NO_PROXY`, or give the credentials in another way, such as by \
                     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                );
                Some(self.error(ErrorKind::Config, what).with_hint(hint))
            }
            _ => None,
        }
    }
}

impl Certificate {
    fn what(self) -> &'static str {
        match self {
            Self::Untrusted => "is not trusted",
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::OfAnotherName => "is for another name",
        }
    }

    /// What to look at first.
    fn check(self) -> &'static str {
        match self {
            Self::Untrusted | Self::Expired | Self::NotYetValid => "check the machine's clock",
            Self::OfAnotherName => "check DNS",
        }
    }

    /// What to do then.
    fn mend(self) -> &'static str {
        match self {
            Self::Untrusted => {
                "; set SSL_CERT_FILE to a file with the certificates of your own authority or \
                 proxy in PEM (the SDK does not read AWS_CA_BUNDLE)"
            }
            Self::Expired => "; if the clock is right, the certificate has to be renewed",
            Self::NotYetValid => "; if the clock is right, the certificate is not to be used yet",
            Self::OfAnotherName => {
                ": its host has to be one of the names in the certificate, as the DNS names of an \
                 interface endpoint are"
            }
        }
    }
}

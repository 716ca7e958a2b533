//! Whether a server can be reached: its name, a connection, TLS, and the proxy before it.
//!
//! AWS is asked by the library's own client, and what fails is said in the library's words: so the
//! way is that of a service's calls, with its proxies, their exceptions and the certificates that it
//! trusts. Vault's address is only looked up and connected to; its client uses no proxy.

use std::net::{IpAddr, SocketAddr};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use hyper_util::client::proxy::matcher::Matcher;
use secrets_provider::{Error, ErrorKind, SecretsManager};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Line, Mark, PATIENCE};
use crate::wording;

/// What is asked for, which exists nowhere.
const NOTHING: &str = "secrets-provider/doctor/does-not-exist";

/// Whether Secrets Manager answers at this URL, and what sets it, if something does: a switch or a
/// variable.
pub(super) async fn aws(config: &SdkConfig, url: &str, set_by: Option<&str>) -> Line {
    let Some((host, port)) = address(url) else { return invalid(set_by) };
    let found = addresses(&host, port).await;
    let way = Way {
        server: format!("{host}:{port}"),
        tls: is_https(url),
        proxied: is_proxied(url),
        private: found.first().is_some_and(|address| is_private(address.ip())),
        set_by,
    };
    let mut config = config.to_builder();
    // One that only `.env` sets is not in the configuration, which is that of every service.
    config.set_endpoint_url(set_by.is_some().then(|| url.to_owned()));
    way.line(asked(&config.build()).await)
}

/// Whether anything accepts a connection at the URL, which this variable sets.
pub(super) async fn vault(url: &str, set_by: &str) -> Line {
    let Some((host, port)) = address(url) else { return invalid(Some(set_by)) };
    let found = addresses(&host, port).await;
    if found.is_empty() {
        return bad(format!("DNS does not know {host}")).todo(correct(set_by));
    }
    match timeout(PATIENCE, TcpStream::connect(&found[..])).await {
        Ok(Ok(_)) => Line::good(TOPIC, format!("{host}:{port} answers")),
        _ => bad(format!("{host}:{port} does not answer")).todo(correct(set_by)),
    }
}

/// Asks for what does not exist, as nobody: any answer will do, and none is noted down in an account.
///
/// # Errors
///
/// If there is no answer, or not one of Secrets Manager.
async fn asked(config: &SdkConfig) -> Result<(), Error> {
    let nobody = Credentials::new("nobody", "nothing", None, None, "doctor");
    let config = config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .retry_config(RetryConfig::disabled())
        .build();
    let manager = SecretsManager::names([NOTHING]).aws_config(&config).timeout(PATIENCE);
    match manager.fetch().await {
        Err(error) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Unavailable) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// The way to Secrets Manager.
struct Way<'a> {
    server: String,
    tls: bool,
    /// Whether calls go through a proxy.
    proxied: bool,
    /// Whether the name leads into the own network.
    private: bool,
    set_by: Option<&'a str>,
}

impl Way<'_> {
    /// What to say about an answer. Pure.
    fn line(&self, answer: Result<(), Error>) -> Line {
        let Self { server, .. } = self;
        // A proxy looks the name up by itself.
        let private = self.private && !self.proxied;
        let Err(error) = answer else {
            let tls = if self.tls { " by TLS" } else { "" };
            let place = if private { ", at a VPC endpoint" } else { "" };
            let proxy = if self.proxied { ", through a proxy" } else { "" };
            return Line::good(TOPIC, format!("{server} answers{tls}{place}{proxy}"));
        };
        let text = wording::without_hint(&error);
        // Which secret was not there is no matter of the endpoint.
        let text = text.strip_prefix(&format!("secret `{NOTHING}`: ")).unwrap_or(&text);
        let text = text.strip_suffix(" (GetSecretValue)").unwrap_or(text);
        let line = bad(format!("{server}: {}", wording::of_program(text)));
        let hint = wording::of_program(error.hint().unwrap_or_default()).into_owned();
        // Something answered, and not as AWS does.
        let answered = text.starts_with("failed");
        let outage = error.kind() == ErrorKind::Unavailable && !self.proxied && !answered;
        match self.set_by {
            Some(set_by) if outage => line.todo(correct(set_by)),
            Some(set_by) if answered => line.todo(format!(
                "check that {set_by}, which sets it, is the URL of Secrets Manager or of an \
                 emulator that knows this region: {hint}"
            )),
            None if outage && private => {
                line.todo("it is a VPC endpoint: let its security group allow HTTPS from here")
            }
            // The variable that counts is known here.
            Some(set_by) if !hint.contains("AWS_ENDPOINT_URL_") => {
                line.todo(hint.replace("AWS_ENDPOINT_URL", set_by))
            }
            _ => line.todo(hint),
        }
    }
}

const TOPIC: &str = "endpoint";

fn bad(text: String) -> Line {
    Line::new(Mark::Bad, TOPIC, text)
}

fn correct(set_by: &str) -> String {
    format!("correct {set_by}, which sets it, or start the server there")
}

fn invalid(set_by: Option<&str>) -> Line {
    let set_by = set_by.unwrap_or("it");
    bad("its URL is not valid".to_owned()).todo(format!("write {set_by} as https://host:port"))
}

async fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        _ => Vec::new(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// Whether a call goes through a proxy, by the rules of the SDK's client, with NO_PROXY. Of which
/// variable it is, the library says where the call fails.
fn is_proxied(url: &str) -> bool {
    url.parse().is_ok_and(|url| Matcher::from_env().intercept(&url).is_some())
}

fn is_https(url: &str) -> bool {
    url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// Host and port of a URL.
pub(super) fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let default = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        }
        _ => Some((authority.trim_matches(['[', ']']).to_owned(), default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_a_url() {
        for (url, expected) in [
            (
                "https://secretsmanager.eu-central-1.amazonaws.com",
                Some(("secretsmanager.eu-central-1.amazonaws.com", 443)),
            ),
            ("http://127.0.0.1:4566/x", Some(("127.0.0.1", 4566))),
            ("http://[::1]:80", Some(("::1", 80))),
            ("https://[::1]", Some(("::1", 443))),
            ("nonsense", None),
            ("http://a:b", None),
        ] {
            let found = address(url);
            assert_eq!(
                found.as_ref().map(|(host, port)| (host.as_str(), *port)),
                expected,
                "{url}"
            );
        }
    }

    fn way(private: bool, set_by: Option<&str>) -> Way<'_> {
        Way { server: "host:443".to_owned(), tls: true, proxied: false, private, set_by }
    }

    #[test]
    fn a_vpc_endpoint_is_named_and_says_what_it_lacks() {
        for (ip, expected) in [
            ("10.0.0.7", true),
            ("172.31.9.9", true),
            ("192.168.1.1", true),
            ("fd00::7", true),
            ("52.94.133.1", false),
            ("127.0.0.1", false),
            ("2600::1", false),
        ] {
            assert_eq!(is_private(ip.parse().expect("an address")), expected, "{ip}");
        }
        let well = way(true, None).line(Ok(()));
        assert_eq!(well.text, "host:443 answers by TLS, at a VPC endpoint");
        let silent = || Err(Error::new(ErrorKind::Unavailable, "no connection in time"));
        let todo = |way: Way<'_>| way.line(silent()).todo.expect("what to do");
        assert!(todo(way(true, None)).contains("security group"));
        assert!(todo(way(true, Some("AWS_ENDPOINT_URL"))).contains("correct AWS_ENDPOINT_URL"));
        // It is the proxy's network that counts, and the library's hint names the proxy.
        let behind = || Way { proxied: true, ..way(true, None) };
        assert_eq!(todo(behind()), "");
        let well = behind().line(Ok(()));
        assert_eq!(well.text, "host:443 answers by TLS, through a proxy");
    }

    #[test]
    fn the_secret_that_was_asked_for_is_not_named() {
        let text = format!("secret `{NOTHING}`: the endpoint refuses connections (GetSecretValue)");
        let error = Error::new(ErrorKind::Unavailable, text).with_hint("check the network");
        let line = way(false, None).line(Err(error));
        assert_eq!(line.text, "host:443: the endpoint refuses connections");
        assert_eq!(line.todo.as_deref(), Some("check the network"));
    }
}

//! Whether a server can be reached: its name, a connection, and TLS.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::{Line, Mark, tls};

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to do if a server is not reached.
pub(super) struct Advice<'a> {
    /// What sets its address, if something does: a switch or a variable.
    pub(super) set_by: Option<&'a str>,
    /// Whether it is AWS, where networks have endpoints of their own.
    pub(super) is_aws: bool,
}

/// Looks a server up and connects to it; with a URL of AWS that has `https`, also by TLS.
pub(super) async fn endpoint(url: &str, advice: &Advice<'_>) -> Line {
    let bad = |text: String| Line::new(Mark::Bad, "endpoint", text);
    let correct = |otherwise: &str| match advice.set_by {
        Some(set_by) => format!("correct {set_by}, which sets it, or start the server there"),
        None => otherwise.to_owned(),
    };
    let Some((host, port)) = address(url) else {
        return bad("its URL is not valid".to_owned())
            .todo(correct("give it as https://host:port"));
    };
    if let Some(proxy) = proxy(url) {
        return Line::good("endpoint", format!("{host}, by the proxy of {proxy}"));
    }
    let found = match timeout(PATIENCE, tokio::net::lookup_host((host.as_str(), port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let Some(first) = found.first() else {
        let todo = "check the region's name, and the DNS of this network";
        return bad(format!("DNS does not know {host}")).todo(correct(todo));
    };
    let private = advice.is_aws && is_private(first.ip());
    match timeout(PATIENCE, tokio::net::TcpStream::connect(&found[..])).await {
        Ok(Ok(connection)) => {
            // What Vault's client trusts is its own matter.
            let ended = match is_https(url) && advice.is_aws {
                true => tls::try_on(connection, &host, PATIENCE).await,
                false => tls::Ended::Unknown,
            };
            let by = match ended {
                tls::Ended::Badly((what, todo)) => {
                    return bad(format!("{host}:{port} answers, but {what}")).todo(todo);
                }
                tls::Ended::Well => " by TLS",
                tls::Ended::Unknown => "",
            };
            let place = if private { ", at a VPC endpoint" } else { "" };
            Line::good("endpoint", format!("{host}:{port} answers{by}{place}"))
        }
        _ if private => bad(format!("{host}:{port} is a VPC endpoint that does not answer"))
            .todo("let its security group allow HTTPS from here"),
        _ => bad(format!("{host}:{port} does not answer")).todo(correct(
            "in a private subnet, add a NAT gateway or the interface endpoint of Secrets Manager \
             with private DNS",
        )),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// The variable whose proxy a call goes through.
fn proxy(url: &str) -> Option<&'static str> {
    let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|proxy| !proxy.is_empty());
    let names: &[&'static str] = match is_https(url) {
        true => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        false => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    names.iter().find(is_set).copied()
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
}

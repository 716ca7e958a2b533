//! The addresses of peers: `host:port`, several with commas between them, each with a path if the
//! route is nested. Pure; `peers` calls it. What is wrong is an error at the start, and a user name
//! in an address is not shown, because a password may follow it.

use std::net::Ipv6Addr;

use super::peers::MAX_PEERS;
use crate::error::{Error, ErrorKind, escape};

/// The route unless the address has a path.
const ROUTE: &str = "/refresh";

/// Where to find peers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The host and the port, as they were given.
    pub(super) authority: String,
    pub(super) port: u16,
    pub(super) path: String,
}

impl Target {
    /// # Errors
    ///
    /// `Config` if there is none, too many, or one that is no address.
    pub(super) fn parse_all(addresses: &str) -> Result<Vec<Self>, Error> {
        let parts = addresses.split(',').map(str::trim).filter(|part| !part.is_empty());
        let targets = parts.map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        match targets.len() {
            0 => Err(wrong("no address of peers is given".to_owned())),
            1..=MAX_PEERS => Ok(targets),
            more => Err(wrong(format!("{more} addresses of peers are more than {MAX_PEERS}"))),
        }
    }

    fn parse(address: &str) -> Result<Self, Error> {
        if address.contains('@') {
            return Err(wrong("an address of peers has a user name".to_owned()));
        }
        let shown = || escape(address).into_owned();
        let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let rest = match scheme.as_deref() {
            None => address,
            Some("http") => &address["http://".len()..],
            Some("https") => {
                let message = format!("peers `{}`: hints are sent by HTTP only", shown());
                return Err(Error::new(ErrorKind::Config, message).with_hint(
                    "a peer is called by its address, for which no certificate is made: leave \
                     `https://` out, and encrypt in the network (a mesh, WireGuard)",
                ));
            }
            Some(_) => return Err(wrong(format!("`{}` is no address of peers", shown()))),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) if !path.is_empty() => (authority, format!("/{path}")),
            Some((authority, _)) => (authority, ROUTE.to_owned()),
            None => (rest, ROUTE.to_owned()),
        };
        let no_port = || wrong(format!("peers `{}` have no port", shown()));
        let (host, port) = authority.rsplit_once(':').ok_or_else(no_port)?;
        let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_of_name),
        };
        let path_fits = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(no_port)?;
        if !host_fits || !path_fits {
            return Err(wrong(format!("`{}` is no address of peers", shown())));
        }
        Ok(Self { authority: authority.to_owned(), port, path })
    }

    /// The host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
        .with_hint("give host and port, such as `gaara.svc:8081`; several with commas between them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_port_and_maybe_a_path() {
        for (address, host, port, path) in [
            ("gaara.svc:8081", "gaara.svc", 8081, "/refresh"),
            ("http://gaara.svc:8081", "gaara.svc", 8081, "/refresh"),
            ("HTTP://gaara.svc:8081/", "gaara.svc", 8081, "/refresh"),
            ("gaara:1/internal/refresh", "gaara", 1, "/internal/refresh"),
            ("127.0.0.2:65535", "127.0.0.2", 65535, "/refresh"),
            ("[::1]:80", "::1", 80, "/refresh"),
            ("_gaara._tcp.svc.:80", "_gaara._tcp.svc.", 80, "/refresh"),
        ] {
            let [target] = Target::parse_all(address).expect(address).try_into().expect("one");
            assert_eq!((target.host(), target.port, &*target.path), (host, port, path));
        }
        assert_eq!(Target::parse_all(" a:1, b:2,").expect("two").len(), 2);
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_is_missing() {
        let many = vec!["a:1"; MAX_PEERS + 1].join(",");
        for (addresses, says) in [
            ("", "no address"),
            (" , ", "no address"),
            ("gaara.svc", "no port"),
            ("gaara.svc:", "no port"),
            ("gaara.svc:0", "no port"),
            ("gaara.svc:65536", "no port"),
            (":80", "no address of peers"),
            ("::1:80", "no address of peers"),
            ("[gaara]:80", "no address of peers"),
            ("a b:80", "no address of peers"),
            ("a:80/x y", "no address of peers"),
            ("redis://a:80", "no address of peers"),
            ("https://gaara.svc:8081", "by HTTP only"),
            (&many, "more than 100"),
        ] {
            let error = Target::parse_all(addresses).expect_err(addresses);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(says), "{addresses}: {error}");
        }
        let error =
            Target::parse_all("http://app:hunter2@gaara:80").expect_err("a login").to_string();
        assert!(error.contains("user name") && !error.contains("hunter2"), "{error}");
    }
}

//! Whether a server speaks TLS and has a certificate that this machine trusts, as the SDK's client
//! checks it: rustls, with the certificates of the system.

use std::net::TcpStream as Blocking;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use tokio::net::TcpStream;

/// What is wrong, and what to do.
pub(super) type Problem = (&'static str, &'static str);

/// How a handshake ended.
pub(super) enum Ended {
    Well,
    Badly(Problem),
    /// What fails is not TLS, or is not known; a call says more.
    Unknown,
}

/// The handshake on a connection, within this time for each step of it.
pub(super) async fn try_on(connection: TcpStream, host: &str, patience: Duration) -> Ended {
    let (Ok(name), Ok(connection)) = (ServerName::try_from(host.to_owned()), connection.into_std())
    else {
        return Ended::Unknown;
    };
    // It reads the system's certificates, and blocks.
    let shaken = tokio::task::spawn_blocking(move || handshake(connection, name, patience));
    match shaken.await {
        Ok(Some(Ok(()))) => Ended::Well,
        Ok(Some(Err(error))) => of(&error).map_or(Ended::Unknown, Ended::Badly),
        _ => Ended::Unknown,
    }
}

/// How it ends; `None` if it ends for a reason that is not TLS's.
fn handshake(
    mut connection: Blocking,
    name: ServerName<'static>,
    patience: Duration,
) -> Option<Result<(), rustls::Error>> {
    connection.set_nonblocking(false).ok()?;
    connection.set_read_timeout(Some(patience)).ok()?;
    connection.set_write_timeout(Some(patience)).ok()?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), name).ok()?;
    while client.is_handshaking() {
        if let Err(error) = client.complete_io(&mut connection) {
            return error.downcast::<rustls::Error>().ok().map(Err);
        }
    }
    Some(Ok(()))
}

/// The words for a failure. Pure: nothing that the server sent is in them.
fn of(error: &rustls::Error) -> Option<Problem> {
    Some(match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::UnknownIssuer => (
                "its certificate is of nobody that this machine trusts",
                "install the system's certificates (`ca-certificates`); a proxy that looks into TLS \
                 needs its own among them",
            ),
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => (
                "its certificate is not valid at this machine's time",
                "set the clock of this machine, such as by NTP; else the certificate has to be \
                 renewed",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ("its certificate is for another name", "give the name that the certificate has")
            }
            _ => ("its certificate is not valid", "look at it with `openssl s_client -connect`"),
        },
        rustls::Error::InvalidMessage(_) => {
            ("it does not speak TLS", "check the port, or write the URL with `http://`")
        }
        rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_) => {
            ("it refuses TLS 1.2 and 1.3", "let the server, or the proxy before it, allow TLS 1.3")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn each_failure_has_words_of_its_own() {
        use rustls::Error as E;
        for (error, expected) in [
            (E::InvalidCertificate(CertificateError::UnknownIssuer), "trusts"),
            (E::InvalidCertificate(CertificateError::Expired), "this machine's time"),
            (E::InvalidCertificate(CertificateError::NotValidForName), "another name"),
            (E::InvalidCertificate(CertificateError::BadSignature), "is not valid"),
            (E::InvalidMessage(InvalidMessage::InvalidContentType), "does not speak TLS"),
            (E::AlertReceived(AlertDescription::ProtocolVersion), "refuses TLS"),
        ] {
            let (what, _) = of(&error).expect("words");
            assert!(what.contains(expected), "{what}");
        }
        assert_eq!(of(&E::General("hunter2".to_owned())), None);
    }
}

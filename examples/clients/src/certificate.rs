//! A TLS server whose certificate follows its secret: the next handshake after a renewal shows the
//! new one, and no connection ends.
//!
//! The certificate and its key are one JSON secret, so they change together. [`check`] refuses what
//! no handshake could use before it is served; `axum_tls`, `actix_tls` and `mtls` use the rest.
//! Every server that takes rustls's `ServerConfig` can have [`server_config`].

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, Live, Rejected};
use serde::Deserialize;

use crate::pem::lines;

/// The settings of a service that shows a certificate.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `tls`.
    pub tls: Tls,
}

/// A certificate and its key, both as PEM: `{"certificate": "…", "private_key": "…"}`.
#[derive(Debug, Deserialize)]
pub struct Tls {
    /// The server's own certificate, then those that lead to the root.
    pub certificate: String,
    /// Its key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub private_key: SecretString,
}

impl Tls {
    /// What rustls shows and signs with.
    ///
    /// # Errors
    ///
    /// If either is not PEM, or the key does not fit the first certificate.
    pub fn certified_key(&self) -> Result<CertifiedKey, Rejected> {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(lines(&self.certificate).as_bytes()).collect();
        let certificates = certificates
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| Rejected::new("`certificate` has no certificate in PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(lines(self.private_key.expose_secret()).as_bytes())
            .map_err(|_| Rejected::new("`private_key` has no unencrypted key in PEM"))?;
        CertifiedKey::from_der(certificates, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Rejected::new(
                "`private_key` does not fit the first certificate; the server's own comes first",
            ),
            _ => Rejected::new("`certificate` or `private_key` is damaged, or of an unknown kind"),
        })
    }
}

/// For [`LiveBuilder::validate`](secrets_provider::LiveBuilder::validate): settings with a
/// certificate that no handshake could use are refused, and the last good ones stay.
///
/// # Errors
///
/// Those of [`Tls::certified_key`].
pub fn check(settings: &Settings) -> Result<(), Rejected> {
    settings.tls.certified_key().map(drop).map_err(|reason| Rejected::new(format!("tls: {reason}")))
}

/// The certificate that follows the settings.
///
/// # Errors
///
/// Those of [`Live::derive`].
pub async fn certificate(settings: &Live<Settings>) -> Result<Live<CertifiedKey>, Error> {
    settings.derive("tls", async |settings| settings.tls.certified_key()).await
}

/// Asks for the certificate at each handshake.
#[derive(Debug)]
pub struct Current(pub Live<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }
}

/// What a server needs, by rustls on aws-lc-rs, whichever other provider is in the program.
///
/// # Errors
///
/// Never with this provider: it has ciphers for the default versions of TLS.
pub fn server_config(certificate: Live<CertifiedKey>) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider());
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current(certificate)));
    // A client that resumes a session is shown no certificate: it goes on with the old one. Without
    // these two lines, handshakes are cheaper, and that is so until the session is forgotten.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

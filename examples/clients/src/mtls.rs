//! A client certificate that follows its secret, for services that check who calls (mutual TLS).
//!
//! The settings are those of `certificate`: a certificate and its key in one secret. What takes
//! rustls's `ClientConfig` can have [`client_config`]: tokio-rustls, hyper-rustls, and reqwest by
//! its `tls_backend_preconfigured`.

use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use secrets_provider::{Live, Rejected};

use crate::certificate::{Current, provider};

impl ResolvesClientCert for Current {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What a client needs: it trusts servers of these roots, and shows this certificate.
///
/// # Errors
///
/// Never with this provider: it has ciphers for the default versions of TLS.
pub fn client_config(
    certificate: Live<CertifiedKey>,
    roots: RootCertStore,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(Current(certificate)));
    // A resumed session is still that of the certificate with which it began.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A server that asks its clients for a certificate of these roots, with a certificate of its own
/// that follows its secret as well.
///
/// # Errors
///
/// If there are no roots.
pub fn server_config(
    certificate: Live<CertifiedKey>,
    roots: RootCertStore,
) -> Result<ServerConfig, Rejected> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build().map_err(|_| Rejected::new("no roots to check clients by"))?;
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| Rejected::new("no ciphers"))?;
    Ok(builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Current(certificate))))
}

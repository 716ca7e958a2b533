//! TLS towards the server: rustls with the provider of cryptography that the SDK's client has, and
//! the certificates that the system and `ca_cert` trust.
//!
//! Our own configuration names its provider, so it needs nothing global. Without the features that
//! bring one, the program's default is used. Reads files, so `http` calls it on a thread for
//! blocking work, once.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind};

/// # Errors
///
/// `Config` without a provider, without any trusted certificate, or for a file that is no PEM.
pub(super) fn config(ca_cert: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // What the system has may be damaged in part; what is left counts.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_cert {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|_| not_pem(path))?;
        }
    }
    if roots.is_empty() {
        let message = "the system has no certificates to check Vault's with";
        return Err(Error::new(ErrorKind::Config, message)
            .with_hint("install `ca-certificates`, or give Vault's own by `ca_cert(..)`"));
    }
    let config = ClientConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::new(ErrorKind::Config, "rustls's provider has no version of TLS"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = std::fs::read(path).map_err(|error| {
        let message =
            format!("the certificates in `{}` cannot be read: {}", path.display(), error.kind());
        Error::new(ErrorKind::Config, message).with_hint("check the path of `ca_cert`")
    })?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    parsed.ok().filter(|parsed| !parsed.is_empty()).ok_or_else(|| not_pem(path))
}

fn not_pem(path: &Path) -> Error {
    let message = format!("`{}` holds no certificates in PEM", path.display());
    Error::new(ErrorKind::Config, message)
        .with_hint("it begins with `-----BEGIN CERTIFICATE-----`; a private key is not needed")
}

#[cfg(feature = "rustls-aws-lc")]
#[allow(clippy::unnecessary_wraps, reason = "without a provider, it may fail")]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc")))]
#[allow(clippy::unnecessary_wraps, reason = "without a provider, it may fail")]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    Ok(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "rustls-aws-lc", feature = "rustls-ring")))]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    CryptoProvider::get_default().cloned().ok_or_else(|| {
        let message = "HTTPS to Vault needs a provider of cryptography for rustls";
        Error::new(ErrorKind::Config, message).with_hint(
            "install one at the start of the program, as by \
             `rustls::crypto::ring::default_provider().install_default()`, or enable the feature \
             `rustls-aws-lc` or `rustls-ring`",
        )
    })
}

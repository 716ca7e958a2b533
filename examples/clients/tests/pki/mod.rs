//! A certificate authority of the test's own, and what it issues.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde_json::json;

/// Issues certificates and knows their numbers.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    issued: Mutex<HashMap<Vec<u8>, usize>>,
}

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Issued {
    /// As the secret holds it.
    pub(crate) fn secret(&self) -> String {
        secret(&self.certificate, &self.key)
    }
}

pub(crate) fn secret(certificate: &str, key: &str) -> String {
    json!({"certificate": certificate, "private_key": key}).to_string()
}

impl Authority {
    pub(crate) fn new() -> Arc<Self> {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Arc::new(Self { issuer, issued: Mutex::default() })
    }

    /// A new certificate and key for `localhost`. They are numbered from 0.
    pub(crate) fn issue(&self) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut issued = self.issued.lock().unwrap();
        let number = issued.len();
        issued.insert(certificate.der().to_vec(), number);
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// The number of this certificate, which was issued here.
    pub(crate) fn number(&self, certificate: &CertificateDer<'_>) -> usize {
        self.issued.lock().unwrap()[certificate.as_ref()]
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

//! The files with the certificates of the authorities to trust, where variables name them.

use std::io;
use std::path::Path;

use super::{Setup, read};

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// Variables by which other tools find such a file, and the SDK for Rust does not.
const OF_OTHERS: [&str; 4] =
    ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// What `certificate_slip` and `ignored_certificates` look at.
pub(super) const VARIABLES: [&str; 6] =
    [FILE, FOLDERS, OF_OTHERS[0], OF_OTHERS[1], OF_OTHERS[2], OF_OTHERS[3]];

impl Setup {
    /// Why the certificates of the authorities to trust cannot be read, if a variable names them. A
    /// file or folder that can be read is enough.
    pub(in crate::backend::aws) fn certificate_slip(&self) -> Option<(String, String)> {
        let folders = self.process(FOLDERS).map(std::env::split_paths);
        let is_folder = |path: &Path| std::fs::read_dir(path).is_ok();
        if folders.is_some_and(|mut folders| folders.any(|folder| is_folder(&folder))) {
            return None;
        }
        let (name, what) = match self.process(FILE) {
            Some(path) => (FILE, format!("the file that `{FILE}` names {}", unusable(path)?)),
            None => {
                self.process(FOLDERS)?;
                (FOLDERS, format!("no folder that `{FOLDERS}` names can be read"))
            }
        };
        let hint = format!("correct `{name}`, or unset it to use the certificates of the machine");
        Some((what, hint))
    }

    /// A variable with certificates that the SDK for Rust does not read.
    pub(in crate::backend::aws) fn ignored_certificates(&self) -> Option<&'static str> {
        OF_OTHERS
            .into_iter()
            .find(|name| self.process(name).is_some() && self.process(FILE).is_none())
    }
}

fn unusable(path: &str) -> Option<String> {
    match read(Path::new(path)) {
        Ok(text) if has_certificate(&text) => None,
        Ok(_) => Some("has no certificates in PEM".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
        Err(error) => Some(format!("cannot be read: {}", error.kind())),
    }
}

/// Whether a block may be a certificate: in Base64, DER of one begins so.
fn has_certificate(text: &str) -> bool {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks.into_iter().any(|block| block.trim_start().starts_with("MI"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_pem_has_the_certificate() {
        assert!(has_certificate("x\n-----BEGIN CERTIFICATE-----\r\nMIIB\n"));
        for text in ["", "MIIB", "-----BEGIN CERTIFICATE-----\n!!!", "-----BEGIN KEY-----\nMI"] {
            assert!(!has_certificate(text), "{text}");
        }
    }
}

//! Encryption with the keys: AES-256-GCM, as base64 of nonce and ciphertext.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrets_provider::Key;

pub(super) fn encrypt(key: &Key<32>, plaintext: &str) -> String {
    let mut buffer = plaintext.as_bytes().to_vec();
    let nonce = aead(key).seal_in_place_append_tag(Aad::empty(), &mut buffer).unwrap();
    STANDARD.encode([nonce.as_ref().as_slice(), &buffer].concat())
}

pub(super) fn decrypt(key: &Key<32>, ciphertext: &str) -> Option<String> {
    let mut bytes = STANDARD.decode(ciphertext).ok()?;
    let (nonce, buffer) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plaintext = aead(key).open_in_place(nonce, Aad::empty(), buffer).ok()?;
    String::from_utf8(plaintext.to_vec()).ok()
}

fn aead(key: &Key<32>) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).unwrap()
}

/// The key in this base64 text.
pub(super) fn key(base64: &str) -> Key<32> {
    Key::new(STANDARD.decode(base64).unwrap().try_into().unwrap())
}

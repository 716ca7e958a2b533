//! [`NewValue`]: what a secret's member, or a whole secret, is replaced by.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::random;
use crate::error::Error;
use crate::extract::key::Key;
use crate::tree::base64;

/// A new value, as the closures of a [`Rotation`](crate::Rotation) make it: text (`String`, `&str`,
/// `SecretString`) or bytes (`Vec<u8>`, `[u8; N]`, [`Key<N>`](crate::Key)). Where a secret holds
/// text, bytes become base64; where it holds binary, text becomes its bytes. Wiped on drop; `Debug`
/// shows nothing of it.
#[derive(Clone)]
pub struct NewValue(Inner);

#[derive(Clone)]
enum Inner {
    Text(Zeroizing<String>),
    Bytes(Zeroizing<Vec<u8>>),
}

impl NewValue {
    /// A new password as [`Rotation::password`](crate::Rotation::password) makes it: 32 letters and
    /// digits from the operating system's randomness. It is for a closure that makes more of it, such
    /// as the URL of a database.
    ///
    /// ```
    /// use secrecy::ExposeSecret as _;
    /// use secrets_provider::NewValue;
    ///
    /// let password = NewValue::password()?;
    /// let url = format!("postgres://gaara:{}@db/gaara", password.expose_secret());
    /// # let _ = url;
    /// # Ok::<(), secrets_provider::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unavailable` if the operating system has no randomness.
    pub fn password() -> Result<SecretString, Error> {
        let mut password = random::password()?;
        Ok(std::mem::take(&mut *password).into())
    }

    pub(super) fn wiped(text: Zeroizing<String>) -> Self {
        Self(Inner::Text(text))
    }

    pub(super) fn to_text(&self) -> Zeroizing<String> {
        match &self.0 {
            Inner::Text(text) => text.clone(),
            Inner::Bytes(bytes) => base64(bytes),
        }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        match &self.0 {
            Inner::Text(text) => Zeroizing::new(text.as_bytes().to_vec()),
            Inner::Bytes(bytes) => bytes.clone(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.0 {
            Inner::Text(text) => text.is_empty(),
            Inner::Bytes(bytes) => bytes.is_empty(),
        }
    }
}

impl From<String> for NewValue {
    fn from(text: String) -> Self {
        Self(Inner::Text(Zeroizing::new(text)))
    }
}

impl From<&str> for NewValue {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<SecretString> for NewValue {
    fn from(text: SecretString) -> Self {
        text.expose_secret().into()
    }
}

impl From<Vec<u8>> for NewValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Bytes(Zeroizing::new(bytes)))
    }
}

impl<const N: usize> From<[u8; N]> for NewValue {
    fn from(bytes: [u8; N]) -> Self {
        let bytes = Zeroizing::new(bytes);
        bytes.to_vec().into()
    }
}

impl<const N: usize> From<Key<N>> for NewValue {
    fn from(key: Key<N>) -> Self {
        key.as_bytes().to_vec().into()
    }
}

impl fmt::Debug for NewValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewValue([redacted])")
    }
}

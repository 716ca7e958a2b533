//! What a secret holds, before anything is made of it.
//!
//! A store makes it, and `tree/payload` parses it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Text;

/// What a secret holds: `SecretString` or `SecretBinary`. Shared, and wiped when the last handle is
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    Text(Text),
    Binary(Arc<Zeroizing<Vec<u8>>>),
}

impl Payload {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::new(text))
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_str().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Binary(Arc::new(Zeroizing::new(bytes.into())))
    }
}

//! Text that may be secret.
//!
//! Every layer and tree shares one copy, which is wiped when the last handle is dropped.

use std::sync::Arc;

use zeroize::Zeroizing;

/// Text that may be secret: shared, so that all layers use one copy, and wiped when the last handle
/// is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text(Arc<Zeroizing<String>>);

impl Text {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    pub(crate) fn wiped(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

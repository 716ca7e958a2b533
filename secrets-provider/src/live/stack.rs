//! What `.layers(..)` may return.

use crate::error::Error;
use crate::layers::Layers;
use crate::tree::Table;

/// Merged layers that settings can be extracted from: [`Layers`], or a `figment::Figment` (feature `figment`).
/// Cannot be implemented outside this crate.
pub trait LayerStack: sealed::Sealed {}

/// The merged tree, opaque outside.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "cannot be named outside the crate")]
pub struct Merged(pub(crate) Table);

mod sealed {
    use super::{Error, Merged};

    pub trait Sealed {
        fn merged(self) -> Result<Merged, Error>;
    }
}

pub(crate) use sealed::Sealed;

impl LayerStack for Layers {}

impl Sealed for Layers {
    fn merged(self) -> Result<Merged, Error> {
        Layers::merged(&self).map(Merged)
    }
}

#[cfg(feature = "figment")]
impl LayerStack for figment::Figment {}

#[cfg(feature = "figment")]
impl Sealed for figment::Figment {
    fn merged(self) -> Result<Merged, Error> {
        crate::provider::tree_of(&self).map(Merged)
    }
}

//! The trait of everything that a closure of `LiveBuilder::layers` may return.
//!
//! `Layers` implements it here, `Figment` and `Config` in their adapters; `LiveBuilder` calls it
//! for each generation. It is sealed: it hands out the merged tree, which is not public.

use crate::error::Error;
use crate::layers::Layers;
use crate::load::snapshot::Snapshot;
use crate::tree::Table;

/// Layers that settings can be extracted from: [`Layers`], a `figment::Figment` (feature
/// `figment`), a `config::Config` or the `Result` of building one (feature `config`).
///
/// This trait is sealed: it cannot be implemented outside this crate.
pub trait LayerStack: sealed::Sealed {}

/// A tree, opaque outside this crate.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "cannot be named outside the crate")]
pub struct Merged(pub(crate) Table);

mod sealed {
    use super::{Error, Merged, Snapshot};

    pub trait Sealed {
        /// Whether the layers below the secrets are reported. Other crates don't report them.
        const REPORTS_LAYERS: bool = false;

        /// The merged tree. `secrets` are those that the layers were made with.
        fn merged(self, secrets: &Snapshot) -> Result<Merged, Error>;

        /// The merged tree, and the layers that it is made of, the lowest first. By default these
        /// are only the secrets, because other crates do not report their layers.
        fn merged_with_layers(self, secrets: &Snapshot) -> Result<(Merged, Vec<Merged>), Error>
        where
            Self: Sized,
        {
            Ok((self.merged(secrets)?, secrets.layers().iter().cloned().map(Merged).collect()))
        }
    }
}

pub(crate) use sealed::Sealed;

impl LayerStack for Layers {}

impl Sealed for Layers {
    const REPORTS_LAYERS: bool = true;

    fn merged(self, _: &Snapshot) -> Result<Merged, Error> {
        Layers::merged(&self).map(Merged)
    }

    fn merged_with_layers(self, _: &Snapshot) -> Result<(Merged, Vec<Merged>), Error> {
        let (tree, layers) = Layers::merged_with_layers(&self)?;
        Ok((Merged(tree), layers.into_iter().map(Merged).collect()))
    }
}

//! The trait of everything that a closure of `LiveBuilder::layers` may return.
//!
//! `Layers` implements it here, `Figment` and `Config` in their adapters; `LiveBuilder` calls it
//! for each generation. It is sealed: it hands out the merged tree, which is not public.

use crate::error::Error;
use crate::layers::Layers;
use crate::layers::explain::{self, Explanation};
use crate::load::snapshot::Snapshot;
use crate::tree::Table;

/// Layers that settings can be extracted from: [`Layers`], a `figment::Figment` (feature
/// `figment`), a `config::Config` or the `Result` of building one (feature `config`).
///
/// This trait is sealed: it cannot be implemented outside this crate.
pub trait LayerStack: sealed::Sealed {}

/// The merged tree, opaque outside this crate.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "cannot be named outside the crate")]
pub struct Merged(pub(crate) Table);

mod sealed {
    use super::{Error, Explanation, Merged, Snapshot, explain};

    pub trait Sealed {
        /// The merged tree. `secrets` are those that the layers were made with.
        fn merged(self, secrets: &Snapshot) -> Result<Merged, Error>;

        /// The merged tree, and where its keys come from. By default only the secrets are compared
        /// with the tree, because other crates do not report their layers.
        fn merged_and_explained(self, secrets: &Snapshot) -> Result<(Merged, Explanation), Error>
        where
            Self: Sized,
        {
            let merged = self.merged(secrets)?;
            let explanation = explain::explain(&[secrets.tree()], &merged.0);
            Ok((merged, explanation))
        }
    }
}

pub(crate) use sealed::Sealed;

impl LayerStack for Layers {}

impl Sealed for Layers {
    fn merged(self, _: &Snapshot) -> Result<Merged, Error> {
        Layers::merged(&self).map(Merged)
    }

    fn merged_and_explained(self, _: &Snapshot) -> Result<(Merged, Explanation), Error> {
        Layers::merged_and_explained(&self).map(|(tree, explanation)| (Merged(tree), explanation))
    }
}

//! What `.layers(..)` may return.

use crate::error::Error;
use crate::layers::Layers;
use crate::layers::explain::{self, Explanation};
use crate::load::snapshot::Snapshot;
use crate::tree::Table;

/// Merged layers that settings can be extracted from: [`Layers`], a `figment::Figment` (feature `figment`), or a
/// `config::Config`, also as the `Result` that building one gives (feature `config`). Cannot be implemented outside
/// this crate.
pub trait LayerStack: sealed::Sealed {}

/// The merged tree, opaque outside.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "cannot be named outside the crate")]
pub struct Merged(pub(crate) Table);

mod sealed {
    use super::{Error, Explanation, Merged, Snapshot, explain};

    pub trait Sealed {
        /// The tree; `secrets` are those that the layers were made with.
        fn merged(self, secrets: &Snapshot) -> Result<Merged, Error>;

        /// The tree, and where its keys come from. Of what a stack of another crate merged, only the outcome is known
        /// and what the secrets gave.
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

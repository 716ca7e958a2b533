#![doc = include_str!("../docs/guide.md")]

mod adapters;
mod backend;
pub mod endpoints;
mod engine;
mod env;
mod error;
mod extract;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod layers;
mod live;
mod load;
mod observe;
mod tree;
mod unwind;

#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

#[cfg(feature = "figment")]
pub use adapters::figment::{Dotenv, FigmentExt};
pub use backend::{
    Backend, BoxFuture, BoxStream, Directory, Fetched, Memory, Outcome, RotationWindow,
};
pub use endpoints::page::StatusPage;
pub use engine::handle::{Change, Refreshed};
pub use engine::trigger::{Trigger, TriggerSender};
pub use error::{Error, ErrorKind};
pub use extract::key::Key;
pub use extract::rotating::Rotating;
pub use layers::Layers;
pub use layers::explain::{ExplainedKey, Explanation, Layer, Provenance};
pub use layers::stack::LayerStack;
pub use live::{Changes, Guard, Live, LiveBuilder, Mapped, Part, Reader, Rejected, Retry, View};
pub use load::manager::SecretsManager;
pub use load::snapshot::{SecretVersion, Snapshot};
pub use observe::status::{
    Calls, DerivedStatus, Health, LastError, SecretState, SecretStatus, Status,
};

/// A page of the guide, not a module.
#[cfg(doc)]
#[doc = include_str!("../docs/postgres.md")]
pub mod _postgres {}

#![doc = include_str!("guide.md")]

mod backend;
mod blocking;
mod dotenv;
pub mod endpoints;
mod environment;
mod error;
mod events;
mod explain;
mod extract;
mod fetch;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gaps;
mod iam;
mod key;
mod layers;
mod live;
mod manager;
mod mapping;
#[cfg_attr(not(feature = "metrics"), path = "meter/off.rs")]
mod meter;
mod nearest;
#[cfg(any(doc, doctest))]
#[doc = include_str!("operations.md")]
pub mod operations {}
mod page;
mod payload;
mod policy;
#[cfg(feature = "figment")]
mod provider;
#[cfg(any(feature = "config", feature = "figment"))]
mod redact;
mod refresh;
mod rotating;
mod schedule;
mod selection;
mod snapshot;
#[cfg(feature = "config")]
mod source;
mod status;
mod switches;
mod tree;
mod trigger;

pub use backend::{Backend, BoxFuture, BoxStream, Directory, Fetched, Memory, Outcome, RotationWindow};
pub use error::{Error, ErrorKind};
pub use explain::{ExplainedKey, Explanation, Layer, Provenance};
pub use key::Key;
pub use layers::Layers;
pub use live::{
    Change, Changes, Guard, LayerStack, Live, LiveBuilder, Mapped, Part, Reader, Refreshed, Rejected, Retry,
    View,
};
pub use manager::SecretsManager;
pub use page::StatusPage;
#[cfg(feature = "figment")]
pub use provider::{Dotenv, FigmentExt};
pub use rotating::Rotating;
pub use snapshot::{SecretVersion, Snapshot};
pub use status::{Calls, DerivedStatus, Health, LastError, SecretState, SecretStatus, Status};
pub use trigger::{Trigger, TriggerSender};

/// A page of the guide, not a module.
#[cfg(doc)]
#[doc = include_str!("postgres.md")]
pub mod _postgres {}

/// The `tracing` target of every event.
const TARGET: &str = "secrets_provider";

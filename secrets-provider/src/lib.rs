#![doc = include_str!("guide.md")]

mod backend;
mod blocking;
mod dotenv;
mod error;
mod extract;
mod fetch;
mod layers;
mod live;
mod manager;
mod mapping;
mod payload;
#[cfg(feature = "figment")]
mod provider;
mod refresh;
mod schedule;
mod snapshot;
mod status;
mod tree;

pub use backend::{Backend, BoxFuture, BoxStream, Directory, Fetched, Memory, Outcome};
pub use error::{Error, ErrorKind};
pub use layers::Layers;
pub use live::{Change, Changes, Guard, LayerStack, Live, LiveBuilder, Refreshed, Rejected};
pub use manager::SecretsManager;
#[cfg(feature = "figment")]
pub use provider::Dotenv;
pub use snapshot::{SecretVersion, Snapshot};
pub use status::{LastError, SecretStatus, Status};

/// The `tracing` target of every event.
const TARGET: &str = "secrets_provider";

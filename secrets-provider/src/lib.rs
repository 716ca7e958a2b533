#![doc = include_str!("../docs/guide.md")]

mod adapters;
pub mod backend;
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
mod lookup;
mod observe;
#[cfg(feature = "sqs")]
mod push;
mod rotate;
mod secret;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod tree;
mod unwind;

// What to load, and what went wrong.
pub use error::{Error, ErrorKind};
pub use load::manager::{SecretsManager, Sources};
pub use load::rejected::Rejected;
pub use load::snapshot::Snapshot;
pub use secret::SecretVersion;

// The layers below the secrets, and where each key came from.
#[cfg(feature = "figment")]
pub use adapters::figment::{Dotenv, FigmentExt};
pub use layers::Layers;
pub use layers::explain::{ExplainedKey, Explanation, Layer, Provenance};
pub use layers::stack::LayerStack;

// The settings type, as others see it.
#[cfg(feature = "schema")]
pub use extract::schema::schema;

// Types for fields of settings.
pub use extract::key::Key;
pub use extract::rotating::Rotating;

// Settings that stay current.
pub use engine::handle::Change;
pub use engine::trigger::{Trigger, TriggerSender};
pub use live::{Changes, Guard, Live, LiveBuilder, Mapped, Part, Pins, Reader, View};
pub use load::retry::answer::Refreshed;
pub use load::retry::fresh::Retry;
#[cfg(feature = "sqs")]
pub use observe::status::{PeersStatus, PushState, PushStatus};
#[cfg(feature = "sqs")]
pub use push::Push;

// Secrets by name.
pub use lookup::{Get, Getting, Lookup, LookupStats};

// New values for secrets.
pub use rotate::{NewValue, Rotated, Rotation, RotationChange, RotationPlan, StoreRotation};

// Their state, for operators.
pub use endpoints::page::StatusPage;
pub use observe::status::{
    Calls, DerivedStatus, Failover, Health, LastError, SecretState, SecretStatus, SourceStatus,
    Status,
};

// Where secrets come from: stores, and what a store of your own implements.
#[doc(inline)]
#[cfg(feature = "agent")]
pub use backend::Agent;
#[doc(inline)]
#[cfg(feature = "ssm")]
pub use backend::ParameterStore;
pub use backend::{
    Backend, BoxFuture, BoxStream, Directory, Labels, Memory, Outcome, RotationWindow, Writer,
};
#[doc(inline)]
#[cfg(feature = "vault")]
pub use backend::{DatabaseRole, Vault};
pub use secret::{Fetched, Lease};

/// The pages of the guide. Nothing here is code; the modules exist only in the documentation.
#[cfg(any(doc, doctest))]
pub mod docs {
    #[doc = include_str!("../docs/dependencies.md")]
    pub mod dependencies {}

    #[doc = include_str!("../docs/first-secret.md")]
    pub mod first_secret {}

    #[doc = include_str!("../docs/figment-or-config.md")]
    pub mod figment_or_config {}

    #[doc = include_str!("../docs/live.md")]
    pub mod live {}

    #[doc = include_str!("../docs/lookup.md")]
    pub mod lookup {}

    #[doc = include_str!("../docs/cli.md")]
    pub mod cli {}

    #[doc = include_str!("../docs/moving.md")]
    pub mod moving {}

    #[doc = include_str!("../docs/operations.md")]
    pub mod operations {}

    #[doc = include_str!("../docs/push.md")]
    pub mod push {}

    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}

    #[doc = include_str!("../docs/backends.md")]
    pub mod backends {}

    #[doc = include_str!("../docs/stores.md")]
    pub mod stores {}

    #[doc = include_str!("../docs/postgres.md")]
    pub mod postgres {}

    #[doc = include_str!("../docs/followers.md")]
    pub mod followers {}

    #[doc = include_str!("../docs/rotation.md")]
    pub mod rotation {}

    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
}

// Links to the page from before it moved.
#[cfg(any(doc, doctest))]
#[doc(hidden)]
pub use docs::operations;

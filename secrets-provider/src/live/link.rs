//! What a [`Live`]'s value is made of: nothing, secrets, or another `Live`.
//!
//! A derived handle keeps its settings' handle here, and so keeps their refresher running. Its
//! status and explanation are those of the settings, as far as they are not its own.

use std::sync::Arc;

use super::Live;
use super::followed::Followed;
use crate::engine::cell::DerivedState;
use crate::engine::handle::Handle;
use crate::layers::explain::Sources;
use crate::observe::status::Status;

/// What all clones of one handle share besides the cell. Dropping the last one stops the task.
pub(super) struct Link {
    pub(super) handle: Handle,
    pub(super) input: Input,
}

pub(super) enum Input {
    /// A constant: there is nothing to refresh.
    Constant,
    Secrets,
    /// Another value, which is kept alive.
    Derived {
        from: Box<dyn Upstream>,
        state: Arc<DerivedState>,
    },
}

/// Settings that a value is derived from, of any type.
pub(super) trait Upstream: Send + Sync {
    fn status(&self) -> Status;
    fn sources(&self) -> Arc<Sources>;
    /// Who follows which of the settings' keys.
    fn followed(&self) -> Followed;
    /// Whether the settings can never change.
    fn is_constant(&self) -> bool;
    /// Whether the settings no longer change.
    fn has_ended(&self) -> bool;
}

impl<T: Send + Sync> Upstream for Live<T> {
    fn status(&self) -> Status {
        Live::status(self)
    }

    fn sources(&self) -> Arc<Sources> {
        self.sources()
    }

    fn followed(&self) -> Followed {
        self.followed()
    }

    fn is_constant(&self) -> bool {
        self.is_constant()
    }

    fn has_ended(&self) -> bool {
        self.has_ended()
    }
}

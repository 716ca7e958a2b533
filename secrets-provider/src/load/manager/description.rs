//! What a manager's setters change, and the state that its clones share.
//!
//! Both are private to this file, so [`Described::change`] is the only way to change the
//! description, and a setter cannot forget to drop what was made under the old one.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::Backend;
use crate::backend::store::{Connections, Options, Store};
use crate::error::Error;
use crate::load::notify::Notifier;
use crate::load::plan::Choice;
use crate::observe::events::WarnOnce;

/// The options that the setters change.
#[derive(Clone)]
pub(crate) struct Description {
    pub(crate) choice: Choice,
    /// What the switches say.
    pub(crate) interval: Option<Duration>,
    /// What the program says of these secrets.
    pub(crate) own_interval: Option<Duration>,
    /// What these secrets are called where there are several sources.
    pub(crate) source_name: Option<String>,
    /// What the switches call the environment: `production`.
    pub(crate) environment: Option<String>,
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Options,
}

/// A description, and the state that clones share as long as theirs is the same.
#[derive(Clone)]
pub(super) struct Described {
    description: Description,
    shared: Arc<Shared>,
    /// Kept through changes of the description: an announcement of a secret that another
    /// description does not select is ignored there.
    notifier: Notifier,
}

#[derive(Default)]
struct Shared {
    connections: Connections,
    warn_once: Arc<WarnOnce>,
}

impl Described {
    pub(super) fn new(description: Description) -> Self {
        Self { description, shared: Arc::default(), notifier: Notifier::default() }
    }

    /// Changes the description. Connections and one-time warnings of the old one are dropped, but
    /// clones that still have it keep them.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Description)) {
        change(&mut self.description);
        self.shared = Arc::default();
    }

    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    pub(super) fn warn_once(&self) -> &Arc<WarnOnce> {
        &self.shared.warn_once
    }

    pub(super) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// The described backend, on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(super) fn backend(&self) -> Result<Arc<dyn Backend>, Error> {
        let Description { store, options, .. } = &self.description;
        self.shared.connections.backend(&**store, options.clone())
    }
}

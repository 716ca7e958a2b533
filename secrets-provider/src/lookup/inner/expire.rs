//! What a lookup does when the program itself gives a secret a new version, by a rotation or a hint.
//!
//! The manager's notifier calls this for each of its lookups, as long as they live.

use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Inner;
use crate::load::notify::Subscriber;
use crate::lookup::cache::{Failing, Stored};

impl Inner {
    /// The secret with this name or ARN has a new version. A read under way may have been too early
    /// for it, and the next lookup reads again; the value stays in case that fails.
    fn expire(&self, id: &str) {
        let asks_for_it = |name: &str| self.is_id_of(name, id);
        let cached = self.cache.all().into_iter().map(|(name, _)| name);
        let names: Vec<Arc<str>> =
            cached.chain(self.flights.names()).filter(|name| asks_for_it(name)).collect();
        for name in names {
            self.flights.forget(Some(&name), || {
                self.cache.change(&name, |stored| Stored {
                    // What is older than its time does not become younger.
                    until: stored.until.min(Instant::now()),
                    failing: stored.failing.map(|failing| Failing { superseded: true, ..failing }),
                    ..stored.clone()
                });
            });
        }
    }

    /// What the manager's notifier calls, as long as the lookup lives.
    pub(super) fn subscriber(lookup: &Weak<Self>) -> Arc<Subscriber> {
        let lookup = lookup.clone();
        Arc::new(move |id| {
            if let Some(lookup) = lookup.upgrade() {
                lookup.expire(id);
            }
            std::future::ready(()).boxed()
        })
    }
}

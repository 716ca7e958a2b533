//! One read: the previous values are of the region that the current ones were read in.
//!
//! A replica may lag behind, so its previous value may be another one, and the region that is read
//! may change at any time, by what another reader meets. The region of a read does not.

use std::sync::{Arc, OnceLock};

use futures_util::{FutureExt as _, StreamExt as _};

use super::read::Reads;
use super::{Place, Regions};
use crate::backend::{Backend, BoxFuture, BoxStream, Outcome};
use crate::error::Error;

#[derive(Debug)]
pub(super) struct OneRead {
    regions: Arc<Regions>,
    /// Where the current values were read.
    place: OnceLock<Place>,
}

impl OneRead {
    pub(super) fn new(regions: Arc<Regions>) -> Self {
        Self { regions, place: OnceLock::new() }
    }

    fn read<'a>(&'a self, ids: &'a [String], reads: Reads) -> BoxStream<'a, Outcome> {
        let outcomes = self.regions.read(ids, reads).map(|(place, outcomes)| {
            self.place.get_or_init(|| place);
            outcomes
        });
        outcomes.flatten_stream().boxed()
    }
}

impl Backend for OneRead {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.regions.list(prefix)
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Reads::Current)
    }

    fn fetch_due<'a>(
        &'a self,
        ids: &'a [String],
        wanted: BoxFuture<'static, ()>,
    ) -> BoxStream<'a, Outcome> {
        self.read(ids, Reads::Due(wanted.shared()))
    }

    fn fetch_each<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.read(ids, Reads::Each)
    }

    fn fetch_previous<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        let place = self.place.get().copied().unwrap_or_else(|| self.regions.current());
        self.regions.previous(ids, place)
    }
}

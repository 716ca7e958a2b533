//! Requests that wait for reads: each is answered once every source that was read for it has been.
//!
//! Grows with the requests that wait.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::load::retry::answer::{Refreshed, Reply};

#[derive(Default)]
pub(super) struct Waiting {
    requests: BTreeMap<u64, Request>,
    next: u64,
}

struct Request {
    reply: Reply,
    /// How many reads it waits for.
    reads: usize,
    changed: bool,
    errors: Vec<Error>,
}

impl Waiting {
    /// A request that waits for so many reads. They know it by what is returned.
    pub(super) fn add(&mut self, reply: Reply, reads: usize) -> u64 {
        self.next += 1;
        let request = Request { reply, reads, changed: false, errors: Vec::new() };
        self.requests.insert(self.next, request);
        self.next
    }

    /// A read that these requests wait for has ended. `generation` is what is live now.
    pub(super) fn read(
        &mut self,
        requests: &[u64],
        result: &Result<Refreshed, Error>,
        generation: u64,
    ) {
        for id in requests {
            let Some(request) = self.requests.get_mut(id) else { continue };
            request.reads = request.reads.saturating_sub(1);
            match result {
                Ok(refreshed) => request.changed |= refreshed.changed,
                Err(error) => request.errors.push(error.clone()),
            }
            if request.reads == 0
                && let Some(request) = self.requests.remove(id)
            {
                let refreshed = Refreshed { generation, changed: request.changed };
                request.reply.send(Error::all(request.errors).map_or(Ok(refreshed), Err));
            }
        }
    }
}

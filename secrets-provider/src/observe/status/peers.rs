//! The state of the peers that hints are passed on to: written by the task that does it, shown by
//! the status.

use std::sync::{Mutex, MutexGuard};

use serde::Serialize;

use super::LastError;
use crate::error::Error;
use crate::unwind::lock;

/// The state of the peers of [`Push::peers`](crate::Push::peers). It holds names, counts and an
/// error's message, and no value.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PeersStatus {
    addresses: String,
    failing: bool,
    peers: usize,
    delivered: u64,
    failed: u64,
    last_error: Option<LastError>,
}

impl PeersStatus {
    /// The addresses as they were given.
    pub fn addresses(&self) -> &str {
        &self.addresses
    }

    /// Whether a peer did not take the last hint. It does not count for the health: a peer reads
    /// its secrets at its interval in any case.
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// How many peers the names had at the last hint, at most a hundred; 0 before the first.
    pub fn peers(&self) -> usize {
        self.peers
    }

    /// How many hints peers took, one for each peer.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// How many hints did not arrive, one for each peer, after the retry; with the lookups of names
    /// that failed, and the hints that were dropped because 1024 waited.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Why a hint did not arrive last. It stays here after later successes.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }
}

/// A [`PeersStatus`] that changes.
#[derive(Debug)]
pub(crate) struct PeersProgress {
    status: Mutex<PeersStatus>,
    addresses: String,
}

impl PeersProgress {
    pub(crate) fn new(addresses: String) -> Self {
        let status = PeersStatus {
            addresses: addresses.clone(),
            failing: false,
            peers: 0,
            delivered: 0,
            failed: 0,
            last_error: None,
        };
        Self { status: Mutex::new(status), addresses }
    }

    pub(crate) fn addresses(&self) -> &str {
        &self.addresses
    }

    pub(crate) fn status(&self) -> PeersStatus {
        self.lock().clone()
    }

    /// A hint was not passed on, because too many wait.
    pub(crate) fn dropped(&self) {
        self.lock().failed += 1;
    }

    /// So many peers were called; so many calls succeeded and failed.
    pub(crate) fn delivered(&self, peers: usize, delivered: usize, failed: usize) {
        let mut status = self.lock();
        status.peers = peers;
        status.delivered += delivered as u64;
        status.failed += failed as u64;
    }

    /// Not every peer was informed. Whether that is news.
    pub(crate) fn failed(&self, error: &Error) -> bool {
        let mut status = self.lock();
        status.last_error = Some(LastError::new(error));
        !std::mem::replace(&mut status.failing, true)
    }

    /// Every peer was informed. Whether that is news after a failure.
    pub(crate) fn recovered(&self) -> bool {
        std::mem::replace(&mut self.lock().failing, false)
    }

    fn lock(&self) -> MutexGuard<'_, PeersStatus> {
        lock(&self.status)
    }
}

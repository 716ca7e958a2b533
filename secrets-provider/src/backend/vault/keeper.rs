//! The background task that keeps the token alive between reads.
//!
//! A token may live for less than the interval between two refreshes, and a secret id may be good
//! for one login only, so a token is renewed when it is due, whether anyone reads or not. The task
//! holds no strong handle while it sleeps, and ends with the last one; it also ends with its tokio
//! runtime, and the next read starts another.

use std::sync::{Mutex, Weak};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::core::Core;
use crate::unwind::lock;

#[derive(Debug, Default)]
pub(super) struct Keeper(Mutex<Option<JoinHandle<()>>>);

impl Keeper {
    /// Starts the task unless it runs. It first looks when this token is due.
    pub(super) fn ensure(&self, core: &Weak<Core>, due: Instant) {
        let mut task = lock(&self.0);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(keep(core.clone(), due)));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = &*lock(&self.0) {
            task.abort();
        }
    }
}

async fn keep(core: Weak<Core>, mut due: Instant) {
    loop {
        sleep_until(due).await;
        let Some(core) = core.upgrade() else { return };
        // What fails here is reported by the next read, which tries again.
        let Ok(session) = core.session().await else { return };
        match session.due {
            Some(next) => due = next,
            None => return,
        }
    }
}

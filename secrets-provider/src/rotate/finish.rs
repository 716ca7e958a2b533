//! The second half of a run: set the pending value, test it, make it current, and put right what
//! programs at the same time may have broken.

use tokio::time::sleep;

use super::run::{FIRST_WAIT, Run, TRIES};
use super::steps::{Versions, outcome};
use crate::backend::Labels;
use crate::error::{Error, ErrorKind};
use crate::secret::Fetched;

/// How often the value in use is set again, if that changes meanwhile or fails.
const MAX_HEALINGS: u32 = 5;

impl Run<'_> {
    /// Sets the pending value and tests it. `has_set` becomes true before it may be set.
    pub(super) async fn set_and_test(
        &self,
        versions: &Versions<'_>,
        resumed: bool,
        has_set: &mut bool,
    ) -> Result<(), Error> {
        let pending = versions.pending;
        // The run before may have set it, and its user may no longer log in with the current one.
        if resumed && self.rotation.test.is_some() && self.test_once(pending).await.is_ok() {
            return Ok(());
        }
        let mut tried = 0;
        loop {
            let set = self.check_and_set(versions, has_set).await;
            if let Err(error) = &set
                && (error.is_superseded() || self.rotation.test.is_none())
            {
                return set;
            }
            let tested = self.test_once(pending).await;
            tried += 1;
            let error = match (set, tested) {
                // If `set` failed, it may have been done all the same, or by another program.
                (_, Ok(())) => return Ok(()),
                (Err(error), Err(_)) => error,
                (Ok(_), Err(error)) if tried == TRIES => error,
                // Another program may have set the current value again: once more.
                (Ok(_), Err(_)) => {
                    sleep(FIRST_WAIT * 2_u32.pow(tried - 1)).await;
                    continue;
                }
            };
            return Err(error.with_note(match self.test_once(versions.current).await {
                Ok(()) => {
                    "; the current value works, and the pending version is left for the next run"
                }
                Err(_) => "; the current value does not work either",
            }));
        }
    }

    /// Sets the pending value, if there is a `set` and it still is the value to set.
    async fn check_and_set(
        &self,
        versions: &Versions<'_>,
        has_set: &mut bool,
    ) -> Result<(), Error> {
        if self.rotation.set.is_none() {
            return Ok(());
        }
        let now = self.labels().await?;
        if now.current != versions.current.version_id() {
            return Err(self.superseded("another program finished a rotation first"));
        }
        if now.pending.as_deref() != Some(versions.pending.version_id()) {
            return Err(self.superseded("another program began another rotation"));
        }
        *has_set = true;
        self.set(versions).await
    }

    /// After a step failed: the error that says so, if the reason is that another program has
    /// finished a rotation meanwhile.
    pub(super) async fn overtaken(
        &self,
        versions: &Versions<'_>,
        has_set: bool,
    ) -> Result<Option<Error>, Error> {
        let Ok(now) = self.labels_retried().await else { return Ok(None) };
        if now.current == versions.current.version_id() {
            return Ok(None);
        }
        if now.current != versions.pending.version_id() && has_set {
            self.heal(versions).await?;
        }
        Ok(Some(self.superseded("another program rotated it meanwhile")))
    }

    async fn set(&self, versions: &Versions<'_>) -> Result<(), Error> {
        let Some(set) = &self.rotation.set else { return Ok(()) };
        let future = set(versions, &self.key_path)?;
        outcome(&self.id, "set", self.rotation.step_timeout, future).await
    }

    async fn test_once(&self, secret: &Fetched) -> Result<(), Error> {
        let Some(test) = &self.rotation.test else { return Ok(()) };
        let future = test(secret, &self.key_path)?;
        outcome(&self.id, "test", self.rotation.step_timeout, future).await
    }

    /// Moves the current label to the pending version.
    pub(super) async fn make_current(
        &self,
        versions: &Versions<'_>,
        has_set: bool,
    ) -> Result<(), Error> {
        let (from, to) = (versions.current.version_id(), versions.pending.version_id());
        let mut tried = 0;
        loop {
            let moved = self.call(|writer| writer.make_current(&self.id, from, to)).await;
            let is_open = match &moved {
                Ok(()) => return Ok(()),
                Err(error) => error.kind() != ErrorKind::Conflict,
            };
            tried += 1;
            let now = self.labels_retried().await?;
            if now.current == to {
                // If the outcome is open, it may have been this call.
                return match is_open {
                    true => Ok(()),
                    false => Err(self.superseded("another program finished it first")),
                };
            }
            if now.current != from {
                if has_set {
                    self.heal(versions).await?;
                }
                return Err(self.superseded("another program rotated it meanwhile"));
            }
            match moved {
                Err(error) if tried == TRIES || !is_open || !error.is_transient() => {
                    return Err(error);
                }
                _ => sleep(FIRST_WAIT * 2_u32.pow(tried - 1)).await,
            }
        }
    }

    /// Tests the new value once more when it is current: another program may have set its own over
    /// it between the last test and the move of the label.
    pub(super) async fn check_again(&self, versions: &Versions<'_>) -> Result<(), Error> {
        match self.test_once(versions.pending).await {
            Ok(()) => Ok(()),
            Err(_) => self.heal(versions).await,
        }
    }

    /// Sets the value in use again if a program that stood still has set its own over it.
    ///
    /// A value that works is left as it is, whether the current one or that of a rotation under
    /// way, which becomes current next. After each set the labels are read again. So if a rotation
    /// moves the label before that, this program sees it; and if after that, the rotation's own
    /// last test ([`check_again`](Self::check_again)) sees what this program has set, and this
    /// program is done.
    async fn heal(&self, versions: &Versions<'_>) -> Result<(), Error> {
        let mut known = versions.pending.clone();
        let mut failed = None;
        for tried in 0..=MAX_HEALINGS {
            let now = self.labels_retried().await?;
            let Some(in_use) = self.version(&now.current).await? else { return Ok(()) };
            if self.rotation.test.is_none() {
                if failed.is_none() && known.version_id() == in_use.version_id() {
                    return Ok(());
                }
            } else if self.test_once(&in_use).await.is_ok() || self.is_next_served(&now).await? {
                return Ok(());
            }
            if self.labels_retried().await?.current != now.current {
                return Ok(());
            }
            if tried == MAX_HEALINGS {
                break;
            }
            if tried > 0 {
                sleep(FIRST_WAIT * 2_u32.pow(tried - 1)).await;
            }
            let previous = Some(versions.current);
            let set = Versions { current: &known, pending: &in_use, previous };
            failed = self.set(&set).await.err();
            known = in_use;
        }
        let error = failed.unwrap_or_else(|| {
            self.error(ErrorKind::Rejected, "its current value does not work")
                .with_hint("run the rotation again")
        });
        Err(error
            .with_note("; another rotation came between, and its value could not be set again"))
    }

    /// Whether the value of a rotation under way works.
    async fn is_next_served(&self, labels: &Labels) -> Result<bool, Error> {
        match labels.pending.as_ref().filter(|pending| **pending != labels.current) {
            None => Ok(false),
            Some(id) => match self.version(id).await? {
                None => Ok(false),
                Some(next) => Ok(self.test_once(&next).await.is_ok()),
            },
        }
    }
}

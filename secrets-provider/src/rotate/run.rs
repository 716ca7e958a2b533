//! The state machine of a rotation.
//!
//! What it relies on, and what makes it safe against a death at any await and against other
//! rotators:
//!
//! - The id of the new version follows from the current one (`version`), and the store gives an id
//!   to one value only. So of all programs that rotate from one version, one gets its value in, and
//!   the others find it.
//! - Nothing outside changes before the new value is in the store.
//! - The current label moves by compare-and-set, from the version that was current at the start.
//! - A program that stood still while others finished may have set its own value after theirs. It
//!   finds out when the compare-and-set fails, and sets theirs again; and the value that became
//!   current is tested once more (`finish`).
//!
//! `begin` and `compose` are the first half, up to the pending version; `finish` is the second one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::begin::Pending;
use super::plan::{Action, RotationPlan};
use super::rotated::Rotated;
use super::rotation::Rotation;
use super::steps::Versions;
use crate::backend::{Backend, Labels, Writer};
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::secret::Fetched;
use crate::unwind;

/// How often a new value is tested, and how often a label's move with an open outcome is tried.
pub(super) const TRIES: u32 = 3;

/// How long to wait after the first try; twice as long after each more.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(500);

/// One run of a rotation.
pub(super) struct Run<'a> {
    pub(super) rotation: &'a Rotation,
    backend: Arc<dyn Backend>,
    pub(super) id: String,
    pub(super) key_path: String,
    timeout: Duration,
}

impl<'a> Run<'a> {
    fn new(rotation: &'a Rotation) -> Result<Self, Error> {
        let manager = &rotation.manager;
        let id = manager.id_of(&rotation.name)?;
        let key_path = manager.fetcher()?.key_path(&id);
        let backend = manager.connected()?;
        let run = Self { rotation, backend, id, key_path, timeout: manager.call_timeout() };
        if rotation.members.is_empty() {
            let error = run.error(ErrorKind::Config, "the rotation names no member that changes");
            return Err(error.with_hint("call `.password(..)`, `.key(..)` or `.generate(..)`"));
        }
        run.writer()?;
        Ok(run)
    }

    pub(super) async fn run(rotation: &'a Rotation) -> Result<Rotated, Error> {
        let run = Self::new(rotation)?;
        let start = run.start().await?;
        let (labels, current) = (&start.labels, &start.current);
        let previous = match &rotation.set {
            Some(_) => run.previous(labels).await?,
            None => None,
        };
        let (pending, resumed) = match &start.pending {
            Pending::Ours(pending) => {
                run.check(current, pending).await?;
                events::secret_rotation_resumed(&run.id, pending.version_id());
                (pending.clone(), true)
            }
            other => (run.put(&start, other).await?, matches!(other, Pending::Outdated(_))),
        };
        let versions = Versions { current, pending: &pending, previous: previous.as_ref() };
        let finished = run.finish(&versions, resumed).await;
        // After an error, too: another program may have moved the label, or this one, if only the
        // answer was lost.
        rotation.manager.notifier().changed(current.name()).await;
        finished?;
        Ok(Rotated {
            version_id: pending.version_id().to_owned(),
            previous_version_id: current.version_id().to_owned(),
            resumed,
        })
    }

    /// Everything after the new value is stored.
    async fn finish(&self, versions: &Versions<'_>, resumed: bool) -> Result<(), Error> {
        let mut has_set = false;
        if let Err(error) = self.set_and_test(versions, resumed, &mut has_set).await {
            return Err(self.overtaken(versions, has_set).await?.unwrap_or(error));
        }
        self.make_current(versions, has_set).await?;
        // The rotation is over; the label only shows that it was.
        let pending = versions.pending.version_id();
        let _ = self.call(|writer| writer.remove_pending(&self.id, pending)).await;
        self.check_again(versions).await
    }

    pub(super) async fn plan(rotation: &'a Rotation) -> Result<RotationPlan, Error> {
        let run = Self::new(rotation)?;
        let start = run.start().await?;
        let current = start.labels.current.clone();
        let action = match &start.pending {
            Pending::None => Action::Begin,
            Pending::Ours(pending) => Action::Resume(pending.version_id().to_owned()),
            Pending::Empty(version_id) => Action::Fill(version_id.clone()),
            Pending::Outdated(_) => Action::Renew(start.labels.pending.clone().unwrap_or_default()),
        };
        let stamps = rotation.stamps.iter().filter(|stamp| start.has(stamp)).cloned();
        let user = run.user(&start.content)?.map(|(member, _)| member.to_owned());
        Ok(RotationPlan {
            secret: run.id.clone(),
            current_version_id: current,
            action,
            members: rotation.members.iter().map(|(member, _)| member.clone()).collect(),
            follow: (rotation.also.iter().map(|(member, _)| member.clone()))
                .chain(stamps)
                .chain(user)
                .collect(),
            sets: rotation.set.is_some(),
            tests: rotation.test.is_some(),
        })
    }

    async fn previous(&self, labels: &Labels) -> Result<Option<Fetched>, Error> {
        match &labels.previous {
            Some(id) => self.version(id).await,
            None => Ok(None),
        }
    }

    pub(super) async fn labels(&self) -> Result<Labels, Error> {
        self.call(|writer| writer.labels(&self.id)).await
    }

    /// The labels, where giving up would leave open what happened.
    pub(super) async fn labels_retried(&self) -> Result<Labels, Error> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.labels().await {
                Err(error) if error.is_transient() && tried < TRIES => {
                    sleep(FIRST_WAIT * 2_u32.pow(tried - 1)).await;
                }
                result => return result,
            }
        }
    }

    pub(super) async fn version(&self, version_id: &str) -> Result<Option<Fetched>, Error> {
        self.call(|writer| writer.version(&self.id, version_id)).await
    }

    fn writer(&self) -> Result<&dyn Writer, Error> {
        self.backend.writer().ok_or_else(|| {
            let what = format!("it is in {}, where nothing is rotated", self.backend.store_name());
            self.error(ErrorKind::Config, &what)
                .with_hint("implement `Writer`, and return it from `Backend::writer`")
        })
    }

    /// One call of the store, within its time.
    pub(super) async fn call<'s, R, F>(
        &'s self,
        call: impl FnOnce(&'s dyn Writer) -> F,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<R, Error>>,
    {
        let call = call(self.writer()?);
        match timeout(self.timeout, unwind::catch_future(call)).await {
            Ok(result) => result.map_err(|panic| panic.rejection("the backend"))?,
            Err(_) => {
                let what = format!("no answer within {:?}", self.timeout);
                Err(self.error(ErrorKind::Unavailable, &what).with_hint(format!(
                    "{}; `.timeout(..)` sets the limit",
                    self.backend.timeout_hint()
                )))
            }
        }
    }

    pub(super) fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("secret `{}`: {what}", self.id)).with_secret(&self.id)
    }

    pub(super) fn superseded(&self, what: &str) -> Error {
        self.error(ErrorKind::Conflict, &format!("the rotation is superseded: {what}"))
            .with_hint("nothing has to be done: the other rotation finishes, or the next run does")
            .superseded()
    }
}

//! The first half of a run: read what is there, judge a pending version, make the new values and
//! store them.

use super::content::Content;
use super::random;
use super::resume::{self, Found};
use super::rotation::Make;
use super::run::Run;
use super::steps::outcome;
use super::value::NewValue;
use super::version::{MAX_ATTEMPTS, after};
use crate::backend::Labels;
use crate::error::{Error, ErrorKind};
use crate::observe::events;
use crate::secret::Fetched;

/// What a run finds at its start.
pub(super) struct Start {
    pub(super) labels: Labels,
    pub(super) current: Fetched,
    pub(super) content: Content,
    pub(super) pending: Pending,
}

pub(super) enum Pending {
    None,
    /// To be taken up.
    Ours(Fetched),
    /// A version without a value, left behind by a rotation that the store no longer does.
    Empty(String),
    /// Its new values, for a version that is like the current one.
    Outdated(Vec<(String, NewValue)>),
}

impl Run<'_> {
    /// Reads the labels, the current version and the pending one, and judges what can be judged
    /// before anything is made.
    pub(super) async fn start(&self) -> Result<Start, Error> {
        let labels = self.labels().await?;
        let current = self.version(&labels.current).await?.ok_or_else(|| {
            self.error(ErrorKind::Unavailable, "its current version changed while it was read")
                .with_hint("run the rotation again")
        })?;
        let content = Content::new(current.payload());
        let placeholder = NewValue::from("placeholder");
        // A member that cannot be replaced is known before a provider makes a key.
        self.edit(&content, |member| Ok((member.to_owned(), placeholder.clone())))?;
        let is_unfinished =
            |id: &&String| **id != labels.current && Some(*id) != labels.previous.as_ref();
        let pending = match labels.pending.as_ref().filter(is_unfinished) {
            None => Pending::None,
            Some(id) => match self.version(id).await? {
                None if labels.rotated_by_store => return Err(self.in_progress(id)),
                None => Pending::Empty(id.clone()),
                Some(pending) => self.judge(&content, pending)?,
            },
        };
        Ok(Start { labels, current, content, pending })
    }

    /// Only the store's own rotation begins with a version without a value. Its function may be at
    /// work, and would find another value than it makes.
    fn in_progress(&self, id: &str) -> Error {
        let what = format!(
            "a rotation by its store is already in progress: its pending version `{id}` has no \
             value yet"
        );
        self.error(ErrorKind::Conflict, &what).with_hint(
            "wait until it ends. If it never does, look at the log of the rotation function, and \
             take the label off: `aws secretsmanager update-secret-version-stage --version-stage \
             AWSPENDING --remove-from-version-id ..`. A secret is rotated by its store or by this \
             program, not by both: `manager.rotate(..)` has the store do it, `aws secretsmanager \
             cancel-rotate-secret` ends that",
        )
    }

    fn judge(&self, content: &Content, pending: Fetched) -> Result<Pending, Error> {
        let members: Vec<&str> =
            self.rotation.members.iter().map(|(member, _)| member.as_str()).collect();
        let also = self.rotation.also.iter().map(|(member, _)| member.as_str());
        let stamps = self.rotation.stamps.iter().map(String::as_str);
        let user = self.user(content)?.map(|(member, _)| member);
        let others: Vec<&str> =
            also.chain(stamps).chain(user).filter(|member| content.has(member)).collect();
        match resume::judge(content, &Content::new(pending.payload()), &members, &others) {
            Found::Ours => Ok(Pending::Ours(pending)),
            Found::Outdated(values) => Ok(Pending::Outdated(values)),
            Found::Foreign => {
                let id = pending.version_id();
                let what = format!("its pending version `{id}` is of another rotation");
                Err(self.error(ErrorKind::Conflict, &what).with_hint(
                    "finish that rotation, which changes other members; or, if its new value is \
                     not in use, take its label off: `aws secretsmanager \
                     update-secret-version-stage --version-stage AWSPENDING \
                     --remove-from-version-id ..`",
                ))
            }
        }
    }

    /// Makes the new value and stores it as the pending version.
    pub(super) async fn put(&self, start: &Start, found: &Pending) -> Result<Fetched, Error> {
        let Start { labels, current, content, .. } = start;
        let mut values = Vec::new();
        match found {
            Pending::Outdated(kept) => values.clone_from(kept),
            _ => {
                for (member, make) in &self.rotation.members {
                    values.push((member.clone(), self.make(make).await?));
                }
            }
        }
        let content = self.new_content(current, content, &values)?;
        let version = |id: String| {
            let pending = Fetched::new(current.name().to_owned(), id, content.payload().clone());
            match current.arn() {
                Some(arn) => pending.with_arn(arn),
                None => pending,
            }
        };
        let mut pending = version(match found {
            Pending::Empty(id) => id.clone(),
            _ => after(&labels.current, 0),
        });
        self.check(current, &pending).await?;
        for attempt in 1..=MAX_ATTEMPTS {
            let put = self.call(|writer| writer.put_pending(&self.id, &pending)).await;
            match put {
                Ok(()) => {
                    if let Pending::Outdated(_) = found {
                        events::secret_rotation_resumed(&self.id, pending.version_id());
                    }
                    return Ok(pending);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
            let now = self.labels().await?;
            let is_taken = now.pending.as_deref() == Some(pending.version_id());
            if now.current != labels.current || is_taken || matches!(found, Pending::Empty(_)) {
                return Err(self.superseded("another program began a rotation first"));
            }
            // The id is of a version that was rolled back.
            pending = version(after(&labels.current, attempt));
        }
        Err(self.error(ErrorKind::Conflict, "no id is free for a new version"))
    }

    async fn make(&self, make: &Make) -> Result<NewValue, Error> {
        let value = match make {
            Make::Password => NewValue::wiped(random::password()?),
            Make::Key(key) => key()?,
            Make::Closure(closure) => {
                outcome(&self.id, "generate", self.rotation.step_timeout, closure()).await?
            }
        };
        match value.is_empty() {
            true => Err(self.error(ErrorKind::Rejected, "`generate` made an empty value")),
            false => Ok(value),
        }
    }

    pub(super) async fn check(&self, current: &Fetched, pending: &Fetched) -> Result<(), Error> {
        for check in &self.rotation.checks {
            check(self.rotation.manager.clone(), current.clone(), pending.clone()).await?;
        }
        Ok(())
    }
}

impl Start {
    pub(super) fn has(&self, member: &str) -> bool {
        self.content.is_object() && self.content.has(member)
    }
}

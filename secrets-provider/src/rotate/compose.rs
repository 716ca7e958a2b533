//! What the new version of a secret holds: new values, what follows from them, and nothing of the
//! old ones.
//!
//! Nothing here calls the store; `begin` stores the result.

use std::time::SystemTime;

use super::content::{Content, EditError};
use super::rotation::Rotation;
use super::run::Run;
use super::value::NewValue;
use super::version::after;
use super::{leftover, stamp};
use crate::error::{Error, ErrorKind};
use crate::secret::{Fetched, Payload};

/// How long a value may be in AWS, and so in every store.
const MAX_VALUE_BYTES: usize = 65_536;

/// Which members hold the user, for two users who take turns.
const USER_MEMBERS: [&str; 2] = ["username", "user"];

impl Run<'_> {
    /// The secret with its new values, and everything that follows from them.
    pub(super) fn new_content(
        &self,
        current: &Fetched,
        content: &Content,
        values: &[(String, NewValue)],
    ) -> Result<Content, Error> {
        let new = self.edit(content, |member| {
            let value = values.iter().find(|(name, _)| name == member);
            value.cloned().ok_or_else(|| self.error(ErrorKind::Config, "a member has no new value"))
        })?;
        let mut also = Vec::new();
        for (member, closure) in &self.rotation.also {
            let secret = Fetched::new(
                current.name().to_owned(),
                after(current.version_id(), 0),
                new.payload().clone(),
            );
            also.push((member.as_str(), closure(&secret, &self.key_path)?));
        }
        let edits: Vec<_> = also.iter().map(|(member, value)| (*member, value)).collect();
        let new = match edits.is_empty() {
            true => new,
            false => new.edited(&edits).map_err(|error| self.unfit(&edits, error))?,
        };
        self.no_leftover(content, &new)?;
        if new.payload().len() > MAX_VALUE_BYTES {
            let what = format!("its new value is longer than {MAX_VALUE_BYTES} bytes");
            return Err(self.error(ErrorKind::Malformed, &what));
        }
        Ok(new)
    }

    /// The old values may occur nowhere in the new secret.
    fn no_leftover(&self, old: &Content, new: &Content) -> Result<(), Error> {
        let nothing = NewValue::from("");
        let kept = self.rotation.kept.iter().filter(|member| new.is_object() && new.has(member));
        let kept: Vec<_> = kept.map(|member| (member.as_str(), &nothing)).collect();
        let searched = new.edited(&kept).map_err(|error| self.unfit(&kept, error))?;
        for (member, _) in &self.rotation.members {
            let Ok(Some(value)) = old.value(member) else { continue };
            let bytes = match &value {
                Payload::Text(text) => text.as_str().as_bytes(),
                Payload::Binary(bytes) => bytes,
            };
            if leftover::occurs(bytes, &searched) {
                let what = match new.is_object() {
                    true => format!("the old value of `{member}` is still in the new secret"),
                    false => "the new value contains the old one".to_owned(),
                };
                return Err(self.error(ErrorKind::Rejected, &what).with_key(member).with_hint(
                    "rebuild the member that contains it by `.also(..)`, or allow it by \
                     `.keep(..)`; nothing was stored",
                ));
            }
        }
        Ok(())
    }

    /// The content with new members, user and stamps.
    pub(super) fn edit(
        &self,
        content: &Content,
        value: impl Fn(&str) -> Result<(String, NewValue), Error>,
    ) -> Result<Content, Error> {
        let Rotation { members, also, stamps, .. } = self.rotation;
        let mut edits = Vec::new();
        for (member, _) in members {
            edits.push(value(member)?);
        }
        edits.extend(self.user(content)?.map(|(member, user)| (member.to_owned(), user.into())));
        if content.is_object() {
            let now = NewValue::from(stamp::rfc_3339(SystemTime::now()));
            let stamps = stamps.iter().filter(|stamp| content.has(stamp));
            edits.extend(stamps.map(|stamp| (stamp.clone(), now.clone())));
        }
        let edits: Vec<_> = edits.iter().map(|(member, value)| (member.as_str(), value)).collect();
        for (member, _) in also {
            if !content.is_object() || !content.has(member) {
                return Err(
                    self.unfit(&[(member.as_str(), &NewValue::from(""))], EditError::Missing)
                );
            }
        }
        content.edited(&edits).map_err(|error| self.unfit(&edits, error))
    }

    /// The member that holds the user, and the user whose turn it is.
    pub(super) fn user(&self, content: &Content) -> Result<Option<(&'static str, &str)>, Error> {
        let Some([user, clone]) = &self.rotation.alternate else { return Ok(None) };
        let value = |member: &str| content.value(member).ok().flatten();
        let member =
            USER_MEMBERS.into_iter().find(|member| content.is_object() && content.has(member));
        let current = member.and_then(|member| Some((member, value(member)?)));
        match current {
            Some((member, Payload::Text(text))) if text.as_str() == user => {
                Ok(Some((member, clone)))
            }
            Some((member, Payload::Text(text))) if text.as_str() == clone => {
                Ok(Some((member, user)))
            }
            _ => Err(self
                .error(ErrorKind::Invalid, "its user is not one of the two that take turns")
                .with_hint(
                    "`.alternate(..)` names both users as they are in the member `username` or \
                     `user`",
                )),
        }
    }

    /// Why members cannot be replaced. The first of them that is at fault is named.
    fn unfit(&self, edits: &[(&str, &NewValue)], error: EditError) -> Error {
        let members = edits.iter().map(|(member, _)| format!("`{member}`")).collect::<Vec<_>>();
        let members = members.join(", ");
        let (kind, what, hint) = match error {
            EditError::Missing => (
                ErrorKind::Invalid,
                format!("it has not all of the members {members}"),
                "name a member by its key, with dots for an object within the object",
            ),
            EditError::Twice => (
                ErrorKind::Malformed,
                format!("one of the members {members} is there twice, or named twice"),
                "a key may be in an object once, and in a rotation once",
            ),
            EditError::NoScalar => (
                ErrorKind::Invalid,
                format!("one of the members {members} is an object or an array"),
                "name a member within it, with a dot",
            ),
            EditError::SecondWhole => (
                ErrorKind::Invalid,
                "it is no JSON object, so it has one value".to_owned(),
                "such a secret is replaced as a whole: name one member",
            ),
            EditError::Object => (
                ErrorKind::Invalid,
                "it is a JSON object, which is not replaced as a whole".to_owned(),
                "name the member that changes",
            ),
        };
        let error = self.error(kind, &what).with_hint(hint);
        match edits {
            [(member, _)] => error.with_key(*member),
            _ => error,
        }
    }
}

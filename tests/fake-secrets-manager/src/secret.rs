//! A secret: its versions and the staging labels on them. No I/O, no clock of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{ApiError, ApiResult};

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

const MAX_LABELS: usize = 20;
const MAX_VERSIONS: usize = 100;

/// A secret's value. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Arc<str>),
    Binary(Arc<[u8]>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(hidden)",
            Self::Binary(_) => "Binary(hidden)",
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// A rotation starts with a version that has no value yet.
    pub(crate) value: Option<Value>,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) created: SystemTime,
    pub(crate) accessed: Option<SystemTime>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rotation {
    pub(crate) enabled: bool,
    pub(crate) function_arn: Option<String>,
    pub(crate) automatically_after_days: Option<i64>,
    pub(crate) duration: Option<String>,
    pub(crate) schedule_expression: Option<String>,
    pub(crate) last: Option<SystemTime>,
    pub(crate) next: Option<SystemTime>,
}

#[derive(Debug, Clone)]
pub(crate) struct Secret {
    /// Order of creation, for secrets with equal timestamps.
    pub(crate) serial: u64,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    /// `None` until there was a first one, as the service shows an emptied list.
    pub(crate) tags: Option<Vec<(String, String)>>,
    pub(crate) versions: Vec<Version>,
    pub(crate) created: SystemTime,
    pub(crate) changed: SystemTime,
    pub(crate) accessed: Option<SystemTime>,
    /// When the recovery window ends, once deletion is planned.
    pub(crate) deletion: Option<SystemTime>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) owning_service: Option<String>,
}

impl Secret {
    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    pub(crate) fn version_mut(&mut self, id: &str) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.id == id)
    }

    pub(crate) fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.labels.contains(label))
    }

    /// What a listing shows of it, which needs no value.
    pub(crate) fn outline(&self) -> Self {
        let mut outline = self.clone();
        outline.versions.retain(|version| !version.labels.is_empty());
        for version in &mut outline.versions {
            version.value = None;
        }
        outline
    }

    fn holder(&self, label: &str) -> Option<String> {
        self.labelled(label).map(|version| version.id.clone())
    }

    /// Puts a value under `token`. Returns whether anything changed: the same token with the same
    /// content is answered again and changes nothing.
    pub(crate) fn put(
        &mut self,
        token: &str,
        value: Value,
        labels: Option<Vec<String>>,
        now: SystemTime,
    ) -> ApiResult<bool> {
        let arn = self.arn.clone();
        let first = self.versions.is_empty();
        let mut labels = labels.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        if first && !labels.iter().any(|label| label == CURRENT) {
            labels.push(CURRENT.to_owned());
        }
        if labels.len() > MAX_LABELS {
            return Err(too_many_labels());
        }
        match self.version(token) {
            Some(Version { value: Some(stored), .. }) if *stored == value => return Ok(false),
            Some(Version { value: Some(_), .. }) => {
                return Err(token_in_use(token, &arn));
            }
            _ => {}
        }
        // Nothing is changed before every check has passed.
        if let Some(version) = self.version(token) {
            let mut all = version.labels.clone();
            all.extend(labels.iter().cloned());
            if all.len() > MAX_LABELS {
                return Err(too_many_labels());
            }
        } else {
            self.make_room()?;
            self.versions.push(Version {
                id: token.to_owned(),
                value: None,
                labels: BTreeSet::new(),
                created: now,
                accessed: None,
            });
        }
        if let Some(version) = self.version_mut(token) {
            version.value = Some(value);
        }
        for label in &labels {
            self.attach(label, token);
        }
        self.changed = now;
        Ok(true)
    }

    /// The version with which a rotation starts: labelled AWSPENDING, without a value.
    pub(crate) fn start_pending(&mut self, token: &str, now: SystemTime) -> ApiResult<()> {
        self.make_room()?;
        self.versions.push(Version {
            id: token.to_owned(),
            value: None,
            labels: BTreeSet::new(),
            created: now,
            accessed: None,
        });
        self.attach(PENDING, token);
        Ok(())
    }

    pub(crate) fn remove_version(&mut self, id: &str) {
        self.versions.retain(|version| version.id != id);
    }

    /// Drops the oldest version without labels when there are as many as may be kept.
    fn make_room(&mut self) -> ApiResult<()> {
        while self.versions.len() >= MAX_VERSIONS {
            let Some(oldest) = self.versions.iter().position(|v| v.labels.is_empty()) else {
                return Err(ApiError::limit_exceeded(
                    "You have reached the maximum number of versions of the secret.",
                ));
            };
            self.versions.remove(oldest);
        }
        Ok(())
    }

    /// Puts a label on a version and takes it off the one that had it. AWSPREVIOUS follows the
    /// version that AWSCURRENT left.
    fn attach(&mut self, label: &str, to: &str) {
        let from = self.holder(label);
        if from.as_deref() == Some(to) {
            return;
        }
        for version in &mut self.versions {
            if version.id == to {
                version.labels.insert(label.to_owned());
            } else {
                version.labels.remove(label);
            }
        }
        if label == CURRENT
            && let Some(left) = from
        {
            self.attach(PREVIOUS, &left);
        }
    }

    /// UpdateSecretVersionStage.
    pub(crate) fn move_label(
        &mut self,
        label: &str,
        remove_from: Option<&str>,
        move_to: Option<&str>,
        now: SystemTime,
    ) -> ApiResult<()> {
        for id in [remove_from, move_to].into_iter().flatten() {
            if self.version(id).is_none() {
                return Err(ApiError::no_value_for_version(id));
            }
        }
        let holder = self.holder(label);
        match (move_to, remove_from) {
            (None, None) => {
                return Err(ApiError::invalid_parameter(
                    "You must specify RemoveFromVersionId, MoveToVersionId, or both.",
                ));
            }
            (None, Some(from)) => {
                if holder.as_deref() != Some(from) {
                    return Err(ApiError::invalid_parameter(format!(
                        "The staging label {label} isn't attached to version {from}."
                    )));
                }
                if label == CURRENT {
                    return Err(ApiError::invalid_parameter(
                        "You can only move staging label AWSCURRENT to a different secret version. \
                         It can\u{2019}t be completely removed.",
                    ));
                }
                if let Some(version) = self.version_mut(from) {
                    version.labels.remove(label);
                }
            }
            (Some(to), from) => {
                if let Some(holder) = holder.as_deref()
                    && holder != to
                    && from.is_none()
                {
                    return Err(ApiError::invalid_parameter(format!(
                        "The parameter RemoveFromVersionId can't be empty. Staging label {label} is \
                         currently attached to version {holder}, so you must explicitly reference \
                         that version in RemoveFromVersionId."
                    )));
                }
                if from.is_some() && from != holder.as_deref() {
                    return Err(ApiError::invalid_parameter(format!(
                        "When you move staging label {label}, if you specify RemoveFromVersionId, it \
                         must be set to the version that currently has the staging label {label}."
                    )));
                }
                if self
                    .version(to)
                    .is_some_and(|v| v.labels.len() >= MAX_LABELS && !v.labels.contains(label))
                {
                    return Err(too_many_labels());
                }
                self.attach(label, to);
            }
        }
        self.changed = now;
        Ok(())
    }
}

fn too_many_labels() -> ApiError {
    ApiError::limit_exceeded("A secret version can have at most 20 staging labels.")
}

pub(crate) fn token_in_use(token: &str, arn: &str) -> ApiError {
    ApiError::resource_exists(format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a \
         version of secret {arn}."
    ))
}

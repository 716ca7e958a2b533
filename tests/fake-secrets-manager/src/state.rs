//! Everything the service knows: the secrets, and what ListSecrets may show of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::access::Access;
use crate::error::{ApiError, ApiResult};
use crate::secret::Secret;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "123456789012";

/// A change to one secret, kept so that ListSecrets can show an older world.
#[derive(Debug)]
struct Change {
    at: Instant,
    name: String,
    secret: Option<Arc<Secret>>,
}

#[derive(Debug)]
pub(crate) struct State {
    secrets: BTreeMap<String, Arc<Secret>>,
    changes: Vec<Change>,
    listing_delay: Duration,
    serial: u64,
    start: (Instant, SystemTime),
    pub(crate) access: Access,
    /// Names with a closure in place of the rotation function.
    pub(crate) rotatable: BTreeSet<String>,
    pub(crate) rotation_errors: BTreeMap<String, String>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            secrets: BTreeMap::new(),
            changes: Vec::new(),
            listing_delay: Duration::ZERO,
            serial: 0,
            start: Self::start(),
            access: Access::default(),
            rotatable: BTreeSet::new(),
            rotation_errors: BTreeMap::new(),
        }
    }

    /// The wall clock is read first, so that dates are never ahead of it.
    fn start() -> (Instant, SystemTime) {
        let date = SystemTime::now();
        (Instant::now(), date)
    }

    /// The date, which moves with tokio's clock, so that a paused clock is one for dates as well.
    pub(crate) fn now(&self) -> SystemTime {
        self.start.1 + Instant::now().saturating_duration_since(self.start.0)
    }

    /// Finds by name, ARN, or ARN without its random suffix.
    pub(crate) fn find(&self, secret_id: &str) -> Option<&Arc<Secret>> {
        let found = self.secrets.get(secret_id).or_else(|| {
            self.secrets
                .values()
                .find(|secret| secret.arn == secret_id || without_suffix(&secret.arn) == secret_id)
        })?;
        let over = found.deletion.is_some_and(|end| end <= self.now());
        (!over).then_some(found)
    }

    pub(crate) fn get(&self, secret_id: &str) -> ApiResult<&Arc<Secret>> {
        self.find(secret_id).ok_or_else(ApiError::not_found)
    }

    /// Finds one that isn't planned for deletion.
    pub(crate) fn get_live(&self, secret_id: &str) -> ApiResult<&Arc<Secret>> {
        let secret = self.get(secret_id)?;
        if secret.deletion.is_some() {
            return Err(ApiError::marked_for_deletion());
        }
        Ok(secret)
    }

    /// Changes a secret; nothing is kept of a change that fails.
    pub(crate) fn change<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Secret) -> ApiResult<T>,
    ) -> ApiResult<T> {
        let mut secret = self
            .secrets
            .get(name)
            .map(|secret| Secret::clone(secret))
            .ok_or_else(ApiError::not_found)?;
        let answer = change(&mut secret)?;
        self.insert(secret);
        Ok(answer)
    }

    /// Notes that a value was read: no change that a listing has to wait for.
    pub(crate) fn touch(&mut self, name: &str, version_id: &str) {
        let today = midnight(self.now());
        if let Some(secret) = self.secrets.get_mut(name) {
            let read = |at: Option<SystemTime>| at == Some(today);
            if read(secret.accessed)
                && read(secret.version(version_id).and_then(|version| version.accessed))
            {
                return;
            }
            let secret = Arc::make_mut(secret);
            secret.accessed = Some(today);
            if let Some(version) = secret.version_mut(version_id) {
                version.accessed = Some(today);
            }
        }
    }

    pub(crate) fn insert(&mut self, secret: Secret) {
        self.changes.push(Change {
            at: Instant::now(),
            name: secret.name.clone(),
            secret: Some(Arc::new(secret.outline())),
        });
        self.secrets.insert(secret.name.clone(), Arc::new(secret));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.secrets.remove(name).is_some() {
            self.changes.push(Change { at: Instant::now(), name: name.to_owned(), secret: None });
        }
    }

    /// A secret without versions, not yet stored.
    pub(crate) fn blank(&mut self, name: &str) -> Secret {
        self.serial += 1;
        let now = self.now();
        Secret {
            serial: self.serial,
            arn: format!("{}-{}", arn_without_suffix(name), random_suffix()),
            name: name.to_owned(),
            description: None,
            kms_key_id: None,
            tags: None,
            versions: Vec::new(),
            created: now,
            changed: now,
            accessed: None,
            deletion: None,
            rotation: None,
            owning_service: None,
        }
    }

    pub(crate) fn delay_listing(&mut self, by: Duration) {
        self.listing_delay = by;
    }

    /// The secrets that a listing shows, oldest first.
    pub(crate) fn listed(&self) -> Vec<Arc<Secret>> {
        let now = self.now();
        let mut listed: Vec<_> = if self.listing_delay.is_zero() {
            self.secrets.values().map(Arc::clone).collect()
        } else {
            let mut world = BTreeMap::new();
            let mut changes = self.changes.iter();
            // In the order they were made, so that the last one of a name wins.
            while let Some(change) = changes.next()
                && change.at + self.listing_delay <= Instant::now()
            {
                world.insert(change.name.as_str(), change.secret.as_ref());
            }
            world.into_values().flatten().map(Arc::clone).collect()
        };
        listed.retain(|secret| secret.deletion.is_none_or(|end| end > now));
        listed.sort_by_key(|secret| secret.serial);
        listed
    }
}

pub(crate) fn arn_without_suffix(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}")
}

fn without_suffix(arn: &str) -> &str {
    arn.rsplit_once('-').map_or(arn, |(rest, _)| rest)
}

fn random_suffix() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(6).collect()
}

/// AWS truncates dates of access to the day.
fn midnight(at: SystemTime) -> SystemTime {
    const DAY: u64 = 24 * 60 * 60;
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds - seconds % DAY)
}

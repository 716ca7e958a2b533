//! Everything the service knows: the secrets, and what ListSecrets may show of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::access::Access;
use crate::error::{ApiError, ApiResult};
use crate::events::Queues;
use crate::history::History;
use crate::secret::Secret;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "123456789012";

/// A change to one secret, kept so that ListSecrets can show an older state.
#[derive(Debug)]
struct Change {
    at: Instant,
    secret: Option<Arc<Secret>>,
}

impl Change {
    /// Whether a listing that is behind by this much shows the change.
    fn shown(&self, delay: Duration) -> bool {
        self.at.elapsed() >= delay
    }
}

#[derive(Debug)]
pub(crate) struct State {
    region: String,
    secrets: BTreeMap<String, Arc<Secret>>,
    /// By name, oldest first: those that a delayed listing doesn't show yet, and the one before.
    changes: BTreeMap<String, Vec<Change>>,
    listing_delay: Duration,
    serial: u64,
    start: (Instant, SystemTime),
    pub(crate) history: History,
    pub(crate) access: Access,
    pub(crate) queues: Queues,
    /// Names with a closure in place of the rotation function.
    pub(crate) rotatable: BTreeSet<String>,
    pub(crate) rotation_errors: BTreeMap<String, String>,
}

impl State {
    pub(crate) fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            secrets: BTreeMap::new(),
            changes: BTreeMap::new(),
            listing_delay: Duration::ZERO,
            serial: 0,
            start: Self::start(),
            history: History::default(),
            access: Access::default(),
            queues: Queues::default(),
            rotatable: BTreeSet::new(),
            rotation_errors: BTreeMap::new(),
        }
    }

    /// The wall clock is read first, so that dates are never ahead of it.
    fn start() -> (Instant, SystemTime) {
        let date = SystemTime::now();
        (Instant::now(), date)
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    pub(crate) fn arn_without_suffix(&self, name: &str) -> String {
        format!("arn:aws:secretsmanager:{}:{ACCOUNT}:secret:{name}", self.region)
    }

    /// All secrets, of whatever state.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Arc<Secret>> {
        self.secrets.values()
    }

    /// The date, which moves with tokio's clock, so that a paused clock is one for dates as well.
    pub(crate) fn now(&self) -> SystemTime {
        self.start.1 + Instant::now().saturating_duration_since(self.start.0)
    }

    /// Finds by name, ARN, or ARN without its random suffix. Like AWS, it takes the end of a name
    /// for the suffix if it looks like one, so such a partial ARN finds nothing.
    pub(crate) fn find(&self, secret_id: &str) -> Option<&Arc<Secret>> {
        let partial = if has_suffix(secret_id) { "" } else { secret_id };
        let found = self.secrets.get(secret_id).or_else(|| {
            self.secrets
                .values()
                .find(|secret| secret.arn == secret_id || without_suffix(&secret.arn) == partial)
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
        self.history.record(&secret.name, Some(&secret));
        self.record(&secret.name, Some(Arc::new(secret.outline())));
        let now = self.now();
        if let Some(before) = self.secrets.get(&secret.name) {
            self.queues.changed(before, &secret, now);
        }
        self.secrets.insert(secret.name.clone(), Arc::new(secret));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.secrets.remove(name).is_some() {
            self.history.record(name, None);
            self.record(name, None);
        }
    }

    /// Keeps a change for as long as a listing needs it.
    fn record(&mut self, name: &str, secret: Option<Arc<Secret>>) {
        let change = Change { at: Instant::now(), secret };
        let changes = self.changes.entry(name.to_owned()).or_default();
        changes.push(change);
        // The last one that is shown stands for all before it.
        if let Some(shown) = changes.iter().rposition(|change| change.shown(self.listing_delay)) {
            changes.drain(..shown);
        }
        if let [Change { secret: None, .. }] = changes.as_slice() {
            self.changes.remove(name);
        }
    }

    /// A secret without versions, not yet stored.
    pub(crate) fn blank(&mut self, name: &str) -> Secret {
        self.serial += 1;
        let now = self.now();
        Secret {
            serial: self.serial,
            arn: format!("{}-{}", self.arn_without_suffix(name), random_suffix()),
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
            let delay = self.listing_delay;
            let shown = |changes: &Vec<Change>| {
                changes.iter().rfind(|change| change.shown(delay))?.secret.clone()
            };
            self.changes.values().filter_map(shown).collect()
        };
        listed.retain(|secret| secret.deletion.is_none_or(|end| end > now));
        listed.sort_by_key(|secret| secret.serial);
        listed
    }
}

fn without_suffix(arn: &str) -> &str {
    arn.rsplit_once('-').map_or(arn, |(rest, _)| rest)
}

fn has_suffix(arn: &str) -> bool {
    arn.rsplit_once('-').is_some_and(|(_, suffix)| {
        suffix.len() == 6 && suffix.bytes().all(|c| c.is_ascii_alphanumeric())
    })
}

/// A random UUID. It is from this thread's generator, so that a test that seeds it gets the same ids
/// in each run.
pub(crate) fn random_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid().to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn put(state: &mut State, name: &str) {
        let secret = state.blank(name);
        state.insert(secret);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_kept_no_longer_than_a_listing_is_behind() {
        let delay = Duration::from_secs(300);
        let mut state = State::new(REGION);
        state.delay_listing(delay);
        for second in 0..1000 {
            put(&mut state, "a");
            put(&mut state, &format!("b/{second}"));
            state.remove(&format!("b/{second}"));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(state.changes["a"].len() <= 301, "{}", state.changes["a"].len());
        state.delay_listing(Duration::ZERO);
        put(&mut state, "a");
        assert_eq!(state.changes["a"].len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_is_behind_for_good_shows_nothing() {
        let mut state = State::new(REGION);
        state.delay_listing(Duration::MAX);
        put(&mut state, "a");
        assert_eq!(state.listed().len(), 0);
    }

    #[tokio::test]
    async fn a_partial_arn_that_ends_like_a_whole_one_finds_nothing() {
        let mut state = State::new(REGION);
        for name in ["app/db-master", "app/db"] {
            put(&mut state, name);
        }
        let found = |id: &str| state.find(id).map(|secret| secret.name.clone());
        assert_eq!(found(&state.arn_without_suffix("app/db")).as_deref(), Some("app/db"));
        assert_eq!(found(&state.arn_without_suffix("app/db-master")), None);
        assert_eq!(found("app/db-master").as_deref(), Some("app/db-master"));
    }
}

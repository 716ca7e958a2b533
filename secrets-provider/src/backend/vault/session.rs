//! The token: where it is from, when it is renewed, and what a denial says about it.
//!
//! One login or renewal runs at a time, and whoever needs the token waits for it. Pure decisions
//! are functions here; `core` makes the calls.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::unwind::lock;

/// How a token is had. `Debug` shows neither token nor secret id.
#[derive(Clone)]
pub(super) enum Method {
    /// None was chosen.
    Missing,
    Token(Arc<Zeroizing<String>>),
    AppRole {
        mount: String,
        role_id: String,
        secret_id: Arc<Zeroizing<String>>,
    },
    Kubernetes {
        mount: String,
        role: String,
        file: PathBuf,
    },
}

impl Method {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "none",
            Self::Token(_) => "token",
            Self::AppRole { .. } => "approle",
            Self::Kubernetes { .. } => "kubernetes",
        }
    }

    /// Whether there can be another token.
    pub(super) fn logs_in(&self) -> bool {
        matches!(self, Self::AppRole { .. } | Self::Kubernetes { .. })
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token in use.
pub(super) struct Session {
    pub(super) token: Zeroizing<String>,
    /// Its whole life, as it was when it was new; `None` for a token that does not expire.
    pub(super) life: Option<Duration>,
    pub(super) renewable: bool,
    /// When to renew it, or to log in again.
    pub(super) due: Option<Instant>,
    pub(super) expires: Option<Instant>,
    /// It is from a login, and may not be looked up: a denial counts as one of the path.
    pub(super) trusted: bool,
    /// Shared with its renewals: the leases that were made with the token end with it.
    pub(super) end: Arc<TokenEnd>,
}

/// When a token ends, if that is known, and whether another one is used since.
#[derive(Debug, Default)]
pub(super) struct TokenEnd(Mutex<(Option<Instant>, bool)>);

impl TokenEnd {
    fn new(end: Option<Instant>) -> Arc<Self> {
        Arc::new(Self(Mutex::new((end, false))))
    }

    pub(super) fn end(&self) -> Option<Instant> {
        lock(&self.0).0
    }

    pub(super) fn is_replaced(&self) -> bool {
        lock(&self.0).1
    }

    pub(super) fn renewed(&self, end: Option<Instant>) {
        lock(&self.0).0 = end;
    }

    /// It is not renewed any more; it ends now if it was found to be not valid.
    pub(super) fn replaced(&self, invalid_since: Option<Instant>) {
        let mut state = lock(&self.0);
        *state = (invalid_since.or(state.0), true);
    }
}

/// What Vault says of a token: in `auth` of a login or a renewal, in `data` of a look-up.
#[derive(Deserialize)]
pub(super) struct Grant {
    #[serde(default)]
    pub(super) client_token: Zeroized,
    #[serde(default, alias = "ttl")]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// Text that is wiped when dropped.
#[derive(Default)]
pub(super) struct Zeroized(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Zeroized {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Session {
    /// A session that begins now. `random` is from 0 to 1.
    pub(super) fn new(token: Zeroizing<String>, grant: &Grant, now: Instant, random: f64) -> Self {
        let life = Some(Duration::from_secs(grant.lease_duration));
        let life = life.filter(|life| !life.is_zero() && *life < MAX_LIFE);
        let expires = life.map(|life| now + life);
        Self {
            token,
            life,
            renewable: grant.renewable,
            due: life.map(|life| now + two_thirds(life, random)),
            expires,
            trusted: false,
            end: TokenEnd::new(expires),
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether a renewal reached the token's maximal life: it gave no more than half of what the
    /// token had when it was new.
    pub(super) fn is_near_its_end(&self, renewed: &Grant) -> bool {
        self.life.is_some_and(|life| Duration::from_secs(renewed.lease_duration) <= life / 2)
    }
}

/// A longer life counts as endless, so that no time overflows.
const MAX_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Two thirds of a life, give or take a tenth of that, so that replicas which started together do
/// not call together.
pub(super) fn two_thirds(life: Duration, random: f64) -> Duration {
    life.mul_f64(2.0 / 3.0 * (0.9 + 0.2 * random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(lease_duration: u64) -> Grant {
        Grant { client_token: Zeroized::default(), lease_duration, renewable: true }
    }

    #[test]
    fn a_token_is_due_at_two_thirds_of_its_life_give_or_take_a_tenth() {
        let now = Instant::now();
        for (random, due) in [(0.0, 36.0), (0.5, 40.0), (1.0, 44.0)] {
            let session = Session::new(Zeroizing::default(), &grant(60), now, random);
            let due_in = session.due.expect("a time") - now;
            assert!((due_in.as_secs_f64() - due).abs() < 0.001, "{due_in:?}");
            assert!(session.is_due(now + due_in) && !session.has_expired(now + due_in));
            assert!(session.has_expired(now + Duration::from_secs(60)));
        }
        for endless in [0, u64::MAX] {
            let session = Session::new(Zeroizing::default(), &grant(endless), now, 0.5);
            assert!(session.due.is_none() && session.expires.is_none());
        }
    }

    #[test]
    fn a_renewal_that_gives_half_or_less_is_the_last_one() {
        let session = Session::new(Zeroizing::default(), &grant(60), Instant::now(), 0.5);
        assert!(session.is_near_its_end(&grant(30)));
        assert!(!session.is_near_its_end(&grant(31)));
    }
}

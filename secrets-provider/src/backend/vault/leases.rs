//! The leases of database credentials: read once, kept alive, and given back.
//!
//! Each read of `creds/ROLE` makes a database user, so a credential is read when there is none, or
//! when its terms (`terms`) say that another one is wanted; every other fetch gets the one that is
//! kept. A call that has begun goes on if its caller gives up, because the user it makes would be
//! lost. Calls are in `lease_calls`, and made by fetches and by one task, which also ends with its
//! tokio runtime; the next fetch starts another.
//!
//! Grows with the roles, each with [`MAX_RETIRED`] replaced credentials at most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use super::core::Core;
use super::database::{DatabaseRole, Fixed};
use super::session::TokenEnd;
use super::terms::{Refusal, Refusals, Terms, backoff};
use crate::error::Error;
use crate::secret::{Fetched, Lease, Payload};
use crate::unwind::lock;

/// How many replaced credentials of a role are kept at most; the oldest that is not in use is
/// revoked early.
const MAX_RETIRED: usize = 8;

/// How often the task looks whether a replaced credential is still in use.
const RETIRED_POLL: Duration = Duration::from_secs(1);

/// How often a revocation is tried. Then the lease is left to end by itself.
const MAX_REVOCATIONS: u32 = 4;

/// How often a static role is looked at closely whose rotation is overdue.
const SOON_OVER: u32 = 20;

/// The longest wait after reads that may have made a user but brought none.
const MAX_REST: Duration = Duration::from_secs(60);

/// The leases of all roles, and the task that keeps them.
#[derive(Default)]
pub(super) struct Leases {
    slots: Mutex<BTreeMap<String, Slot>>,
    wake: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What is known of one role, by its secret's name.
#[derive(Default)]
struct Slot {
    /// Held by the one read that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    current: Option<Credential>,
    retired: Vec<Credential>,
    /// How many credentials were read.
    count: u64,
    refusals: Refusals,
    /// The last read that may have made a user but brought none, until when no other is made, and
    /// how many there were in a row.
    lost: Option<(Error, Instant, u32)>,
    /// A static role's lease, and how often in a row its rotation was overdue.
    fixed: Option<(Lease, u32)>,
}

/// A credential with a lease.
struct Credential {
    lease_id: Arc<Zeroizing<String>>,
    version_id: String,
    payload: Payload,
    lease: Lease,
    terms: Terms,
    token: Arc<TokenEnd>,
    grace: Duration,
    unused_since: Option<Instant>,
    /// When to try to revoke it again, and how often that was tried.
    revocation: Option<(Instant, u32)>,
}

impl Credential {
    fn fetched(&self, name: &str) -> Fetched {
        Fetched::new(name.to_owned(), self.version_id.clone(), self.payload.clone())
            .with_lease(&self.lease)
    }

    fn change(&mut self, change: impl FnOnce(&mut Terms)) {
        change(&mut self.terms);
        self.lease.set_times(Some(self.terms.expires), self.terms.read_again_at);
    }

    /// When something has to be done about it, if it is or is not the current one.
    fn next(&self, is_current: bool, now: Instant) -> Instant {
        let renewal = self.terms.renew_at.unwrap_or(self.terms.expires).min(self.terms.expires);
        match (is_current, self.revocation, self.unused_since) {
            (true, ..) => renewal,
            (false, Some((at, _)), _) => at,
            (false, None, Some(since)) => (since + self.grace).min(now + RETIRED_POLL),
            (false, None, None) => renewal.min(now + RETIRED_POLL),
        }
    }
}

/// What the task has to do.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) version_id: String,
    pub(super) lease_id: Arc<Zeroizing<String>>,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Renew it for as long as it was given first; it ends in the second time.
    Renew(Duration, Duration),
    Revoke,
}

/// What was granted with a credential.
pub(super) struct Granted {
    pub(super) lease_id: Zeroizing<String>,
    pub(super) term: Duration,
    pub(super) renewable: bool,
    pub(super) payload: Payload,
    pub(super) token: Arc<TokenEnd>,
}

impl Leases {
    fn slot<R>(&self, name: &str, change: impl FnOnce(&mut Slot) -> R) -> R {
        change(lock(&self.slots).entry(name.to_owned()).or_default())
    }

    /// Whoever holds this lock reads the role's next credential.
    pub(super) fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.slot(name, |slot| slot.turn.clone())
    }

    /// What a fetch gets without a read. `None` if a credential has to be read.
    pub(super) fn kept(&self, name: &str, now: Instant) -> Option<Result<Fetched, Error>> {
        self.slot(name, |slot| {
            if let Some(current) = &slot.current {
                let is_refused = current.lease.was_refused() && slot.refusals.permit(now);
                if !is_refused && !current.terms.is_due(now) {
                    return Some(Ok(current.fetched(name)));
                }
            }
            let (error, until, _) = slot.lost.as_ref()?;
            (now < *until).then(|| Err(error.clone()))
        })
    }

    /// Takes a credential that was read: it replaces the current one.
    pub(super) fn keep(&self, role: &DatabaseRole, granted: Granted, now: Instant) -> Fetched {
        let name = role.name();
        let terms = Terms::new(granted.term, granted.renewable, now, fastrand::f64());
        let fetched = self.slot(&name, |slot| {
            slot.lost = None;
            slot.count += 1;
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut credential = Credential {
                lease_id: Arc::new(granted.lease_id),
                // Not the lease's id, which is enough to renew or revoke it.
                version_id: format!("{}-{}", since.as_secs(), slot.count),
                payload: granted.payload,
                lease: Lease::new(None, None),
                terms,
                token: granted.token,
                grace: role.grace,
                unused_since: None,
                revocation: None,
            };
            credential.change(|_| ());
            let fetched = credential.fetched(&name);
            let before = slot.current.replace(credential);
            slot.refusals
                .replaced(before.as_ref().is_some_and(|before| before.lease.was_refused()), now);
            slot.retired.extend(before);
            fetched
        });
        self.wake.notify_one();
        fetched
    }

    /// A read may have made a user, but brought none.
    pub(super) fn lost(&self, name: &str, error: &Error, now: Instant) {
        self.slot(name, |slot| {
            let times = slot.lost.as_ref().map_or(0, |(.., times)| *times).saturating_add(1);
            let rest = backoff(times, MAX_REST, 0.5 + 0.5 * fastrand::f64());
            slot.lost = Some((error.clone(), now + rest, times));
        });
    }

    /// Takes a static role's credential: its secret is read again right after its rotation.
    pub(super) fn keep_fixed(&self, name: &str, fixed: &Fixed<'_>) -> Fetched {
        let seconds = fixed.ttl.map(|ttl| u64::try_from(ttl).unwrap_or_default());
        let lease = self.slot(name, |slot| {
            let (lease, overdue) = slot.fixed.get_or_insert_with(|| (Lease::new(None, None), 0));
            *overdue = if seconds == Some(0) { overdue.saturating_add(1) } else { 0 };
            let spread = Duration::from_millis(fastrand::u64(250..1000));
            // Vault counts whole seconds, and rotates up to five seconds late.
            let wait = match seconds {
                Some(0) if *overdue <= SOON_OVER => spread,
                Some(0) => backoff(*overdue - SOON_OVER, MAX_REST, 1.0) + spread,
                Some(seconds) => Duration::from_secs(seconds) + spread,
                None => Duration::MAX,
            };
            lease.update(None, Some(wait));
            lease.clone()
        });
        let version_id =
            fixed.last_vault_rotation.clone().unwrap_or_else(|| "not rotated".to_owned());
        Fetched::new(name.to_owned(), version_id, fixed.payload()).with_lease(&lease)
    }

    /// A token was replaced by another, or is not valid any more: its leases end with it.
    pub(super) fn token_ended(&self, token: &Arc<TokenEnd>, now: Instant) {
        for slot in lock(&self.slots).values_mut() {
            for credential in slot.current.iter_mut().chain(&mut slot.retired) {
                if Arc::ptr_eq(&credential.token, token) {
                    let end = token.end();
                    credential.change(|terms| terms.cut_short(end, now, fastrand::f64()));
                }
            }
        }
        self.wake.notify_one();
    }

    /// What is to be done now, and when to look again.
    fn agenda(&self, now: Instant) -> (Vec<Task>, Option<Instant>) {
        let mut tasks = Vec::new();
        let mut next: Option<Instant> = None;
        for (name, slot) in lock(&self.slots).iter_mut() {
            let mut add = |credential: &Credential, what| {
                tasks.push(Task {
                    name: name.clone(),
                    version_id: credential.version_id.clone(),
                    lease_id: credential.lease_id.clone(),
                    what,
                });
            };
            slot.retired.retain(|credential| !credential.terms.has_ended(now));
            let surplus = slot.retired.len().saturating_sub(MAX_RETIRED);
            for (place, credential) in slot.retired.iter_mut().enumerate() {
                match credential.lease.is_in_use() {
                    true => (credential.unused_since, credential.revocation) = (None, None),
                    false => _ = credential.unused_since.get_or_insert(now),
                }
                let Some(since) = credential.unused_since else { continue };
                let (at, _) = *credential.revocation.get_or_insert_with(|| match place < surplus {
                    true => (now, 0),
                    false => (since + credential.grace, 0),
                });
                if at <= now {
                    add(credential, What::Revoke);
                }
            }
            for credential in slot.current.iter_mut().chain(&mut slot.retired) {
                if credential.unused_since.is_none()
                    && credential.terms.renew_at.is_some_and(|at| at <= now)
                {
                    let left = credential.terms.expires.saturating_duration_since(now);
                    add(credential, What::Renew(credential.terms.term, left));
                }
            }
            let current = slot.current.iter().map(|credential| (credential, true));
            let all = current.chain(slot.retired.iter().map(|credential| (credential, false)));
            let ended = |credential: &Credential| credential.terms.has_ended(now);
            let times = all.filter(|(credential, _)| !ended(credential));
            next =
                times.map(|(credential, current)| credential.next(current, now)).chain(next).min();
        }
        (tasks, next)
    }

    /// Changes a credential, if it is still there.
    fn with(&self, task: &Task, change: impl FnOnce(&mut Credential)) {
        self.slot(&task.name, |slot| {
            let mut all = slot.current.iter_mut().chain(&mut slot.retired);
            all.find(|credential| credential.version_id == task.version_id).map(change);
        });
    }

    pub(super) fn renewed(&self, task: &Task, granted: Duration, now: Instant) {
        self.with(task, |credential| {
            credential.change(|terms| terms.renewed(granted, now, fastrand::f64()));
            // It may have been replaced meanwhile.
            let token = credential.token.clone();
            if token.is_replaced() {
                credential.change(|terms| terms.cut_short(token.end(), now, fastrand::f64()));
            }
        });
    }

    pub(super) fn not_renewed(&self, task: &Task, why: Refusal, now: Instant) {
        self.with(task, |credential| {
            credential.change(|terms| terms.not_renewed(why, now, fastrand::f64()));
        });
    }

    /// Forgets a credential that was revoked, or that is left to end by itself.
    pub(super) fn forget(&self, task: &Task) {
        self.slot(&task.name, |slot| {
            slot.retired.retain(|credential| credential.version_id != task.version_id);
        });
    }

    /// Notes a failed revocation. Returns whether it is tried again.
    pub(super) fn not_revoked(&self, task: &Task, now: Instant) -> bool {
        let mut is_tried_again = false;
        self.with(task, |credential| {
            let (at, tries) = credential.revocation.get_or_insert((now, 0));
            *tries += 1;
            *at = now + backoff(*tries + 1, MAX_REST, 1.0);
            is_tried_again = *tries < MAX_REVOCATIONS;
        });
        is_tried_again
    }

    /// Takes the credentials of these secrets that are not in use, to revoke them.
    pub(super) fn release(&self, names: &[String], now: Instant) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut slots = lock(&self.slots);
        for name in names {
            let Some(slot) = slots.get_mut(name) else { continue };
            let is_in_use = |credential: &Credential| credential.lease.is_in_use();
            let current = slot.current.take_if(|current| !is_in_use(current));
            let retired = slot.retired.extract_if(.., |retired| !is_in_use(retired));
            let released = current.into_iter().chain(retired);
            let alive = released.filter(|credential| !credential.terms.has_ended(now));
            tasks.extend(alive.map(|credential| Task {
                name: name.clone(),
                version_id: credential.version_id,
                lease_id: credential.lease_id,
                what: What::Revoke,
            }));
        }
        tasks
    }

    /// Starts the task unless it runs.
    pub(super) fn ensure(&self, core: &Weak<Core>) {
        let mut task = lock(&self.task);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(keep(core.clone(), self.wake.clone())));
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        if let Some(task) = &*lock(&self.task) {
            task.abort();
        }
    }
}

/// The task. It holds no strong handle while it waits.
async fn keep(core: Weak<Core>, wake: Arc<Notify>) {
    loop {
        let Some(strong) = core.upgrade() else { return };
        let (tasks, next) = strong.leases.agenda(Instant::now());
        if !tasks.is_empty() {
            strong.carry_out(tasks).await;
            continue;
        }
        drop(strong);
        tokio::select! {
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            () = wake.notified() => {}
        }
    }
}

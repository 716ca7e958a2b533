//! When secrets with a lease are read again (rule R3), and how long replaced ones are kept.
//!
//! The store says when: at two thirds of a credential's life, or as soon as it cannot be renewed.
//! That may be at any time, so the refresher waits here besides for its interval. A secret that a
//! read did not help, because the store fails or the new settings were refused, waits for longer
//! after each try.
//!
//! A store may end a replaced value once it is no longer in use. What was built from it, such as a
//! pool, uses it until it is rebuilt, which may fail for a while; so it is kept until then. Pure
//! except for the clock; grows with the leases in use.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::time::Instant;

use super::secrets::Secrets;
use crate::load::retry::schedule::Schedule;
use crate::secret::Fetched;

#[derive(Debug, Default)]
pub(super) struct DueReads(BTreeMap<String, Tries>);

/// The reads of a secret that have not helped.
#[derive(Debug)]
struct Tries {
    done: u32,
    next: Instant,
}

impl DueReads {
    /// Waits until a secret in use is to be read again; all that are. For ever, without leases.
    pub(super) async fn wait(&self, used: &Secrets) -> BTreeSet<String> {
        let waits = used.leases().map(|(id, lease)| lease.due(self.not_before(id)).boxed());
        let waits: Vec<_> = waits.collect();
        if waits.is_empty() {
            return std::future::pending().await;
        }
        select_all(waits).await;
        let now = Instant::now();
        let is_due =
            |id: &str, at: Instant| self.not_before(id).is_none_or(|next| next <= now) && at <= now;
        used.leases()
            .filter(|(id, lease)| lease.read_again_at().is_some_and(|at| is_due(id, at)))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn not_before(&self, id: &str) -> Option<Instant> {
        self.0.get(id).map(|tries| tries.next)
    }

    /// Notes what a read of these secrets has helped; `used` is what is live after it.
    pub(super) fn read(
        &mut self,
        ids: &BTreeSet<String>,
        used: &Secrets,
        schedule: Schedule,
        now: Instant,
        random: f64,
    ) {
        self.0.retain(|id, _| used.contains(id));
        for (id, lease) in used.leases() {
            if lease.read_again_at().is_none_or(|at| at > now) {
                self.0.remove(id);
            } else if ids.contains(id) {
                let tries = self.0.entry(id.clone()).or_insert(Tries { done: 0, next: now });
                tries.done = tries.done.saturating_add(1);
                tries.next = now + schedule.due_again(tries.done, random);
            }
        }
    }
}

/// How many replaced values are kept: a pool that cannot be rebuilt must not keep all of them.
const MAX_REPLACED: usize = 8;

/// Values with a lease that were replaced, each with the generation that has another, until all
/// that was built from them is rebuilt.
#[derive(Default)]
pub(super) struct Replaced(Vec<(u64, Fetched)>);

impl Replaced {
    /// A generation has other secrets than the one before.
    pub(super) fn add(&mut self, generation: u64, before: &Secrets, after: &Secrets) {
        let is_replaced = |(id, secret): &(&String, &Fetched)| {
            secret.lease().is_some() && !after.has_version(id, secret)
        };
        let replaced = before.iter().filter(is_replaced).map(|(_, secret)| secret.clone());
        self.0.extend(replaced.map(|secret| (generation, secret)));
        self.0.drain(..self.0.len().saturating_sub(MAX_REPLACED));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets go of what is no longer used: the oldest generation that something is still built from
    /// is this one, if anything has yet to be rebuilt.
    pub(super) fn let_go(&mut self, oldest: Option<u64>) {
        self.0.retain(|(generation, _)| oldest.is_some_and(|oldest| oldest < *generation));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::retry::schedule::Budget;
    use crate::secret::{Fetched, Lease};

    #[test]
    fn a_replaced_value_is_kept_until_what_was_built_from_it_is_rebuilt() {
        let generation = |lease: &Lease, version: &str| -> Secrets {
            let leased = Fetched::text("a", version, "x").with_lease(lease);
            let other = Fetched::text("b", version, "y");
            [("a".to_owned(), leased), ("b".to_owned(), other)].into_iter().collect()
        };
        let leases: Vec<Lease> = (0..3).map(|_| Lease::new(None, None)).collect();
        let mut replaced = Replaced::default();
        for n in 1..3 {
            let (before, after) =
                (generation(&leases[n - 1], &n.to_string()), generation(&leases[n], "new"));
            replaced.add(n as u64 + 1, &before, &after);
            replaced.add(n as u64 + 1, &after, &after);
        }
        for (oldest, in_use) in
            [(Some(1), [true, true]), (Some(2), [false, true]), (None, [false; 2])]
        {
            replaced.let_go(oldest);
            assert_eq!([leases[0].is_in_use(), leases[1].is_in_use()], in_use, "{oldest:?}");
        }
        assert!(replaced.is_empty());
        for n in 0..100 {
            replaced.add(n, &generation(&leases[0], "1"), &Secrets::default());
        }
        assert_eq!(replaced.0.len(), MAX_REPLACED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_read_when_it_is_due_and_less_and_less_often_while_that_does_not_help() {
        let begun = Instant::now();
        let schedule = Schedule::new(Duration::from_secs(300), None, Budget::default());
        let lease = Lease::new(None, Some(Duration::from_secs(40)));
        let leased = |lease| ("a".to_owned(), Fetched::text("a", "1", "x").with_lease(lease));
        let other = ("b".to_owned(), Fetched::text("b", "1", "y"));
        let used: Secrets = [leased(&lease), other.clone()].into_iter().collect();
        let mut due = DueReads::default();
        let mut at = Vec::new();
        for _ in 0..9 {
            let ids = due.wait(&used).await;
            assert_eq!(Vec::from_iter(&ids), ["a"]);
            at.push(begun.elapsed().as_secs());
            due.read(&ids, &used, schedule, Instant::now(), 1.0);
        }
        assert_eq!(at, [40, 41, 43, 47, 55, 71, 103, 163, 223]);

        // A new credential.
        let lease = Lease::new(None, Some(Duration::from_secs(40)));
        let renewed: Secrets = [leased(&lease)].into_iter().collect();
        due.read(&BTreeSet::new(), &renewed, schedule, Instant::now(), 1.0);
        due.wait(&renewed).await;
        assert_eq!(begun.elapsed().as_secs(), 263);

        let none: Secrets = [other].into_iter().collect();
        due.read(&BTreeSet::new(), &none, schedule, Instant::now(), 1.0);
        assert!(due.0.is_empty());
        assert!(due.wait(&none).now_or_never().is_none());
    }
}

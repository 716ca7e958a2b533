//! The count of hits: threads don't wait for each other to count.
//!
//! Each thread has a stripe of its own, which only it writes, so that it needs no atomic addition:
//! that would be a tenth of a hit, and more if threads shared a cache line. There are [`STRIPES`]
//! of them in the process; threads beyond that add to one that they share. A thread that ends
//! leaves its stripe, with its count, to the next one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::unwind::lock;

/// How many threads have a stripe of their own.
const STRIPES: usize = 64;

/// A count in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

#[derive(Debug)]
pub(super) struct Hits {
    own: Box<[Stripe]>,
    shared: Stripe,
}

/// The stripes that no thread has.
static FREE: Mutex<Stripes> = Mutex::new(Stripes { returned: Vec::new(), begun: 0 });

struct Stripes {
    returned: Vec<usize>,
    begun: usize,
}

/// The stripe of a thread, in the counts of all lookups, until it ends.
struct Own(Option<usize>);

thread_local! {
    static OWN: Own = Own::take();
}

impl Own {
    fn take() -> Self {
        let mut free = lock(&FREE);
        let begun = free.begun;
        Self(free.returned.pop().or_else(|| {
            free.begun = (begun + 1).min(STRIPES);
            (begun < STRIPES).then_some(begun)
        }))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(stripe) = self.0 {
            lock(&FREE).returned.push(stripe);
        }
    }
}

impl Default for Hits {
    fn default() -> Self {
        let own = (0..STRIPES).map(|_| Stripe::default()).collect();
        Self { own, shared: Stripe::default() }
    }
}

impl Hits {
    #[inline]
    pub(super) fn add(&self) {
        // A thread that is ending has none.
        let own = OWN.try_with(|own| own.0).ok().flatten();
        match own.and_then(|stripe| self.own.get(stripe)) {
            // Only this thread writes it.
            Some(Stripe(count)) => {
                count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            None => _ = self.shared.0.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn sum(&self) -> u64 {
        let stripes = self.own.iter().chain([&self.shared]);
        stripes.map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn no_hit_of_any_thread_is_lost() {
        const THREADS: usize = STRIPES + 16;
        let (hits, together) = (Hits::default(), Barrier::new(THREADS));
        for round in 1..=3 {
            // More threads at once than there are stripes; the next round takes them over.
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        hits.add();
                        together.wait();
                        (1..1000).for_each(|_| hits.add());
                    });
                }
            });
            assert_eq!(hits.sum(), round * 1000 * THREADS as u64);
        }
        assert!(hits.shared.0.load(Ordering::Relaxed) > 0, "some threads share one");
    }
}

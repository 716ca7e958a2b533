//! Derived values.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use concurrency::{Live, Rejected};
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::store::{Settings, Store, join};

/// How many builds there are now, and were in all.
#[derive(Debug, Default)]
struct Builds {
    now: AtomicUsize,
    all: AtomicUsize,
}

impl Builds {
    async fn build(self: Arc<Self>, settings: Arc<Settings>) -> Result<u64, Rejected> {
        assert_eq!(self.now.fetch_add(1, SeqCst), 0, "one build at a time");
        tokio::step();
        self.now.fetch_sub(1, SeqCst);
        self.all.fetch_add(1, SeqCst);
        Ok(settings.pair.a)
    }
}

/// Follows `a`.
async fn derive(live: &Live<Settings>, builds: &Arc<Builds>) -> Live<u64> {
    let builds = builds.clone();
    live.derive("pair.a", move |settings| builds.clone().build(settings)).await.expect("a build")
}

#[test]
fn a_derived_value_misses_no_change_and_is_not_built_for_another_key() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let builds = Arc::new(Builds::default());
        let rotator = {
            let (store, live) = (store.clone(), live.clone());
            thread::spawn(move || {
                for (a, b) in [(2, 1), (2, 2), (3, 2)] {
                    store.put(a, b);
                    block_on(live.refresh()).expect("a refresh");
                }
            })
        };
        // While they change.
        let derived = block_on(derive(&live, &builds));
        let mut changes = derived.changes();
        let reader = {
            let derived = derived.clone();
            thread::spawn(move || {
                let (first, before) = derived.current_with_status();
                let (second, after) = derived.current_with_status();
                assert!(second >= first, "a reader goes forward");
                assert_eq!(
                    before.generation() == after.generation(),
                    Arc::ptr_eq(&first, &second),
                    "one value for each generation"
                );
            })
        };
        join(rotator);
        block_on(async {
            while *derived.current_with_status().0 != 3 {
                changes.next().await.expect("it goes on until the last change is built");
            }
        });
        join(reader);
        let status = live.status();
        assert_eq!(status.derived()[0].built_from(), status.generation(), "from the last change");
        assert_eq!(derived.status().generation(), builds.all.load(SeqCst) as u64);
        assert!(builds.all.load(SeqCst) <= 3, "only a change of the key is a reason to build");
        block_on(live.shutdown());
    });
}

#[test]
fn a_refresh_of_a_derived_value_is_answered_once_it_is_built() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let builds = Arc::new(Builds::default());
        let derived = block_on(derive(&live, &builds));
        let seen = derived.current();
        let callers = [(); 2].map(|()| {
            let (store, derived) = (store.clone(), derived.clone());
            thread::spawn(move || {
                let stored = store.rotate();
                block_on(derived.refresh()).expect("a refresh");
                assert!(*derived.load() >= stored, "it is built from what was stored then");
            })
        });
        // Whatever refresh finds it, it is found.
        let searching = {
            let derived = derived.clone();
            thread::spawn(move || *block_on(derived.refresh_past(&seen)).expect("a newer one"))
        };
        callers.into_iter().for_each(join);
        assert!(join(searching) > 1);
        block_on(derived.shutdown());
        block_on(live.shutdown());
    });
}

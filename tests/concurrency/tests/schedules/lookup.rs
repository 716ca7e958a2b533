//! Reads of one secret by name: one at a time, whoever asks.

use concurrency::Lookup;
use futures_util::FutureExt as _;
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::store::{Reads, Store, join};

async fn get(lookup: &Lookup) -> u64 {
    lookup.get("pair").key("a").await.expect("a value")
}

async fn refresh(lookup: &Lookup) -> u64 {
    lookup.get("pair").key("a").refresh().await.expect("a value")
}

#[test]
fn reads_are_one_at_a_time_and_begin_after_those_who_want_that_have_asked() {
    explore(|| {
        let store = Store::new();
        let lookup = store.manager().lookup();
        let users = [(); 2].map(|()| {
            let lookup = lookup.clone();
            thread::spawn(move || {
                // One that stops waiting ends nothing for the others.
                let _ = get(&lookup).now_or_never();
                block_on(get(&lookup))
            })
        });
        let refreshers = [(); 2].map(|()| {
            let (lookup, store) = (lookup.clone(), store.clone());
            thread::spawn(move || {
                let asked = store.a();
                let found = block_on(refresh(&lookup));
                assert!(found >= asked, "{found} was read before {asked} was asked for");
                found
            })
        });
        store.put(2, 2);
        let found = refreshers.map(join);
        users.into_iter().map(join).for_each(drop);
        let Reads { most, all, .. } = store.reads();
        assert_eq!(most, 1, "one read at a time");
        assert!(all <= 4, "{all} reads");
        let cached = block_on(get(&lookup));
        assert!(found.into_iter().all(|found| found <= cached), "the newest value is kept");
    });
}

#[test]
fn a_read_that_was_forgotten_leaves_nothing_behind() {
    explore(|| {
        let store = Store::new();
        let lookup = store.manager().lookup();
        let users = [(); 2].map(|()| {
            let lookup = lookup.clone();
            thread::spawn(move || block_on(get(&lookup)))
        });
        store.put(2, 2);
        lookup.forget("pair");
        assert_eq!(block_on(get(&lookup)), 2, "it was read after it was forgotten");
        for found in users.map(join) {
            assert!(found == 1 || found == 2);
        }
        assert_eq!(block_on(get(&lookup)), 2, "an older read does not come back");
    });
}

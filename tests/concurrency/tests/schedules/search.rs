//! `refresh_past`: newer settings for those whose credentials were refused.

use futures_util::FutureExt as _;
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::store::{Reads, Store, clock, join};

#[test]
fn newer_settings_reach_all_who_wait_for_them_in_one_search() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let seen = live.current();
        let callers = [(); 3].map(|()| {
            let (live, seen) = (live.clone(), seen.clone());
            thread::spawn(move || {
                let newer = block_on(live.refresh_past(&seen)).expect("newer settings");
                assert_eq!(newer.pair.a, 2, "newer than what was refused");
            })
        });
        store.put(2, 2);
        // A search that began before has its next read after.
        let clock = clock();
        callers.into_iter().for_each(join);
        clock.stop();
        let Reads { most, all, .. } = store.reads();
        assert_eq!(most, 1, "one read at a time for all callers");
        assert!(all <= 3, "{all} reads: the first, one too early, one in time");
        block_on(live.shutdown());
    });
}

#[test]
fn a_search_that_finds_nothing_answers_all_who_wait_and_makes_no_more_reads_than_its_budget() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let seen = live.current();
        let callers = [(); 2].map(|()| {
            let (live, seen) = (live.clone(), seen.clone());
            thread::spawn(move || block_on(live.refresh_past(&seen)).map(drop))
        });
        // One that does not wait for the answer.
        let _ = live.refresh_past(&seen).now_or_never();
        let clock = clock();
        for answer in callers.map(join) {
            let error = answer.expect_err("there are none").to_string();
            assert!(error.contains("in 5 reads"), "not the search's own answer: {error}");
        }
        clock.stop();
        let Reads { now, most, all } = store.reads();
        assert!(most == 1 && now == 0);
        assert!(all <= 1 + 2 * 5, "{all} reads: the first, and two searches if one came later");
        block_on(live.shutdown());
    });
}

//! `shutdown`, and the end with the last handle.

use concurrency::ErrorKind;
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::store::{Store, join};

#[test]
fn after_a_shutdown_nothing_runs_and_everyone_is_answered() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let mut changes = live.changes();
        let seen = live.current();
        let refreshing = {
            let live = live.clone();
            thread::spawn(move || block_on(live.refresh()).map(|refreshed| refreshed.generation()))
        };
        let searching = {
            let live = live.clone();
            thread::spawn(move || block_on(live.refresh_past(&seen)).map(|found| found.pair.a))
        };
        let following =
            thread::spawn(move || block_on(async { while changes.next().await.is_some() {} }));
        store.put(2, 2);
        let stopping = [(); 2].map(|()| {
            let (live, store) = (live.clone(), store.clone());
            thread::spawn(move || {
                block_on(live.shutdown());
                let reads = store.reads();
                assert_eq!((reads.now, reads.most), (0, 1), "no read is left");
                assert_eq!(store.releases(), 1, "the store was released, once");
                assert!(live.status().next_attempt().is_none(), "no read is announced");
                let error = block_on(live.refresh()).expect_err("it has ended");
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert_eq!(store.reads(), reads, "nothing is read any more");
            })
        });
        stopping.into_iter().for_each(join);
        for answer in [join(refreshing), join(searching)] {
            match answer {
                Ok(generation) => assert!(generation <= live.status().generation()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
            }
        }
        join(following);
        let (settings, status) = live.current_with_status();
        assert_eq!(settings.pair.a, status.generation(), "the last settings stay");
    });
}

#[test]
fn the_task_ends_with_the_last_handle() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let mut changes = live.changes();
        let users = [(); 2].map(|()| {
            let live = live.clone();
            thread::spawn(move || {
                let answer = block_on(live.refresh());
                answer.expect("whoever asks has a handle, so the task is there");
            })
        });
        drop(live);
        users.into_iter().for_each(join);
        block_on(async { while changes.next().await.is_some() {} });
        assert_eq!(store.reads().now, 0, "no read is left");
    });
}

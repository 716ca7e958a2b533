//! Swaps of a value with its status.

use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::store::{Store, join};

#[test]
fn a_value_its_status_and_its_version_are_swapped_together() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let readers = [(); 2].map(|()| {
            let live = live.clone();
            thread::spawn(move || {
                let (mut seen, mut reader) = (0, live.reader());
                for _ in 0..2 {
                    let (settings, status) = live.current_with_status();
                    let (a, generation) = (settings.pair.a, status.generation());
                    assert_eq!(a, generation, "value and status are of one generation");
                    let version = status.secrets()[0].version_id().to_owned();
                    assert_eq!(version, format!("v{a}.{a}"), "and the versions");
                    assert!(a >= seen, "a reader goes forward");
                    let loaded = live.load().pair.a;
                    assert!(loaded >= a, "a reader goes forward");
                    seen = reader.load().pair.a;
                    assert!(seen >= loaded, "a reader goes forward");
                }
            })
        });
        for generation in 2..=3 {
            store.put(generation, generation);
            let refreshed = block_on(live.refresh()).expect("a refresh");
            assert_eq!((refreshed.generation(), refreshed.changed()), (generation, true));
        }
        readers.into_iter().for_each(join);
        assert_eq!(live.load().pair.a, 3);
        block_on(live.shutdown());
    });
}

#[test]
fn a_change_is_announced_after_its_swap_and_the_last_one_to_everyone() {
    explore(|| {
        let store = Store::new();
        let live = block_on(store.start());
        let mut changes = live.changes();
        let follower = {
            let live = live.clone();
            thread::spawn(move || {
                let mut last = 1;
                block_on(async {
                    while let Some(change) = changes.next().await {
                        assert!(change.generation() > last, "each once, in order");
                        last = change.generation();
                        assert!(live.load().pair.a >= last, "the value is there");
                        assert!(live.status().generation() >= last, "and the status");
                    }
                });
                last
            })
        };
        let refreshers = [(); 2].map(|()| {
            let (store, live) = (store.clone(), live.clone());
            thread::spawn(move || {
                let stored = store.rotate();
                let refreshed = block_on(live.refresh()).expect("a refresh");
                assert!(live.load().pair.a >= stored, "it was read after it was asked for");
                assert!(live.status().generation() >= refreshed.generation());
            })
        });
        refreshers.into_iter().for_each(join);
        let generation = live.status().generation();
        block_on(live.shutdown());
        assert_eq!(join(follower), generation, "the last change was announced");
    });
}

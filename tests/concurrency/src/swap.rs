//! Swaps of a value with its status.

use std::sync::Arc;

use shuttle::{future, thread};
use tokio::sync::watch;

use crate::engine::cell::Cell;
use crate::layers::explain::Sources;
use crate::observe::status::Status;
use crate::tree::Table;

/// A value is the number of its generation, so a pair that belongs together is easy to tell.
pub(crate) type Numbered = Cell<u64>;

pub(crate) fn cell() -> Arc<Numbered> {
    let cell = Cell::new(Arc::new(1), Status::started());
    cell.explain(Sources(1));
    Arc::new(cell)
}

/// Makes this generation live, as the refresher does; only `key` has changed.
pub(crate) fn swap(cell: &Numbered, generation: u64, key: &str) {
    let keys = [key.to_owned()];
    let (now, old) = cell.swap(Arc::new(generation), Some((&keys, &Table)), |status| {
        status.record_swap();
        cell.explain(Sources(generation));
    });
    assert_eq!((now, *old), (generation, generation - 1));
}

/// Readers beside two swaps.
pub(crate) fn pairs() {
    let cell = cell();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let cell = cell.clone();
            thread::spawn(move || {
                let mut seen = 0;
                for _ in 0..2 {
                    let (value, generation) = cell.pair();
                    assert_eq!(*value, generation, "value and status are of one generation");
                    assert!(generation >= seen, "a reader goes forward");
                    let value = *cell.value.load_full();
                    assert!(value >= generation, "a reader goes forward");
                    seen = value;
                    // What explains the value, and when its keys changed, goes with the status.
                    let status = cell.status();
                    let (now, sources) = (status.generation(), cell.sources());
                    let changed = cell.change_log().last_change("");
                    drop(status);
                    assert_eq!((sources.0, changed), (now, now), "all of one generation");
                }
            })
        })
        .collect();
    for generation in 2..=3 {
        swap(&cell, generation, "a");
    }
    readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    assert_eq!(cell.pair(), (Arc::new(3), 3));
}

/// A derived value follows the key `a`, by the steps of `live/derive/follower.rs`: it reads the pair,
/// asks the log, builds, and waits for the next change.
pub(crate) fn derive() {
    let cell = cell();
    let (changes, mut upstream) = watch::channel(());
    let swapper = {
        let cell = cell.clone();
        thread::spawn(move || {
            for (generation, key) in [(2, "a"), (3, "b"), (4, "a.b"), (5, "b")] {
                swap(&cell, generation, key);
                thread::yield_now();
                changes.send_replace(());
            }
        })
    };
    let (mut built_from, mut builds) = (1, 0);
    future::block_on(async {
        while upstream.changed().await.is_ok() {
            let (settings, generation) = cell.pair();
            if cell.change_log().last_change("a") > built_from {
                future::yield_now().await;
                (built_from, builds) = (*settings, builds + 1);
                assert_eq!(built_from, generation);
            }
        }
    });
    swapper.join().expect("no panic");
    assert!(built_from >= 4, "built from {built_from}, before the key's last change");
    assert!(builds <= 4, "only a change of the key is a reason to build");
}

//! Counts the allocations of a read: `cargo bench --bench allocations`. Fails if ours are not zero.
//! Separate from the timed reads, because counting slows down the peers that allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_secretsmanager_caching::SecretsManagerCachingClient;
use benches::settings::{self, DATABASE, Database, PREFIX, Settings, TOKEN};
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Layers, Live, Memory, SecretsManager};

/// The system's allocator, with a counter.
struct Counting(AtomicU64);

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(AtomicU64::new(0));

const READS: u64 = 10_000;

/// Allocations per read, after a first read.
fn counted<T>(mut read: impl FnMut() -> T) -> f64 {
    drop(black_box(read()));
    let before = ALLOCATOR.0.load(Ordering::Relaxed);
    for _ in 0..READS {
        drop(black_box(read()));
    }
    (ALLOCATOR.0.load(Ordering::Relaxed) - before) as f64 / READS as f64
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (memory, fake) = (Memory::new(), FakeSecretsManager::new());
    memory.put(DATABASE, settings::database(1));
    memory.put(TOKEN, "not-a-real-token");
    fake.put(DATABASE, settings::database(1));
    let manager = SecretsManager::prefix(PREFIX).backend(memory.clone());
    let builder =
        Live::<Settings>::builder(manager).layers(|secrets| Layers::new().secrets(secrets));
    let live = runtime.block_on(builder.start()).expect("settings");
    let view = live.map(|settings| &settings.database);
    let mut reader = live.reader();
    assert!(counted(|| Box::new(1)) >= 1.0, "the count itself works");

    println!("| read | allocations |\n| --- | --- |");
    // Again after a swap: the first read of a new generation allocates no more.
    for generation in [2, 3] {
        let ours = [
            ("`Live::load`", counted(|| live.load().database.port)),
            ("`Live::current`", counted(|| live.current().database.port)),
            ("`View::load`", counted(|| view.load().port)),
            ("`Reader::load`", counted(|| reader.load().database.port)),
        ];
        for (name, allocations) in ours {
            if generation == 3 {
                println!("| {name} | {allocations} |");
            }
            assert_eq!(allocations, 0.0, "{name} allocates");
        }
        memory.put(DATABASE, settings::database(generation));
        runtime.block_on(live.refresh()).expect("a refresh");
    }

    let (size, long) = (NonZeroUsize::new(1000).expect("not zero"), Duration::from_secs(24 * 3600));
    let caching =
        SecretsManagerCachingClient::new(fake.client(), size, long, true).expect("a store");
    let hit = || {
        runtime.block_on(caching.get_secret_value(DATABASE, None, None, false)).expect("a value")
    };
    println!("| `aws_secretsmanager_caching`: a hit | {} |", counted(hit));
    let parsed = || {
        serde_json::from_str::<Database>(&hit().secret_string.expect("text")).expect("a database")
    };
    println!("| `aws_secretsmanager_caching`: a hit, JSON parsed | {} |", counted(parsed));
}

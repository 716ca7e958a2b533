//! No way to read a live value allocates, not even the first read after a change.

use std::hint::black_box;

use secrets_provider::{Live, Memory, SecretsManager};
use wiped::Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching::new();

#[derive(serde::Deserialize)]
struct Settings {
    database: Database,
}

#[derive(serde::Deserialize)]
struct Database {
    port: u16,
}

#[test]
fn a_read_allocates_nothing() {
    assert_eq!(ALLOCATOR.allocated(|| drop(black_box(Box::new(1)))), 1, "the allocator counts");

    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let memory = Memory::new();
    memory.put("app/database", r#"{"port": 1}"#);
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let live: Live<Settings> = runtime.block_on(manager.live()).expect("settings");
    let view = live.map(|settings| &settings.database);
    let mut reader = live.reader();
    // The first read of a thread adds it to the list of arc-swap.
    assert_eq!(live.load().database.port, 1);

    for port in [2, 3] {
        memory.put("app/database", format!(r#"{{"port": {port}}}"#));
        runtime.block_on(live.refresh()).expect("a refresh");
        let allocated = ALLOCATOR.allocated(|| {
            for _ in 0..100 {
                assert_eq!(live.load().database.port, port);
                assert_eq!(live.current().database.port, port);
                assert_eq!(view.load().port, port);
                assert_eq!(reader.load().database.port, port);
            }
        });
        assert_eq!(allocated, 0);
    }
}

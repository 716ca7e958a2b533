//! One refresh after the other.

use std::sync::Arc;
use std::time::Duration;

use secrets_provider::{Error, Memory};

use crate::process::Usage;
use crate::{Settings, live, print, rotate};

/// How many lines are printed.
const LINES: u64 = 10;
/// How much the resident memory may differ between the first tenth and the end.
const TOLERANCE_KIB: u64 = 1024;

pub(crate) fn run(swaps: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(run_on(swaps.max(LINES))).map_err(|error| error.to_string())?
}

async fn run_on(swaps: u64) -> Result<Result<(), String>, Error> {
    let memory = Memory::new();
    rotate(&memory, 0);
    let live = live(&memory).refresh_every(Duration::from_secs(24 * 3600)).start().await?;
    // What programs have beside it: a view, a reader, a derived value, a listener.
    let view = live.map(|settings| &settings.database);
    let mut reader = live.reader();
    let port = async |settings: Arc<Settings>| Ok::<_, Error>(settings.database.port);
    let derived = live.derive("database", port).await?;
    let changes = live.changes();
    print("| swaps | resident (KiB) | descriptors | tasks | threads |");
    print("| ---: | ---: | ---: | ---: | ---: |");
    let mut first = None;
    for swap in 1..=swaps {
        rotate(&memory, swap);
        live.refresh().await?;
        let settings = live.load();
        assert!(settings.is_whole() && settings.database.port == swap);
        assert!(view.load().port == swap && reader.load().database.port == swap);
        if swap % (swaps / LINES) == 0 {
            let usage = Usage::now();
            print(&format!("| {swap} | {usage} |"));
            first.get_or_insert(usage);
        }
    }
    drop((derived, changes));
    let (first, last) = (first.expect("a line"), Usage::now());
    let grown = last.resident_kib.saturating_sub(first.resident_kib);
    Ok(match () {
        () if grown > TOLERANCE_KIB => Err(format!("{grown} KiB more than after a tenth")),
        () if last.descriptors > first.descriptors => Err("file descriptors have grown".to_owned()),
        () if last.tasks > first.tasks => Err("tasks have grown".to_owned()),
        () if last.threads > first.threads => Err("threads have grown".to_owned()),
        () => Ok(()),
    })
}

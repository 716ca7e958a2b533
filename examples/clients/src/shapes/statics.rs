//! Settings in a global static, for programs that pass none around.
//!
//! Tests of one process share a static. So let only the outermost functions read it, and the others
//! take `&Settings`: they are tested with values of their own.

use std::sync::{LazyLock, OnceLock, mpsc};
use std::thread;

use secrets_provider::{Error, Guard, Live, SecretsManager};

use super::Settings;

static SETTINGS: OnceLock<Live<Settings>> = OnceLock::new();

/// Call it once in an asynchronous `main`, with settings that were started there, or with
/// `Live::constant`. Later calls change nothing.
pub fn set(live: Live<Settings>) {
    // The error is the value that came too late.
    let _ = SETTINGS.set(live);
}

/// The settings of this moment. Not to be held across `.await`; `settings().current()` is.
///
/// # Panics
///
/// Before [`set`].
pub fn settings() -> &'static Live<Settings> {
    SETTINGS.get().expect("`set` is called first in `main`")
}

/// What reads no static.
pub fn greeting(settings: &Settings) -> String {
    format!("hello from {}", settings.mail.from)
}

/// For programs without a runtime, or whose statics nothing can set: the first who reads them waits
/// until they are loaded. They end the program if that fails, as nothing can run without them.
static LAZY: LazyLock<Live<Settings>> = LazyLock::new(|| {
    SecretsManager::from_env()
        .and_then(start_on_a_thread)
        .unwrap_or_else(|error| panic!("the settings cannot be loaded: {error}"))
});

/// The settings of this moment.
///
/// # Panics
///
/// If they cannot be loaded, at the first call.
pub fn lazy_settings() -> Guard<Settings> {
    LAZY.load()
}

/// Starts settings from code that is not asynchronous. A thread of their own refreshes them, for as
/// long as the process runs.
///
/// # Errors
///
/// Those of [`SecretsManager::live`].
///
/// # Panics
///
/// If the system has no thread to give.
pub fn start_on_a_thread(manager: SecretsManager) -> Result<Live<Settings>, Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async {
            let started = manager.live().await;
            let failed = started.is_err();
            let _ = sender.send(started);
            if !failed {
                std::future::pending::<()>().await;
            }
        });
    });
    receiver.recv().expect("the thread sends what it started")
}

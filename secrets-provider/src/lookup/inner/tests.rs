use std::time::Duration;

use crate::{Memory, SecretsManager};

#[tokio::test]
async fn a_secret_that_this_program_changes_is_read_again() {
    let memory = Memory::new();
    let put = |text: &str| ["app/a", "app/b"].map(|name| memory.put(name, text));
    put("old");
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let secrets = manager.lookup();
    let read = async |name: &str| secrets.get::<String>(name).await.expect("a value");
    assert_eq!([read("a").await, read("b").await], ["old", "old"]);
    put("new");
    manager.notifier().changed("app/a").await;
    assert_eq!([read("a").await, read("b").await], ["new", "old"]);
    manager.clone().notifier().changed("elsewhere").await;
    assert_eq!(read("b").await, "old");
    manager.notifier().changed("app/b").await;
    memory.remove("app/b");
    assert_eq!(read("b").await, "old", "the value stays until it can be read");
}

/// A secret that could not be read is not served as it was until its next try is due.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_changed_after_an_outage_is_read_at_once() {
    let memory = Memory::new();
    memory.put("app/a", "old");
    let manager = SecretsManager::prefix("app").backend(memory.clone());
    let secrets = manager.lookup();
    let read = async || secrets.get::<String>("a").await.expect("a value");
    assert_eq!(read().await, "old");
    memory.remove("app/a");
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(read().await, "old");
    assert_eq!(secrets.stats().stale(), ["a"]);
    memory.put("app/a", "new");
    manager.notifier().changed("app/a").await;
    assert_eq!(read().await, "new");
    assert!(secrets.stats().stale().is_empty());

    memory.remove("app/a");
    manager.notifier().changed("app/a").await;
    assert_eq!([read().await, read().await], ["new", "new"], "if the read fails");
    assert_eq!(secrets.stats().stale(), ["a"]);
}

#[cfg(feature = "metrics")]
#[test]
fn an_optional_secret_that_is_denied_is_counted_among_the_failures_of_the_process() {
    use crate::error::{Error, ErrorKind};

    let failures = |kind| {
        let recorder = metrics_util::debugging::DebuggingRecorder::new();
        let secrets = SecretsManager::prefix("app").backend(Memory::new()).lookup();
        metrics::with_local_recorder(&recorder, || {
            secrets.0.absent(&Error::new(kind, "secret `app/a`").with_secret("app/a"));
        });
        let counted = recorder.snapshotter().snapshot().into_vec().into_iter();
        counted.filter(|(key, ..)| key.key().name() == "secrets_failed_total").count()
    };
    use ErrorKind::{AccessDenied, Kms, NotFound};
    assert_eq!([AccessDenied, Kms, NotFound].map(failures), [1, 1, 0]);
}

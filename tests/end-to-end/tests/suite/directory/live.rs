//! Live settings that follow a folder: edits, new files and removed ones.

use std::fs;
use std::path::Path;
use std::time::Duration;

use end_to_end::NEVER;
use futures_util::StreamExt as _;
use secrets_provider::{Backend as _, Directory, ErrorKind, Live, SecretsManager};
use serde_json::{Value, json};

use super::{builder, folder, write};
use crate::fixtures::secrets_only;

#[tokio::test(start_paused = true)]
async fn an_edit_is_live_within_a_second_as_one_generation() {
    let folder = folder(&[("app/a", "1\n"), ("app/b", "1\n")]);
    let settings = builder(Directory::new(folder.path())).start().await.unwrap();
    let mut changes = settings.changes();
    // At once, half a second later, and an hour later.
    for (n, idle) in [(2, 0), (3, 500), (4, 3_600_000)] {
        tokio::time::advance(Duration::from_millis(idle)).await;
        write(folder.path(), "app/a", format!("{n}\n"));
        write(folder.path(), "app/b", format!("{n}\n"));
        let edited = tokio::time::Instant::now();
        let change = changes.next().await.unwrap();
        assert!(edited.elapsed() <= Duration::from_millis(1100), "{:?}", edited.elapsed());
        assert_eq!(
            (change.generation(), change.keys()),
            (n, &["a".to_owned(), "b".to_owned()][..])
        );
        let current = settings.load();
        assert_eq!((&current.a, &current.b), (&n.to_string(), &n.to_string()));
    }
    let idle = tokio::time::timeout(Duration::from_secs(600), changes.next()).await;
    assert!(idle.is_err(), "there was no edit");
}

#[tokio::test(start_paused = true)]
async fn only_changes_of_fetched_secrets_are_signalled() {
    let folder = folder(&[("app/a", "1"), ("app/b", "1"), ("other/c", "1")]);
    let directory = Directory::new(folder.path());
    let mut signals = directory.changes().unwrap();
    // A secret that is first fetched after the stream was made counts as known.
    SecretsManager::prefix("app").backend(directory.clone()).fetch().await.unwrap();
    let minute = Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, signals.next()).await.is_err(), "nothing changed");
    write(folder.path(), "other/c", "2");
    assert!(
        tokio::time::timeout(minute, signals.next()).await.is_err(),
        "that secret was never fetched"
    );
    let changes: [fn(&Path); 4] = [
        |folder| write(folder, "app/a", "2"),
        |folder| fs::rename(folder.join("app/b"), folder.join("app/c")).unwrap(),
        |folder| fs::remove_dir_all(folder.join("app")).unwrap(),
        |folder| write(folder, "app/a", "3"),
    ];
    for change in changes {
        change(folder.path());
        tokio::time::timeout(Duration::from_millis(1100), signals.next()).await.unwrap().unwrap();
        // One check may have seen half of the change, and the next one the other half.
        let _ = tokio::time::timeout(Duration::from_millis(1100), signals.next()).await;
        assert!(
            tokio::time::timeout(minute, signals.next()).await.is_err(),
            "nothing changed again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_added_below_the_prefix_is_found() {
    let folder = folder(&[("app/a", "1")]);
    let manager = SecretsManager::prefix("app").backend(Directory::new(folder.path()));
    let settings: Live<Value> = secrets_only(manager).refresh_every(NEVER).start().await.unwrap();
    let mut changes = settings.changes();
    write(folder.path(), "app/new/b", "2");
    assert_eq!(changes.next().await.unwrap().keys(), ["new.b"]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_file_keeps_its_last_good_value_and_the_status_names_it() {
    let folder = folder(&[("app/a", "1"), ("app/b", "1")]);
    let settings = builder(Directory::new(folder.path())).start().await.unwrap();
    let mut changes = settings.changes();
    fs::remove_file(folder.path().join("app/a")).unwrap();
    write(folder.path(), "app/b", "2");
    assert_eq!(changes.next().await.unwrap().keys(), ["b"]);
    let errors = |status: secrets_provider::Status| -> Vec<_> {
        status.secrets().iter().map(|secret| (secret.name().to_owned(), secret.error())).collect()
    };
    let expected = [("app/a".to_owned(), Some(ErrorKind::NotFound)), ("app/b".to_owned(), None)];
    assert_eq!(errors(settings.status()), expected);
    assert_eq!((&*settings.load().a, &*settings.load().b), ("1", "2"));

    write(folder.path(), "app/a", "3");
    assert_eq!(changes.next().await.unwrap().keys(), ["a"]);
    assert!(errors(settings.status()).iter().all(|(_, error)| error.is_none()));
}

/// A writer that truncates a file fills it only later.
#[tokio::test]
async fn an_emptied_file_keeps_its_last_value_until_it_has_a_new_one() {
    let folder = folder(&[("app/token", "good")]);
    let manager = SecretsManager::prefix("app").backend(Directory::new(folder.path()));
    let builder = secrets_only(manager.clone()).refresh_every(NEVER);
    let settings: Live<Value> = builder.start().await.unwrap();
    for empty in ["", "\n"] {
        write(folder.path(), "app/token", empty);
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("is empty") && error.to_string().contains("rename"));
        assert_eq!(settings.current()["token"], json!("good"));
    }
    assert_eq!(manager.fetch().await.unwrap_err().kind(), ErrorKind::Unavailable);
    write(folder.path(), "app/token", "better");
    settings.refresh().await.unwrap();
    assert_eq!(settings.current()["token"], json!("better"));
}

//! A change in a layer below the secrets: read by a refresh that someone asks for, not by the
//! periodic one.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secrets_provider::{ErrorKind, Layers, Live, LiveBuilder, Memory, SecretsManager, Trigger};
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Debug, Deserialize)]
struct Settings {
    port: u16,
    token: String,
}

/// Settings of a `.env` file and one secret.
struct Program {
    folder: TempDir,
    secrets: Memory,
    probes: Arc<AtomicUsize>,
}

impl Program {
    fn new() -> Self {
        let (folder, secrets) = (tempfile::tempdir().unwrap(), Memory::new());
        secrets.put("app/token", "t1");
        let program = Self { folder, secrets, probes: Arc::default() };
        program.write("PORT=1\n");
        program
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(".env")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn builder(&self) -> LiveBuilder<Settings> {
        let (file, probes) = (self.file(), self.probes.clone());
        Live::builder(SecretsManager::prefix("app").backend(self.secrets.clone()))
            .layers(move |secrets| Layers::new().dotenv(&file).secrets(secrets))
            .probe(move |_| {
                probes.fetch_add(1, Ordering::Relaxed);
                async { Ok(()) }
            })
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_asked_for_reads_an_edited_env_file() {
    let program = Program::new();
    let (trigger, triggers) = Trigger::channel();
    let settings = program.builder().refresh_on(triggers).start().await.unwrap();
    let mut changes = settings.changes();
    assert!(!settings.refresh().await.unwrap().changed(), "nothing was edited");
    assert_eq!(program.probes.load(Ordering::Relaxed), 1, "unchanged settings are not probed");

    program.write("PORT=2\n");
    assert!(settings.refresh().await.unwrap().changed());
    assert_eq!((settings.load().port, settings.load().token.as_str()), (2, "t1"));
    assert_eq!(changes.next().await.unwrap().keys(), ["port"]);
    assert_eq!(program.probes.load(Ordering::Relaxed), 2);

    program.write("PORT=3\n");
    trigger.fire();
    assert_eq!(changes.next().await.unwrap().keys(), ["port"]);
    assert_eq!(settings.load().port, 3);
    assert_eq!(settings.status().generation(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_broken_layer_is_an_error_and_the_last_settings_stay() {
    let program = Program::new();
    let settings = program.builder().start().await.unwrap();
    program.write("PORT=many\n");
    let error = settings.refresh().await.unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Invalid, Some("port")));
    assert_eq!(settings.load().port, 1);

    program.write("PORT=2\n");
    assert!(settings.refresh().await.unwrap().changed());
    assert_eq!(settings.load().port, 2);
}

#[tokio::test(start_paused = true)]
async fn the_periodic_refresh_does_not_read_the_layers() {
    let program = Program::new();
    let settings = program.builder().refresh_every(Duration::from_secs(60)).start().await.unwrap();
    program.write("PORT=2\n");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((settings.load().port, settings.status().generation()), (1, 1));

    // A new secret makes a new generation, which is built of all layers.
    program.secrets.put("app/token", "t2");
    settings.changes().next().await.unwrap();
    assert_eq!((settings.load().port, settings.load().token.as_str()), (2, "t2"));
}

/// Whatever way the file changes, and also before the first look after the start.
#[tokio::test(start_paused = true)]
async fn a_watched_file_is_read_when_it_changes() {
    let program = Program::new();
    let file = program.file();
    let builder = program.builder().refresh_every(end_to_end::NEVER);
    let watched = builder.refresh_on(Trigger::file(&file));
    let other = program.folder.path().join("new");
    let settings = watched.start().await.unwrap();
    let mut changes = settings.changes();
    let mut port = async || {
        let limit = Duration::from_secs(60);
        let _ = tokio::time::timeout(limit, changes.next()).await;
        settings.load().port
    };
    program.write("PORT=2\n");
    assert_eq!(port().await, 2, "an edit of the same size");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    program.write("PORT=3\n");
    fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    assert_eq!(port().await, 3, "an edit that keeps the time");
    fs::write(&other, "PORT=4\n").unwrap();
    fs::rename(&other, &file).unwrap();
    assert_eq!(port().await, 4, "another file in its place");

    // Without it there is no port, so the last settings stay until it is back.
    fs::remove_file(&file).unwrap();
    while settings.status().last_error().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(settings.load().port, 4);
    program.write("PORT=5\n");
    assert_eq!(port().await, 5, "the file is back");
}

#[tokio::test(start_paused = true)]
async fn a_watched_file_that_changes_before_the_first_refresh_is_a_trigger_and_then_rests() {
    let program = Program::new();
    let triggers = {
        let path = program.file();
        Trigger::file(&path)
    };
    program.write("PORT=20\n");
    let mut triggers = std::pin::pin!(triggers);
    let trigger = futures_util::StreamExt::next(&mut triggers).await.unwrap();
    assert_eq!(trigger.reason(), format!("file {}", program.file().display()));
    let next = futures_util::StreamExt::next(&mut triggers);
    assert!(tokio::time::timeout(Duration::from_secs(60), next).await.is_err(), "no change");
}

//! Secrets in files: the tree for development, and the mount of the CSI driver. Live settings
//! follow both.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use end_to_end::NEVER;
use futures_util::StreamExt as _;
use secrets_provider::{
    Backend, Directory, Error, ErrorKind, Live, LiveBuilder, SecretsManager, Snapshot,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures::{Pair, secrets_only};

/// A folder with these files, which only their owner may read.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(folder.path(), path, content);
    }
    folder
}

fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    #[cfg(unix)]
    mode(&path, 0o600);
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn below(prefix: &str, directory: Directory) -> Result<Snapshot, Error> {
    SecretsManager::prefix(prefix).backend(directory).fetch_blocking()
}

fn tree(snapshot: &Snapshot) -> Value {
    snapshot.extract().unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.secrets().iter().map(|secret| secret.name()).collect()
}

fn version_ids(snapshot: &Snapshot) -> Vec<String> {
    snapshot.secrets().iter().map(|secret| secret.version_id().to_owned()).collect()
}

#[test]
fn a_tree_of_files_is_a_tree_of_secrets() {
    let folder = folder(&[
        ("gaara/prod/.self", "{\"LOG_LEVEL\": \"debug\"}\n"),
        ("gaara/prod/database", "{\"port\": 5432}\n"),
        ("gaara/prod/jwt-secret", "s3cret\n"),
        ("gaara/prod/api-keys/clerk", "sk"),
        ("gaara/prod/tls/.self", "{\"on\": true}"),
        ("gaara/prod/tls/key.pem", "-----BEGIN\nx\n"),
        ("gaara/prod/.gitignore", "*"),
        ("gaara/prod/.jwt-secret.swp", "swap"),
        ("gaara/prod/jwt-secret~", "backup"),
        ("gaara/production/jwt-secret", "not ours"),
        ("gaara/.self", "not ours"),
    ]);
    write(folder.path(), "gaara/prod/raw", [0xff, b'\n']);
    let expected = json!({
        "log_level": "debug",
        "database": {"port": 5432},
        "jwt_secret": "s3cret",
        "api_keys": {"clerk": "sk"},
        "tls": {"on": true, "key_pem": "-----BEGIN\nx"},
        "raw": "/wo=",
    });
    let directory = Directory::new(folder.path());
    let listed = below("gaara/prod", directory.clone()).unwrap();
    assert_eq!(tree(&listed), expected);
    let only = ["", "database", "jwt-secret", "api-keys/clerk", "tls", "tls/key.pem", "raw"];
    let asked = SecretsManager::prefix("gaara/prod").only(only).backend(directory.clone());
    let asked = asked.fetch_blocking().unwrap();
    assert_eq!(tree(&asked), expected);
    assert_eq!((names(&asked), version_ids(&asked)), (names(&listed), version_ids(&listed)));

    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gaara/prod/database-AbC123";
    let by_arn = SecretsManager::names([arn, "gaara/prod/database"]).backend(directory);
    assert_eq!(names(&by_arn.fetch_blocking().unwrap()), ["gaara/prod/database"]);
}

#[test]
fn a_mount_reads_flat_files_byte_for_byte() {
    let folder = folder(&[
        ("gaara_prod", r#"{"LOG_LEVEL": "debug"}"#),
        ("gaara_prod_database", r#"{"port": 5432}"#),
        ("gaara_prod_api-keys_clerk", "sk\n"),
        ("gaara_production_x", "not ours"),
        ("key", "raw"),
        ("..2024_11_22/gaara_prod_database", "hidden"),
    ]);
    let mounted = Directory::mounted(folder.path())
        .alias("key", "gaara/prod/tls/key")
        .binary("gaara/prod/tls/key");
    let listed = below("gaara/prod", mounted.clone()).unwrap();
    let expected = json!({
        "log_level": "debug",
        "database": {"port": 5432},
        "api_keys_clerk": "sk\n",
        "tls": {"key": "cmF3"},
    });
    assert_eq!(tree(&listed), expected);
    let only = ["database", "api-keys/clerk", "tls/key"];
    let asked =
        SecretsManager::prefix("gaara/prod").only(only).backend(mounted).fetch_blocking().unwrap();
    let expected =
        json!({"database": {"port": 5432}, "api_keys": {"clerk": "sk\n"}, "tls": {"key": "cmF3"}});
    assert_eq!(tree(&asked), expected);
}

#[test]
fn names_that_lead_out_of_the_folder_are_rejected() {
    let outer = folder(&[("outside", "c4nary"), ("secrets/app/a", "a")]);
    for directory in [
        Directory::new(outer.path().join("secrets")),
        Directory::mounted(outer.path().join("secrets")),
    ] {
        let absolute = outer.path().join("outside").to_string_lossy().into_owned();
        for name in ["../outside", "app/../../outside", "./app/a", "app//a", "app/.self", &absolute]
        {
            let error = SecretsManager::names([name])
                .backend(directory.clone())
                .fetch_blocking()
                .unwrap_err();
            assert_eq!((error.kind(), error.secret()), (ErrorKind::Config, Some(name)), "{error}");
            assert!(error.hint().is_some() && !format!("{error:?}").contains("c4nary"), "{error}");
        }
        for prefix in ["..", "../secrets", "app/..", "/app"] {
            let error = below(prefix, directory.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{prefix}: {error}");
        }
        let aliased = directory.clone().alias("../outside", "app/x");
        let error = SecretsManager::names(["app/x"]).backend(aliased).fetch_blocking().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_only_within_the_folder() {
    use std::os::unix::fs::symlink;
    let outer =
        folder(&[("outside/x", "c4nary"), ("secrets/app/a", "a"), ("secrets/shared/b", "b")]);
    let secrets = outer.path().join("secrets");
    symlink("../shared/b", secrets.join("app/b")).unwrap();
    symlink("../shared", secrets.join("app/all")).unwrap();
    symlink("..", secrets.join("app/back")).unwrap();
    symlink(&secrets, outer.path().join("link-to-secrets")).unwrap();
    let directory = Directory::new(outer.path().join("link-to-secrets"));
    let found = below("app", directory.clone()).unwrap();
    assert_eq!(names(&found), ["app/a", "app/all/b", "app/b", "app/back/shared/b"]);

    symlink("../../outside/x", secrets.join("app/file")).unwrap();
    symlink("../../outside", secrets.join("app/folder")).unwrap();
    symlink("missing", secrets.join("app/nowhere")).unwrap();
    for (name, kind) in [
        ("app/file", ErrorKind::Config),
        ("app/folder/x", ErrorKind::Config),
        ("app/nowhere", ErrorKind::NotFound),
    ] {
        let error =
            SecretsManager::names([name]).backend(directory.clone()).fetch_blocking().unwrap_err();
        assert_eq!((error.kind(), error.secret()), (kind, Some(name)), "{error}");
        assert!(!format!("{error:?}").contains("c4nary"), "{error}");
    }
    assert_eq!(
        below("app", directory).unwrap_err().errors().len(),
        3,
        "every unreadable file is reported"
    );
}

#[test]
fn a_missing_file_names_the_path_that_was_tried() {
    let folder = folder(&[
        ("app/database.json", "{}"),
        ("app/jwt-secret", "c4nary"),
        ("app/smtp/user", "u"),
    ]);
    let directory = Directory::new(folder.path());
    write(folder.path(), "app/large", "x".repeat(65_537));
    let cases = [
        (
            "app/database",
            ErrorKind::NotFound,
            &["app/database`", "`database.json`", "without an extension"][..],
        ),
        ("app/jwt-secrets", ErrorKind::NotFound, &["app/jwt-secrets`", "holds `jwt-secret`"]),
        ("application/x", ErrorKind::NotFound, &["application/x`", "holds `app`"]),
        ("app/smtp", ErrorKind::NotFound, &["app/smtp/.self`", "is a folder"]),
        ("app/jwt-secret/x", ErrorKind::NotFound, &["app/jwt-secret/x`", "`.self`"]),
        ("app/large", ErrorKind::Malformed, &["app/large`", "65536"]),
    ];
    for (name, kind, mentions) in cases {
        let error =
            SecretsManager::names([name]).backend(directory.clone()).fetch_blocking().unwrap_err();
        assert_eq!((error.kind(), error.secret()), (kind, Some(name)), "{error}");
        for mention in mentions {
            assert!(error.to_string().contains(mention), "no {mention} in {error}");
        }
        assert!(error.hint().is_some() && !format!("{error:?}").contains("c4nary"), "{error}");
    }
    let file = folder.path().join("app/jwt-secret");
    for missing in [folder.path().join("nowhere"), file] {
        for manager in [SecretsManager::prefix("app"), SecretsManager::names(["app/x"])] {
            let error = manager.backend(Directory::new(&missing)).fetch_blocking().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(&*missing.to_string_lossy()), "{error}");
        }
    }
    let error = below("other", directory).unwrap_err();
    assert!(
        error.kind() == ErrorKind::NotFound && error.to_string().contains("holds `app`"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_file_without_read_permission_is_access_denied() {
    let folder = folder(&[("app/a", "c4nary"), ("app/closed/b", "c4nary")]);
    mode(&folder.path().join("app/a"), 0o000);
    mode(&folder.path().join("app/closed"), 0o000);
    let root_reads_all = fs::read(folder.path().join("app/a")).is_ok();
    let managers = [SecretsManager::names(["app/a"]), SecretsManager::prefix("app")];
    for manager in managers {
        match manager.backend(Directory::new(folder.path())).fetch_blocking() {
            Ok(_) => assert!(root_reads_all),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
                assert!(error.hint().is_some() && error.to_string().contains("app/"), "{error}");
            }
        }
    }
    mode(&folder.path().join("app/closed"), 0o700);
}

/// Opening a pipe would block for ever.
#[cfg(unix)]
#[test]
fn a_socket_is_not_opened() {
    let folder = folder(&[]);
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let manager = SecretsManager::names(["socket"]).backend(Directory::new(folder.path()));
    let error = manager.fetch_blocking().unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Malformed, Some("socket")), "{error}");
}

#[test]
fn version_ids_and_debug_show_nothing_of_the_content() {
    let folder = folder(&[("app/a", "one-s3cret"), ("app/b", "one-s3cret")]);
    let directory = Directory::new(folder.path());
    let read = || version_ids(&below("app", directory.clone()).unwrap());
    let first = read();
    assert_eq!(first, read(), "nothing changed");
    assert_ne!(first[0], first[1], "the same content under two names");
    write(folder.path(), "app/a", "one-s3cret");
    let second = read();
    assert_ne!(first[0], second[0], "the file was written again with the same content");
    assert_eq!(first[1], second[1]);
    assert!(!format!("{first:?}{second:?}").contains("s3cret"));

    let shown = format!("{directory:?}");
    assert_eq!(shown, format!("Directory({:?})", folder.path()));
    let mounted = Directory::mounted("/mnt/secrets-store").alias("f", "s");
    assert_eq!(format!("{mounted:?}"), r#"Directory("/mnt/secrets-store")"#);
}

/// Edits that keep the length, and come faster than the file system's clock ticks.
#[tokio::test]
async fn every_edit_between_two_reads_is_noticed() {
    let folder = folder(&[("app/a", "0000")]);
    let directory = Directory::new(folder.path());
    let manager = SecretsManager::prefix("app").backend(directory);
    let mut seen = BTreeSet::new();
    for n in 0..20 {
        write(folder.path(), "app/a", format!("{n:04}"));
        let snapshot = manager.fetch().await.unwrap();
        assert_eq!(tree(&snapshot)["a"], format!("{n:04}"));
        assert!(seen.insert(version_ids(&snapshot)), "edit {n} has the id of an earlier one");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_others_may_read_cause_one_warning() {
    let (log, _guard) = end_to_end::Log::start();
    let folder = folder(&[("app/open", "s3cret"), ("app/group", "s3cret"), ("app/own", "s3cret")]);
    mode(&folder.path().join("app/open"), 0o644);
    mode(&folder.path().join("app/group"), 0o640);
    let manager = SecretsManager::prefix("app").backend(Directory::new(folder.path()));
    for _ in 0..3 {
        manager.fetch().await.unwrap();
    }
    let text = log.text();
    let warnings: Vec<&str> =
        text.lines().filter(|line| line.contains("secret_file_readable_by_others")).collect();
    assert_eq!(warnings.len(), 1, "{text}");
    for part in ["WARN", "secrets_provider:", "app/open", "0644"] {
        assert!(warnings[0].contains(part), "{part}: {}", warnings[0]);
    }
    assert!(!text.contains("s3cret"), "{text}");

    let (log, _guard) = end_to_end::Log::start();
    let mount = mount(1);
    SecretsManager::names(["app/a", "app/b"])
        .backend(Directory::mounted(mount.path()))
        .fetch()
        .await
        .unwrap();
    assert!(!log.text().contains("readable_by_others"), "the driver mounts with 0644");
}

fn builder(directory: Directory) -> LiveBuilder<Pair<String>> {
    let manager = SecretsManager::prefix("app").only(["a", "b"]).backend(directory);
    // The interval is a year, so that only signals cause refreshes.
    secrets_only(manager).refresh_every(NEVER)
}

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

/// Replaces the files as the driver does: it makes a new folder and a link to it, renames the link
/// over the old one, and removes the old folder.
#[cfg(unix)]
fn swap(mount: &Path, generation: usize, files: &[(&str, String)]) {
    use std::os::unix::fs::symlink;
    let old = fs::read_link(mount.join("..data")).ok();
    let new = format!("..2024_11_22_11_30_05.{generation}");
    fs::create_dir(mount.join(&new)).unwrap();
    for (name, content) in files {
        let file = mount.join(&new).join(name);
        fs::write(&file, content).unwrap();
        mode(&file, 0o644);
    }
    symlink(&new, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    for (name, _) in files {
        if old.is_none() {
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(mount.join(old)).unwrap();
    }
}

#[cfg(unix)]
fn swap_both(mount: &Path, n: usize) {
    swap(mount, n, &[("app_a", n.to_string()), ("app_b", n.to_string())]);
}

#[cfg(unix)]
fn mount(n: usize) -> TempDir {
    let mount = tempfile::tempdir().unwrap();
    swap_both(mount.path(), n);
    mount
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_swap_of_the_mount_is_one_generation() {
    let mount = mount(1);
    let settings = builder(Directory::mounted(mount.path())).start().await.unwrap();
    let mut changes = settings.changes();
    for n in 2..=4 {
        swap_both(mount.path(), n);
        let change = changes.next().await.unwrap();
        assert_eq!((change.generation(), change.keys().len()), (n as u64, 2));
        assert_eq!(settings.load().b, n.to_string());
        let status = settings.status();
        assert!(
            status.secrets().iter().all(|secret| secret.version_id().contains(&format!(".{n}-")))
        );
    }
    let error = fs::remove_file(mount.path().join("..data"));
    error.unwrap();
    assert!(settings.refresh().await.is_err());
    assert_eq!(settings.load().b, "4", "the last good value stays");
}

/// Each fetch runs beside many swaps, until twenty fetches have met one. The system decides where
/// in a fetch a swap falls; a unit test of the reader swaps between two files.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_mix_of_two_generations() {
    let mount = mount(0);
    let manager = SecretsManager::prefix("app").backend(Directory::mounted(mount.path()));
    const SWAPS: usize = 30;
    let mut met = 0;
    for done in (0..200 * SWAPS).step_by(SWAPS) {
        let swaps = tokio::task::spawn_blocking({
            let path = mount.path().to_owned();
            move || (1..=SWAPS).for_each(|n| swap_both(&path, done + n))
        });
        let (fetched, swapped) = tokio::join!(manager.fetch(), swaps);
        swapped.unwrap();
        let settings: Pair<String> = match fetched {
            Ok(snapshot) => snapshot.extract().unwrap(),
            // On a slow disk, the swaps outlast the retries of the reader.
            Err(error) if error.kind() == ErrorKind::Unavailable => continue,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(settings.a, settings.b, "values of two generations");
        let seen: usize = settings.a.parse().unwrap();
        assert!((done..=done + SWAPS).contains(&seen), "{seen}, from {done} on");
        met += u32::from((done + 1..done + SWAPS).contains(&seen));
        if met == 20 {
            break;
        }
    }
}

/// Volumes of Kubernetes with paths, and those of the driver with `pathTranslation: "False"`.
#[cfg(unix)]
#[test]
fn a_tree_may_be_mounted_too() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("..2024_11_22/app/a", "1\n"), ("..2024_11_22/app/b", "2")]);
    symlink("..2024_11_22", folder.path().join("..data")).unwrap();
    symlink("..data/app", folder.path().join("app")).unwrap();
    let found = below("app", Directory::new(folder.path())).unwrap();
    assert_eq!(tree(&found), json!({"a": "1", "b": "2"}));
    assert!(version_ids(&found).iter().all(|id| id.starts_with("2024_11_22-")));
}

/// A store with the signals of this stream.
mod signalling {
    use std::sync::Mutex;

    use futures_util::Stream;
    use secrets_provider::{BoxFuture, BoxStream, Memory, Outcome};

    use super::*;

    pub(super) struct Signalling {
        pub(super) memory: Memory,
        signals: Mutex<Option<BoxStream<'static, ()>>>,
    }

    impl Signalling {
        pub(super) fn new(
            memory: Memory,
            signals: impl Stream<Item = ()> + Send + 'static,
        ) -> Self {
            Self { memory, signals: Mutex::new(Some(signals.boxed())) }
        }
    }

    impl std::fmt::Debug for Signalling {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Signalling")
        }
    }

    impl Backend for Signalling {
        fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
            self.memory.list(prefix)
        }

        fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
            self.memory.fetch(ids)
        }

        fn changes(&self) -> Option<BoxStream<'static, ()>> {
            self.signals.lock().unwrap().take()
        }
    }

    pub(super) fn builder(backend: Signalling) -> LiveBuilder<Value> {
        secrets_only(SecretsManager::names(["a"]).backend(backend)).refresh_every(NEVER)
    }
}

mod signals {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use futures_util::stream;
    use secrets_provider::{Memory, Rejected};
    use tokio::sync::mpsc;

    use super::signalling::{Signalling, builder};
    use super::*;

    fn channel()
    -> (mpsc::UnboundedSender<()>, impl futures_util::Stream<Item = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let signals = stream::unfold(receiver, async |mut receiver: mpsc::UnboundedReceiver<()>| {
            receiver.recv().await.map(|()| ((), receiver))
        });
        (sender, signals)
    }

    #[tokio::test(start_paused = true)]
    async fn signals_that_come_together_start_one_refresh() {
        let memory = Memory::new();
        memory.put("a", "1");
        let (sender, signals) = channel();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        // Each try after the first is rejected, so that every refresh is counted.
        let settings = builder(Signalling::new(memory.clone(), signals))
            .validate(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(()),
                _ => Err(Rejected::new("no")),
            })
            .start()
            .await
            .unwrap();
        memory.put("a", "2");
        (0..100).for_each(|_| sender.send(()).unwrap());
        while tries.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        drop(settings);
    }

    #[tokio::test(start_paused = true)]
    async fn signals_that_end_or_never_end_or_panic_stop_nothing() {
        let (sender, ending) = channel();
        drop(sender);
        for signals in [
            ending.boxed(),
            stream::repeat(()).boxed(),
            stream::poll_fn(|_| panic!("of the backend")).boxed(),
            stream::pending().boxed(),
        ] {
            let memory = Memory::new();
            memory.put("a", "1");
            let settings = builder(Signalling::new(memory.clone(), signals)).start().await.unwrap();
            for n in 2..5 {
                memory.put("a", n.to_string());
                settings.refresh().await.unwrap();
                assert_eq!(settings.load()["a"], n.to_string());
            }
            settings.shutdown().await;
        }
    }

    /// The paused clock advances only when every task waits: a loop on the ended stream would hang
    /// this test.
    #[tokio::test(start_paused = true)]
    async fn an_ended_stream_of_signals_is_not_polled_again() {
        let memory = Memory::new();
        memory.put("a", "1");
        let settings = builder(Signalling::new(memory, stream::empty())).start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(settings.status().generation(), 1);
    }
}

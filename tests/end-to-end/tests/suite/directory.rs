//! Secrets in files: the tree for development, and the mount of the CSI driver.

mod live;
#[cfg(unix)]
mod mount;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use end_to_end::NEVER;
use secrets_provider::{Directory, Error, ErrorKind, LiveBuilder, SecretsManager, Snapshot};
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

/// Live settings of `app/a` and `app/b`. The interval is a year, so that only signals cause
/// refreshes.
fn builder(directory: Directory) -> LiveBuilder<Pair<String>> {
    let manager = SecretsManager::prefix("app").only(["a", "b"]).backend(directory);
    secrets_only(manager).refresh_every(NEVER)
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
        "LOG_LEVEL": "debug",
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
        "LOG_LEVEL": "debug",
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
    let mount = mount::mounted(1);
    SecretsManager::names(["app/a", "app/b"])
        .backend(Directory::mounted(mount.path()))
        .fetch()
        .await
        .unwrap();
    assert!(!log.text().contains("readable_by_others"), "the driver mounts with 0644");
}

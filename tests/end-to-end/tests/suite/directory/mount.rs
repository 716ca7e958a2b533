//! The mount of the CSI driver, which replaces all files at once.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use secrets_provider::{Directory, ErrorKind, SecretsManager};
use serde_json::json;
use tempfile::TempDir;

use super::{below, builder, folder, mode, tree, version_ids};
use crate::fixtures::Pair;

/// Replaces the files as the driver does: it makes a new folder and a link to it, renames the link
/// over the old one, and removes the old folder.
fn swap(mount: &Path, generation: usize, files: &[(&str, String)]) {
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

fn swap_both(mount: &Path, n: usize) {
    swap(mount, n, &[("app_a", n.to_string()), ("app_b", n.to_string())]);
}

pub(super) fn mounted(n: usize) -> TempDir {
    let mount = tempfile::tempdir().unwrap();
    swap_both(mount.path(), n);
    mount
}

#[tokio::test(start_paused = true)]
async fn a_swap_of_the_mount_is_one_generation() {
    let mount = mounted(1);
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
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_mix_of_two_generations() {
    let mount = mounted(0);
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
#[test]
fn a_tree_may_be_mounted_too() {
    let folder = folder(&[("..2024_11_22/app/a", "1\n"), ("..2024_11_22/app/b", "2")]);
    symlink("..2024_11_22", folder.path().join("..data")).unwrap();
    symlink("..data/app", folder.path().join("app")).unwrap();
    let found = below("app", Directory::new(folder.path())).unwrap();
    assert_eq!(tree(&found), json!({"a": "1", "b": "2"}));
    assert!(version_ids(&found).iter().all(|id| id.starts_with("2024_11_22-")));
}

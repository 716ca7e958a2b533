//! `Directory` passes the suite, as a tree and as a mount.

use std::fs;
use std::path::{Path, PathBuf};

use secrets_provider::backend::conformance::{Capability, Harness, Report, check};
use secrets_provider::{Backend, Directory};
use tempfile::TempDir;

/// More than a secret can hold.
const TOO_LARGE: usize = 65_537;

enum Layout {
    Tree,
    Mounted,
}

struct InFiles {
    folder: TempDir,
    layout: Layout,
    store: Directory,
    lacks: Vec<Capability>,
}

impl InFiles {
    fn new(layout: Layout) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut lacks = vec![Capability::Stall, Capability::OtherIds, Capability::Previous];
        if !denies(folder.path()) {
            lacks.extend([Capability::Deny, Capability::DenyList]);
        }
        let store = match layout {
            Layout::Tree => Directory::new(folder.path()),
            Layout::Mounted => {
                // A file `a_b` is listed as `a_b`, not as `a/b`.
                lacks.push(Capability::NestedNames);
                Directory::mounted(folder.path())
            }
        };
        Self { folder, layout, store, lacks }
    }

    /// The file of a secret: `.self` in its folder, where it is a folder too.
    fn path(&self, name: &str) -> PathBuf {
        match self.layout {
            Layout::Tree => {
                let path = self.folder.path().join(name);
                if path.is_dir() { path.join(".self") } else { path }
            }
            Layout::Mounted => self.folder.path().join(name.replace('/', "_")),
        }
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders are created");
        fs::write(&path, content).expect("a file is written");
        mode(&path, 0o600);
    }
}

impl Harness for InFiles {
    fn backend(&self) -> &dyn Backend {
        &self.store
    }

    async fn put(&self, name: &str, text: &str) {
        let newline = match self.layout {
            // In a tree, one newline at the end is not part of the value.
            Layout::Tree => "\n",
            Layout::Mounted => "",
        };
        self.write(name, format!("{text}{newline}").as_bytes());
    }

    async fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.write(name, bytes);
    }

    async fn delete(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("a file is removed");
    }

    async fn deny(&self, name: &str) {
        mode(&self.path(name), 0o000);
    }

    async fn deny_list(&self) {
        // In a tree the names below a folder are listed, in a mount those of the whole folder.
        mode(self.folder.path(), 0o000);
    }

    async fn allow_list(&self) {
        mode(self.folder.path(), 0o700);
    }

    async fn corrupt(&self, name: &str) {
        let mut content = fs::read(self.path(name)).expect("a file is read");
        content.resize(TOO_LARGE, b'x');
        self.write(name, &content);
    }

    fn lacks(&self) -> Vec<Capability> {
        self.lacks.clone()
    }
}

/// Whether modes keep this process from reading: root reads everything.
fn denies(folder: &Path) -> bool {
    let probe = folder.join("probe");
    fs::write(&probe, "").expect("a file is written");
    mode(&probe, 0o000);
    let denied = fs::read(&probe).is_err();
    fs::remove_file(probe).expect("a file is removed");
    denied
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode is set");
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) {}

/// Nothing but the capabilities that the harness lacks was skipped.
fn assert_conforms(report: &Report, expected: &[Capability]) {
    report.assert_passed();
    for (case, capability) in report.skipped() {
        let denial = matches!(capability, Capability::Deny | Capability::DenyList);
        assert!(denial || expected.contains(&capability), "skipped `{case}`: {report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tree_conforms() {
    use Capability::*;
    let files = InFiles::new(Layout::Tree);
    crate::page::agrees("[`Directory`]", &files.lacks);
    let report = check(&files).await;
    assert_conforms(&report, &[Stall, OtherIds, Previous]);
}

#[tokio::test(start_paused = true)]
async fn a_mount_conforms() {
    use Capability::*;
    let report = check(&InFiles::new(Layout::Mounted)).await;
    assert_conforms(&report, &[Stall, OtherIds, Previous, NestedNames]);
}

//! How files are read: newlines at the end, sizes, generations that change meanwhile, and files
//! that are no files.
//!
//! They use real folders. Each read that could wait forever has a test that it doesn't.

use super::*;
use crate::backend::directory::root::GENERATION;

#[test]
fn only_the_final_newline_of_text_in_a_tree_is_dropped() {
    let text = |bytes: &[u8], layout, binary| {
        let mut names = Names::new(layout);
        if binary {
            names.binary("app/db".into());
        }
        let folder = Folder::new(PathBuf::new(), names);
        match folder.payload("app/db", "app/db", Zeroizing::new(bytes.to_vec())) {
            Some(Payload::Text(text)) => text.as_str().as_bytes().to_vec(),
            Some(Payload::Binary(bytes)) => [b"binary:", bytes.as_slice()].concat(),
            None => panic!("too large"),
        }
    };
    for (file, tree, mounted) in [
        (&b"s3cret"[..], &b"s3cret"[..], &b"s3cret"[..]),
        (b"s3cret\n", b"s3cret", b"s3cret\n"),
        (b"s3cret\r\n", b"s3cret", b"s3cret\r\n"),
        (b"s3cret\n\n", b"s3cret\n", b"s3cret\n\n"),
        (b"s3cret\r", b"s3cret\r", b"s3cret\r"),
        (b" s3cret \n", b" s3cret ", b" s3cret \n"),
        (b"a\nb\n", b"a\nb", b"a\nb\n"),
        (b"{\"a\": 1}\n", b"{\"a\": 1}", b"{\"a\": 1}\n"),
        (b"\n", b"", b"\n"),
        (b"\r\n", b"", b"\r\n"),
        (b"", b"", b""),
        (b"\xff\n", b"binary:\xff\n", b"binary:\xff\n"),
    ] {
        assert_eq!(text(file, Layout::Tree, false), tree, "{}", file.escape_ascii());
        assert_eq!(text(file, Layout::Mounted, false), mounted, "{}", file.escape_ascii());
        let binary = [b"binary:", file].concat();
        assert_eq!(text(file, Layout::Tree, true), binary, "{}", file.escape_ascii());
    }
}

#[cfg(unix)]
#[test]
fn incomplete_work_in_a_past_generation_is_repeated() {
    for (complete, expected) in [(false, ["..1", "..2"].as_slice()), (true, &["..1"])] {
        let mount = tempfile::tempdir().expect("a folder");
        let link = mount.path().join(GENERATION);
        std::os::unix::fs::symlink("..1", &link).expect("a link");
        let folder = Folder::new(mount.path().to_owned(), Names::new(Layout::Mounted));
        let seen = std::cell::RefCell::new(Vec::new());
        let work = |root: &Root| {
            seen.borrow_mut().push(root.generation.clone().expect("a generation"));
            if seen.borrow().len() == 1 {
                fs::remove_file(&link).expect("a removal");
                std::os::unix::fs::symlink("..2", &link).expect("a link");
            }
        };
        folder.in_one_generation(work, |()| complete).expect("a folder");
        assert_eq!(seen.into_inner(), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
    }
}

#[test]
fn a_value_may_have_as_many_bytes_as_in_aws() {
    let tree = Folder::new(PathBuf::new(), Names::new(Layout::Tree));
    let mounted = Folder::new(PathBuf::new(), Names::new(Layout::Mounted));
    let full = "x".repeat(MAX_BYTES);
    for (bytes, in_tree, in_mount) in [
        (full.clone(), true, true),
        (format!("{full}\n"), true, false),
        (format!("{full}\r\n"), true, false),
        (format!("{full}x"), false, false),
    ] {
        let fits = |folder: &Folder| {
            folder.payload("a", "a", Zeroizing::new(bytes.clone().into_bytes())).is_some()
        };
        assert_eq!((fits(&tree), fits(&mounted)), (in_tree, in_mount), "{}", bytes.len());
    }
}

/// The generation is replaced after the first of two files was read. Its files stay for a while.
#[cfg(unix)]
#[test]
fn one_read_is_of_one_generation() {
    use std::os::unix::fs::symlink;
    let mount = tempfile::tempdir().expect("a folder");
    let path = |name: &str| mount.path().join(name);
    for generation in ["..1", "..2"] {
        fs::create_dir(path(generation)).expect("a folder");
        for file in ["app_a", "app_b"] {
            fs::write(path(generation).join(file), generation).expect("a file");
        }
    }
    for file in ["app_a", "app_b"] {
        symlink(Path::new(GENERATION).join(file), path(file)).expect("a link");
    }
    symlink("..1", path(GENERATION)).expect("a link");
    let folder = Folder::new(mount.path().to_owned(), Names::new(Layout::Mounted));
    let work = |root: &Root| {
        let a = folder.read_one(root, "app/a");
        symlink("..2", path("..data_tmp")).expect("a link");
        fs::rename(path("..data_tmp"), path(GENERATION)).expect("a swap");
        [a, folder.read_one(root, "app/b")]
    };
    let read = folder.in_one_generation(work, |_| true).expect("a folder");
    for file in read {
        let secret = file.outcome.expect("a secret");
        let Payload::Text(text) = secret.payload() else { panic!("it is text") };
        assert_eq!(text.as_str(), "..1");
        assert!(secret.version_id().starts_with("1-"), "{}", secret.version_id());
    }
}

/// A file that became a pipe after it was found must not keep the thread.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let tree = tempfile::tempdir().expect("a folder");
    let pipe = tree.path().join("db");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let folder = Folder::new(tree.path().to_owned(), Names::new(Layout::Tree));
    let root = Root::find(tree.path()).expect("a root");
    let error = folder.content(&root, &pipe).expect_err("a pipe");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

/// Nine folders with links to each other have a million paths.
#[cfg(unix)]
#[test]
fn a_walk_ends_once_no_one_waits_for_it() {
    let tree = tempfile::tempdir().expect("a folder");
    let name = |at: usize| tree.path().join(format!("app/{at}"));
    for at in 0..9 {
        fs::create_dir_all(name(at)).expect("a folder");
        for other in (0..9).filter(|other| *other != at) {
            let link = name(at).join(other.to_string());
            std::os::unix::fs::symlink(name(other), link).expect("a link");
        }
    }
    let folder = Folder::new(tree.path().to_owned(), Names::new(Layout::Tree));
    let (work, stop) = folder.until_dropped();
    let walk = thread::spawn(move || work.list("app").is_err());
    drop(stop);
    assert!(walk.join().expect("no panic"));
}

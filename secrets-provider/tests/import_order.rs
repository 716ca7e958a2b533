//! The rooms of `src` import in one direction: each only what stands to its left in [`ROOMS`].
//!
//! The same order is drawn in `docs/design.md`. A new room gets its place here; an import that
//! fails this test wants a type moved to the left or passed in as an argument, not a new order.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from left to right. Rooms in one group do not know each other.
const ROOMS: &[&[&str]] = &[
    &["error"],
    &["unwind"],
    &["secret"],
    &["tree"],
    &["env", "observe"],
    &["backend", "extract"],
    &["load"],
    &["layers", "lookup"],
    &["adapters", "engine", "rotate"],
    &["push"],
    &["live"],
    &["endpoints"],
];

/// What is no room: the list of public names, and the entry points of the fuzzers.
const OUTSIDE: &[&str] = &["lib", "fuzzing", "simulation"];

fn position(room: &str) -> Option<usize> {
    ROOMS.iter().position(|group| group.contains(&room))
}

/// A file of a room, with its path below `src`.
struct Source {
    room: String,
    path: PathBuf,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let below = path.strip_prefix(&root).expect("below src").to_owned();
            let first = below.iter().next().expect("a name").to_string_lossy();
            // The program is another crate: it knows the public names only.
            if first == "bin" {
                continue;
            }
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a source file");
            found.push(Source { room, path: below, text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Each place of the code that names something of the crate, with its line and the first segment of
/// its path. Tests are left out: they may use what their room does not know.
fn crate_paths(text: &str) -> Vec<(usize, &str, &str)> {
    let mut found = Vec::new();
    for (number, line) in code(text).lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            // A macro's path, which its caller sees.
            if line[..at].ends_with('$') {
                continue;
            }
            let path = &line[at + "crate::".len()..];
            let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
            found.push((number + 1, line.trim(), &path[..end]));
        }
    }
    found
}

/// The lines that reach the crate's root by `super::`, in the code outside of a file's own test
/// module.
fn paths_to_the_root(source: &Source) -> Vec<(usize, &str)> {
    // `src/room.rs` and `src/room/mod.rs` are one step below the root, `src/room/file.rs` two.
    let parts = source.path.components().count();
    let depth = if source.path.ends_with("mod.rs") { parts - 1 } else { parts };
    let reaches = |line: &str| {
        let steps = line.split("super::").skip(1).scan(true, |adjacent, rest| {
            // Only steps that follow each other directly add up.
            let counted = *adjacent;
            *adjacent = rest.is_empty();
            counted.then_some(())
        });
        steps.count() >= depth
    };
    let lines = code(&source.text).lines().enumerate();
    lines
        .map(|(number, line)| (number + 1, line.trim_start()))
        .filter(|(_, line)| !line.starts_with("//") && reaches(line))
        .collect()
}

/// A file's text without its own test module, which is its last item.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

#[test]
fn each_room_imports_only_from_its_left() {
    let mut wrong = String::new();
    let mut checked = 0;
    for source in sources().iter().filter(|source| !is_test(&source.path)) {
        if OUTSIDE.contains(&source.room.as_str()) {
            continue;
        }
        let Some(own) = position(&source.room) else {
            let _ = writeln!(wrong, "src/{}: not in the list of rooms", source.path.display());
            continue;
        };
        if !OUTSIDE.contains(&source.room.as_str()) {
            for (line, code) in paths_to_the_root(source) {
                let _ = writeln!(
                    wrong,
                    "src/{}:{line}: write `crate::`, so that this test sees the import\n    {code}",
                    source.path.display()
                );
            }
        }
        for (line, code, room) in crate_paths(&source.text) {
            checked += 1;
            let why = match position(room) {
                Some(_) if room == source.room => continue,
                Some(other) if other < own => continue,
                Some(_) => format!("`{}` may not import `{room}`", source.room),
                None => format!("`{room}` is no room: import it from the room that defines it"),
            };
            let _ = writeln!(wrong, "src/{}:{line}: {why}\n    {code}", source.path.display());
        }
    }
    assert!(wrong.is_empty(), "imports against the order of the rooms:\n{wrong}");
    assert!(checked > 150, "only {checked} imports were found: does the test still read them?");
}

/// What a file's own test module hides from this test ends the file.
#[test]
fn test_modules_come_last() {
    for source in sources().iter().filter(|source| !is_test(&source.path)) {
        let Some((_, rest)) = source.text.split_once("#[cfg(test)]\nmod tests {") else { continue };
        let after = rest.split_once("\n}\n").map_or("", |(_, after)| after);
        assert!(after.trim().is_empty(), "src/{}: code after its tests", source.path.display());
    }
}

/// The picture of the rooms in the documentation has this order.
#[test]
fn the_documentation_draws_this_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["docs/design.md", "../CONTRIBUTING.md"] {
        let text = fs::read_to_string(root.join(file)).expect(file);
        let picture = text.split("```text").find(|block| block.contains("error → unwind"));
        let picture = picture.unwrap_or_else(|| panic!("{file} has no picture of the rooms"));
        let line = picture.lines().find(|line| line.contains("error → unwind")).expect("a line");
        let drawn: Vec<Vec<&str>> =
            line.split('→').map(|group| group.split('·').map(str::trim).collect()).collect();
        // These hang below `load`, `layers` and `live`.
        let hanging = ["lookup", "adapters", "rotate", "endpoints"];
        let below = |room: &&&str| !hanging.contains(*room);
        let rooms = ROOMS.iter().map(|group| group.iter().filter(below).copied().collect());
        let expected: Vec<Vec<&str>> =
            rooms.filter(|group: &Vec<&str>| !group.is_empty()).collect();
        assert_eq!(drawn, expected, "{file}");
        assert!(hanging.iter().all(|room| picture.contains(room)), "{file}");
    }
}

#[test]
fn every_room_on_the_list_exists() {
    let sources = sources();
    for room in ROOMS.iter().copied().flatten() {
        assert!(sources.iter().any(|source| source.room == *room), "there is no room `{room}`");
    }
}

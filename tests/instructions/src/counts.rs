//! The file of counts, and what is printed about it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::cases::{CASES, Case};
use crate::count::count;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt");
/// How far a count may be from the file's, in percent.
const TOLERANCE: f64 = 3.0;
/// The same for a lookup, which is a few hundred instructions: how many of them find an entry
/// depends on where a random hash puts it, and that moves them by 9 %.
const TOLERANCE_OF_LOOKUPS: f64 = 15.0;
/// The sizes that show how a case grows.
const SIZES: [usize; 3] = [100, 1_000, 3_000];
const ACCEPT: &str = "cargo run --release -p instructions -- accept";

type Key = (&'static str, usize);

/// Fails if a count has moved by more than the tolerance, whether up or down.
pub(crate) fn compare() -> Result<(), String> {
    let (known, made_by) = read()?;
    let counted = count_all(&kept())?;
    let mut moved = Vec::new();
    println("case                              size     expected        count   change");
    for ((name, size), now) in &counted {
        let Some(before) = known.get(&(name.to_string(), *size)) else {
            moved.push(format!("{name} of {size} is not in the file"));
            continue;
        };
        let change = (*now as f64 / *before as f64 - 1.0) * 100.0;
        println(&format!("{name:<32} {size:>5} {before:>12} {now:>12} {change:>+7.1}%"));
        // A count of a few dozen moves by one or two with the place of a branch.
        if change.abs() > tolerance(name) && now.abs_diff(*before) > 2 {
            moved.push(format!("{name} of {size}: {before} -> {now} ({change:+.1} %)"));
        }
    }
    let is_counted = |(name, size): &(String, usize)| {
        counted.keys().any(|(known, of)| name == known && size == of)
    };
    let gone = known.keys().filter(|key| !is_counted(key));
    moved.extend(gone.map(|(name, size)| format!("{name} of {size} is no longer counted")));
    if moved.is_empty() {
        return Ok(());
    }
    let (moved, here) = (moved.join("\n  "), tools());
    let tools = if made_by == here {
        String::new()
    } else {
        format!("\nThe file was made with {made_by}; this is {here}. That alone may move counts.")
    };
    Err(format!(
        "\ncounts moved by more than {TOLERANCE} % (lookups: {TOLERANCE_OF_LOOKUPS} %):\n  {moved}{tools}\n\
         If the change is meant to cost or save this much, accept it and say why in the commit:\n  {ACCEPT}"
    ))
}

/// Writes the file.
pub(crate) fn accept() -> Result<(), String> {
    let mut text = format!(
        "# Instructions of one repetition, by callgrind: case, secrets or keys, count.\n\
         # Written by `{ACCEPT}`; do not edit.\n# {}\n",
        tools()
    );
    for ((name, size), count) in count_all(&kept())? {
        text.push_str(&format!("{name} {size} {count}\n"));
    }
    print(&text);
    std::fs::write(FILE, text).map_err(|error| format!("cannot write {FILE}: {error}"))
}

/// Prints how the counts of the growing cases grow.
pub(crate) fn growth() -> Result<(), String> {
    let growing = CASES.iter().filter(|case| case.sizes.len() > 1);
    let wanted: Vec<_> = growing.flat_map(|case| SIZES.map(|size| (case, size))).collect();
    let counted = count_all(&wanted)?;
    println(
        "| thousand instructions of | 100 | 1,000 | 3,000 | ×, 100 to 1,000 | ×, 1,000 to 3,000 |",
    );
    println("| --- | ---: | ---: | ---: | ---: | ---: |");
    for case in CASES.iter().filter(|case| case.sizes.len() > 1) {
        let [small, middle, large] = SIZES.map(|size| counted[&(case.name, size)] as f64 / 1e3);
        println(&format!(
            "| `{}` | {small:.0} | {middle:.0} | {large:.0} | {:.1} | {:.1} |",
            case.name,
            middle / small,
            large / middle
        ));
    }
    Ok(())
}

fn tolerance(name: &str) -> f64 {
    if name.starts_with("lookup") { TOLERANCE_OF_LOOKUPS } else { TOLERANCE }
}

fn kept() -> Vec<(&'static Case, usize)> {
    CASES.iter().flat_map(|case| case.sizes.iter().map(move |size| (case, *size))).collect()
}

/// Counts on all processors: a count does not depend on what else runs.
fn count_all(wanted: &[(&'static Case, usize)]) -> Result<BTreeMap<Key, u64>, String> {
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(BTreeMap::new());
    let work = || -> Result<(), String> {
        while let Some((case, size)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = count(case, *size)?;
            counted.lock().expect("no panic").insert((case.name, *size), count);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })?;
    Ok(counted.into_inner().expect("no panic"))
}

type Known = BTreeMap<(String, usize), u64>;

/// The counts of the file, and what it was made with.
fn read() -> Result<(Known, String), String> {
    let text = std::fs::read_to_string(FILE)
        .map_err(|error| format!("cannot read {FILE} ({error}); make it with: {ACCEPT}"))?;
    let (mut known, mut made_by) = (Known::new(), String::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            comment.clone_into(&mut made_by);
            continue;
        }
        let fields: Vec<_> = line.split_whitespace().collect();
        let [name, size, count] = fields[..] else {
            return Err(format!("not a line of counts in {FILE}: {line}"));
        };
        let (Ok(size), Ok(count)) = (size.parse(), count.parse()) else {
            return Err(format!("not a line of counts in {FILE}: {line}"));
        };
        known.insert((name.to_owned(), size), count);
    }
    Ok((known, made_by))
}

/// What counts depend on beside the code: the compiler, valgrind, the C library, the architecture.
fn tools() -> String {
    let first_line = |program: &str, argument: &str| {
        let said = Command::new(program).arg(argument).output();
        let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
        said.unwrap_or_default().lines().next().unwrap_or("unknown").to_owned()
    };
    let libc = first_line("getconf", "GNU_LIBC_VERSION");
    let valgrind = first_line("valgrind", "--version");
    format!("{}, {valgrind}, {libc}, {}", env!("RUSTC_VERSION"), std::env::consts::ARCH)
}

fn println(line: &str) {
    print(&format!("{line}\n"));
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn print(text: &str) {
    print!("{text}");
}

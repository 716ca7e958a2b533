//! A service whose own memory is searched for values that were rotated away. `tests/memory.rs`
//! starts it beside the fake of AWS, which is in another process, because the fake keeps every
//! version.
//!
//! Each line on its input makes it refresh and search `/proc/self/mem`; it answers with one line of
//! counts. `KEEPS` in its environment chooses the allocator: `system`, `wiping`, which overwrites
//! each block that is freed, or `tracing`, which reports who frees a block with a value in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering, compiler_fence};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Layers, Live, SecretsManager};

/// What every value begins with, so disguised that the program does not find itself. The number of
/// the rotation follows, in five digits.
const DISGUISED: [u8; 16] = disguised(*b"c4n4ry-in-memory");
const DISGUISE: u8 = 0x5a;
const DIGITS: usize = 5;

const fn disguised(mut text: [u8; 16]) -> [u8; 16] {
    let mut at = 0;
    while at < text.len() {
        text[at] ^= DISGUISE;
        at += 1;
    }
    text
}

/// Where values begin in a block, with their rotation's number.
fn values(block: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let length = DISGUISED.len();
    block.windows(length + DIGITS).enumerate().filter_map(move |(at, window)| {
        let (found, digits) = window.split_at(length);
        let is_value = found.iter().zip(DISGUISED).all(|(byte, other)| byte ^ DISGUISE == other);
        let number = std::str::from_utf8(digits).ok().filter(|_| is_value)?;
        Some((at, number.parse().ok()?))
    })
}

/// The allocator of the system, and what is done to blocks that are freed.
struct Chosen(AtomicU8);

const SYSTEM: u8 = 0;
const WIPING: u8 = 1;
const TRACING: u8 = 2;

#[global_allocator]
static ALLOCATOR: Chosen = Chosen(AtomicU8::new(SYSTEM));

/// Who freed blocks with a value in them, and how many.
static FREED_BY: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

thread_local! {
    static IS_TRACING: Cell<bool> = const { Cell::new(false) };
}

fn trace(block: &[u8]) {
    if values(block).next().is_none() || IS_TRACING.replace(true) {
        return;
    }
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    *FREED_BY.lock().expect("no panic").entry(owner(&trace)).or_default() += 1;
    IS_TRACING.set(false);
}

/// The first function of a backtrace that is not of the allocator or of the standard library.
fn owner(trace: &str) -> String {
    let functions = trace.lines().filter_map(|line| line.trim().split_once(": "));
    let functions = functions.filter(|(number, _)| number.parse::<usize>().is_ok());
    let functions = functions.map(|(_, function)| function.trim_start_matches('<'));
    let is_of_others = |function: &&str| {
        let known = ["alloc::", "core::", "std::", "keeps::", "__rust", "bytes::", "[", "(", "&"];
        !known.iter().any(|start| function.starts_with(start))
    };
    let named: Vec<_> = functions.filter(is_of_others).take(1).collect();
    named.first().map_or("unknown", |name| name).to_owned()
}

// SAFETY: every call is passed on to the system's allocator. A block is written or read before it is
// freed, when its owner is done with it, and while `TRACING` blocks are allocated zeroed, so that
// what is read is initialised.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.0.load(Ordering::Relaxed) {
            // SAFETY: the caller's promises are passed on.
            TRACING => unsafe { System.alloc_zeroed(layout) },
            // SAFETY: as above.
            _ => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.0.load(Ordering::Relaxed) {
            WIPING => {
                // SAFETY: the block has this size, and is no longer in use.
                (0..layout.size()).for_each(|at| unsafe { block.add(at).write_volatile(0) });
                compiler_fence(Ordering::SeqCst);
            }
            // SAFETY: the block has this size and was initialised when it was allocated.
            TRACING => trace(unsafe { std::slice::from_raw_parts(block, layout.size()) }),
            _ => {}
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.0.load(Ordering::Relaxed) == SYSTEM {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that the size fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as in the provided method: another block, of which as much is copied as both have.
        unsafe {
            let to = self.alloc(new);
            if !to.is_null() {
                std::ptr::copy_nonoverlapping(block, to, layout.size().min(size));
                self.dealloc(block, layout);
            }
            to
        }
    }
}

#[derive(serde::Deserialize)]
struct Settings {
    token: SecretString,
    database: Database,
}

#[derive(serde::Deserialize)]
struct Database {
    password: SecretString,
}

/// What a copy of a value is in, by what is in front of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// The body of an answer.
    Answer,
    /// A whole secret, as the SDK returns it.
    Payload,
    /// A value by itself.
    Value,
}

fn kind(before: &[u8]) -> Found {
    match () {
        () if before.ends_with(br#"\""#) || before.ends_with(br#"String":""#) => Found::Answer,
        () if before.ends_with(br#"{"password":""#) => Found::Payload,
        () => Found::Value,
    }
}

/// How many copies of values of rotations before this one are in the memory of this process.
fn search(current: usize) -> BTreeMap<Found, usize> {
    const CONTEXT: usize = 16;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut memory = std::fs::File::open("/proc/self/mem").expect("Linux");
    let mut found = BTreeMap::new();
    // Written over by each read, and by the end of this function. Where it is itself is not searched.
    let mut buffer = vec![0_u8; 1 << 20];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let ends = range.split_once('-').expect("a range");
        let end = |text| u64::from_str_radix(text, 16).expect("an address");
        let (mut at, last) = (end(ends.0), end(ends.1));
        if !rights.starts_with("rw") {
            continue;
        }
        while at < last {
            if own.contains(&at) {
                at = own.end;
                continue;
            }
            let next = if at < own.start { last.min(own.start) } else { last };
            let length = usize::try_from(next - at).expect("fits").min(buffer.len());
            memory.seek(SeekFrom::Start(at)).expect("an address");
            // Parts of the stack and of the vsyscall page cannot be read.
            let Ok(read) = memory.read(&mut buffer[..length]) else { break };
            for (place, number) in values(&buffer[..read]).filter(|(_, number)| *number < current) {
                let before = &buffer[place.saturating_sub(CONTEXT)..place];
                let _ = number;
                *found.entry(kind(before)).or_default() += 1;
            }
            // A value over the border is found by what the next read repeats.
            let repeated = if read < length || at + read as u64 == next { 0 } else { 64 };
            at += (read - repeated.min(read)) as u64;
            if read == 0 {
                break;
            }
        }
    }
    buffer.fill(0);
    found
}

fn number(value: &SecretString) -> usize {
    values(value.expose_secret().as_bytes()).next().expect("a value").1
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let allocator = std::env::var("KEEPS").expect("KEEPS is set");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .endpoint_url(std::env::var("ENDPOINT").expect("ENDPOINT is set"))
        .load()
        .await;
    // To name the functions of a backtrace takes seconds.
    let long = Duration::from_secs(3600);
    let manager = SecretsManager::prefix("app").aws_config(&config).timeout(long);
    let builder = Live::<Settings>::builder(manager).refresh_every(24 * long);
    let builder = builder.layers(|secrets| Layers::new().secrets(secrets));
    let live = builder.start().await.expect("settings");
    ALLOCATOR.0.store(
        match allocator.as_str() {
            "system" => SYSTEM,
            "wiping" => WIPING,
            "tracing" => TRACING,
            other => panic!("KEEPS={other}"),
        },
        Ordering::SeqCst,
    );
    println!("ready");
    let mut lines = std::io::stdin().lock().lines();
    while let Some(Ok(_)) = lines.next() {
        let refreshed = live.refresh().await.expect("a refresh");
        let current = number(&live.load().token);
        assert!(refreshed.changed(), "nothing new beside {current}");
        assert_eq!(number(&live.load().database.password), current);
        let found = search(current);
        let of = |kind| found.get(&kind).copied().unwrap_or(0);
        println!("{} {} {}", of(Found::Answer), of(Found::Payload), of(Found::Value));
        std::io::stdout().flush().expect("a pipe");
    }
    IS_TRACING.set(true);
    for (owner, freed) in &*FREED_BY.lock().expect("no panic") {
        println!("freed {freed} {owner}");
    }
}

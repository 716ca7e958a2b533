//! The allocator of the system, and what is done to blocks that are freed:
//!
//! - `system`: nothing. What is found is what an attacker would find.
//! - `tracing`: they are overwritten, so that what is found is in use. Who allocated a block that has
//!   a value in it then is kept.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering, compiler_fence};

use crate::canary;

pub(crate) struct Chosen(AtomicU8);

const SYSTEM: u8 = 0;
const TRACING: u8 = 1;

#[global_allocator]
static ALLOCATOR: Chosen = Chosen(AtomicU8::new(SYSTEM));

/// A value's length at least: smaller blocks hold none.
const SMALLEST: usize = 16;

/// Who allocated the blocks that are in use, by their addresses, with their sizes; and who allocated
/// those that were freed with a value in them. Functions are named at the end only, which takes seconds.
static TRACED: Mutex<Traced> = Mutex::new(Traced { used: BTreeMap::new(), freed: Vec::new() });

struct Traced {
    used: BTreeMap<usize, (usize, Backtrace)>,
    freed: Vec<Backtrace>,
}

thread_local! {
    static IS_TRACING: Cell<bool> = const { Cell::new(false) };
}

/// Chooses by name, for blocks that are allocated and freed from now on.
pub(crate) fn choose(name: &str) {
    let chosen = match name {
        "system" => SYSTEM,
        "tracing" => TRACING,
        other => panic!("ALLOCATOR={other}"),
    };
    ALLOCATOR.0.store(chosen, Ordering::SeqCst);
}

/// Who has allocated the block that each of these addresses is in, and the blocks that were freed
/// with a value in them, if that was traced.
pub(crate) fn owners(held: &[usize]) -> (BTreeSet<String>, BTreeSet<String>) {
    ALLOCATOR.0.store(SYSTEM, Ordering::SeqCst);
    let traced = TRACED.lock().expect("no panic");
    let block_of = |address: &usize| {
        let (at, (size, trace)) = traced.used.range(..=address).next_back()?;
        (*at..at + size).contains(address).then_some(trace)
    };
    let held = held.iter().map(|address| block_of(address).map_or("unknown".to_owned(), owner));
    (held.collect(), traced.freed.iter().map(owner).collect())
}

fn traced(trace: impl FnOnce(&mut Traced)) {
    if !IS_TRACING.replace(true) {
        trace(&mut TRACED.lock().expect("no panic"));
        IS_TRACING.set(false);
    }
}

/// The first function of a backtrace that is not of an allocator or of the standard library.
fn owner(trace: &Backtrace) -> String {
    let trace = trace.to_string();
    let functions = trace.lines().filter_map(|line| line.trim().split_once(": "));
    let functions = functions.filter(|(number, _)| number.parse::<usize>().is_ok());
    let mut functions = functions.map(|(_, function)| function.trim_start_matches('<'));
    let is_named = |function: &&str| {
        let of_all = ["alloc::", "core::", "std::", "keeps::", "bytes::", "__rust", "[", "(", "&"];
        let is_of_all = of_all.iter().any(|start| function.starts_with(start));
        // Copies to a vector, `T as Into`, and what the compiler adds.
        let is_conversion = function.starts_with("T as ") || function.contains("::ConvertVec>");
        !is_of_all && !is_conversion && function.contains("::")
    };
    functions.find(is_named).unwrap_or("unknown").to_owned()
}

// SAFETY: every call is passed on to the system's allocator. A block is written or read before it is
// freed, when its owner is done with it; what is read was allocated zeroed.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.0.load(Ordering::Relaxed) {
            TRACING => {
                // SAFETY: the caller's promises are passed on.
                let block = unsafe { System.alloc_zeroed(layout) };
                if layout.size() >= SMALLEST {
                    traced(|traced| {
                        let trace = Backtrace::force_capture();
                        traced.used.insert(block.addr(), (layout.size(), trace));
                    });
                }
                block
            }
            // SAFETY: as above.
            _ => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.0.load(Ordering::Relaxed) == TRACING {
            traced(|traced| {
                let Some((_, trace)) = traced.used.remove(&block.addr()) else { return };
                // SAFETY: the block has this size and was initialised when it was allocated.
                let content = unsafe { std::slice::from_raw_parts(block, layout.size()) };
                if !canary::values(content).is_empty() {
                    traced.freed.push(trace);
                }
            });
            // SAFETY: the block has this size, and is no longer in use.
            unsafe { block.write_bytes(0, layout.size()) };
            compiler_fence(Ordering::SeqCst);
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

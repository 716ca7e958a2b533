//! Shows that the core wipes its own buffers: an allocator searches every block that is freed. It
//! also counts allocations, to show that a read makes none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

thread_local! {
    /// The number of blocks that this thread has allocated.
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, with a count of freed blocks that still hold the needle.
#[derive(Debug)]
pub struct Watching {
    needle: AtomicPtr<u8>,
    length: AtomicUsize,
    found: AtomicUsize,
}

impl Watching {
    /// An allocator without a needle.
    pub const fn new() -> Self {
        Self {
            needle: AtomicPtr::new(std::ptr::null_mut()),
            length: AtomicUsize::new(0),
            found: AtomicUsize::new(0),
        }
    }

    /// The number of blocks that were freed while `work` ran and still held `needle`.
    pub fn unwiped(&self, needle: &'static [u8], work: impl FnOnce()) -> usize {
        self.found.store(0, Ordering::SeqCst);
        self.length.store(needle.len(), Ordering::SeqCst);
        self.needle.store(needle.as_ptr().cast_mut(), Ordering::SeqCst);
        work();
        self.needle.store(std::ptr::null_mut(), Ordering::SeqCst);
        self.found.load(Ordering::SeqCst)
    }

    /// The number of blocks that this thread allocated while `work` ran.
    pub fn allocated(&self, work: impl FnOnce()) -> usize {
        let before = ALLOCATED.get();
        work();
        ALLOCATED.get() - before
    }

    fn look(&self, block: &[u8]) {
        let needle = self.needle.load(Ordering::SeqCst);
        if needle.is_null() {
            return;
        }
        // SAFETY: only `unwiped` sets it, from a `'static` slice of this length.
        let needle =
            unsafe { std::slice::from_raw_parts(needle, self.length.load(Ordering::SeqCst)) };
        if block.windows(needle.len()).any(|window| window == needle) {
            self.found.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Default for Watching {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call is passed on to the system's allocator. Blocks are allocated zeroed, so they
// are initialised when `dealloc` reads them.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has this layout, was initialised when it was allocated, and is no
        // longer in use.
        self.look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

//! Global allocator: memory from the process's `malloc`, aligned as Rust's types count on.
//!
//! The standard library takes for granted that `malloc` aligns to 16 bytes. Fluent Bit brings a
//! jemalloc of its own, built with a quantum of 8 bytes, and its executable exports it, so that it
//! is our `malloc` too: blocks of 24, 40 or 56 bytes may lie on any multiple of 8. Hash tables are
//! read with instructions that fault there. What needs 16 bytes is therefore asked for with more,
//! because the standard library then names the alignment in the call.
//!
//! On Unix the standard library's allocator is `malloc` and its kin, so that `free` takes each block.
//! Buffers of bytes are handed to the host on the strength of that.

use std::alloc::{GlobalAlloc, Layout, System};

/// What every `malloc` keeps.
const KEPT: usize = 8;
/// The least alignment for which the standard library does not rely on plain `malloc`.
const NAMED: usize = 32;

struct Aligned;

#[global_allocator]
static ALLOCATOR: Aligned = Aligned;

/// The layout to ask the system for.
fn named(layout: Layout) -> Layout {
    if layout.align() <= KEPT {
        return layout;
    }
    layout.align_to(NAMED).unwrap_or(layout)
}

// SAFETY: the system's allocator does the work; it always gets the same layout for the same block,
// and that one has the size that was asked for and at least the alignment.
unsafe impl GlobalAlloc for Aligned {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero, and the size stays.
        unsafe { System.alloc(named(layout)) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero, and the size stays.
        unsafe { System.alloc_zeroed(named(layout)) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from the system's allocator with this very layout.
        unsafe { System.dealloc(block, named(layout)) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block came from the system's allocator with this very layout, and the caller
        // promises a new size that is not zero.
        unsafe { System.realloc(block, named(layout), size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_malloc_may_not_keep_is_named() {
        for (size, align, asked) in [(1, 1, 1), (24, 8, 8), (56, 16, 32), (64, 64, 64)] {
            let layout = named(Layout::from_size_align(size, align).unwrap());
            assert_eq!((layout.size(), layout.align()), (size, asked));
        }
    }

    #[test]
    fn blocks_keep_their_content_when_they_grow() {
        let mut wide: Vec<u128> = Vec::new();
        for number in 0..1000 {
            wide.push(number);
            assert_eq!(wide.as_ptr().addr() % 16, 0);
        }
        assert!(wide.iter().copied().eq(0..1000));
    }
}

//! Releases clean pages: gives back the memory of what only the start needed.
//!
//! Loading, relocating and configuring touch most of this library's file once: its tables of
//! relocations, its parsers, its help texts. All of it stays resident in every pod although it is
//! never looked at again. So the parts of the mapping that cannot have been written to are dropped
//! once the pipeline runs; what runs on comes back from the system's cache at its next use.

use std::ffi::c_void;
use std::ops::Range;
use std::sync::Once;

use super::loaded_objects::{self, Object};

/// A place inside this library's mapping.
static INSIDE: u8 = 0;

/// Drops the clean pages of this library, once in the life of the process.
pub(super) fn once() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let Some(page) = page_size() else { return };
        for segment in unwritten() {
            drop_pages(&inner_pages(&segment, page));
        }
    });
}

fn page_size() -> Option<usize> {
    // SAFETY: the call only reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two())
}

/// The whole pages of a segment: those at its ends may belong to its neighbours too.
fn inner_pages(segment: &Range<usize>, page: usize) -> Range<usize> {
    let start = segment.start.checked_next_multiple_of(page).unwrap_or(segment.end);
    start..segment.end / page * page
}

fn drop_pages(pages: &Range<usize>) {
    if pages.is_empty() {
        return;
    }
    let at: *mut c_void = std::ptr::with_exposed_provenance_mut(pages.start);
    // SAFETY: the pages are a private mapping of a file that was not written to, so that dropping
    // them changes nothing but when they are read; a refusal leaves them as they are.
    unsafe { libc::madvise(at, pages.len(), libc::MADV_DONTNEED) };
}

/// The parts of this library that cannot have been written to.
fn unwritten() -> Vec<Range<usize>> {
    let inside = (&raw const INSIDE).addr();
    let own = loaded_objects::loaded().into_iter().find(|object| object.holds(inside));
    let constants = own.iter().flat_map(Object::constants);
    constants.map(|segment| segment.range.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pages_are_dropped() {
        assert_eq!(inner_pages(&(1..9000), 4096), 4096..8192);
        assert_eq!(inner_pages(&(4096..8192), 4096), 4096..8192);
        assert!(inner_pages(&(100..4000), 4096).is_empty());
    }

    #[test]
    fn code_and_constants_are_found_and_read_the_same_afterwards() {
        let code = (only_whole_pages_are_dropped as fn() as *const ()).addr();
        let segments = unwritten();
        assert!(segments.iter().any(|segment| segment.contains(&code)));
        let (once_more, text) = (once as fn(), "a constant that stays");
        once_more();
        once_more();
        assert_eq!(text.len(), 21);
        only_whole_pages_are_dropped();
    }
}

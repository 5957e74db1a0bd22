//! Gives back the memory of what only the start needed.
//!
//! Loading, relocating and configuring touch most of this library's file once: its tables of
//! relocations, its parsers, its help texts. All of it stays resident in every pod although it is
//! never looked at again. So the parts of the mapping that nobody can have written to are dropped
//! once the pipeline runs; what runs on comes back from the system's cache at its next use.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::Once;

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
    // SAFETY: the pages are a private mapping of a file that nobody wrote to, so that dropping them
    // changes nothing but when they are read; a refusal leaves them as they are.
    unsafe { libc::madvise(at, pages.len(), libc::MADV_DONTNEED) };
}

/// The segments of this library that are mapped without leave to write, and were never otherwise:
/// what the linker relocates is writable first.
fn unwritten() -> Vec<Range<usize>> {
    let mut segments: Vec<Range<usize>> = Vec::new();
    // SAFETY: the callback matches the expected type and gets the vector that it expects.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut segments).cast()) };
    segments
}

unsafe extern "C" fn note(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    segments: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { info.read() };
    // SAFETY: the pointer is the vector that `unwritten` passed, borrowed by nobody else.
    let Some(segments) = (unsafe { segments.cast::<Vec<Range<usize>>>().as_mut() }) else {
        return 1;
    };
    let base = usize::try_from(info.dlpi_addr).unwrap_or_default();
    let (mut found, mut ours) = (Vec::new(), false);
    for index in 0..usize::from(info.dlpi_phnum) {
        // SAFETY: the description holds that many headers.
        let header = unsafe { info.dlpi_phdr.add(index) };
        // SAFETY: as above.
        let header = unsafe { header.read() };
        let (Ok(at), Ok(length)) =
            (usize::try_from(header.p_vaddr), usize::try_from(header.p_memsz))
        else {
            continue;
        };
        if header.p_type != libc::PT_LOAD {
            continue;
        }
        let start = base.wrapping_add(at);
        let segment = start..start.saturating_add(length);
        ours |= segment.contains(&(&raw const INSIDE).addr());
        if header.p_flags & libc::PF_W == 0 {
            found.push(segment);
        }
    }
    if !ours {
        return 0;
    }
    *segments = found;
    1
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

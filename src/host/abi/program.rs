//! What the running process says about itself: its program's constants and its symbols' sizes.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use memchr::memmem;

use super::super::lend;
use super::super::objects::{self, Object, Segment};
use super::super::symbols;
use super::row::Release;

/// What stands before the quoted release in the constant that every release's NATS output sends.
const BEFORE_RELEASE: &[u8] = br#""lang":"c","version":"#;
/// More digits and dots than any release has.
const LONGEST_RELEASE: usize = 24;
/// `RTLD_DL_SYMENT` of glibc.
const SYMBOL_ENTRY: c_int = 1;

/// The stretches of the program that cannot change.
fn constant_segments() -> Vec<Segment> {
    let program = objects::loaded().into_iter().next();
    let mut segments: Vec<Segment> = program.iter().flat_map(Object::constants).cloned().collect();
    // Constants are in the segments without code, if the linker made such.
    segments.sort_by_key(Segment::is_executable);
    segments
}

/// The release text that `constants` hold, as `4.2.8`.
fn release_in(constants: &[u8]) -> Option<String> {
    memmem::find_iter(constants, BEFORE_RELEASE).find_map(|found| {
        let text = constants.get(found.checked_add(BEFORE_RELEASE.len())?..)?;
        let text = text.strip_prefix(b"\"")?;
        let text = text.get(..LONGEST_RELEASE.min(text.len()))?;
        let end = memchr::memchr(b'"', text)?;
        let text = std::str::from_utf8(text.get(..end)?).ok()?;
        Release::parse(text).map(|_| text.to_owned())
    })
}

/// The release that the running program names in its constants.
pub(super) fn release() -> Option<String> {
    constant_segments().into_iter().find_map(|segment| {
        let at = ptr::with_exposed_provenance(segment.range.start);
        // SAFETY: the linker mapped the segment readable, and the program is never unmapped.
        let constants = unsafe { lend::bytes(at, segment.range.len()) };
        release_in(constants)
    })
}

/// How many bytes the symbol `name` has, as its symbol table says.
pub(super) fn size_of_symbol(name: &CStr) -> Option<usize> {
    let at = symbols::address(name)?;
    // SAFETY: all bytes zero is a value of this plain structure.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let mut entry: *mut c_void = ptr::null_mut();
    // SAFETY: both results are ours to write to; the flag asks for the symbol's entry.
    let known = unsafe { libc::dladdr1(at, &raw mut info, &raw mut entry, SYMBOL_ENTRY) };
    if known == 0 || entry.is_null() {
        return None;
    }
    // SAFETY: the linker returned the entry of a symbol table that stays loaded.
    let symbol = unsafe { entry.cast::<libc::Elf64_Sym>().read_unaligned() };
    usize::try_from(symbol.st_size).ok().filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_constants() {
        // Put together here, or this test's own program would look like a host.
        let constants = |rest: &[u8]| [b"x", BEFORE_RELEASE, b"}", BEFORE_RELEASE, rest].concat();
        let (release, quote) = (Release::new(4, 2, 8).to_string(), "\"");
        let found =
            release_in(constants(&[quote, &release, quote, ",1"].concat().into_bytes()).as_slice());
        assert_eq!(found, Some(release));
        assert_eq!(release_in(&constants(b"\"4.2")), None);
        assert_eq!(release_in(&constants(b"\"four\"")), None);
        assert_eq!(release_in(b""), None);
    }

    #[test]
    fn the_program_has_constants() {
        assert!(constant_segments().iter().any(|segment| !segment.range.is_empty()));
    }
}

//! What the running process says about itself: its program's constants and its symbols' sizes.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use memchr::memmem;

use super::super::lend;
use super::super::symbols;
use super::row::Release;

/// What stands before the quoted release in the constant that every release's NATS output sends.
const BEFORE_RELEASE: &[u8] = br#""lang":"c","version":"#;
/// More digits and dots than any release has.
const LONGEST_RELEASE: usize = 24;
/// `RTLD_DL_SYMENT` of glibc.
const SYMBOL_ENTRY: c_int = 1;

/// A stretch of the program that cannot change.
#[derive(Debug, Clone, Copy)]
struct Segment {
    at: *const c_void,
    length: usize,
    executable: bool,
}

/// Notes the constant segments of the first object, which is the program, and stops.
unsafe extern "C" fn note_program(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    segments: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { info.read() };
    // SAFETY: the pointer is the vector that `constant_segments` passed, borrowed by nobody else.
    let Some(segments) = (unsafe { segments.cast::<Vec<Segment>>().as_mut() }) else { return 1 };
    for index in 0..usize::from(info.dlpi_phnum) {
        // SAFETY: the description holds that many headers.
        let header = unsafe { info.dlpi_phdr.add(index) };
        // SAFETY: as above.
        let header = unsafe { header.read() };
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let (Ok(base), Ok(at), Ok(length)) = (
            usize::try_from(info.dlpi_addr),
            usize::try_from(header.p_vaddr),
            usize::try_from(header.p_memsz),
        ) else {
            continue;
        };
        segments.push(Segment {
            at: ptr::with_exposed_provenance(base.wrapping_add(at)),
            length,
            executable: header.p_flags & libc::PF_X != 0,
        });
    }
    1
}

fn constant_segments() -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    // SAFETY: the callback matches the expected type and gets the vector that it expects.
    unsafe { libc::dl_iterate_phdr(Some(note_program), (&raw mut segments).cast()) };
    // Constants are in the segments without code, if the linker made such.
    segments.sort_by_key(|segment| segment.executable);
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
        // SAFETY: the linker mapped the segment readable, and the program is never unmapped.
        let constants = unsafe { lend::bytes(segment.at, segment.length) };
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
        assert!(constant_segments().iter().any(|segment| segment.length > 0));
    }
}

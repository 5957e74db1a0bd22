//! Loaded objects: the program and its libraries, as the dynamic linker describes it.

use std::ffi::{CString, c_int, c_void};
use std::ops::Range;

use super::lend;

/// A part of an object that the linker knows of.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// What it is: `PT_LOAD` and its likes.
    pub(super) kind: u32,
    /// `PF_R`, `PF_W` and `PF_X`.
    flags: u32,
    /// The addresses that it takes.
    pub(super) range: Range<usize>,
}

impl Segment {
    /// Whether it has code.
    pub(super) const fn is_executable(&self) -> bool {
        self.flags & libc::PF_X != 0
    }
}

/// The program or a library.
#[derive(Debug)]
pub(super) struct Object {
    /// The file; empty for the program.
    pub(super) name: CString,
    pub(super) segments: Vec<Segment>,
}

impl Object {
    /// Whether an address lies in it.
    pub(super) fn holds(&self, address: usize) -> bool {
        self.mapped().any(|segment| segment.range.contains(&address))
    }

    /// The segments that are mapped without leave to write, and were never otherwise: what the
    /// linker relocates is writable first.
    pub(super) fn constants(&self) -> impl Iterator<Item = &Segment> {
        self.mapped().filter(|segment| segment.flags & libc::PF_W == 0)
    }

    fn mapped(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.kind == libc::PT_LOAD)
    }
}

/// All objects in the order in which they were loaded; the first is the program.
pub(super) fn loaded() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: the callback matches the expected type and gets the vector that it expects.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut objects).cast()) };
    objects
}

unsafe extern "C" fn note(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    objects: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description for the length of this call.
    let info = unsafe { info.read() };
    // SAFETY: the pointer is the vector that `loaded` passed, not borrowed otherwise.
    let Some(objects) = (unsafe { objects.cast::<Vec<Object>>().as_mut() }) else { return 1 };
    // SAFETY: names end with a zero and stay as long as their objects.
    let name = unsafe { lend::c_bytes(info.dlpi_name.cast()) }.to_vec();
    let base = usize::try_from(info.dlpi_addr).unwrap_or_default();
    let mut segments = Vec::with_capacity(usize::from(info.dlpi_phnum));
    for index in 0..usize::from(info.dlpi_phnum) {
        // SAFETY: the description holds that many headers.
        let header = unsafe { info.dlpi_phdr.add(index) };
        // SAFETY: as above.
        let header = unsafe { header.read() };
        if let (Ok(at), Ok(length)) =
            (usize::try_from(header.p_vaddr), usize::try_from(header.p_memsz))
        {
            let start = base.wrapping_add(at);
            let range = start..start.saturating_add(length);
            segments.push(Segment { kind: header.p_type, flags: header.p_flags, range });
        }
    }
    objects.push(Object { name: CString::new(name).unwrap_or_default(), segments });
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_comes_first_and_holds_its_code() {
        let objects = loaded();
        let code = (the_program_comes_first_and_holds_its_code as fn() as *const ()).addr();
        assert!(objects[0].holds(code));
        assert!(objects[1..].iter().all(|object| !object.holds(code)));
        assert!(objects[0].constants().any(|segment| segment.range.contains(&code)));
        assert!(objects[0].constants().any(|segment| segment.is_executable()));
    }
}

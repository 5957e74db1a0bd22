//! Duplicate load detection: the same library, loaded twice.
//!
//! One file under several names is one mapping. But installers copy files, and each copy is a
//! mapping of its own, with its own hubs and its own threads. So a second copy hands out the
//! descriptors of the first, and all plugins work in one place. A copy of another build is
//! refused: two builds would share neither state nor structures.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use super::host_struct::HostPointer;
use super::lend;
use super::loaded_objects::{self, Object};

/// The type of a note that holds the linker's identifier of a build (`NT_GNU_BUILD_ID`).
const BUILD_ID: u32 = 3;
/// Who that type belongs to.
const OWNER: &[u8] = b"GNU\0";
/// The symbol by which mappings of this library know each other.
const MARKER: &CStr = c"fluent_bit_ai_suite";

/// Marks this library among all that a process has loaded.
#[unsafe(export_name = "fluent_bit_ai_suite")]
static SUITE: u32 = 1;

/// An earlier mapping of the same build.
#[derive(Debug)]
pub(super) struct First {
    handle: HostPointer,
}

impl First {
    /// The descriptor that the earlier mapping exports as `symbol`.
    pub(super) fn descriptor(&self, symbol: &str) -> Option<*mut c_void> {
        let symbol = lend::c_string(symbol);
        // SAFETY: the handle was opened and is never closed; the name ends with a zero.
        let found = unsafe { libc::dlsym(self.handle.0, symbol.as_ptr()) };
        (!found.is_null()).then_some(found)
    }
}

/// What else of us is loaded.
#[derive(Debug)]
pub(super) enum Copies {
    /// Nothing.
    None,
    /// The same build, earlier.
    Same(First),
    /// Another build; how to say that to a user.
    Different(String),
}

/// What else of us was loaded before this mapping.
pub(super) fn look() -> &'static Copies {
    static COPIES: OnceLock<Copies> = OnceLock::new();
    COPIES.get_or_init(find)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_ne_bytes(bytes.try_into().ok()?)).ok()
}

/// The identifier of the build among an object's notes.
fn build_in(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (owner_length, length) = (word(notes, 0)?, word(notes, 4)?);
        let is_build = word(notes, 8)? == usize::try_from(BUILD_ID).ok()?;
        let owner_end = 12_usize.checked_add(owner_length)?;
        let start = owner_end.checked_next_multiple_of(4)?;
        let end = start.checked_add(length)?;
        if is_build && notes.get(12..owner_end)? == OWNER {
            return notes.get(start..end).map(<[u8]>::to_vec);
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

/// The build of an object, which must stay loaded meanwhile.
fn build_of(object: &Object) -> Option<Vec<u8>> {
    let notes = object.segments.iter().filter(|segment| segment.kind == libc::PT_NOTE);
    notes.map(|segment| &segment.range).find_map(|range| {
        let at = std::ptr::with_exposed_provenance(range.start);
        // SAFETY: the linker mapped the notes readable.
        build_in(unsafe { lend::bytes(at, range.len()) })
    })
}

fn hex(build: Option<&Vec<u8>>) -> String {
    build.map_or_else(
        || "without an identifier".to_owned(),
        |build| crate::model::hex(build.get(..8).unwrap_or(build)),
    )
}

/// Looks through the objects that were loaded before this one.
fn find() -> Copies {
    let objects = loaded_objects::loaded();
    let marker = (&raw const SUITE).addr();
    let Some(own) = objects.iter().find(|object| object.holds(marker)) else {
        return Copies::None;
    };
    for object in objects.iter().take_while(|object| !object.holds(marker)) {
        if object.name.is_empty() {
            continue;
        }
        // The handle keeps it loaded.
        let Some(handle) = open_loaded(&object.name) else { continue };
        let (build, own_build) = (build_of(object), build_of(own));
        if build.is_some() && build == own_build {
            return Copies::Same(First { handle });
        }
        return Copies::Different(format!(
            "two different builds of fluent-bit-ai are loaded: {} ({}) and {} ({}); install the \
             files of one build",
            object.name.to_string_lossy(),
            hex(build.as_ref()),
            own.name.to_string_lossy(),
            hex(own_build.as_ref()),
        ));
    }
    Copies::None
}

/// A handle of a loaded object, if it is one of ours.
fn open_loaded(name: &CStr) -> Option<HostPointer> {
    // SAFETY: the name ends with a zero; nothing is loaded that is not loaded already.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle is open; the name ends with a zero.
    let marker = unsafe { libc::dlsym(handle, MARKER.as_ptr()) };
    if marker.is_null() || marker.addr() == (&raw const SUITE).addr() {
        // SAFETY: opened above and not used again.
        unsafe { libc::dlclose(handle) };
        return None;
    }
    Some(HostPointer(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        note.extend(u32::try_from(owner.len()).unwrap().to_ne_bytes());
        note.extend(u32::try_from(content.len()).unwrap().to_ne_bytes());
        note.extend(kind.to_ne_bytes());
        note.extend(owner);
        note.resize(note.len().next_multiple_of(4), 0);
        note.extend(content);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    #[test]
    fn the_build_is_found_among_notes() {
        let mut notes = note(b"GNU\0", 1, b"version");
        notes.extend(note(b"stapsdt\0", 3, b"probe"));
        notes.extend(note(OWNER, BUILD_ID, &[1, 2, 3, 4, 5]));
        assert_eq!(build_in(&notes), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(build_in(&notes[..20]), None);
        assert_eq!(build_in(&[0xff; 12]), None);
    }

    #[test]
    fn alone_in_a_process_there_is_no_copy() {
        assert!(matches!(look(), Copies::None));
        let (objects, marker) = (loaded_objects::loaded(), (&raw const SUITE).addr());
        assert_eq!(objects.iter().filter(|object| object.holds(marker)).count(), 1);
    }
}

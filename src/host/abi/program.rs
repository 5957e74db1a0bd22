//! What the running process says about itself: its program's constants and its symbols' sizes.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use memchr::memmem;

use super::super::lend;
use super::super::loaded_objects::{self, Object, Segment};
use super::super::symbols;
use super::row::Release;

/// What stands before the quoted release in the constant that every release's NATS output sends.
const BEFORE_RELEASE: &[u8] = br#""lang":"c","version":"#;
/// More digits and dots than any release has.
const MAX_RELEASE_LENGTH: usize = 24;
/// Digits and dots of the shortest release.
const MINIMUM_RELEASE: usize = 5;
/// `RTLD_DL_SYMENT` of glibc.
const SYMBOL_ENTRY: c_int = 1;

/// The stretches of the program that cannot change.
fn constant_segments() -> Vec<Segment> {
    let program = loaded_objects::loaded().into_iter().next();
    let mut segments: Vec<Segment> = program.iter().flat_map(Object::constants).cloned().collect();
    // Constants are in the segments without code, if the linker made such.
    segments.sort_by_key(Segment::is_executable);
    segments
}

/// The release text that `constants` hold, as `4.2.8`.
pub(in crate::host) fn release_in(constants: &[u8]) -> Option<String> {
    memmem::find_iter(constants, BEFORE_RELEASE).find_map(|found| {
        let text = constants.get(found.checked_add(BEFORE_RELEASE.len())?..)?;
        let text = text.strip_prefix(b"\"")?;
        let text = text.get(..MAX_RELEASE_LENGTH.min(text.len()))?;
        let end = memchr::memchr(b'"', text)?;
        let text = std::str::from_utf8(text.get(..end)?).ok()?;
        Release::parse(text).map(|_| text.to_owned())
    })
}

/// Texts in `constants` that are a release and nothing else, as the host's welcome prints it.
fn texts_in(constants: &[u8]) -> Vec<String> {
    let ends = memchr::memchr_iter(0, constants);
    let mut start = 0;
    let mut found = Vec::new();
    for end in ends {
        let text = constants.get(start..end).unwrap_or_default();
        start = end.saturating_add(1);
        if !(MINIMUM_RELEASE..=MAX_RELEASE_LENGTH).contains(&text.len())
            || !text.first().is_some_and(u8::is_ascii_digit)
        {
            continue;
        }
        if let Ok(text) = std::str::from_utf8(text)
            && Release::parse(text).is_some()
            && !found.iter().any(|known| known == text)
        {
            found.push(text.to_owned());
        }
    }
    found
}

/// The release that the running program names in its constants: in the words of its NATS output, or
/// where it was built without that, as the one release among its texts that is nearest to it otherwise.
pub(super) fn release(distance: impl Fn(Release) -> Option<u8>) -> Option<String> {
    let constants: Vec<&[u8]> = constant_segments()
        .into_iter()
        .map(|segment| {
            let at = ptr::with_exposed_provenance(segment.range.start);
            // SAFETY: the linker mapped the segment readable, and the program is never unmapped.
            unsafe { lend::bytes(at, segment.range.len()) }
        })
        .collect();
    if let Some(release) = constants.iter().find_map(|constants| release_in(constants)) {
        return Some(release);
    }
    nearest(constants.iter().flat_map(|all| texts_in(all)), distance)
}

/// The one text that is nearer than all others.
fn nearest(
    texts: impl Iterator<Item = String>,
    distance: impl Fn(Release) -> Option<u8>,
) -> Option<String> {
    let far = |text: String| Some((distance(Release::parse(&text)?)?, text));
    let mut texts: Vec<(u8, String)> = texts.filter_map(far).collect();
    texts.sort_unstable();
    texts.dedup();
    match texts.as_slice() {
        [(_, nearest)] => Some(nearest.clone()),
        [(distance, nearest), (next, _), ..] if distance < next => Some(nearest.clone()),
        _ => None,
    }
}

/// Where the running program's code is.
pub(in crate::host) fn code() -> Vec<std::ops::Range<usize>> {
    constant_segments()
        .into_iter()
        .filter(Segment::is_executable)
        .map(|segment| segment.range)
        .collect()
}

/// How many bytes the symbol `name` has, as its symbol table says.
pub(in crate::host) fn size_of_symbol(name: &CStr) -> Option<usize> {
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
    fn releases_that_stand_alone_are_found() {
        let texts = ["x", "4.2.8", "v4.2.9", "8.0.0", " 1.2.3", "4.2.8", "4.2", "a4.0.1", "5.1.1"];
        assert_eq!(texts_in(texts.join("\0").as_bytes()), ["4.2.8", "8.0.0"]);
    }

    #[test]
    fn the_nearest_release_is_taken_and_no_other() {
        let nearest = |texts: &[&str]| {
            let distance = |release: Release| match release.major {
                5 => Some(0),
                6.. => Some(1),
                _ => None,
            };
            nearest(texts.iter().map(|text| (*text).to_owned()), distance)
        };
        assert_eq!(nearest(&["8.0.0", "5.1.1", "3.0.7", "5.1.1"]).as_deref(), Some("5.1.1"));
        assert_eq!(nearest(&["6.0.0", "1.2.3"]).as_deref(), Some("6.0.0"));
        assert_eq!(nearest(&["5.1.1", "5.1.2"]), None);
        assert_eq!(nearest(&["3.0.7"]), None);
    }

    #[test]
    fn the_program_has_constants() {
        assert!(constant_segments().iter().any(|segment| !segment.range.is_empty()));
    }
}

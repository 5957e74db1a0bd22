//! Reads of memory that may not be mapped.
//!
//! What a wrong row takes for a pointer may be any number. So the kernel reads for us and says
//! whether there was anything: `process_vm_readv` on this process, or where a container forbids that
//! `/proc/self/mem`. Where neither is allowed nothing can be proved.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Reads never cross a border of this many bytes, beyond which memory may not be mapped.
const PAGE: usize = 4096;
/// Longer texts are not ours to prove.
const MAX_TEXT: usize = 512;

/// How this process may look at its own memory.
#[derive(Debug)]
enum Way {
    /// `process_vm_readv`.
    Call,
    /// `/proc/self/mem`.
    File(File),
}

/// This process's memory, read so that nothing can go wrong.
#[derive(Debug)]
pub(in crate::host) struct ProcessMemory(Way);

impl ProcessMemory {
    /// `None` where the kernel lets this process not look at itself.
    pub(in crate::host) fn own() -> Option<Self> {
        let known = 0x5eed_1e55_usize;
        let ways = [Some(Way::Call), File::open("/proc/self/mem").ok().map(Way::File)];
        let works =
            |memory: &Self| memory.word((&raw const known).expose_provenance()) == Some(known);
        ways.into_iter().flatten().map(Self).find(works)
    }

    /// Fills `into` from `at` on; `false` unless all of it was there.
    fn fill(&self, at: usize, into: &mut [u8]) -> bool {
        match &self.0 {
            Way::Call => {
                let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
                let remote = libc::iovec {
                    iov_base: std::ptr::with_exposed_provenance_mut::<c_void>(at),
                    iov_len: into.len(),
                };
                // SAFETY: takes nothing.
                let own = unsafe { libc::getpid() };
                // SAFETY: the kernel writes to `into` alone, and reads what it finds mapped.
                let read = unsafe {
                    libc::process_vm_readv(own, &raw const local, 1, &raw const remote, 1, 0)
                };
                usize::try_from(read) == Ok(into.len())
            }
            Way::File(file) => {
                u64::try_from(at).is_ok_and(|at| file.read_exact_at(into, at).is_ok())
            }
        }
    }

    /// What is mapped from `at` on, `max_bytes` of it at most.
    pub(in crate::host) fn window(&self, at: usize, max_bytes: usize) -> Vec<u8> {
        let mut found = Vec::new();
        while let Some(from) = at.checked_add(found.len()).filter(|_| found.len() < max_bytes) {
            let to_border = PAGE.saturating_sub(from.checked_rem(PAGE).unwrap_or(0));
            let before = found.len();
            found.resize(before.saturating_add(to_border.min(max_bytes.saturating_sub(before))), 0);
            let Some(into) = found.get_mut(before..) else { break };
            if !self.fill(from, into) {
                found.truncate(before);
                break;
            }
        }
        found
    }

    /// The `length` bytes at `at`, if all of them are there.
    pub(in crate::host) fn bytes(&self, at: usize, length: usize) -> Option<Vec<u8>> {
        Some(self.window(at, length)).filter(|bytes| bytes.len() == length)
    }

    /// The pointer or size at `at`.
    pub(in crate::host) fn word(&self, at: usize) -> Option<usize> {
        let mut bytes = [0; size_of::<usize>()];
        self.fill(at, &mut bytes).then(|| usize::from_ne_bytes(bytes))
    }

    /// The `int` at `at`.
    pub(in crate::host) fn int(&self, at: usize) -> Option<c_int> {
        let mut bytes = [0; size_of::<c_int>()];
        self.fill(at, &mut bytes).then(|| c_int::from_ne_bytes(bytes))
    }

    /// The text that starts at `at` and ends with a zero.
    pub(in crate::host) fn text(&self, at: usize) -> Option<String> {
        if at < PAGE {
            return None;
        }
        let mut bytes = self.window(at, 64);
        if memchr::memchr(0, &bytes).is_none() {
            bytes = self.window(at, MAX_TEXT);
        }
        bytes.truncate(memchr::memchr(0, &bytes)?);
        String::from_utf8(bytes).ok()
    }

    /// Whether the text at `at` is this one.
    pub(in crate::host) fn says(&self, at: usize, text: &[u8]) -> bool {
        at >= PAGE
            && self
                .bytes(at, text.len().saturating_add(1))
                .is_some_and(|found| found.strip_suffix(&[0]) == Some(text))
    }
}

/// The pointer at `offset` of bytes that were read.
pub(super) fn word_in(bytes: &[u8], offset: usize) -> Option<usize> {
    let end = offset.checked_add(size_of::<usize>())?;
    Some(usize::from_ne_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// The `int` at `offset` of bytes that were read.
pub(super) fn int_in(bytes: &[u8], offset: usize) -> Option<c_int> {
    let end = offset.checked_add(size_of::<c_int>())?;
    Some(c_int::from_ne_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// Whether one of the words that were read is this one.
pub(super) fn holds_word(bytes: &[u8], word: usize) -> bool {
    bytes.chunks_exact(size_of::<usize>()).any(|chunk| chunk == word.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the call, which emulators do not pass on.
    mod by_call {
        use super::{ProcessMemory, Way};

        const BY_CALL: ProcessMemory = ProcessMemory(Way::Call);

        #[test]
        fn what_is_mapped_is_read_and_nothing_else() {
            super::what_is_mapped_is_read_and_nothing_else(&BY_CALL);
        }

        #[test]
        fn a_window_ends_where_the_mapping_does() {
            super::a_window_ends_where_the_mapping_does(&BY_CALL);
        }

        #[test]
        fn texts_are_compared_to_their_end() {
            super::texts_are_compared_to_their_end(&BY_CALL);
        }
    }

    mod by_file {
        use super::{File, ProcessMemory, Way};

        fn by_file() -> ProcessMemory {
            ProcessMemory(Way::File(File::open("/proc/self/mem").unwrap()))
        }

        #[test]
        fn what_is_mapped_is_read_and_nothing_else() {
            super::what_is_mapped_is_read_and_nothing_else(&by_file());
        }

        #[test]
        fn a_window_ends_where_the_mapping_does() {
            super::a_window_ends_where_the_mapping_does(&by_file());
        }

        #[test]
        fn texts_are_compared_to_their_end() {
            super::texts_are_compared_to_their_end(&by_file());
        }
    }

    fn what_is_mapped_is_read_and_nothing_else(memory: &ProcessMemory) {
        let numbers = [3_usize, 5, 7];
        let at = numbers.as_ptr().expose_provenance();
        assert_eq!(memory.word(at + 8), Some(5));
        assert_eq!(memory.int(at), Some(3));
        assert_eq!(word_in(&memory.bytes(at, 24).unwrap(), 16), Some(7));
        for nowhere in [0, 8, 4097, usize::MAX - 3, 1 << 47] {
            assert_eq!(memory.word(nowhere), None);
            assert_eq!(memory.text(nowhere), None);
            assert_eq!(memory.window(nowhere, 100), b"");
        }
    }

    fn a_window_ends_where_the_mapping_does(memory: &ProcessMemory) {
        let (all, one) = (PAGE * 2, PAGE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: asks for new memory.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), all, libc::PROT_READ, flags, -1, 0) };
        // SAFETY: gives back half of it, which is not used.
        assert_eq!(unsafe { libc::munmap(at.wrapping_byte_add(one), one) }, 0);
        let pages = at.expose_provenance();
        assert_eq!(memory.window(pages + PAGE - 10, 50).len(), 10);
        assert_eq!(memory.bytes(pages + PAGE - 10, 11), None);
    }

    fn texts_are_compared_to_their_end(memory: &ProcessMemory) {
        let text = c"tag.of.it";
        let at = text.as_ptr().expose_provenance();
        assert!(memory.says(at, b"tag.of.it"));
        assert!(!memory.says(at, b"tag.of"));
        assert_eq!(memory.text(at).as_deref(), Some("tag.of.it"));
    }
}

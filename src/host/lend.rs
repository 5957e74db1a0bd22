//! Borrowing across C: what the host lends for one callback, and what it gets to keep.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::ManuallyDrop;

/// The bytes that the host lends; a null pointer or a length that cannot be true is empty.
///
/// # Safety
/// `at` is null or points to `length` bytes that do not change for `'cb`, which must end
/// before the host's callback does.
#[expect(clippy::disallowed_methods, reason = "the one home of from_raw_parts")]
pub(super) unsafe fn bytes<'cb>(at: *const c_void, length: usize) -> &'cb [u8] {
    if at.is_null() || length == 0 || isize::try_from(length).is_err() {
        return &[];
    }
    // SAFETY: the pointer is not null, the length is possible, and the caller vouches for both.
    unsafe { std::slice::from_raw_parts(at.cast(), length) }
}

/// The bytes of a C string, without its end; empty for null.
///
/// # Safety
/// `at` is null or points to bytes that end with a zero and that do not change for `'cb`.
#[expect(clippy::disallowed_methods, reason = "the one home of CStr::from_ptr")]
pub(super) unsafe fn c_bytes<'cb>(at: *const c_void) -> &'cb [u8] {
    if at.is_null() {
        return &[];
    }
    // SAFETY: the pointer is not null and the caller vouches for the zero at the end.
    unsafe { CStr::from_ptr(at.cast::<c_char>()) }.to_bytes()
}

/// A C string as text of our own; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// As [`c_bytes`], for the length of this call.
pub(super) unsafe fn text(at: *const c_void) -> Option<String> {
    if at.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the string.
    let bytes = unsafe { c_bytes(at) };
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// The memory of `bytes`, without a copy; null if there are none. It is the process's `malloc`'s, as
/// [`super::allocator`] has all of ours from there. OWNERSHIP: the host frees it.
pub(super) fn give(bytes: Vec<u8>) -> *mut c_void {
    if bytes.is_empty() {
        return std::ptr::null_mut();
    }
    ManuallyDrop::new(bytes).as_mut_ptr().cast()
}

/// Frees memory that the host allocated and that its contract makes ours to free.
///
/// # Safety
/// `memory` is null or came from `malloc`, and is not used again.
pub(super) unsafe fn free(memory: *mut c_void) {
    // SAFETY: the caller vouches for it.
    unsafe { libc::free(memory) };
}

/// `text` as a C string; zeros inside, which C cannot express, are left out.
pub(super) fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    CString::new(bytes).unwrap_or_default()
}

/// `text` as a C string that lives as long as the process, as descriptors do.
pub(super) fn eternal(text: &str) -> *mut c_void {
    let text: &'static CStr = Box::leak(c_string(text).into_boxed_c_str());
    text.as_ptr().cast_mut().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_empty() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { bytes(std::ptr::null(), 7) }, b"");
        // SAFETY: null is allowed.
        assert_eq!(unsafe { text(std::ptr::null()) }, None);
    }

    #[test]
    fn what_is_given_can_be_freed_in_c() {
        let memory = give(b"abc".to_vec());
        // SAFETY: three bytes were given, and nothing changes them.
        assert_eq!(unsafe { bytes(memory, 3) }, b"abc");
        // SAFETY: what is given came from malloc, and nothing refers to it any more.
        unsafe { free(memory) };
        assert!(give(Vec::with_capacity(7)).is_null());
    }

    #[test]
    fn zeros_are_left_out_of_c_strings() {
        assert_eq!(c_string("a\0b").as_bytes(), b"ab");
    }
}

//! Bounded accessor of host structures, which are read and written field by field.
//!
//! No reference to a host structure is ever made: its fields move from release to release, and
//! the host may change them. A [`HostStruct`] is a pointer that knows how far it may reach.

use std::ffi::{c_int, c_void};

/// Types that any bytes are a value of.
pub(super) trait Plain: Copy {
    /// What a field reads as that does not exist.
    const ABSENT: Self;
}

impl Plain for c_int {
    const ABSENT: Self = 0;
}

impl Plain for u16 {
    const ABSENT: Self = 0;
}

impl Plain for usize {
    const ABSENT: Self = 0;
}

impl Plain for *mut c_void {
    const ABSENT: Self = std::ptr::null_mut();
}

/// A host structure: where it is and how long it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostStruct {
    at: *mut u8,
    size: usize,
}

impl HostStruct {
    /// Looks at the structure of `size` bytes at `at`. A null pointer makes an empty view.
    ///
    /// # Safety
    /// `at` is null or points to at least `size` bytes that stay readable and writable for as long
    /// as the view or a copy of it is used, and that no Rust reference points into.
    pub(super) unsafe fn new(at: *mut c_void, size: usize) -> Self {
        let size = if at.is_null() { 0 } else { size };
        Self { at: at.cast(), size }
    }

    /// The pointer itself, for handing back to the host.
    pub(super) fn pointer(self) -> *mut c_void {
        self.at.cast()
    }

    fn holds<T>(self, offset: usize) -> bool {
        offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.size)
    }

    /// The field at `offset`; [`Plain::ABSENT`] beyond the structure's end.
    pub(super) fn get<T: Plain>(self, offset: usize) -> T {
        if !self.holds::<T>(offset) {
            return T::ABSENT;
        }
        // SAFETY: the field lies inside the structure, which the maker of the view vouched for.
        let field = unsafe { self.at.add(offset) };
        // SAFETY: the bytes are readable, and any bytes are a value of a plain type.
        unsafe { field.cast::<T>().read_unaligned() }
    }

    /// Sets the field at `offset`; nothing happens beyond the structure's end.
    pub(super) fn set<T: Plain>(self, offset: usize, value: T) {
        if !self.holds::<T>(offset) {
            return;
        }
        // SAFETY: the field lies inside the structure, which the maker of the view vouched for.
        let field = unsafe { self.at.add(offset) };
        // SAFETY: the bytes are writable and nothing of ours refers to them.
        unsafe { field.cast::<T>().write_unaligned(value) };
    }

    /// The address of the field at `offset`; null beyond the structure's end.
    pub(super) fn field(self, offset: usize) -> *mut c_void {
        if offset >= self.size {
            return std::ptr::null_mut();
        }
        self.at.wrapping_add(offset).cast()
    }

    /// Looks at the structure of `size` bytes that the pointer at `offset` points to.
    ///
    /// # Safety
    /// The pointer is null or points to a live host structure of that size, as [`HostStruct::new`] says.
    pub(super) unsafe fn follow(self, offset: usize, size: usize) -> Self {
        // SAFETY: the caller vouches for what the pointer points to.
        unsafe { Self::new(self.get(offset), size) }
    }
}

/// A host pointer that is only handed back to the host, so that it may cross threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostPointer(pub(super) *mut c_void);

// SAFETY: the pointer is never dereferenced through this type; the host's functions that get it
// back are called only on threads on which the host allows it.
unsafe impl Send for HostPointer {}
// SAFETY: as above; the value itself is immutable.
unsafe impl Sync for HostPointer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_beyond_the_end_do_not_exist() {
        let mut memory = [0_u8; 16];
        // SAFETY: the memory outlives the view and is not used otherwise meanwhile.
        let view = unsafe { HostStruct::new((&raw mut memory).cast(), 16) };
        view.set::<c_int>(12, 7);
        view.set::<c_int>(13, 9);
        assert_eq!(view.get::<c_int>(12), 7);
        assert_eq!(view.get::<c_int>(13), 0);
        assert_eq!(view.get::<usize>(usize::MAX), 0);
        assert!(view.field(16).is_null());
        // SAFETY: a null pointer is allowed.
        let nothing = unsafe { HostStruct::new(std::ptr::null_mut(), 100) };
        assert_eq!(nothing.get::<usize>(0), 0);
    }
}

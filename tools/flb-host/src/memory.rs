//! Host memory as plugins see it: blocks laid out by a row, the host's strings and lists.
//!
//! Plugins are believed as a real host believes them: an address that a plugin hands over is read
//! for as many bytes as the plugin says.

use std::ffi::c_void;
use std::ptr;

use crate::report;

/// An address that crosses the border to a plugin, in either direction.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Addr(pub(crate) usize);

/// A value that may lie at any address and of which any bytes are valid.
pub(crate) trait Plain: Copy + Default {}

impl Plain for i32 {}
impl Plain for u16 {}
impl Plain for u64 {}
impl Plain for usize {}
impl Plain for f64 {}
impl Plain for Addr {}

impl Addr {
    /// No address.
    pub(crate) const NULL: Self = Self(0);

    /// The address of what Rust owns and keeps where it is.
    pub(crate) fn of<T>(pointer: *const T) -> Self {
        Self(pointer.expose_provenance())
    }

    /// Whether it is no address.
    pub(crate) const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// As a pointer for a foreign function.
    pub(crate) fn pointer<T>(self) -> *mut T {
        ptr::with_exposed_provenance_mut(self.0)
    }

    /// The address `bytes` further.
    pub(crate) const fn plus(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// What lies there; the default at no address.
    pub(crate) fn read<T: Plain>(self) -> T {
        if self.is_null() {
            return T::default();
        }
        // SAFETY: the address comes from a block of ours or from a plugin, which vouches for it as
        // it does towards a real host; any bytes are a valid `T`.
        unsafe { ptr::read_unaligned(self.pointer::<T>()) }
    }

    /// Puts a value there; nothing happens at no address.
    pub(crate) fn write<T: Plain>(self, value: T) {
        if self.is_null() {
            return;
        }
        // SAFETY: as for `read`, and plugins hand over only addresses that may be written.
        unsafe { ptr::write_unaligned(self.pointer::<T>(), value) }
    }

    /// A copy of `length` bytes.
    pub(crate) fn bytes(self, length: usize) -> Vec<u8> {
        let mut copy = vec![0; length];
        if !self.is_null() {
            // SAFETY: the plugin vouches for `length` bytes at the address, and the copy has room
            // for them.
            unsafe { ptr::copy_nonoverlapping(self.pointer::<u8>(), copy.as_mut_ptr(), length) };
        }
        copy
    }

    /// A copy of the text that ends with a zero byte.
    pub(crate) fn text(self) -> Option<String> {
        if self.is_null() {
            return None;
        }
        // SAFETY: the plugin vouches for a zero byte at the end of the text.
        let length = unsafe { libc::strlen(self.pointer()) };
        Some(String::from_utf8_lossy(&self.bytes(length)).into_owned())
    }
}

/// A zeroed block of `malloc`'s memory, freed when dropped.
#[derive(Debug)]
pub(crate) struct Block {
    start: Addr,
    size: usize,
}

impl Block {
    /// A block of `size` zero bytes.
    pub(crate) fn zeroed(size: usize) -> Self {
        // SAFETY: calloc has no precondition.
        let start: *mut c_void = unsafe { libc::calloc(1, size.max(1)) };
        if start.is_null() {
            report::problem("out of memory");
            return Self { start: Addr::NULL, size: 0 };
        }
        Self { start: Addr::of(start), size }
    }

    /// A block with a copy of `size` bytes at `from`.
    pub(crate) fn copy_of(from: Addr, size: usize) -> Self {
        let block = Self::zeroed(size);
        block.put_bytes(0, &from.bytes(size));
        block
    }

    /// Where it starts.
    pub(crate) const fn addr(&self) -> Addr {
        self.start
    }

    fn spot(&self, at: usize, length: usize) -> Addr {
        if at.checked_add(length).is_some_and(|end| end <= self.size) {
            return self.start.plus(at);
        }
        report::problem(&format!("offset {at} lies outside of a structure of {} bytes", self.size));
        Addr::NULL
    }

    /// Puts a value at an offset.
    pub(crate) fn put<T: Plain>(&self, at: usize, value: T) {
        self.spot(at, size_of::<T>()).write(value);
    }

    /// The value at an offset.
    pub(crate) fn get<T: Plain>(&self, at: usize) -> T {
        self.spot(at, size_of::<T>()).read()
    }

    /// Puts bytes at an offset.
    pub(crate) fn put_bytes(&self, at: usize, bytes: &[u8]) {
        let spot = self.spot(at, bytes.len());
        if !spot.is_null() {
            // SAFETY: `spot` has checked that the block has room for the bytes there.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), spot.pointer::<u8>(), bytes.len()) };
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        free(self.start);
    }
}

/// Gives memory that came from `malloc` back.
pub(crate) fn free(start: Addr) {
    // SAFETY: callers pass what malloc returned, once, or null.
    unsafe { libc::free(start.pointer()) };
}

const SDS_HEADER: usize = 16;

/// The host's string type: a length and a capacity in front of text that ends with a zero byte.
#[derive(Debug)]
pub(crate) struct Sds(Block);

impl Sds {
    /// A copy of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let block = Block::zeroed(SDS_HEADER + bytes.len() + 1);
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        block.put(0, length);
        block.put(8, length);
        block.put_bytes(SDS_HEADER, bytes);
        Self(block)
    }

    /// Where the text starts.
    pub(crate) const fn addr(&self) -> Addr {
        self.0.addr().plus(SDS_HEADER)
    }
}

/// Writes the links of a circular list: `prev` at the link's address, `next` eight bytes further.
pub(crate) fn link(head: Addr, nodes: &[Addr]) {
    let mut before = head;
    for node in nodes {
        before.plus(8).write(*node);
        node.write(before);
        before = *node;
    }
    before.plus(8).write(head);
    head.write(before);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_refuses_what_lies_outside() {
        let block = Block::zeroed(16);
        block.put(8, 7_u64);
        assert_eq!(block.get::<u64>(8), 7);
        let before = report::problems();
        block.put(12, 7_u64);
        assert!(report::problems() > before);
        assert_eq!(block.get::<i32>(12), 0);
    }

    #[test]
    fn strings_have_their_length_in_front() {
        let text = Sds::new(b"tag");
        assert_eq!(Addr(text.addr().0 - 16).read::<u64>(), 3);
        assert_eq!(text.addr().text().as_deref(), Some("tag"));
    }

    #[test]
    fn a_list_is_circular_both_ways() {
        let blocks: Vec<Block> = (0..3).map(|_| Block::zeroed(16)).collect();
        let nodes: Vec<Addr> = blocks[1..].iter().map(Block::addr).collect();
        link(blocks[0].addr(), &nodes);
        let forward: Addr = blocks[2].get(8);
        assert_eq!(forward, blocks[0].addr());
        let back: Addr = blocks[0].get(0);
        assert_eq!(back, blocks[2].addr());
        link(blocks[0].addr(), &[]);
        assert_eq!(blocks[0].get::<Addr>(8), blocks[0].addr());
    }
}

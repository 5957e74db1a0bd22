//! Memory that a made-up host consists of.

use std::ffi::CString;

/// What memory holds where nothing was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Zeros,
    Ones,
    Noise,
}

/// Blocks of memory, which go with it.
#[derive(Debug)]
pub(super) struct Blocks {
    rest: Rest,
    blocks: Vec<Vec<u128>>,
    texts: Vec<Vec<u64>>,
}

/// Writes where a block is.
pub(super) fn poke(at: usize, bytes: &[u8]) {
    let to: *mut u8 = std::ptr::with_exposed_provenance_mut(at);
    // SAFETY: tests write into blocks and images that are longer, and that nobody else uses.
    unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
}

pub(super) fn put(at: usize, word: usize) {
    poke(at, &word.to_ne_bytes());
}

pub(super) fn put_int(at: usize, int: i32) {
    poke(at, &int.to_ne_bytes());
}

pub(super) fn peek(at: usize) -> usize {
    let from: *const usize = std::ptr::with_exposed_provenance(at);
    // SAFETY: tests read from blocks and images that are longer.
    unsafe { from.read_unaligned() }
}

impl Blocks {
    pub(super) fn new(rest: Rest) -> Self {
        Self { rest, blocks: Vec::new(), texts: Vec::new() }
    }

    /// A block of at least `size` bytes, aligned as allocators do.
    pub(super) fn block(&mut self, size: usize) -> usize {
        let mut state = 0x9e37_79b9_7f4a_7c15_u128 + self.blocks.len() as u128;
        let mut word = || match self.rest {
            Rest::Zeros => 0,
            Rest::Ones => 1 << 96 | 1 << 64 | 1 << 32 | 1,
            Rest::Noise => {
                state =
                    state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
                state
            }
        };
        let mut block: Vec<u128> = (0..size.div_ceil(16) + 8).map(|_| word()).collect();
        let at = block.as_mut_ptr().expose_provenance();
        self.blocks.push(block);
        at
    }

    /// A text of the host's, with its length in front.
    pub(super) fn text(&mut self, text: &str) -> usize {
        let content = CString::new(text).unwrap();
        let mut words = vec![0_u64; 3 + text.len() / 8];
        let at = words.as_mut_ptr().expose_provenance();
        self.texts.push(words);
        put(at, text.len());
        poke(at + 16, content.as_bytes_with_nul());
        at + 16
    }
}

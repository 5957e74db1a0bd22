//! Copy on write: a chunk on its way through a filter is copied only from where it changes.

/// Collects what goes on of a chunk. As long as nothing was changed nothing is copied, and what goes
/// on as it is is copied in one piece.
#[derive(Debug)]
pub struct ChunkRewriter<'a> {
    chunk: &'a [u8],
    /// Where what goes on as it is begins, of what was not copied yet, and where it ends.
    from: usize,
    to: usize,
    expected: usize,
    changed: Option<Vec<u8>>,
}

impl<'a> ChunkRewriter<'a> {
    /// Nothing has gone on yet.
    #[must_use]
    pub const fn new(chunk: &'a [u8]) -> Self {
        Self::with_capacity(chunk, 0)
    }

    /// The same, for a chunk that becomes about `expected` bytes long if it changes at all.
    #[must_use]
    pub const fn with_capacity(chunk: &'a [u8], expected: usize) -> Self {
        Self { chunk, from: 0, to: 0, expected, changed: None }
    }

    /// The next bytes of the chunk go on as they are.
    #[inline]
    pub const fn keep(&mut self, raw: &[u8]) {
        self.to += raw.len();
    }

    /// The next bytes of the chunk do not go on. What does in their place may be appended to the
    /// buffer that this gives.
    pub fn replace(&mut self, raw: &[u8]) -> &mut Vec<u8> {
        self.insert();
        self.to += raw.len();
        self.from = self.to;
        self.insert()
    }

    /// The buffer to which what goes on between here and the next bytes of the chunk may be appended.
    pub fn insert(&mut self) -> &mut Vec<u8> {
        let unchanged = self.chunk.get(self.from..self.to).unwrap_or_default();
        self.from = self.to;
        let out = self.changed.get_or_insert_with(|| Vec::with_capacity(self.expected));
        out.extend_from_slice(unchanged);
        out
    }

    /// What goes on in the chunk's place; `None` if it is the chunk itself.
    #[must_use]
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if self.changed.is_some() {
            self.insert();
        }
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_copied() {
        let mut rewriter = ChunkRewriter::new(b"abcd");
        rewriter.keep(b"ab");
        rewriter.keep(b"cd");
        assert_eq!(rewriter.finish(), None);
        let mut rewriter = ChunkRewriter::new(b"abcde");
        rewriter.keep(b"a");
        rewriter.replace(b"b");
        rewriter.keep(b"c");
        rewriter.replace(b"d").extend_from_slice(b"D");
        rewriter.insert().push(b'+');
        rewriter.keep(b"e");
        rewriter.insert().push(b'!');
        assert_eq!(rewriter.finish(), Some(b"acD+e!".to_vec()));
        let mut rewriter = ChunkRewriter::new(b"a");
        rewriter.replace(b"a");
        assert_eq!(rewriter.finish(), Some(Vec::new()));
    }
}

//! Copy on write: a chunk on its way through a filter is copied only from where it changes.

/// Collects what goes on of a chunk. As long as nothing was changed nothing is copied.
#[derive(Debug)]
pub struct ChunkRewriter<'a> {
    chunk: &'a [u8],
    clean: usize,
    changed: Option<Vec<u8>>,
}

impl<'a> ChunkRewriter<'a> {
    /// Nothing has gone on yet.
    #[must_use]
    pub const fn new(chunk: &'a [u8]) -> Self {
        Self { chunk, clean: 0, changed: None }
    }

    /// The next bytes of the chunk go on as they are.
    pub fn keep(&mut self, raw: &[u8]) {
        match &mut self.changed {
            Some(out) => out.extend_from_slice(raw),
            None => self.clean += raw.len(),
        }
    }

    /// The next bytes of the chunk do not go on. What does in their place may be appended to the
    /// buffer that this gives.
    pub fn change(&mut self) -> &mut Vec<u8> {
        let unchanged = self.chunk.get(..self.clean).unwrap_or(self.chunk);
        self.changed.get_or_insert_with(|| unchanged.to_vec())
    }

    /// What goes on in the chunk's place; `None` if it is the chunk itself.
    #[must_use]
    pub fn finish(self) -> Option<Vec<u8>> {
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_copied() {
        let mut passing = ChunkRewriter::new(b"abcd");
        passing.keep(b"ab");
        passing.keep(b"cd");
        assert_eq!(passing.finish(), None);
        let mut passing = ChunkRewriter::new(b"abcd");
        passing.keep(b"a");
        passing.change();
        passing.keep(b"c");
        passing.change().extend_from_slice(b"D");
        assert_eq!(passing.finish(), Some(b"acD".to_vec()));
        let mut passing = ChunkRewriter::new(b"a");
        passing.change();
        assert_eq!(passing.finish(), Some(Vec::new()));
    }
}

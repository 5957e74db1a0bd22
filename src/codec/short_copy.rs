//! Block copy of short texts, without calling a function for each.
//!
//! Telemetry is full of texts of ten or twenty bytes. Copying one of unknown length takes a call that
//! costs more than the copy. Where the input goes on behind the text, a block of fixed size is copied
//! and what is too much is cut off again.

/// The block that is copied at once.
const BLOCK: usize = 32;

/// The highest bits of the bytes of a text in a block, by its length.
#[expect(clippy::indexing_slicing, reason = "a wrong index in a constant does not compile")]
const MASKS: [[u64; BLOCK / 8]; BLOCK + 1] = {
    let mut masks = [[0; BLOCK / 8]; BLOCK + 1];
    let mut length = 1;
    while length <= BLOCK {
        masks[length] = masks[length - 1];
        masks[length][(length - 1) / 8] |= 0x80 << (8 * ((length - 1) % 8));
        length += 1;
    }
    masks
};

/// Text at the start of a longer input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortText<'a> {
    from: &'a [u8],
    length: usize,
}

impl<'a> ShortText<'a> {
    /// The first `length` bytes of `from`, if it has so many, and what follows them.
    #[inline(always)]
    pub(crate) fn new(from: &'a [u8], length: usize) -> Option<(Self, &'a [u8])> {
        let after = from.get(length..)?;
        Some((Self { from, length }, after))
    }

    /// Its length.
    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// The text alone.
    #[inline(always)]
    pub(crate) fn text(&self) -> &'a [u8] {
        self.from.get(..self.length).unwrap_or_default()
    }

    /// Whether it is UTF-8.
    #[inline(always)]
    pub(crate) fn is_utf8(&self) -> bool {
        // Most text is ASCII, which is quicker to see.
        self.is_ascii() || std::str::from_utf8(self.text()).is_ok()
    }

    #[inline(always)]
    fn is_ascii(&self) -> bool {
        let (Some(block), Some(masks)) = (self.from.first_chunk::<BLOCK>(), MASKS.get(self.length))
        else {
            return self.text().is_ascii();
        };
        let (words, _) = block.as_chunks::<8>();
        let pairs = words.iter().zip(masks);
        pairs.fold(0, |high, (word, mask)| high | (u64::from_le_bytes(*word) & mask)) == 0
    }

    /// Appends the text.
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self.from.first_chunk::<BLOCK>() {
            Some(block) if self.length <= BLOCK => {
                let end = out.len() + self.length;
                out.extend_from_slice(block);
                out.truncate(end);
            }
            _ => out.extend_from_slice(self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_the_text_whatever_follows() {
        let input: Vec<u8> = (0..100).collect();
        for length in 0..=input.len() {
            for end in [length, length + 1, length + 31, length + 32, 100] {
                let from = &input[..end.min(100)];
                let (ahead, after) = ShortText::new(from, length).unwrap();
                let mut out = vec![7];
                ahead.write(&mut out);
                assert_eq!(out[1..], input[..length]);
                assert_eq!((ahead.len(), after), (length, &from[length..]));
            }
        }
        assert!(ShortText::new(&input, 101).is_none());
    }

    #[test]
    fn only_the_text_has_to_be_utf8() {
        assert!(ShortText::new(b"ab\xff", 2).unwrap().0.is_utf8());
        assert!(!ShortText::new(b"ab\xff", 3).unwrap().0.is_utf8());
        assert!(ShortText::new("é".as_bytes(), 2).unwrap().0.is_utf8());
        assert!(!ShortText::new("é".as_bytes(), 1).unwrap().0.is_utf8());
        for index in 0..40 {
            let mut input = [b'a'; 80];
            input[index] = 0xff;
            for length in 0..40 {
                let (ahead, _) = ShortText::new(&input, length).unwrap();
                assert_eq!(ahead.is_utf8(), length <= index, "{index} {length}");
            }
        }
    }
}

//! Memory of ours that stands for an instance while the host's own functions set options in it.

use std::ffi::c_void;

/// Words of an image: more bytes than the instances of any release have, and as many behind.
const WORDS: usize = 1024;
const WORD: usize = size_of::<usize>();

/// What an image is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Nulls, in which a text that appears is seen.
    Zeros,
    /// Ones, in which a number that appears is seen.
    Ones,
    /// Each word is its own address, so that each may be the head of an empty list.
    Selves,
}

/// An instance that the host did not make.
#[derive(Debug)]
pub(in crate::host) struct Image {
    words: Vec<usize>,
    before: Vec<usize>,
}

impl Image {
    /// An image with `words` at the offsets that they come with, and empty lists at `lists`.
    pub(super) fn new(fill: Fill, words: &[(usize, usize)], lists: &[usize]) -> Self {
        let content = if fill == Fill::Ones { usize::MAX } else { 0 };
        let mut image = Self { words: vec![content; WORDS], before: Vec::new() };
        if fill == Fill::Selves {
            for index in 0..WORDS {
                image.point_to_itself(index);
            }
        }
        for list in lists {
            let index = list.checked_div(WORD).unwrap_or(WORDS);
            let head = image.address_of(index);
            image.put(index, head);
            image.put(index.saturating_add(1), head);
        }
        for (offset, word) in words {
            image.put(offset.checked_div(WORD).unwrap_or(WORDS), *word);
        }
        image.before.clone_from(&image.words);
        image
    }

    fn put(&mut self, index: usize, word: usize) {
        if let Some(slot) = self.words.get_mut(index) {
            *slot = word;
        }
    }

    fn point_to_itself(&mut self, index: usize) {
        let itself = self.address_of(index);
        self.put(index, itself);
    }

    fn address_of(&self, index: usize) -> usize {
        self.address().saturating_add(index.saturating_mul(WORD))
    }

    /// Where it is.
    pub(super) fn address(&self) -> usize {
        self.words.as_ptr().expose_provenance()
    }

    /// Where it is, for the host to write to.
    pub(super) fn pointer(&mut self) -> *mut c_void {
        let at = self.words.as_mut_ptr();
        let _exposed = at.expose_provenance();
        at.cast()
    }

    /// The word at `offset`.
    pub(super) fn word(&self, offset: usize) -> Option<usize> {
        self.words.get(offset.checked_div(WORD)?).copied()
    }

    /// The offsets and contents of the words that the host has changed.
    pub(super) fn changed_words(&self) -> Vec<(usize, usize)> {
        self.words
            .iter()
            .zip(&self.before)
            .enumerate()
            .filter(|(_, (now, before))| now != before)
            .map(|(index, (now, _))| (index.saturating_mul(WORD), *now))
            .collect()
    }

    /// The offsets of the bytes that the host has changed.
    pub(super) fn changed_bytes(&self) -> Vec<usize> {
        let mut all = Vec::new();
        for (offset, now) in self.changed_words() {
            let before = self.before.get(offset.checked_div(WORD).unwrap_or(WORDS));
            let before = before.copied().unwrap_or_default().to_ne_bytes();
            let differs = now.to_ne_bytes().into_iter().zip(before).map(|(now, then)| now != then);
            let changed = (offset..).zip(differs).filter(|(_, differs)| *differs);
            all.extend(changed.map(|(at, _)| at));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_seen() {
        let mut image = Image::new(Fill::Ones, &[(16, 99)], &[32]);
        assert_eq!((image.word(16), image.word(8)), (Some(99), Some(usize::MAX)));
        assert_eq!((image.word(32), image.word(40)), (Some(image.address() + 32), image.word(32)));
        let at = image.pointer().wrapping_byte_add(12).cast::<i32>();
        // SAFETY: the image is much longer.
        unsafe { at.write(7) };
        assert_eq!(image.changed_bytes(), [12, 13, 14, 15]);
        assert_eq!(image.changed_words().len(), 1);
    }
}

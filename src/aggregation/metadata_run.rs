//! Metadata run: spans that follow each other with the same metadata.

use crate::findings::CallOrigin;

/// What is common to the spans that follow each other with the same metadata.
pub(super) struct MetadataRun<'a> {
    pub(super) group: Option<usize>,
    pub(super) ours: bool,
    pub(super) origin: CallOrigin<'a>,
    pub(super) further: Vec<&'a [u8]>,
}

impl<'a> MetadataRun<'a> {
    /// Adds what the resource says of further dimensions.
    #[inline]
    pub(super) fn complete(&self, further: &mut [&'a [u8]]) {
        for (value, resource) in further.iter_mut().zip(&self.further) {
            if value.is_empty() {
                *value = resource;
            }
        }
    }
}

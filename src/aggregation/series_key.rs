//! Series keys: the encoded attributes of a series, from what an item says.

use super::attribute::Attribute;
use super::measured::MeasuredSpan;
use super::semconv::SemconvVersion;
use crate::codec::msgpack::{str, text_of};

/// What tells model calls apart, beside the further dimensions.
pub(super) const OF_CALLS: &[Attribute] = &[
    Attribute::Operation,
    Attribute::Provider,
    Attribute::RequestModel,
    Attribute::ResponseModel,
    Attribute::Address,
    Attribute::Port,
];

/// How long the text of a dimension may be, in bytes. Backends take as much as a label, Mimir 2048 bytes and releases of
/// Fluent Bit before 5.0 1024, and what is longer is no name of anything.
const LONGEST_TEXT: usize = 1024;

/// The keys of the dimensions, encoded.
#[derive(Debug)]
pub(super) struct SeriesKeys {
    /// In the order of [`Attribute::ALL`].
    attributes: Vec<Vec<u8>>,
    further: Vec<Vec<u8>>,
}

impl SeriesKeys {
    pub(super) fn new(further: &[String], semconv: SemconvVersion) -> Self {
        let encode = |key: &str| {
            let mut out = Vec::new();
            str(&mut out, key);
            out
        };
        Self {
            attributes: Attribute::ALL.map(|attribute| encode(semconv.key(attribute))).to_vec(),
            further: further.iter().map(|key| encode(key)).collect(),
        }
    }

    /// The attributes of an item's series, encoded, and their number.
    pub(super) fn of(
        &self,
        measured: &MeasuredSpan<'_, '_>,
        dimensions: impl IntoIterator<Item = Attribute>,
    ) -> (Vec<u8>, u32) {
        let own = dimensions.into_iter().filter_map(|attribute| {
            let key = self.attributes.get(attribute.index())?;
            Some((key.as_slice(), measured.dimension(attribute)))
        });
        let further = self.further.iter().map(Vec::as_slice).zip(measured.further.iter().copied());
        let (mut encoded, mut pairs) = (Vec::new(), 0);
        for (key, value) in own.chain(further) {
            if !value.is_empty() {
                encoded.extend_from_slice(key);
                push_value(&mut encoded, value);
                pairs += 1;
            }
        }
        (encoded, pairs)
    }
}

/// Appends the encoded value of a dimension, of a text at most [`LONGEST_TEXT`].
fn push_value(out: &mut Vec<u8>, encoded: &[u8]) {
    match text_of(encoded).filter(|text| text.len() > LONGEST_TEXT) {
        Some(text) => {
            str(out, text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or_default())
        }
        None => out.extend_from_slice(encoded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_all_else_is_left_as_it_is() {
        let mut short = Vec::new();
        str(&mut short, &"x".repeat(LONGEST_TEXT));
        for value in [&short[..], b"\x07", b"\xc3"] {
            let mut out = Vec::new();
            push_value(&mut out, value);
            assert_eq!(out, value);
        }
        let (mut long, mut out) = (Vec::new(), Vec::new());
        str(&mut long, &format!("x{}", "é".repeat(LONGEST_TEXT)));
        push_value(&mut out, &long);
        assert_eq!(text_of(&out), Some(&*format!("x{}", "é".repeat(LONGEST_TEXT / 2 - 1))));
    }
}

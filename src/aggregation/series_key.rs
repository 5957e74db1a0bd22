//! Series keys: the encoded attributes of a series, from what an item says.

use super::attribute::Attribute;
use super::measured::MeasuredSpan;
use super::semconv::SemconvVersion;
use crate::codec::msgpack::str;

/// What tells model calls apart, beside the further dimensions.
pub(super) const OF_CALLS: &[Attribute] = &[
    Attribute::Operation,
    Attribute::Provider,
    Attribute::RequestModel,
    Attribute::ResponseModel,
    Attribute::Address,
    Attribute::Port,
];

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
                encoded.extend_from_slice(value);
                pairs += 1;
            }
        }
        (encoded, pairs)
    }
}

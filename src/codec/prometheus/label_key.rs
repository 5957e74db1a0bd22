//! Label hash: numbers that stand for labels and for series.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

/// Stands for a text.
pub(super) fn of_text(text: &[u8]) -> u128 {
    xxh3_128(text)
}

/// Stands for a label. Sums of such numbers do not depend on the order of the labels.
pub(super) fn of((name, value): &(Cow<'_, str>, Cow<'_, str>)) -> u128 {
    let mut whole = Vec::with_capacity(name.len().saturating_add(value.len()).saturating_add(1));
    whole.extend_from_slice(name.as_bytes());
    // No part of UTF-8.
    whole.push(0xff);
    whole.extend_from_slice(value.as_bytes());
    xxh3_128(&whole)
}

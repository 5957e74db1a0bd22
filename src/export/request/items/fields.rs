//! Field iterator: the fields of an encoded message, one after the other.

use crate::codec::wire::{WireError, WireFields, WireValue};

/// Calls `found` with the number, the content (for messages and text) and the whole of each field.
pub(super) fn each<'a>(
    message: &'a [u8],
    mut found: impl FnMut(u32, Option<&'a [u8]>, &'a [u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        let content = match field.value {
            WireValue::Bytes(bytes) => Some(bytes),
            _ => None,
        };
        found(field.number, content, field.raw)?;
    }
    Ok(())
}

//! Message rewriting: an encoded message with some of the messages inside written anew.

use super::{NestedMessage, WireError, WireFields, WireValue};

/// How a message inside is written, by the number of its field; `None` leaves it as it is.
type InnerMessage<'f> = dyn FnMut(u32, &[u8], &mut Vec<u8>) -> Option<Result<(), WireError>> + 'f;

/// Writes a message's fields, those that `inner` takes as it writes them.
///
/// # Errors
/// The message is broken, or what `inner` says.
pub fn nested(
    out: &mut Vec<u8>,
    message: &[u8],
    inner: &mut InnerMessage<'_>,
) -> Result<(), WireError> {
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        if let WireValue::Bytes(bytes) = field.value {
            let start = out.len();
            let open = NestedMessage::open(out, field.number, bytes.len());
            match inner(field.number, bytes, out) {
                Some(written) => {
                    written?;
                    open.close(out);
                    continue;
                }
                None => out.truncate(start),
            }
        }
        out.extend_from_slice(field.raw);
    }
    Ok(())
}

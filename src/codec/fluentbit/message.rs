//! Table-driven converter: maps with a known set of keys to protobuf messages.

use super::tally::{AtField, ReadFault, ReadPosition, ReadProblem, ReadTally};
use super::{fields, values};
use crate::codec::msgpack::MapView;
use crate::codec::otlp::OtlpMessage;
use crate::codec::wire;

/// One key, and the field that it becomes.
#[derive(Debug)]
pub(super) struct KeyRow {
    pub(super) key: &'static str,
    pub(super) number: u32,
    pub(super) kind: KeyType,
}

/// What a field's value is.
#[derive(Debug)]
pub(super) enum KeyType {
    /// Hex text or bytes, to bytes.
    Id,
    Text,
    /// Nanoseconds since the Unix epoch, to `fixed64`.
    Time,
    /// `uint32`.
    Count,
    /// An enum; a negative number, which stands for "not known", is zero.
    Enum,
    /// A member of a `oneof`, so it is written even when it is zero.
    Double,
    /// The same, of type `sfixed64`.
    Fixed,
    Attributes,
    /// A message, left out when it is empty.
    One(&'static [KeyRow]),
    /// Messages. One that cannot be read is skipped and counted.
    Many(&'static [KeyRow]),
}

/// A key that is the name of a field in OTLP, too.
pub(super) const fn field(message: OtlpMessage, key: &'static str, kind: KeyType) -> KeyRow {
    KeyRow { key, number: message.number(key), kind }
}

/// Writes the fields of the map `value`, in any order; keys that the table does not have are
/// ignored. Gives the number of keys that it does have.
pub(super) fn write(
    out: &mut Vec<u8>,
    table: &'static [KeyRow],
    value: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<usize, ReadProblem> {
    let mut known = 0_usize;
    for entry in MapView::new(value) {
        let Some(field) = table.iter().find(|field| field.key.as_bytes() == entry.key) else {
            continue;
        };
        known = known.saturating_add(1);
        match &field.kind {
            KeyType::Attributes => {
                let at = (field.key, position, &mut *tally);
                values::attributes(out, field.number, entry.value, at)?;
            }
            KeyType::One(table) => {
                fields::map(entry.value).at(field.key)?;
                let before = out.len();
                let fill = |out: &mut Vec<u8>| {
                    write(out, table, entry.value, position, tally).map(|_| out.len())
                };
                let end = wire::try_message(out, field.number, fill)?;
                // A key and an empty length: the message has no content.
                if end <= before.saturating_add(2) {
                    out.truncate(before);
                }
            }
            KeyType::Many(table) => {
                let items = fields::list(entry.value).at(field.key)?;
                for (index, item) in items.enumerate() {
                    one_of_many(out, (field, table), item, position.with(field.key, index), tally);
                }
            }
            scalar => write_scalar(out, field.number, scalar, entry.value).at(field.key)?,
        }
    }
    Ok(known)
}

fn one_of_many(
    out: &mut Vec<u8>,
    (field, table): (&KeyRow, &'static [KeyRow]),
    item: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    if !fields::is_map(item) {
        return tally.skip(position, ReadProblem::new("", "is not a map"));
    }
    let result =
        wire::try_message(out, field.number, |out| write(out, table, item, position, tally));
    if let Err(bad) = result {
        tally.skip(position, bad);
    }
}

fn write_scalar(
    out: &mut Vec<u8>,
    number: u32,
    kind: &KeyType,
    value: &[u8],
) -> Result<(), ReadFault> {
    match kind {
        KeyType::Id => fields::write_id(out, number, value)?,
        KeyType::Text => wire::nonempty(out, number, fields::text(value)?),
        KeyType::Time => wire::nonzero64(out, number, fields::uint(value)?),
        KeyType::Count => wire::nonzero(out, number, fields::uint32(value)?),
        KeyType::Enum => {
            let value = u64::try_from(fields::int32(value)?).unwrap_or(0);
            wire::nonzero(out, number, value);
        }
        KeyType::Double => wire::double(out, number, fields::double(value)?),
        KeyType::Fixed => wire::fixed64(out, number, fields::int(value)?.cast_unsigned()),
        KeyType::Attributes | KeyType::One(_) | KeyType::Many(_) => {}
    }
    Ok(())
}
